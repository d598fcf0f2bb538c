//! The observer of an engine that is given none: it logs.

use crate::{
    network::Network,
    protocol::{event::Event, outcome::decision::PeerDecision},
};

/// The default observer: it logs events, except inputs.
pub(super) fn log_event<N: Network>(event: &Event<N>) {
    match event {
        Event::Heartbeat { tick } => tracing::trace!(tick, "heartbeat"),
        Event::P2pInput(_) | Event::AppInput(_) => {}
        Event::HeartbeatSkipped { tick } => {
            tracing::warn!(tick, "heartbeat skipped: the previous one is running")
        }
        Event::SubscribeTopicCapExceeded { peer, max_topics } => {
            tracing::warn!(
                ?peer,
                max_topics,
                reason = PeerDecision::SubscribeRefused.explanation(),
                "subscription ignored"
            );
        }
        Event::InputRefused { depth, reason } => tracing::warn!(depth, reason, "inputs refused"),
        Event::SlowPeer { peer } => tracing::warn!(?peer, "slow peer: it reads control messages too slowly"),
        Event::ProtocolViolation { peer } => {
            tracing::warn!(
                ?peer,
                "protocol violation: the peer sent bytes that are no RPC, or a forged message"
            )
        }
        // The log has a line of the action.
        Event::LowScore { .. } => {}
        Event::PublishedToNoPeers { topic } => {
            tracing::warn!(?topic, "published to no peer: none is subscribed, or all have the message")
        }
        Event::TopicRestarted { topic } => tracing::error!(?topic, "topic restarted after a panic"),
        Event::TopicGivenUp { topic } => tracing::error!(?topic, "topic left after too many panics"),
    }
}
