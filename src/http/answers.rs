//! The bodies of the answers. Up to [`CacheTick`] their names are those of the Octez DAL node. Holds; never
//! asks.

use serde::Serialize;
use utoipa::ToSchema;

use super::names::Name;

/// Whether the engine works.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `up`, `degraded` (a check is not `ok`) or `down` (a vital one is not).
    pub status: Status,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// How long the supervisor took to answer, in seconds; null if it did not.
    pub answered_in: Option<f64>,
}

/// How the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Up,
    /// It works, and something is not well.
    Degraded,
    /// It does not work.
    Down,
}

/// One fact about its health.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// `engine`, `heartbeat`, `p2p_stream`, `app_stream`, `inputs` or `topics`.
    pub name: &'static str,
    /// What was found.
    pub status: CheckStatus,
    /// The fact, for a person.
    pub message: String,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Well.
    Ok,
    /// Not well.
    Ko,
    /// So bad that the engine does not work.
    Down,
}

/// A topic and peers: its subscribers, or its mesh.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicPeers {
    /// The topic.
    pub topic: Name,
    /// The peers, ascending.
    pub peers: Vec<Name>,
}

/// A fanout.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicFanout {
    /// The topic.
    pub topic: Name,
    /// Its peers, ascending.
    pub peers: Vec<Name>,
    /// When we last published to it.
    #[schema(format = DateTime)]
    pub last_publication_time: String,
}

/// A connected peer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerConnection {
    /// The peer.
    pub peer: Name,
    /// Its connection.
    pub connection: Connection,
}

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// What the peer subscribed to, ascending; empty if that was not wanted.
    pub topics: Vec<Name>,
    /// Always forwarded to, never in a mesh.
    pub direct: bool,
    /// Dialled by us.
    pub outbound: bool,
    /// Gets control messages only.
    pub bootstrap: bool,
}

/// A point that could not be reached.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconnectionDelay {
    /// The point.
    pub point: Name,
    /// The time until it may be tried, such as `5s`.
    pub delay: String,
}

/// A score.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerScore {
    /// The peer.
    pub peer: Name,
    /// Its score.
    pub score: f64,
}

/// The backoffs of a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicBackoffs {
    /// The topic.
    pub topic: Name,
    /// Who is backed off.
    pub backoffs: Vec<Backoff>,
}

/// A backoff.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The peer.
    pub peer: Name,
    /// Until when; it may be past.
    #[schema(format = DateTime)]
    pub backoff: String,
}

/// The messages kept of one heartbeat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheTick {
    /// The heartbeat in which they came.
    pub tick: u64,
    /// How many there are of each topic that has some.
    pub per_topic_cache_size: Vec<TopicCacheSize>,
}

/// How many messages are kept of a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicCacheSize {
    /// The topic.
    pub topic: Name,
    /// Their number.
    pub num_ids: usize,
}

/// A score taken apart: `score` = `topics_sum` + `p5` + `p6` + `p7`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedScore {
    /// The peer.
    pub peer: Name,
    /// Its score.
    pub score: f64,
    /// Its connection, if it is connected; its topics are not listed.
    pub connection: Option<Connection>,
    /// Until when the score of a peer that left is remembered.
    #[schema(format = DateTime)]
    pub remembered_until: Option<String>,
    /// What P1 to P4 of all topics add, after the cap.
    pub topics_sum: f64,
    /// P1 to P4, by topic.
    pub topics: Vec<TopicScore>,
    /// Application: what it set, weighted.
    pub p5: f64,
    /// Colocation: always 0, this engine has no P6.
    pub p6: f64,
    /// Behaviour: a penalty.
    pub p7: f64,
    /// P5 as the application set it.
    pub application_score: f64,
    /// P7's counter.
    pub behaviour_penalty: f64,
    /// The thresholds, and what is kept from the peer by them.
    pub thresholds: Vec<ThresholdState>,
}

/// What one topic adds to a score: `p1` to `p4` are weighted, the counters are not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicScore {
    /// The topic.
    pub topic: Name,
    /// The topic's weight.
    pub weight: f64,
    /// What it adds in all.
    pub total: f64,
    /// Time in the mesh.
    pub p1: f64,
    /// First deliveries.
    pub p2: f64,
    /// Too few deliveries: a penalty.
    pub p3: f64,
    /// Left the mesh with too few: a penalty.
    pub p3b: f64,
    /// Invalid messages: a penalty.
    pub p4: f64,
    /// Seconds in the mesh, as of the last refresh; 0 outside of it.
    pub time_in_mesh: f64,
    /// Messages that it was the first to deliver, decayed.
    pub first_message_deliveries: f64,
    /// Messages that it delivered while in the mesh, decayed.
    pub mesh_message_deliveries: f64,
    /// It has been in the mesh for so long that too few are penalised.
    pub mesh_message_deliveries_active: bool,
    /// The deficits that it left with, decayed.
    pub mesh_failure_penalty: f64,
    /// Its invalid messages, decayed.
    pub invalid_message_deliveries: f64,
}

/// A threshold and where the peer stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdState {
    /// `mesh`, `gossip`, `publish` or `accept_px`.
    pub name: &'static str,
    /// A score below it is too low.
    pub value: f64,
    /// The score is too low.
    pub refused: bool,
    /// What a peer below it is refused.
    pub refusal: &'static str,
}

/// Why a peer stands as it does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The peer.
    pub peer: Name,
    /// Whether it is connected.
    pub connected: bool,
    /// Its score, if it has one.
    pub score: Option<f64>,
    /// How it stands with the topic that was asked for.
    pub topic: Option<TopicMembership>,
    /// The last decisions about it, oldest first; the same several times in a row is one.
    pub decisions: Vec<Event>,
}

/// How a peer stands with a topic.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicMembership {
    /// The topic.
    pub topic: Name,
    /// We take part in it.
    pub joined: bool,
    /// The peer subscribed to it.
    pub subscribed: bool,
    /// It is in our mesh.
    pub in_mesh: bool,
    /// It is in our fanout.
    pub in_fanout: bool,
    /// Until when it is backed off; it may be past.
    #[schema(format = DateTime)]
    pub backoff: Option<String>,
}

/// Some of what happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The `since` that goes on from here.
    pub next: u64,
    /// Oldest first.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its number: a later one is greater.
    pub seq: u64,
    /// When, the last time if it happened several times in a row.
    #[schema(format = DateTime)]
    pub time: String,
    /// When it happened first.
    #[schema(format = DateTime)]
    pub first_time: String,
    /// How often in a row.
    pub times: u64,
    /// What: a type of go-libp2p-pubsub's trace (`GRAFT`, `PRUNE`, `ADD_PEER`, `REMOVE_PEER`, `JOIN`, `LEAVE`,
    /// `PUBLISH_MESSAGE`, `DELIVER_MESSAGE`, `DUPLICATE_MESSAGE`, `REJECT_MESSAGE`), or `REJECT_GRAFT`,
    /// `REJECT_PX`, `REJECT_SUBSCRIBE`, `REJECT_IHAVE`, `REJECT_IWANT`, `PENALTY`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Why, as a word.
    pub reason: Option<&'static str>,
    /// Why, for a person.
    pub message: Option<&'static str>,
    /// Whom it is about.
    pub peer: Option<Name>,
    /// The topic.
    pub topic: Option<Name>,
    /// The message.
    pub message_id: Option<Name>,
    /// The peer's score at that time.
    pub score: Option<f64>,
}

/// How often something happened since the start.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventCount {
    /// What, as in events.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Why, as a word.
    pub reason: Option<&'static str>,
    /// How often.
    pub count: u64,
}

/// How much waits in a queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueState {
    /// Its name.
    pub queue: &'static str,
    /// What waits.
    pub depth: usize,
    /// What may wait.
    pub capacity: usize,
}

/// What a map of the engine holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapSize {
    /// Its name.
    pub map: &'static str,
    /// Entries; bytes if the name says so.
    pub held: usize,
    /// The most it can hold with the present peers and topics; null where limits don't bound it.
    pub at_most: Option<usize>,
}
