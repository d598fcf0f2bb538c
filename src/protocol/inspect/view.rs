//! Read-only snapshots of the whole state, for introspection and conformance tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use derive_where::derive_where;
use serde::Serialize;

use crate::{network::Network, protocol::quota::Quota, timestamp::Timestamp};

/// A snapshot of the state of an engine.
#[derive(Serialize)]
#[derive_where(Clone, Debug, Default)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct View<N: Network> {
    /// The time of the snapshot.
    pub time: Timestamp,
    /// The number of heartbeats since the start.
    pub heartbeat_ticks: u64,
    /// The connected peers.
    pub connections: BTreeMap<N::Peer, ConnectionView<N>>,
    /// The scores of connected peers, and the retained scores of disconnected peers.
    pub scores: BTreeMap<N::Peer, ScoreView<N>>,
    /// The mesh of each joined topic.
    pub mesh: BTreeMap<N::Topic, BTreeSet<N::Peer>>,
    /// The fanout of each topic that we publish to without having joined it.
    pub fanout: BTreeMap<N::Topic, FanoutView<N>>,
    /// The end of the backoff of each peer, by topic. Expired backoffs are included until their cleanup.
    pub backoff: BTreeMap<N::Topic, BTreeMap<N::Peer, Timestamp>>,
    /// The number of IHAVEs that each peer sent in this heartbeat.
    pub ihave: BTreeMap<N::Peer, u32>,
    /// The number of ids that we requested from each peer in this heartbeat.
    pub iwant: BTreeMap<N::Peer, u32>,
    /// The size of the messages that each peer was sent in this heartbeat because it requested them, in bytes. Not counted
    /// without [`max_iwant_bytes_per_heartbeat`](crate::limits::Extensions::max_iwant_bytes_per_heartbeat).
    pub answer_bytes: BTreeMap<N::Peer, usize>,
    /// The messages in the history, unordered.
    pub cached: Vec<CachedView<N>>,
    /// The ids in the seen cache, unordered.
    pub seen: Vec<SeenView<N>>,
    /// The ids that an IHAVE sent now would contain, by topic.
    pub gossip: BTreeMap<N::Topic, Vec<N::MessageId>>,
}

impl<N: Network> View<N> {
    /// Adds the snapshot of a topic.
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
        if quota.answer_bytes > 0 {
            self.answer_bytes.insert(peer.clone(), quota.answer_bytes);
        }
    }
}

/// A connected peer.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Topic: Serialize"))]
pub struct ConnectionView<N: Network> {
    /// The topics that the peer is subscribed to.
    pub topics: BTreeSet<N::Topic>,
    /// Whether it is a direct peer: messages are always forwarded to it, and it is never in a mesh.
    pub direct: bool,
    /// Whether we dialled the connection.
    pub outbound: bool,
    /// Whether it is a bootstrap peer, which is sent control messages only.
    pub bootstrap: bool,
    /// Whether it is a trusted peer, which is dialled again when its connection is lost.
    pub trusted: bool,
    /// Whether it speaks floodsub: it is sent every message and no control messages, and is in no mesh. A recording of an
    /// implementation without floodsub has no such field.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub floodsub: bool,
}

/// The score of a peer, with its counters.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Topic: Serialize"))]
pub struct ScoreView<N: Network> {
    /// The score.
    pub score: f64,
    /// The time after which the score of a disconnected peer may be removed. `None` for a connected peer.
    pub expires: Option<Timestamp>,
    /// P7: the counter of misbehaviours.
    pub behaviour_penalty: f64,
    /// P5: the score that the application set.
    pub application_score: f64,
    /// P6: the sum of the squares of the peers above the threshold at each address of the peer.
    #[serde(skip_serializing_if = "is_zero")]
    pub ip_colocation: f64,
    /// P1 to P4: the counters by topic.
    pub topics: BTreeMap<N::Topic, TopicScoreView>,
}

/// Recordings of implementations without P6 have no field for it.
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// The score counters of a peer in one topic.
#[derive(Clone, Debug, Serialize)]
pub struct TopicScoreView {
    /// P1: the time at which the peer entered the mesh, and its time in the mesh at the last refresh. `None` outside
    /// the mesh.
    pub mesh: Option<(Timestamp, Duration)>,
    /// P2: the counter of first message deliveries.
    pub first: f64,
    /// P3: whether the penalty applies, because the activation time is over.
    pub active: bool,
    /// P3: the counter of mesh message deliveries.
    pub delivered: f64,
    /// P3b: the sum of the squared deficits at the times when the peer left the mesh.
    pub failure: f64,
    /// P4: the counter of invalid messages.
    pub invalid: f64,
}

/// The fanout of a topic.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize"))]
pub struct FanoutView<N: Network> {
    /// The peers of the fanout.
    pub peers: BTreeSet<N::Peer>,
    /// The time of the last publication.
    pub last_published: Timestamp,
}

/// A message in the history.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct CachedView<N: Network> {
    /// The topic of the message.
    pub topic: N::Topic,
    /// The id of the message.
    pub id: N::MessageId,
    /// The number of times that each peer requested the message by IWANT.
    pub accesses: BTreeMap<N::Peer, u32>,
}

/// An id in the seen cache.
#[derive(Serialize)]
#[derive_where(Clone, Debug)]
#[serde(bound(serialize = "N::Peer: Serialize, N::Topic: Serialize, N::MessageId: Serialize"))]
pub struct SeenView<N: Network> {
    /// The topic of the message.
    pub topic: N::Topic,
    /// The id of the message.
    pub id: N::MessageId,
    /// The time of the first copy.
    pub first_seen: Timestamp,
    /// The peers that sent the message before it was accepted. Empty for a message that this node published.
    pub senders: BTreeSet<N::Peer>,
}
