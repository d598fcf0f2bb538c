//! A topic's state part by part, for questions that want no more. Changes nothing, and copies no window.

use super::TopicState;
use crate::{
    network::Network,
    protocol::{connection::ConnectionId, inspect::view::FanoutView},
    timestamp::Timestamp,
};

impl<N: Network> TopicState<N> {
    /// The mesh, ascending; `None` while we take no part.
    pub(crate) fn mesh_peers(&self) -> Option<Vec<N::Peer>> {
        self.mesh.as_ref().map(|mesh| mesh.keys().cloned().collect())
    }

    /// The connections that are subscribed: whose they are, whoever asks has to look up.
    pub(crate) fn subscriber_links(&self) -> Vec<ConnectionId> {
        self.subscribers.as_slice().to_vec()
    }

    /// The fanout, if there is one.
    pub(crate) fn fanout_view(&self) -> Option<FanoutView<N>> {
        let fanout = self.fanout.as_ref()?;
        Some(FanoutView {
            peers: fanout.peers.keys().cloned().collect(),
            last_published: fanout.last_published,
        })
    }

    /// Until when each peer is backed off, expired entries included; ascending.
    pub(crate) fn backoff_list(&self) -> Vec<(N::Peer, Timestamp)> {
        self.backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect()
    }

    /// How many messages of the history came in each heartbeat: its age in heartbeats, oldest first.
    pub(crate) fn cached_by_age(&self) -> Vec<(u64, usize)> {
        self.history.entries_per_tick()
    }

    /// Whether `peer` is in our mesh.
    pub(crate) fn is_in_mesh(&self, peer: &N::Peer) -> bool {
        self.mesh.as_ref().is_some_and(|mesh| mesh.contains_key(peer))
    }

    /// How `peer` stands with this topic, whose connection is `connection_id`.
    pub(crate) fn peer_topic_status(
        &self,
        peer: &N::Peer,
        connection_id: Option<ConnectionId>,
    ) -> PeerTopicStatus {
        PeerTopicStatus {
            joined: self.is_joined(),
            subscribed: connection_id.is_some_and(|connection_id| self.is_subscriber(connection_id)),
            in_mesh: self.is_in_mesh(peer),
            in_fanout: self.fanout.as_ref().is_some_and(|fanout| fanout.peers.contains_key(peer)),
            backed_off_until: self.backoffs.get(peer),
        }
    }
}

/// How a peer stands with one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTopicStatus {
    /// We take part in the topic.
    pub joined: bool,
    /// The peer subscribed to it.
    pub subscribed: bool,
    /// It is in our mesh.
    pub in_mesh: bool,
    /// It is in our fanout.
    pub in_fanout: bool,
    /// Until when it is backed off, be it past: such entries stay until their cleanup.
    pub backed_off_until: Option<Timestamp>,
}
