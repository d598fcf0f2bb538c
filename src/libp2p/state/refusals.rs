//! The refused connections and dials: counted by reason, logged once a second for each reason, and summed up until the
//! behaviour of the limits reports them as events.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use ::libp2p::{Multiaddr, PeerId};
use enum_map::EnumMap;

use crate::network::ConnectionRefusal;

/// The least time between two lines of the log for one reason. An attacker can cause thousands of refusals a second.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Connections or dials that were refused for one reason, or connections that were closed for it, since the last such
/// event with this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedConnections {
    /// The reason.
    pub reason: ConnectionRefusal,
    /// How many there were.
    pub count: u64,
    /// The address of the last one, if it is known.
    pub address: Option<Multiaddr>,
    /// The peer of the last one, if it is known.
    pub peer: Option<PeerId>,
}

#[derive(Debug, Default)]
pub(in crate::libp2p) struct Refusals(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    totals: EnumMap<ConnectionRefusal, u64>,
    unreported: EnumMap<ConnectionRefusal, Option<RefusedConnections>>,
    logs: EnumMap<ConnectionRefusal, LogLine>,
    waker: Option<Waker>,
}

/// The last line of the log for one reason, and what it did not count yet.
#[derive(Debug, Default)]
struct LogLine {
    last: Option<Instant>,
    unlogged: u64,
}

impl Refusals {
    pub(in crate::libp2p) fn add(
        &self,
        reason: ConnectionRefusal,
        address: Option<&Multiaddr>,
        peer: Option<PeerId>,
    ) {
        let mut counted = self.counted();
        counted.totals[reason] += 1;
        let before = counted.unreported[reason].take().map_or(0, |refused| refused.count);
        let refused = RefusedConnections { reason, count: before + 1, address: address.cloned(), peer };
        counted.unreported[reason] = Some(refused);
        let waker = counted.waker.take();
        let logged = counted.logs[reason].add(Instant::now());
        drop(counted);
        waker.into_iter().for_each(Waker::wake);
        if let Some(count) = logged {
            let address = address.map(tracing::field::display);
            let peer = peer.map(tracing::field::display);
            if reason == ConnectionRefusal::AddressFilter {
                // Ordinary peers report the addresses of their local networks too.
                tracing::debug!(count, address, peer, "addresses not used: {reason}");
            } else {
                tracing::warn!(count, address, peer, "connections refused or closed: {reason}");
            }
        }
    }

    /// The numbers of refusals since the start.
    pub(super) fn totals(&self) -> EnumMap<ConnectionRefusal, u64> {
        self.counted().totals
    }

    /// The refusals of one reason that are not reported yet. The task of `cx` is woken when there are some.
    pub(in crate::libp2p) fn poll(&self, cx: &Context<'_>) -> Poll<RefusedConnections> {
        let mut counted = self.counted();
        match counted.unreported.values_mut().find_map(Option::take) {
            Some(refused) => Poll::Ready(refused),
            None => {
                counted.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogLine {
    /// Counts a refusal. Returns the number that a line must report now, if one is due.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= LOG_INTERVAL);
        due.then(|| {
            self.last = Some(now);
            std::mem::take(&mut self.unlogged)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_reason_are_one_event_and_one_log_line_a_second() {
        let refusals = Refusals::default();
        let address: Multiaddr = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
        for _ in 0..1_000 {
            refusals.add(ConnectionRefusal::Rate, None, None);
        }
        refusals.add(ConnectionRefusal::Rate, Some(&address), None);
        let cx = Context::from_waker(Waker::noop());
        let Poll::Ready(refused) = refusals.poll(&cx) else { panic!("there are refusals") };
        assert_eq!((refused.reason, refused.count), (ConnectionRefusal::Rate, 1_001));
        assert_eq!(refused.address, Some(address));
        assert!(refusals.poll(&cx).is_pending());
        assert_eq!(refusals.totals()[ConnectionRefusal::Rate], 1_001);

        let (mut line, start) = (LogLine::default(), Instant::now());
        let lines: Vec<_> = (0..=2_000).map(|ms| line.add(start + Duration::from_millis(ms))).collect();
        let logged: Vec<_> = lines.into_iter().flatten().collect();
        assert_eq!(logged, [1, 1_000, 1_000]);
    }
}
