//! The items of the lists that begin with what needs attention, and what the transport knows of a peer.

use serde::Serialize;
use utoipa::ToSchema;

use super::Identifier;

/// A topic, with the numbers of its mesh.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicSummary {
    /// The topic.
    pub topic: Identifier,
    /// What needs attention first: `no_peers` (no subscriber is connected), `below_d_low` (the mesh has fewer than D_low peers) or
    /// `no_scores` (it has no score parameters, while other topics have some); null if nothing does.
    pub problem: Option<&'static str>,
    /// The number of peers in the mesh.
    pub mesh: usize,
    /// The number of those that this node dialled.
    pub outbound_mesh: usize,
    /// The number of connected subscribers.
    pub subscribers: usize,
    /// D_low of the topic.
    pub degree_low: usize,
    /// D_high of the topic.
    pub degree_high: usize,
}

/// A peer, with its score.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerSummary {
    /// The peer.
    pub peer: Identifier,
    /// Its score.
    pub score: f64,
    /// The thresholds that its score is below, as in [`ThresholdStatus`](super::ThresholdStatus).
    pub below: Vec<&'static str>,
    /// It is connected. If not, its score is retained, and what follows is that of its last connection.
    pub connected: bool,
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

/// What the transport knows of a peer. Each field is null if it is not known.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerDetails {
    /// The peer's end of the connection.
    pub address: Option<String>,
    /// The software that the peer reports to run. Not verified.
    pub agent: Option<String>,
    /// The negotiated gossipsub protocol.
    pub protocol: Option<String>,
    /// The time until which the transport refuses connections of the peer.
    #[schema(format = DateTime)]
    pub blocked_until: Option<String>,
}
