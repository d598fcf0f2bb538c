//! The JSON bodies of all responses but errors. Field names from [`TopicPeers`] to [`TopicCacheSize`] are
//! those of the Octez DAL node.

mod messages;
mod overview;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    messages::{EngineNotice, Missed, Published, StreamedMessage},
    overview::{PeerDetails, PeerSummary, TopicSummary},
};
pub use super::identifier::Identifier;

/// The health of the engine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The worst status of all checks.
    pub status: Status,
    /// The checks, each with its own status.
    pub checks: Vec<Check>,
    /// The time the supervisor took to answer, in seconds; null if it did not answer.
    pub response_seconds: Option<f64>,
}

/// Whether a node is ready.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// All checks are `ok`.
    pub ready: bool,
    /// The checks, each with its own status.
    pub checks: Vec<Check>,
}

/// The status of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All checks are `ok`.
    Up,
    /// A check is `ko`; the engine works.
    Degraded,
    /// A check is `down`; the engine does not work.
    Down,
}

/// One health check.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// `engine`, `heartbeat`, `p2p_stream`, `app_stream`, `inputs`, `topics` or `peers`; of readiness, `engine`, `heartbeat`, and
    /// those of the application.
    pub name: &'static str,
    /// Its result.
    pub status: CheckStatus,
    /// The measured facts, as a sentence for an operator.
    pub message: String,
    /// The path of the list that has the details, relative to the scope; null if there is none.
    pub list: Option<&'static str>,
}

/// The result of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Passed.
    Ok,
    /// Failed; the engine works.
    Ko,
    /// Failed; the engine does not work.
    Down,
}

/// Who this node is.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its peer id; null if the application does not describe its node.
    pub peer_id: Option<String>,
    /// Where it listens, with its peer id: what others dial.
    pub addresses: Vec<String>,
}

/// A topic and peers: its subscribers, or its mesh.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicPeers {
    /// The topic.
    pub topic: Identifier,
    /// The peers, ascending.
    pub peers: Vec<Identifier>,
}

/// The fanout of a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicFanout {
    /// The topic.
    pub topic: Identifier,
    /// The fanout peers, ascending.
    pub peers: Vec<Identifier>,
    /// The time of our last publication to the topic.
    #[schema(format = DateTime)]
    pub last_publication_time: String,
}

/// A connected peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerConnection {
    /// The peer.
    pub peer: Identifier,
    /// Its connection.
    pub connection: Connection,
}

/// The connection to a peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The topics that the peer subscribes to, ascending; empty if the request excludes topics.
    pub topics: Vec<Identifier>,
    /// A direct peer: every message is forwarded to it, and it is never in a mesh.
    pub direct: bool,
    /// We dialled the peer.
    pub outbound: bool,
    /// A bootstrap peer: it receives control messages only.
    pub bootstrap: bool,
    /// It speaks floodsub: it receives every message and no control messages. Absent if it does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub floodsub: bool,
}

/// A point that could not be reached.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconnectionDelay {
    /// The point.
    pub point: Identifier,
    /// The time until it may be dialled again, such as `5s`.
    pub delay: String,
}

/// The score of a peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerScore {
    /// The peer.
    pub peer: Identifier,
    /// Its score.
    pub score: f64,
}

/// The backoffs of a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicBackoffs {
    /// The topic.
    pub topic: Identifier,
    /// The backed-off peers.
    pub backoffs: Vec<Backoff>,
}

/// The backoff of a peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The peer.
    pub peer: Identifier,
    /// The end of the backoff. Expired entries remain until their cleanup.
    #[schema(format = DateTime)]
    pub backoff: String,
}

/// The cached messages of one heartbeat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheTick {
    /// The heartbeat in which they were received or published.
    pub tick: u64,
    /// Their number in each topic that has any.
    pub per_topic_cache_size: Vec<TopicCacheSize>,
}

/// The number of cached messages of a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicCacheSize {
    /// The topic.
    pub topic: Identifier,
    /// The number of messages.
    pub num_ids: usize,
}

/// A score and its components: `score` = `topics_sum` + `p5` + `p6` + `p7`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreBreakdown {
    /// The peer.
    pub peer: Identifier,
    /// Its score.
    pub score: f64,
    /// Its connection, with all its topics; null if the peer is not connected.
    pub connection: Option<Connection>,
    /// The time until which the score of a disconnected peer is retained.
    #[schema(format = DateTime)]
    pub retained_until: Option<String>,
    /// P1 to P4 summed over all topics, after the cap.
    pub topics_sum: f64,
    /// P1 to P4 by topic.
    pub topics: Vec<TopicScore>,
    /// P5, the application's score, weighted.
    pub p5: f64,
    /// P6, IP colocation: at most 0.
    pub p6: f64,
    /// P7, the behaviour penalty, weighted.
    pub p7: f64,
    /// P5 as the application set it, without weight.
    pub application_score: f64,
    /// The counter of P7, without weight.
    pub behaviour_penalty: f64,
    /// The thresholds, and which of them the score is below.
    pub thresholds: Vec<ThresholdStatus>,
}

/// The contribution of one topic to a score. `p1` to `p4` include the weights of component and topic, the
/// counters do not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicScore {
    /// The topic.
    pub topic: Identifier,
    /// The weight of the topic.
    pub weight: f64,
    /// The sum of `p1` to `p4`.
    pub total: f64,
    /// Time in mesh.
    pub p1: f64,
    /// First message deliveries.
    pub p2: f64,
    /// Mesh message delivery deficit: a penalty.
    pub p3: f64,
    /// Mesh failure, the deficit at the time of a prune: a penalty.
    pub p3b: f64,
    /// Invalid messages: a penalty.
    pub p4: f64,
    /// Seconds in the mesh at the last refresh; 0 for a peer outside of the mesh.
    pub time_in_mesh: f64,
    /// Messages that this peer delivered first, decayed.
    pub first_message_deliveries: f64,
    /// Messages that this peer delivered while in the mesh, decayed.
    pub mesh_message_deliveries: f64,
    /// The peer has been in the mesh for long enough that P3 applies.
    pub mesh_message_deliveries_active: bool,
    /// The squared deficits at the times of prunes, decayed.
    pub mesh_failure_penalty: f64,
    /// Invalid messages of this peer, decayed.
    pub invalid_message_deliveries: f64,
}

/// A score threshold applied to a peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdStatus {
    /// The name of the threshold.
    pub name: &'static str,
    /// The lowest score that passes.
    pub value: f64,
    /// The peer's score is below the threshold.
    pub below: bool,
    /// The consequence for a peer below the threshold.
    pub effect: &'static str,
}

/// The status of a peer and the decisions about it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The peer.
    pub peer: Identifier,
    /// The peer is connected.
    pub connected: bool,
    /// Its score; null if it has none.
    pub score: Option<f64>,
    /// Its status in the requested topic; null if the request names none.
    pub topic: Option<PeerTopicStatus>,
    /// The last decisions about it, oldest first. Identical consecutive decisions are merged.
    pub decisions: Vec<Event>,
}

/// The status of a peer in a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerTopicStatus {
    /// The topic.
    pub topic: Identifier,
    /// We have joined the topic.
    pub joined: bool,
    /// The peer subscribes to the topic.
    pub subscribed: bool,
    /// The peer is in our mesh.
    pub in_mesh: bool,
    /// The peer is in our fanout.
    pub in_fanout: bool,
    /// The end of its backoff; null if it has none. Expired entries remain until their cleanup.
    #[schema(format = DateTime)]
    pub backoff_until: Option<String>,
}

/// A page of the event log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The `since` of the next request.
    pub next: u64,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

/// An event. Identical consecutive events about one peer are merged.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The sequence number of the last occurrence; it increases with every event.
    pub seq: u64,
    /// The time of the last occurrence.
    #[schema(format = DateTime)]
    pub time: String,
    /// The time of the first occurrence.
    #[schema(format = DateTime)]
    pub first_time: String,
    /// The number of merged occurrences.
    pub count: u64,
    /// The type: those of go-libp2p-pubsub's trace, and others in their style.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The reason, as a label.
    pub reason: Option<&'static str>,
    /// The reason, as a sentence for an operator.
    pub message: Option<&'static str>,
    /// The peer concerned.
    pub peer: Option<Identifier>,
    /// The topic concerned.
    pub topic: Option<Identifier>,
    /// The message concerned.
    pub message_id: Option<Identifier>,
    /// The peer's score at the time of the event.
    pub score: Option<f64>,
}

/// The number of events of one type and reason since the start.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventCount {
    /// The type, as in [`Event`].
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The reason, as a label.
    pub reason: Option<&'static str>,
    /// The number of events.
    pub count: u64,
}

/// The fill level of a queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueState {
    /// The name of the queue.
    pub queue: &'static str,
    /// The number of queued items; bytes if the name ends in `_bytes`.
    pub depth: usize,
    /// The maximum depth.
    pub capacity: usize,
}

/// The size of one map of the engine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FootprintEntry {
    /// The name of the map, as in the metric `gossipsub_cache_entries`.
    pub cache: &'static str,
    /// The number of entries; bytes if the name ends in `_bytes`.
    pub size: usize,
    /// The maximum size with the present peers and topics; null if no limit bounds it.
    pub bound: Option<usize>,
}

/// The empty body of a successful administrative request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Done {}
