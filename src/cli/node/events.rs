//! Events of a node's swarm: some are reported to standard output, and failures are logged.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_gossipsub::{
    FullMessage, P2pInput, P2pMessage,
    libp2p::{Event, Libp2pNetwork, NodeEvent, TopicName},
};
use libp2p::{PeerId, swarm::ListenError};
use tokio::sync::Notify;

use super::{
    report::{Line, Report},
    running::Observer,
    status::{Activity, is_normal},
};
use crate::cli::failure::with_causes;

/// Logs events of the connections and of failures.
pub fn log(event: &NodeEvent<'_>) {
    match event {
        // The transport logs refused connections and dials itself, once a second for each reason.
        NodeEvent::Input(_)
        | NodeEvent::Listening(_)
        | NodeEvent::ConnectionsRefused(_)
        | NodeEvent::IncomingFailed(_, ListenError::Denied { .. })
        | NodeEvent::Gossipsub(Event::DialRefused { .. }) => {}
        NodeEvent::Gossipsub(Event::Established { peer, protocol }) => {
            tracing::info!(%peer, %protocol, "gossipsub established");
        }
        NodeEvent::Refused(input, reason) => tracing::debug!(?input, ?reason, "input refused"),
        // The node dials again, with increasing delays. `DialFailures` reports those that the configuration names.
        NodeEvent::DialFailed(..)
        | NodeEvent::Gossipsub(Event::Unreachable { .. } | Event::DialFailed { .. }) => {
            tracing::info!(?event, "dial failed");
        }
        NodeEvent::IncomingFailed(address, error) => {
            tracing::warn!(%address, cause = with_causes(error), "the handshake with a peer that dialled us failed");
        }
        NodeEvent::Gossipsub(Event::Dropped { reason, .. }) if is_normal(*reason) => {
            tracing::debug!(?event, "output dropped");
        }
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

/// Reports events and messages to standard output.
#[derive(Clone)]
pub struct EventReporter {
    pub local_peer: PeerId,
    /// The joined topics.
    pub topics: BTreeSet<TopicName>,
    /// Notified when a peer subscribes to a joined topic.
    pub subscribed: Arc<Notify>,
    /// Counts the messages.
    pub received: Arc<AtomicU64>,
    pub activity: Activity,
    pub report: Report,
}

impl Observer for EventReporter {
    /// Reports an event, if it is one of those that are reported and the output has room.
    fn on_event(&mut self, event: &NodeEvent<'_>) {
        self.activity.on_event(event);
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

    async fn on_message(&mut self, message: &FullMessage<Libp2pNetwork>) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.report.message(message);
    }
}
