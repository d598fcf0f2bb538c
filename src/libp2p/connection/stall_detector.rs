//! How long a peer may take to read what waits for it. It watches bytes and time; it writes and drops
//! nothing, and asks the time only while something waits.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// With one connection. Polled inside a tokio runtime.
pub(in crate::libp2p) struct Patience {
    timeout: Duration,
    min_progress: usize,
    watch: Option<Watch>,
    /// May fire too early, for a watch that is over: it is then set again.
    timer: Option<Pin<Box<Sleep>>>,
}

/// A time in which something waits, and too little was written so far.
struct Watch {
    since: Instant,
    written: usize,
    /// Whether patience was lost already.
    over: bool,
}

impl Watch {
    fn begin() -> Self {
        Self { since: Instant::now(), written: 0, over: false }
    }
}

impl Patience {
    /// It ends when fewer than `min_progress` bytes, or none, were written in `timeout`.
    pub(in crate::libp2p) fn new(timeout: Duration, min_progress: usize) -> Self {
        Self { timeout, min_progress: min_progress.max(1), watch: None, timer: None }
    }

    /// `Ready` when patience is over, once until progress is made again. `waits`: something is still to be
    /// written; `progress`: the bytes written since the last poll.
    pub(in crate::libp2p) fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        waits: bool,
        progress: usize,
    ) -> Poll<()> {
        if !waits {
            self.watch = None;
            return Poll::Pending;
        }
        let watch = self.watch.get_or_insert_with(Watch::begin);
        watch.written = watch.written.saturating_add(progress);
        if watch.written >= self.min_progress {
            *watch = Watch::begin();
        }
        if watch.over {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let left = self.timeout.saturating_sub(watch.since.elapsed());
            if left.is_zero() {
                break;
            }
            timer.set(sleep(left));
        }
        watch.over = true;
        self.timer = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Three bytes in ten seconds are enough.
    fn patience() -> Patience {
        Patience::new(10 * SECOND, 3)
    }

    impl Patience {
        fn is_over(&mut self, waits: bool, progress: usize) -> bool {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            self.poll_over(&mut cx, waits, progress).is_ready()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_once_a_stall() {
        let mut patience = patience();
        assert!(!patience.is_over(true, 100));
        advance(9 * SECOND).await;
        assert!(!patience.is_over(true, 2));
        advance(2 * SECOND).await;
        assert!(patience.is_over(true, 0));
        advance(100 * SECOND).await;
        assert!(!patience.is_over(true, 0));
        // It reads again, and stops again.
        assert!(!patience.is_over(true, 1));
        advance(11 * SECOND).await;
        assert!(patience.is_over(true, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_steady_is_not_too_slow() {
        let mut patience = patience();
        for _ in 0..20 {
            assert!(!patience.is_over(true, 3));
            advance(9 * SECOND).await;
        }
        // Nor is a byte now and then, if nothing is left to be written.
        for _ in 0..20 {
            assert!(!patience.is_over(true, 1));
            advance(9 * SECOND).await;
            assert!(!patience.is_over(false, 1));
            advance(9 * SECOND).await;
        }
        // But a byte now and then while more waits is.
        let mut bytes = 0;
        while !patience.is_over(true, 1) {
            bytes += 1;
            advance(6 * SECOND).await;
            assert!(bytes < 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_may_be_without_end() {
        let mut patience = Patience::new(Duration::MAX, 1);
        assert!(!patience.is_over(true, 0));
        advance(1_000_000 * SECOND).await;
        assert!(!patience.is_over(true, 0));
    }
}
