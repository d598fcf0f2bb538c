//! Events of a node's swarm: some are reported to standard output, and failures are logged. A bounded queue separates
//! the task of the swarm from a slow reader of the output.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    DropReason, P2pInput, P2pMessage,
    libp2p::{Event, NodeEvent, TopicName},
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{Notify, mpsc};

use super::report::{Line, Report};

/// Events that may wait to be reported.
pub const MAX_EVENTS: usize = 65_536;

/// An event that is reported to standard output.
pub enum Reported {
    Listening(Multiaddr),
    Connected(PeerId),
    Subscribed(PeerId, TopicName),
    Disconnected(PeerId),
}

impl Reported {
    /// The part of a swarm's event that is reported, or `None` for other events.
    pub fn of(event: &NodeEvent<'_>) -> Option<Self> {
        match *event {
            NodeEvent::Listening(address) => Some(Self::Listening(address.clone())),
            NodeEvent::Input(P2pInput::NewConnection { peer, .. }) => Some(Self::Connected(*peer)),
            NodeEvent::Input(P2pInput::Disconnection { peer }) => Some(Self::Disconnected(*peer)),
            NodeEvent::Input(P2pInput::InMessage {
                from_peer,
                message: P2pMessage::Subscribe { topic, .. },
            }) => Some(Self::Subscribed(*from_peer, topic.clone())),
            _ => None,
        }
    }
}

/// Logs events of the connections and of failures.
pub fn log(event: &NodeEvent<'_>) {
    match event {
        // The transport logs refused connections and dials itself, once a second for each reason.
        NodeEvent::Input(_)
        | NodeEvent::Listening(_)
        | NodeEvent::ConnectionsRefused(_)
        | NodeEvent::Gossipsub(Event::DialRefused { .. }) => {}
        NodeEvent::Gossipsub(Event::Established { peer, protocol }) => {
            tracing::info!(%peer, %protocol, "gossipsub established");
        }
        NodeEvent::Refused(input, reason) => tracing::debug!(?input, ?reason, "input refused"),
        // The node dials again, with increasing delays.
        NodeEvent::DialFailed(..) | NodeEvent::Gossipsub(Event::Unreachable { .. }) => {
            tracing::info!(?event, "dial failed");
        }
        // These drops are normal: a peer disconnects, has the message, speaks an older version of the protocol, or gets a
        // later GRAFT or PRUNE instead.
        NodeEvent::Gossipsub(Event::Dropped {
            reason:
                DropReason::Disconnected
                | DropReason::IDontWant
                | DropReason::Unsupported
                | DropReason::Superseded,
            ..
        }) => tracing::debug!(?event, "output dropped"),
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
    /// Reports events until the swarm's task, which owns the sender, has ended.
    pub async fn run(self, mut events: mpsc::Receiver<Reported>) {
        while let Some(event) = events.recv().await {
            self.report.line(self.line(event)).await;
        }
    }

    fn line(&self, event: Reported) -> Line {
        match event {
            Reported::Listening(address) => Line::listening(&address, self.local_peer),
            Reported::Connected(peer) => Line::Connected { peer: peer.to_string() },
            Reported::Disconnected(peer) => Line::Disconnected { peer: peer.to_string() },
            Reported::Subscribed(peer, topic) => {
                if self.topics.contains(&topic) {
                    self.subscribed.notify_one();
                }
                Line::Subscribed { peer: peer.to_string(), topic: topic.to_string() }
            }
        }
    }
}
