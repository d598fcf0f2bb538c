//! The quotas of the current heartbeat, which all threads take from.

use std::sync::atomic::Ordering;

use super::Directory;
use crate::{limits::Limits, network::Network, protocol::quota::Quota};

impl<N: Network> Directory<N> {
    /// Runs `take` on what `peer` has used of its quotas in the current heartbeat, for an IHAVE of `ids` ids. Topics of
    /// other threads see the quotas as if all ids were requested meanwhile, so that together they never exceed a limit. No
    /// lock is taken while `take` runs, which calls the application.
    pub(crate) fn with_heartbeat_quota<T>(
        &self,
        peer: &N::Peer,
        ids: usize,
        limits: &Limits<N::Topic>,
        take: impl FnOnce(&mut Quota) -> T,
    ) -> T {
        let epoch = self.heartbeat_epoch.load(Ordering::Acquire);
        let Some((before, reserved)) = self.reserve_heartbeat_quota(peer, ids, limits) else {
            let mut exhausted = Quota::EXHAUSTED;
            return take(&mut exhausted);
        };
        let mut used = before;
        let taken = take(&mut used);
        let unused = reserved.minus(used);
        // After a heartbeat the entry is another one.
        if unused != Quota::default()
            && let Some(mut quota) = self.heartbeat_quotas.get_mut(peer)
            && self.heartbeat_epoch.load(Ordering::Acquire) == epoch
        {
            *quota = quota.minus(unused);
            drop(quota);
            self.heartbeat_quotas.remove_if(peer, |_, quota| *quota == Quota::default());
        }
        taken
    }

    /// Counts an IHAVE and all ids that may be requested because of it. Returns the quota before and after that. `None` if
    /// the table of peers is full.
    fn reserve_heartbeat_quota(
        &self,
        peer: &N::Peer,
        ids: usize,
        limits: &Limits<N::Topic>,
    ) -> Option<(Quota, Quota)> {
        if !self.has_heartbeat_quota(peer, limits) {
            return None;
        }
        let mut quota = self.heartbeat_quotas.entry(peer.clone()).or_default();
        let before = *quota;
        *quota = before.with_ihave(ids, limits);
        Some((before, *quota))
    }

    /// Whether the peer is tracked, or may be. Called outside of the entry's lock, because it reads the length of the whole
    /// map.
    fn has_heartbeat_quota(&self, peer: &N::Peer, limits: &Limits<N::Topic>) -> bool {
        self.heartbeat_quotas.contains_key(peer)
            || Quota::has_room(self.heartbeat_quotas.len(), self.connected(), limits)
    }

    /// Counts a requested message; see [`Quota::take_answer`]. Nothing is sent to a peer that can't be tracked.
    pub(crate) fn take_answer(
        &self,
        peer: &N::Peer,
        bytes: usize,
        max: usize,
        limits: &Limits<N::Topic>,
    ) -> bool {
        self.has_heartbeat_quota(peer, limits)
            && self.heartbeat_quotas.entry(peer.clone()).or_default().take_answer(bytes, max)
    }

    /// Resets all quotas: a heartbeat starts.
    pub(crate) fn clear_heartbeat_quotas(&self) {
        self.heartbeat_epoch.fetch_add(1, Ordering::AcqRel);
        self.heartbeat_quotas.clear();
    }

    /// The quotas that each tracked peer has used in the current heartbeat.
    pub(crate) fn heartbeat_quotas(&self) -> Vec<(N::Peer, Quota)> {
        self.heartbeat_quotas.iter().map(|entry| (entry.key().clone(), *entry.value())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        admission::{Admission, totals::Totals},
        limits::LimitsConfig,
        plain::PlainNetwork,
    };

    const MAX_IDS: u32 = 10;
    const MAX_IHAVES: u32 = 3;

    fn directory_and_limits() -> (Directory<PlainNetwork>, Limits<String>) {
        let limits = LimitsConfig {
            max_sent_iwant_per_heartbeat: MAX_IDS,
            max_recv_ihave_per_heartbeat: MAX_IHAVES,
            ..LimitsConfig::default()
        };
        let limits = Limits::try_from(limits).expect("the limits are valid");
        let admission = Arc::new(Admission::new(&limits.bounds));
        (Directory::new(admission, Totals::new(&limits.bounds)), limits)
    }

    /// Handles an IHAVE of `ids` ids as a topic does. Returns how many of them are requested; `None` if the IHAVE is over a
    /// limit.
    fn take(quota: &mut Quota, ids: usize, limits: &Limits<String>) -> Option<u32> {
        quota.take_ihave::<PlainNetwork>(limits).ok()?;
        let requested = ids.min(quota.iwants_left(limits)) as u32;
        quota.iwant_ids += requested;
        Some(requested)
    }

    /// Another topic handles an IHAVE of the same peer while the first one has its quota, which two threads may do.
    fn take_two(
        directory: &Directory<PlainNetwork>,
        limits: &Limits<String>,
        first: usize,
        second: usize,
    ) -> (Option<u32>, Option<u32>) {
        directory.with_heartbeat_quota(&1, first, limits, |quota| {
            let second =
                directory.with_heartbeat_quota(&1, second, limits, |quota| take(quota, second, limits));
            (take(quota, first, limits), second)
        })
    }

    #[test]
    fn ihaves_of_one_peer_at_the_same_time_request_no_more_ids_than_the_quota() {
        let (directory, limits) = directory_and_limits();
        let (first, second) = take_two(&directory, &limits, 6, 6);
        assert_eq!((first, second), (Some(6), Some(4)));
        let used = Quota { ihave_messages: 2, iwant_ids: MAX_IDS, answer_bytes: 0 };
        assert_eq!(directory.heartbeat_quotas(), [(1, used)]);
        let third = directory.with_heartbeat_quota(&1, 1, &limits, |quota| take(quota, 1, &limits));
        assert_eq!(third, None, "no id is left");
    }

    #[test]
    fn ihaves_of_one_peer_at_the_same_time_are_each_counted() {
        let (directory, limits) = directory_and_limits();
        assert_eq!(take_two(&directory, &limits, 1, 1), (Some(1), Some(1)));
        assert_eq!(take_two(&directory, &limits, 1, 1), (Some(1), None), "the fourth is over the limit");
        let used = Quota { ihave_messages: 4, iwant_ids: 3, answer_bytes: 0 };
        assert_eq!(directory.heartbeat_quotas(), [(1, used)]);
    }
}
