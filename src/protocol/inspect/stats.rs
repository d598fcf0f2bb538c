//! The sixteen counters of the reference's worker.

use std::ops::AddAssign;

use serde::Serialize;

/// Counters since the start; the first three are present values. Names and meaning are the seed's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Topics joined now.
    pub count_topics: u64,
    /// Peers connected now.
    pub count_connections: u64,
    /// Bootstrap peers connected now.
    pub count_bootstrap_connections: u64,
    /// Full messages sent, one a recipient: published, forwarded, and answers to IWANT.
    pub count_sent_app_messages: u64,
    /// GRAFTs sent.
    pub count_sent_grafts: u64,
    /// PRUNEs sent.
    pub count_sent_prunes: u64,
    /// IHAVEs sent, one a message (not an id).
    pub count_sent_ihaves: u64,
    /// IWANTs sent, one a message (not an id).
    pub count_sent_iwants: u64,
    /// Messages received and found valid.
    pub count_recv_valid_app_messages: u64,
    /// Messages received and found invalid.
    pub count_recv_invalid_app_messages: u64,
    /// Times that a message was tried and found undecidable.
    pub count_recv_unknown_validity_app_messages: u64,
    /// Messages received and found outdated.
    pub count_recv_outdated_app_messages: u64,
    /// GRAFTs accepted, or refused for a full mesh.
    pub count_recv_grafts: u64,
    /// PRUNEs that took a peer out of a mesh.
    pub count_recv_prunes: u64,
    /// Ids requested because a peer offered them.
    pub count_recv_ihaves: u64,
    /// Messages that a peer requested and may have; a bootstrap peer is not sent them all the same.
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
