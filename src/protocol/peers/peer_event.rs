//! Events of peers, subscriptions and meshes, for an owner that keeps a copy of their state.

use derive_where::derive_where;

use super::Peers;
use crate::{
    network::Network,
    protocol::{
        exchange::event::TopicEvent,
        outcome::{
            decision::PeerDecision,
            reason::{GraftReason, LeaveReason, Penalty},
        },
    },
};

/// An event about a peer. All events of an engine have one order, that of the supervisor: a listener that applies each of
/// them has the same peers, subscriptions and meshes.
#[derive_where(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerEvent<N: Network> {
    /// The peer connected.
    Connected(N::Peer),
    /// The peer disconnected. With that its subscriptions end, and it leaves all meshes: no other events report this.
    Disconnected(N::Peer),
    /// The peer subscribed to the topic.
    Subscribed(N::Peer, N::Topic),
    /// The peer unsubscribed from the topic.
    Unsubscribed(N::Peer, N::Topic),
    /// The peer entered our mesh of the topic.
    Grafted(N::Peer, N::Topic, GraftReason),
    /// The peer left our mesh of the topic.
    Pruned(N::Peer, N::Topic, LeaveReason),
    /// The mesh of the topic was lost: its actor panicked.
    MeshLost(N::Topic),
    /// The node left the topic because its actor panicked too often.
    TopicGivenUp(N::Topic),
    /// The score of the peer was lowered, because of what it did on the topic, if it concerns one.
    Penalised(N::Peer, Option<N::Topic>, Penalty),
}

impl<N: Network> PeerEvent<N> {
    /// The event that a decision about a peer is, unless events of topics report it.
    pub(crate) fn of_decision(
        peer: &N::Peer,
        topic: Option<&N::Topic>,
        decision: PeerDecision,
    ) -> Option<Self> {
        match decision {
            PeerDecision::Connected => Some(Self::Connected(peer.clone())),
            PeerDecision::Disconnected => Some(Self::Disconnected(peer.clone())),
            PeerDecision::Penalised(penalty) => Some(Self::Penalised(peer.clone(), topic.cloned(), penalty)),
            _ => None,
        }
    }
}

/// Calls `listener` with what an event of a topic, which is applied next, means for its peers. Events of a connection that
/// has closed in the meantime mean nothing.
pub(crate) fn report_topic_event<N: Network>(
    topic: &N::Topic,
    event: &TopicEvent<N>,
    peers: &Peers<N>,
    listener: &(dyn Fn(PeerEvent<N>) + Send + Sync),
) {
    let is_current = |peer: &N::Peer, id| peers.connection_id(peer) == Some(id);
    match event {
        TopicEvent::Subscribed(peer, id)
            if is_current(peer, *id) && !peers.is_subscriber(peer, *id, topic) =>
        {
            listener(PeerEvent::Subscribed(peer.clone(), topic.clone()));
        }
        TopicEvent::Unsubscribed(peer, id) if peers.is_subscriber(peer, *id, topic) => {
            listener(PeerEvent::Unsubscribed(peer.clone(), topic.clone()));
        }
        TopicEvent::Grafted(peer, id, reason) if is_current(peer, *id) => {
            listener(PeerEvent::Grafted(peer.clone(), topic.clone(), *reason));
        }
        TopicEvent::Pruned(peer, id, reason) if is_current(peer, *id) => {
            listener(PeerEvent::Pruned(peer.clone(), topic.clone(), *reason));
        }
        TopicEvent::Maintained(maintenance) => {
            for grafted in maintenance.grafted.iter().filter(|it| is_current(&it.peer, it.connection_id)) {
                listener(PeerEvent::Grafted(grafted.peer.clone(), topic.clone(), grafted.reason));
            }
            for pruned in maintenance.pruned.iter().filter(|it| is_current(&it.peer, it.connection_id)) {
                listener(PeerEvent::Pruned(pruned.peer.clone(), topic.clone(), pruned.reason));
            }
        }
        _ => {}
    }
}
