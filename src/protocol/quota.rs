//! TODO header.

use crate::{limits::Limits, network::Network, protocol::outcome::IHaveOutcome};

/// What a peer used up in this heartbeat, over all topics (v1.1 "spam protection").
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    /// IHAVEs received from it.
    pub(crate) received: u32,
    /// Ids requested from it.
    pub(crate) requested: u32,
}

impl Quota {
    /// Of a peer for whom there is no place to count.
    pub(crate) const SPENT: Self = Self { received: u32::MAX, requested: u32::MAX };

    /// Whether it tells anything.
    pub(crate) fn is_kept(self) -> bool {
        self.received > 0 && self.received < u32::MAX
    }

    /// Counts an IHAVE, and tells whether it may be looked at.
    pub(crate) fn take_ihave<N: Network>(
        &mut self,
        limits: &Limits<N::Topic>,
    ) -> Result<(), IHaveOutcome<N>> {
        self.received = self.received.saturating_add(1);
        let max = limits.max_recv_ihave_per_heartbeat;
        if self.received > max {
            return Err(IHaveOutcome::TooManyIHaves { count: self.received, max });
        }
        let max = limits.max_sent_iwant_per_heartbeat;
        if self.requested >= max {
            return Err(IHaveOutcome::TooManyIWants { count: self.requested, max });
        }
        Ok(())
    }

    pub(crate) fn iwants_left<T>(&self, limits: &Limits<T>) -> usize {
        limits.max_sent_iwant_per_heartbeat.saturating_sub(self.requested) as usize
    }
}
