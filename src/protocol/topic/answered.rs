//! The connections that were sent an answer since the last heartbeat: a PRUNE to a GRAFT, or a GRAFT to a SUBSCRIBE. So a flood
//! of either is answered once.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::protocol::{connection::ConnectionId, inspect::memory::MAX_ANSWERED};

/// The answered connections, or those whose answer is due by the next heartbeat. Used only for lookups, so the hash set's order reaches no output.
#[derive(Debug, Default)]
pub(super) struct AnsweredConnections {
    connection_ids: HashSet<ConnectionId, RandomState>,
}

impl AnsweredConnections {
    /// Whether a message may be answered; it then counts as answered. A peer without connection cannot be sent an answer.
    pub(super) fn insert(&mut self, connection_id: Option<ConnectionId>) -> bool {
        let has_room = self.connection_ids.len() < MAX_ANSWERED;
        has_room && connection_id.is_some_and(|connection_id| self.connection_ids.insert(connection_id))
    }

    /// Removes a connection. Returns whether it was here.
    pub(super) fn remove(&mut self, connection_id: ConnectionId) -> bool {
        self.connection_ids.remove(&connection_id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connection_ids.is_empty()
    }

    /// Starts the next heartbeat.
    pub(super) fn clear(&mut self) {
        if !self.connection_ids.is_empty() {
            self.connection_ids = HashSet::default();
        }
    }
}
