//! The connections that were sent a PRUNE in answer to a GRAFT since the last heartbeat, so that a flood of GRAFTs is answered
//! once.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::protocol::{connection::ConnectionId, inspect::memory::MAX_ANSWERED_GRAFTS};

/// The answered connections. Used only for lookups, so the hash set's order reaches no output.
#[derive(Debug, Default)]
pub(super) struct AnsweredGrafts {
    connection_ids: HashSet<ConnectionId, RandomState>,
}

impl AnsweredGrafts {
    /// Whether a GRAFT may be answered; it then counts as answered. A peer without connection cannot be sent an answer.
    pub(super) fn insert(&mut self, connection_id: Option<ConnectionId>) -> bool {
        let has_room = self.connection_ids.len() < MAX_ANSWERED_GRAFTS;
        has_room && connection_id.is_some_and(|connection_id| self.connection_ids.insert(connection_id))
    }

    /// Starts the next heartbeat.
    pub(super) fn clear(&mut self) {
        if !self.connection_ids.is_empty() {
            self.connection_ids = HashSet::default();
        }
    }
}
