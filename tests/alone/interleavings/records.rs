//! What is recorded of each topic, message and peer of a schedule.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct TopicRecord {
    pub joined: bool,
    /// The number of joins and leaves of the application.
    pub commands: usize,
    pub leaves: usize,
    pub restarts: usize,
    /// The valid messages in the order in which the engine must deliver them if it validates at once.
    pub expected: Vec<u64>,
    pub delivered: Vec<u64>,
    /// The forwarded messages by recipient, in order.
    pub forwarded: BTreeMap<u64, Vec<u64>>,
}

#[derive(Debug, Default)]
pub struct MessageRecord {
    /// The peers whose copies the engine accepted.
    pub senders: BTreeSet<u64>,
    /// Those whose copies arrived while the topic was joined.
    pub senders_while_joined: BTreeSet<u64>,
    /// The sender of the first copy that arrived while the topic was joined.
    pub first_sender: Option<u64>,
    /// The senders before the verdict: they are sent no copy.
    pub senders_before_verdict: BTreeSet<u64>,
    pub published: bool,
    /// The publications that the engine accepted: a restarted topic may publish a message again, and then reports on
    /// the later publication only.
    pub publications: usize,
    pub must_deliver: bool,
    /// Its validation panicked or took too long.
    pub unvalidated: bool,
    pub declined: BTreeSet<u64>,
    pub delivered: usize,
    pub sent: BTreeMap<u64, usize>,
    pub rank: Option<(usize, usize)>,
}

impl MessageRecord {
    /// The application should have received the message, and did not.
    pub fn is_lost(&self) -> bool {
        self.must_deliver && self.delivered == 0 && !self.published && !self.unvalidated
    }
}

#[derive(Debug, Default)]
pub struct PeerRecord {
    pub connected: bool,
    pub was_connected: bool,
    pub subscribed: BTreeSet<String>,
    pub grafted: BTreeSet<String>,
    /// The topics of which the peer sent PRUNE or UNSUBSCRIBE: it may have left our mesh at any time since.
    pub may_have_left: BTreeSet<String>,
}
