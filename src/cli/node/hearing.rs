//! What a node hears of its swarm, told as lines or logged. It changes nothing, and never waits on the
//! swarm's task.

use std::{collections::BTreeSet, sync::Arc};

use actix_gossipsub::{
    DropReason, P2pInput, P2pMessage,
    libp2p::{Event, NodeEvent, TopicName},
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{Notify, mpsc};

use crate::cli::report::{Line, Report};

/// What may wait to be told, for a reader that is slow.
pub const MAX_HEARD: usize = 65_536;

/// What is told.
pub enum Heard {
    Listening(Multiaddr),
    Connected(PeerId),
    Subscribed(PeerId, TopicName),
    Disconnected(PeerId),
}

impl Heard {
    /// What is to be told of an event, if it is.
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

/// Logs what goes wrong.
pub fn log(event: &NodeEvent<'_>) {
    match event {
        NodeEvent::Input(_) | NodeEvent::Listening(_) => {}
        NodeEvent::Gossipsub(Event::Established { peer, protocol }) => tracing::info!(%peer, %protocol, "up"),
        NodeEvent::Refused(input, reason) => tracing::debug!(?input, ?reason, "input refused"),
        // It is tried again, at first often.
        NodeEvent::DialFailed(..) | NodeEvent::Gossipsub(Event::Unreachable { .. }) => {
            tracing::info!(?event, "dial failed");
        }
        // Peers go, and something is always on its way to them; what they don't want is not lost.
        NodeEvent::Gossipsub(Event::Dropped {
            reason: DropReason::Disconnected | DropReason::Unwanted | DropReason::Unsupported,
            ..
        }) => tracing::debug!(?event, "not sent"),
        event => tracing::warn!(?event, "swarm"),
    }
}

/// The teller.
pub struct Hearing {
    pub peer: PeerId,
    /// The topics we joined.
    pub topics: BTreeSet<TopicName>,
    /// Told when a peer subscribes to one of them.
    pub subscribed: Arc<Notify>,
    pub report: Report,
}

impl Hearing {
    /// DeliveryListener what is heard until the swarm is gone.
    pub async fn run(self, mut heard: mpsc::Receiver<Heard>) {
        while let Some(heard) = heard.recv().await {
            self.report.line(self.line(heard)).await;
        }
    }

    fn line(&self, heard: Heard) -> Line {
        match heard {
            Heard::Listening(address) => Line::listening(&address, self.peer),
            Heard::Connected(peer) => Line::Connected { peer: peer.to_string() },
            Heard::Disconnected(peer) => Line::Disconnected { peer: peer.to_string() },
            Heard::Subscribed(peer, topic) => {
                if self.topics.contains(&topic) {
                    self.subscribed.notify_one();
                }
                Line::Subscribed { peer: peer.to_string(), topic: topic.to_string() }
            }
        }
    }
}
