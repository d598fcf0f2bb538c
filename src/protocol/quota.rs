//! The quota of one peer within a heartbeat: IHAVE messages, the ids that are requested from it (v1.1 "spam protection"),
//! and the bytes that are sent to it because it requested them.

use crate::{limits::Limits, network::Network, protocol::outcome::IHaveOutcome};

/// The quotas that a peer has used in the current heartbeat, over all topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    /// IHAVE messages received from the peer.
    pub(crate) ihave_messages: u32,
    /// Message ids requested from the peer by IWANT.
    pub(crate) iwant_ids: u32,
    /// Size of the messages that the peer was sent because of its IWANTs, in bytes.
    pub(crate) answer_bytes: usize,
}

impl Quota {
    /// The quota of a peer that is not tracked because the table is full: nothing is left.
    pub(crate) const EXHAUSTED: Self =
        Self { ihave_messages: u32::MAX, iwant_ids: u32::MAX, answer_bytes: usize::MAX };

    /// Whether the table of the current heartbeat, which has `tracked` peers, has room for another one. It has room for as
    /// many peers as are connected, and for `max_unconnected_peers` more.
    pub(crate) fn has_room<T>(tracked: usize, connected: usize, limits: &Limits<T>) -> bool {
        tracked < connected.saturating_add(limits.bounds.max_unconnected_peers)
    }

    /// The quota of a peer that is not in the table of the current heartbeat; see [`has_room`](Self::has_room).
    pub(crate) fn of_untracked<T>(tracked: usize, connected: usize, limits: &Limits<T>) -> Self {
        if Self::has_room(tracked, connected, limits) { Self::default() } else { Self::EXHAUSTED }
    }

    /// The quota after an IHAVE of which as many as possible of the `ids` ids are requested.
    pub(crate) fn with_ihave<T>(self, ids: usize, limits: &Limits<T>) -> Self {
        let ids = ids.min(self.iwants_left(limits));
        let ihave_messages = self.ihave_messages.saturating_add(1);
        Self { ihave_messages, iwant_ids: self.iwant_ids + ids as u32, ..self }
    }

    /// The difference of two quotas.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            ihave_messages: self.ihave_messages.saturating_sub(other.ihave_messages),
            iwant_ids: self.iwant_ids.saturating_sub(other.iwant_ids),
            answer_bytes: self.answer_bytes.saturating_sub(other.answer_bytes),
        }
    }

    /// Whether the counts of a tracked peer differ from zero.
    pub(crate) fn is_tracked(self) -> bool {
        self != Self::default() && self.ihave_messages < u32::MAX
    }

    /// Counts a requested message of `bytes`. Returns false if the peer was sent others and may not be sent this one.
    pub(crate) fn take_answer(&mut self, bytes: usize, max: usize) -> bool {
        let sum = self.answer_bytes.saturating_add(bytes);
        let within = self.answer_bytes == 0 || sum <= max;
        if within {
            self.answer_bytes = sum;
        }
        within
    }

    /// Counts one IHAVE message.
    ///
    /// # Errors
    /// The outcome to report if the message exceeds a limit and must be ignored.
    pub(crate) fn take_ihave<N: Network>(
        &mut self,
        limits: &Limits<N::Topic>,
    ) -> Result<(), IHaveOutcome<N>> {
        self.ihave_messages = self.ihave_messages.saturating_add(1);
        let max = limits.max_recv_ihave_per_heartbeat;
        if self.ihave_messages > max {
            return Err(IHaveOutcome::TooManyIHaves { count: self.ihave_messages, max });
        }
        let max = limits.max_sent_iwant_per_heartbeat;
        if self.iwant_ids >= max {
            return Err(IHaveOutcome::TooManyIWants { count: self.iwant_ids, max });
        }
        Ok(())
    }

    /// The number of ids that may still be requested from the peer in this heartbeat.
    pub(crate) fn iwants_left<T>(&self, limits: &Limits<T>) -> usize {
        limits.max_sent_iwant_per_heartbeat.saturating_sub(self.iwant_ids) as usize
    }
}
