//! The whole state, read-only: what introspection shows and what conformance compares. Changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use derive_where::derive_where;
use serde::Serialize;

use crate::{network::Network, protocol::quota::Quota, timestamp::Timestamp};

/// A snapshot of an engine's state.
#[derive(Serialize)]
#[derive_where(Clone, Debug, Default)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct View<N: Network> {
    /// When it was taken.
    pub time: Timestamp,
    /// Heartbeats so far.
    pub heartbeat_ticks: u64,
    /// The connected peers.
    pub connections: BTreeMap<N::Peer, ConnectionView<N>>,
    /// The scores of connected peers, and of those remembered.
    pub scores: BTreeMap<N::Peer, ScoreView<N>>,
    /// The mesh of each joined topic.
    pub mesh: BTreeMap<N::Topic, BTreeSet<N::Peer>>,
    /// The fanout of each topic published to without joining.
    pub fanout: BTreeMap<N::Topic, FanoutView<N>>,
    /// Until when each peer is backed off, expired entries included until their cleanup.
    pub backoff: BTreeMap<N::Topic, BTreeMap<N::Peer, Timestamp>>,
    /// IHAVEs received from each peer in this heartbeat.
    pub ihave: BTreeMap<N::Peer, u32>,
    /// Ids requested from each peer in this heartbeat.
    pub iwant: BTreeMap<N::Peer, u32>,
    /// The messages in the history, in no order.
    pub cached: Vec<CachedView<N>>,
    /// The ids in the seen window, in no order.
    pub seen: Vec<SeenView<N>>,
    /// The ids that IHAVE would offer now, by topic.
    pub gossip: BTreeMap<N::Topic, Vec<N::MessageId>>,
}

impl<N: Network> View<N> {
    /// Adds a topic's part.
    pub(crate) fn merge(&mut self, part: Self) {
        self.mesh.extend(part.mesh);
        self.fanout.extend(part.fanout);
        self.backoff.extend(part.backoff);
        self.cached.extend(part.cached);
        self.seen.extend(part.seen);
        self.gossip.extend(part.gossip);
    }

    pub(crate) fn count_quota(&mut self, peer: &N::Peer, quota: Quota) {
        if quota.ihave_messages > 0 {
            self.ihave.insert(peer.clone(), quota.ihave_messages);
        }
        if quota.iwant_ids > 0 {
            self.iwant.insert(peer.clone(), quota.iwant_ids);
        }
    }
}

/// A connected peer.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Topic: Serialize"))]
pub struct ConnectionView<N: Network> {
    /// What it subscribed to.
    pub topics: BTreeSet<N::Topic>,
    /// Always forwarded to, never in a mesh.
    pub direct: bool,
    /// Dialled by us.
    pub outbound: bool,
    /// Gets control messages only.
    pub bootstrap: bool,
    /// Dialled again when lost.
    pub trusted: bool,
}

/// A score and its components.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Topic: Serialize"))]
pub struct ScoreView<N: Network> {
    /// The score.
    pub score: f64,
    /// When the entry of a disconnected peer may go; `None` for a connected one.
    pub expires: Option<Timestamp>,
    /// P7's counter.
    pub behaviour_penalty: f64,
    /// P5.
    pub application_score: f64,
    /// P1 to P4's counters.
    pub topics: BTreeMap<N::Topic, TopicScoreView>,
}

/// The counters of a peer on a topic.
#[derive(Clone, Debug, Serialize)]
pub struct TopicScoreView {
    /// P1: since when in the mesh, and for how long as of the last refresh.
    pub mesh: Option<(Timestamp, Duration)>,
    /// P2: first deliveries.
    pub first: f64,
    /// P3 is evaluated.
    pub active: bool,
    /// P3: deliveries.
    pub delivered: f64,
    /// P3b: failures.
    pub failure: f64,
    /// P4: invalid messages.
    pub invalid: f64,
}

/// A fanout.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize"))]
pub struct FanoutView<N: Network> {
    /// Its peers.
    pub peers: BTreeSet<N::Peer>,
    /// When we last published to it.
    pub last_published: Timestamp,
}

/// A message in the history.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct CachedView<N: Network> {
    /// Its topic.
    pub topic: N::Topic,
    /// Its id.
    pub id: N::MessageId,
    /// How often each peer asked for it by IWANT.
    pub accesses: BTreeMap<N::Peer, u32>,
}

/// An id in the seen window.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct SeenView<N: Network> {
    /// Its topic.
    pub topic: N::Topic,
    /// The id.
    pub id: N::MessageId,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Who delivered it before it was accepted; nobody if it was published here.
    pub senders: BTreeSet<N::Peer>,
}
