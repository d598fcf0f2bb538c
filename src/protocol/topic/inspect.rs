//! Snapshots of a topic's state for queries, metrics and conformance tests.

use std::collections::{BTreeMap, BTreeSet};

use enum_map::{EnumMap, enum_map};

use super::TopicState;
use crate::{
    limits::Limits,
    network::Network,
    protocol::{
        connection::ConnectionId,
        inspect::{
            footprint::Footprint,
            stats::{TopicCounts, TopicProblem},
            view::{CachedView, FanoutView, SeenView, View},
        },
    },
    timestamp::Timestamp,
};

impl<N: Network> TopicState<N> {
    /// The peers of the mesh, ascending; `None` if the topic is not joined.
    pub(crate) fn mesh_peers(&self) -> Option<Vec<N::Peer>> {
        self.mesh.as_ref().map(|mesh| mesh.keys().cloned().collect())
    }

    /// The subscribed connections. The caller resolves them to peers.
    pub(crate) fn subscriber_ids(&self) -> Vec<ConnectionId> {
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

    /// The end of each backoff, expired entries included, ascending by peer.
    pub(crate) fn backoff_list(&self) -> Vec<(N::Peer, Timestamp)> {
        self.backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect()
    }

    /// The end of the backoff of a peer, which may have passed.
    pub(crate) fn backoff_of(&self, peer: &N::Peer) -> Option<Timestamp> {
        self.backoffs.get(peer)
    }

    /// The number of messages in the history by age in heartbeats, oldest first.
    pub(crate) fn cached_by_age(&self) -> Vec<(u64, usize)> {
        self.history.entries_per_tick()
    }

    /// Whether `peer` is in the mesh.
    pub(crate) fn is_in_mesh(&self, peer: &N::Peer) -> bool {
        self.mesh.as_ref().is_some_and(|mesh| mesh.contains_key(peer))
    }

    /// The status of `peer`, whose connection is `connection_id`, in this topic.
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

/// The status of a peer in one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTopicStatus {
    /// The application has joined the topic.
    pub joined: bool,
    /// The peer is subscribed to the topic.
    pub subscribed: bool,
    /// The peer is in the mesh.
    pub in_mesh: bool,
    /// The peer is in the fanout.
    pub in_fanout: bool,
    /// The end of the backoff of the peer. It may have passed, because entries stay until their cleanup.
    pub backed_off_until: Option<Timestamp>,
}

impl<N: Network> TopicState<N> {
    /// The number of entries of each collection.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint {
            topics: 1,
            subscribers: self.subscribers.len(),
            mesh: self.mesh.as_ref().map_or(0, BTreeMap::len),
            fanout: self.fanout.as_ref().map_or(0, |fanout| fanout.peers.len()),
            backoffs: self.backoffs.len(),
            backoffs_bytes: self.backoffs.bytes(),
            history: self.history.len(),
            history_bytes: self.history.bytes(),
            seen: self.seen.len(),
            seen_bytes: self.seen.bytes(),
            validating: self.pending_validations.len() + self.batched.len(),
            invalid: self.invalid_cache.len(),
            invalid_bytes: self.invalid_cache.bytes(),
            promises: self.promises.len(),
            requested: self.requests.len(),
            sent_idontwant: self.sent_idontwant.len(),
            ..Footprint::default()
        }
    }

    /// The problems of the topic, if it is joined.
    pub(crate) fn problems(&self) -> EnumMap<TopicProblem, bool> {
        let Some(mesh) = &self.mesh else { return EnumMap::default() };
        enum_map! {
            TopicProblem::NoPeers => self.subscribers.is_empty(),
            TopicProblem::BelowDLow => mesh.len() < self.parameters.degrees.degree_low,
            TopicProblem::NoScores => self.parameters.is_unscored,
        }
    }

    /// Adds the topic's state to a view.
    pub(crate) fn view(&self, limits: &Limits<N::Topic>, view: &mut View<N>) {
        let keys = |connection_ids: &BTreeMap<N::Peer, ConnectionId>| {
            connection_ids.keys().cloned().collect::<BTreeSet<_>>()
        };
        if let Some(mesh) = &self.mesh {
            view.mesh.insert(self.topic.clone(), keys(mesh));
        }
        if let Some(fanout) = &self.fanout {
            let fanout = FanoutView { peers: keys(&fanout.peers), last_published: fanout.last_published };
            view.fanout.insert(self.topic.clone(), fanout);
        }
        if !self.backoffs.is_empty() {
            let backoffs = self.backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect();
            view.backoff.insert(self.topic.clone(), backoffs);
        }
        if self.mesh.is_some() || self.fanout.is_some() {
            view.gossip.insert(self.topic.clone(), self.gossip_ids(limits, view.time));
        }
        view.cached.extend(self.history.iter().map(|(id, cached)| CachedView {
            topic: self.topic.clone(),
            id: id.clone(),
            accesses: cached.accesses.clone(),
        }));
        view.seen.extend(self.seen.iter().map(|(id, seen)| SeenView {
            topic: self.topic.clone(),
            id: id.clone(),
            first_seen: seen.first_seen,
            senders: seen.senders().cloned().collect(),
        }));
    }

    /// Whether the topic is joined (0 or 1), and the numbers of subscribers, mesh peers and outbound mesh peers.
    pub(crate) fn counts(&self) -> TopicCounts {
        let mesh = self.mesh.iter().flatten();
        TopicCounts {
            joined: usize::from(self.is_joined()),
            subscribers: self.subscribers.len(),
            mesh: self.mesh.as_ref().map_or(0, BTreeMap::len),
            outbound_mesh: mesh.filter(|(_, connection_id)| connection_id.is_outbound()).count(),
        }
    }
}
