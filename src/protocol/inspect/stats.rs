//! The sixteen counters of the Octez worker. Their doc comments are also the descriptions in the OpenAPI document.

use std::ops::AddAssign;

use enum_map::Enum;
use serde::Serialize;
use strum::VariantNames;

/// Counters since the start, with the names and meanings of the Octez worker. The first three are current values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Joined topics.
    pub count_topics: u64,
    /// Connected peers.
    pub count_connections: u64,
    /// Connected bootstrap peers.
    pub count_bootstrap_connections: u64,
    /// Full messages sent, counted per recipient: published, forwarded and requested by IWANT.
    pub count_sent_app_messages: u64,
    /// GRAFTs sent.
    pub count_sent_grafts: u64,
    /// PRUNEs sent.
    pub count_sent_prunes: u64,
    /// IHAVEs sent, counted per control message, not per message id.
    pub count_sent_ihaves: u64,
    /// IWANTs sent, counted per control message, not per message id.
    pub count_sent_iwants: u64,
    /// Received messages with the verdict valid.
    pub count_recv_valid_app_messages: u64,
    /// Received messages with the verdict invalid.
    pub count_recv_invalid_app_messages: u64,
    /// Validation attempts with the verdict unknown.
    pub count_recv_unknown_validity_app_messages: u64,
    /// Received messages with the verdict outdated.
    pub count_recv_outdated_app_messages: u64,
    /// Received GRAFTs that were accepted, or refused because the mesh was full.
    pub count_recv_grafts: u64,
    /// Received PRUNEs that removed a peer from a mesh.
    pub count_recv_prunes: u64,
    /// Message ids requested in response to IHAVEs.
    pub count_recv_ihaves: u64,
    /// Messages that peers may request and did request by IWANT, including those withheld from bootstrap peers.
    pub count_recv_iwants: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        let Self {
            count_topics,
            count_connections,
            count_bootstrap_connections,
            count_sent_app_messages,
            count_sent_grafts,
            count_sent_prunes,
            count_sent_ihaves,
            count_sent_iwants,
            count_recv_valid_app_messages,
            count_recv_invalid_app_messages,
            count_recv_unknown_validity_app_messages,
            count_recv_outdated_app_messages,
            count_recv_grafts,
            count_recv_prunes,
            count_recv_ihaves,
            count_recv_iwants,
        } = other;
        self.count_topics += count_topics;
        self.count_connections += count_connections;
        self.count_bootstrap_connections += count_bootstrap_connections;
        self.count_sent_app_messages += count_sent_app_messages;
        self.count_sent_grafts += count_sent_grafts;
        self.count_sent_prunes += count_sent_prunes;
        self.count_sent_ihaves += count_sent_ihaves;
        self.count_sent_iwants += count_sent_iwants;
        self.count_recv_valid_app_messages += count_recv_valid_app_messages;
        self.count_recv_invalid_app_messages += count_recv_invalid_app_messages;
        self.count_recv_unknown_validity_app_messages += count_recv_unknown_validity_app_messages;
        self.count_recv_outdated_app_messages += count_recv_outdated_app_messages;
        self.count_recv_grafts += count_recv_grafts;
        self.count_recv_prunes += count_recv_prunes;
        self.count_recv_ihaves += count_recv_ihaves;
        self.count_recv_iwants += count_recv_iwants;
    }
}

/// Why a joined topic needs attention, as of its last heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum TopicProblem {
    /// No connected peer is subscribed to it.
    NoPeers,
    /// Its mesh has fewer than D_low peers.
    BelowDLow,
    /// It has no score parameters of its own, while other topics have some.
    NoScores,
}

impl TopicProblem {
    /// All problems, the most urgent first.
    pub const ALL: [Self; 3] = [Self::NoPeers, Self::BelowDLow, Self::NoScores];

    /// The name, as used in labels.
    pub fn name(self) -> &'static str {
        Self::VARIANTS[self as usize]
    }
}

/// The numbers of one topic that its gauges publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicCounts {
    /// 1 if we have joined the topic, else 0.
    pub(crate) joined: usize,
    pub(crate) subscribers: usize,
    /// Peers in our mesh.
    pub(crate) mesh: usize,
    /// Mesh peers that we dialled.
    pub(crate) outbound_mesh: usize,
}
