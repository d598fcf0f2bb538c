//! Events of a node's swarm: some are reported to standard output, and failures are logged.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    DropReason, P2pInput, P2pMessage,
    libp2p::{Event, NodeEvent, TopicName},
};
use libp2p::PeerId;
use tokio::sync::Notify;

use super::report::{Line, Report};

/// Logs events of the connections and of failures.
pub fn log(event: &NodeEvent<'_>) {
    match event {
        NodeEvent::Input(_) | NodeEvent::Listening(_) => {}
        NodeEvent::Gossipsub(Event::Established { peer, protocol }) => {
            tracing::info!(%peer, %protocol, "gossipsub established");
        }
        NodeEvent::Refused(input, reason) => tracing::debug!(?input, ?reason, "input refused"),
        // The node dials again, with increasing delays.
        NodeEvent::DialFailed(..) | NodeEvent::Gossipsub(Event::Unreachable { .. }) => {
            tracing::info!(?event, "dial failed");
        }
        // These drops are normal: a peer disconnects, has the message, or speaks an older version of the protocol.
        NodeEvent::Gossipsub(Event::Dropped {
            reason: DropReason::Disconnected | DropReason::IDontWant | DropReason::Unsupported,
            ..
        }) => tracing::debug!(?event, "output dropped"),
        NodeEvent::Gossipsub(Event::Dropped { .. }) => {
            tracing::warn!(?event, "outputs were not sent to a peer")
        }
        NodeEvent::Gossipsub(Event::SlowPeer { .. }) => tracing::warn!(?event, "a peer reads too slowly"),
        NodeEvent::Gossipsub(Event::InboundFailed { .. }) => {
            tracing::warn!(?event, "the stream of a peer can't be read any further");
        }
        NodeEvent::Gossipsub(Event::OutboundFailed { .. }) => {
            tracing::warn!(?event, "a peer broke all streams that were opened to it");
        }
        NodeEvent::Gossipsub(Event::Unsupported { .. }) => {
            tracing::warn!(?event, "a peer supports no gossipsub")
        }
        NodeEvent::Paused(..) => tracing::warn!(?event, "a peer is not read: the engine has no room"),
        NodeEvent::Resumed(..) => tracing::warn!(?event, "a peer is read again"),
        NodeEvent::PingFailed(..) => tracing::warn!(?event, "a peer does not answer"),
        event => tracing::warn!(?event, "swarm event"),
    }
}

/// Reports events to standard output.
pub struct EventReporter {
    pub local_peer: PeerId,
    /// The joined topics.
    pub topics: BTreeSet<TopicName>,
    /// Notified when a peer subscribes to a joined topic.
    pub subscribed: Arc<Notify>,
    pub report: Report,
}

impl EventReporter {
    /// Reports an event, if it is one of those that are reported and the output has room.
    pub fn report(&self, event: &NodeEvent<'_>) {
        match *event {
            NodeEvent::Listening(address) => self.report.line(|| Line::listening(address, self.local_peer)),
            NodeEvent::Input(P2pInput::NewConnection { peer, .. }) => {
                self.report.line(|| Line::Connected { peer: peer.to_string() });
            }
            NodeEvent::Input(P2pInput::Disconnection { peer }) => {
                self.report.line(|| Line::Disconnected { peer: peer.to_string() });
            }
            NodeEvent::Input(P2pInput::InMessage {
                from_peer,
                message: P2pMessage::Subscribe { topic, .. },
            }) => {
                if self.topics.contains(topic) {
                    self.subscribed.notify_one();
                }
                let line = || Line::Subscribed { peer: from_peer.to_string(), topic: topic.to_string() };
                self.report.line(line);
            }
            _ => {}
        }
    }
}
