//! Detects peers that read too slowly: fewer bytes than a minimum are written within a timeout, though data is
//! pending. Time counts only while data is pending.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// The stall detector of one connection. Polled inside a tokio runtime.
pub(in crate::libp2p) struct StallDetector {
    timeout: Duration,
    min_progress: usize,
    period: Option<Period>,
    /// May belong to an earlier period and fire too early: it is then set again.
    timer: Option<Pin<Box<Sleep>>>,
}

/// A period in which data is pending and fewer than `min_progress` bytes were written so far.
struct Period {
    since: Instant,
    written: usize,
    /// Whether the stall of this period was reported.
    reported: bool,
}

impl Period {
    fn begin() -> Self {
        Self { since: Instant::now(), written: 0, reported: false }
    }
}

impl StallDetector {
    /// Detects a stall when fewer than `min_progress` bytes, or none, are written within `timeout`.
    pub(in crate::libp2p) fn new(timeout: Duration, min_progress: usize) -> Self {
        Self { timeout, min_progress: min_progress.max(1), period: None, timer: None }
    }

    /// `Ready` when the connection has stalled: once, until progress is made again. `pending`: whether data is still
    /// to be written; `progress`: the bytes written since the last poll.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>, pending: bool, progress: usize) -> Poll<()> {
        if !pending {
            self.period = None;
            return Poll::Pending;
        }
        let period = self.period.get_or_insert_with(Period::begin);
        period.written = period.written.saturating_add(progress);
        if period.written >= self.min_progress {
            *period = Period::begin();
        }
        if period.reported {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let left = self.timeout.saturating_sub(period.since.elapsed());
            if left.is_zero() {
                break;
            }
            timer.set(sleep(left));
        }
        period.reported = true;
        self.timer = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Expects three bytes in ten seconds.
    fn detector() -> StallDetector {
        StallDetector::new(10 * SECOND, 3)
    }

    impl StallDetector {
        fn is_stalled(&mut self, pending: bool, progress: usize) -> bool {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            self.poll_stalled(&mut cx, pending, progress).is_ready()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_reported_once() {
        let mut detector = detector();
        assert!(!detector.is_stalled(true, 100));
        advance(9 * SECOND).await;
        assert!(!detector.is_stalled(true, 2));
        advance(2 * SECOND).await;
        assert!(detector.is_stalled(true, 0));
        advance(100 * SECOND).await;
        assert!(!detector.is_stalled(true, 0));
        // The peer reads again, and stops again.
        assert!(!detector.is_stalled(true, 1));
        advance(11 * SECOND).await;
        assert!(detector.is_stalled(true, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_steady_progress_is_no_stall() {
        let mut detector = detector();
        for _ in 0..20 {
            assert!(!detector.is_stalled(true, 3));
            advance(9 * SECOND).await;
        }
        // A byte now and then is no stall either if nothing is left to be written.
        for _ in 0..20 {
            assert!(!detector.is_stalled(true, 1));
            advance(9 * SECOND).await;
            assert!(!detector.is_stalled(false, 1));
            advance(9 * SECOND).await;
        }
        // A byte now and then while more is pending is a stall.
        let mut bytes = 0;
        while !detector.is_stalled(true, 1) {
            bytes += 1;
            advance(6 * SECOND).await;
            assert!(bytes < 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_may_be_unlimited() {
        let mut detector = StallDetector::new(Duration::MAX, 1);
        assert!(!detector.is_stalled(true, 0));
        advance(1_000_000 * SECOND).await;
        assert!(!detector.is_stalled(true, 0));
    }
}
