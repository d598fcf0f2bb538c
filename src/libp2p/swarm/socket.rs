//! The socket of a TCP connection, with a limit on the time for which it takes no bytes. A peer whose TCP window stays
//! closed would keep its connection otherwise, even while we close it: the last frames can't be written.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::Multiaddr;
use futures::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};

use crate::{libp2p::state::TransportState, network::ConnectionRefusal};

/// A socket whose writes, flushes and closes fail if they make no progress for a time.
pub(super) struct Socket<S> {
    inner: S,
    timeout: Duration,
    /// Ends the present stall. Created by the first one and used again by the later ones.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether the last write, flush or close made no progress.
    stalled: bool,
    failed: bool,
    /// Counts the timeout.
    state: Arc<TransportState>,
    address: Multiaddr,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S, timeout: Duration, state: Arc<TransportState>, address: Multiaddr) -> Self {
        Self { inner, timeout, deadline: None, stalled: false, failed: false, state, address }
    }

    /// Replaces `result` by an error if the timeout is over.
    fn limit<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = false;
            return result;
        }
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if !std::mem::replace(&mut self.stalled, true) {
            deadline.as_mut().reset(Instant::now() + timeout);
        }
        ready!(deadline.as_mut().poll(cx));
        if !std::mem::replace(&mut self.failed, true) {
            self.state.refusals().add(ConnectionRefusal::WriteTimeout, Some(&self.address), None);
        }
        let reason = ConnectionRefusal::WriteTimeout;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, to)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [io::IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read_vectored(cx, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.limit(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.limit(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush that has nothing to write is no progress of a write that is pending.
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            result => self.limit(cx, result),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_close(cx);
        self.limit(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncWriteExt, future::poll_fn};

    use super::*;

    /// A socket that takes `room` bytes.
    struct Window {
        room: usize,
    }

    impl AsyncWrite for Window {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.room);
            self.room -= count;
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.room == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn socket(room: usize) -> Socket<Window> {
        Socket::new(
            Window { room },
            TIMEOUT,
            Arc::new(TransportState::new(false)),
            "/ip4/8.8.8.8/tcp/1".parse().unwrap(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_and_a_close_without_progress_fail_after_the_timeout() {
        let (mut socket, start) = (socket(10), Instant::now());
        let error = socket.write_all(&[0; 11]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, TIMEOUT));
        // A connection that is closed after that fails at once, and counts once.
        assert_eq!(socket.close().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), TIMEOUT);
        assert_eq!(socket.state.stats().refused(ConnectionRefusal::WriteTimeout), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_starts_the_timeout_again_and_a_flush_is_no_progress() {
        let (mut socket, start) = (socket(0), Instant::now());
        for _ in 0..10 {
            let write = poll_fn(|cx| Pin::new(&mut socket).poll_write(cx, b"a"));
            assert!(tokio::time::timeout(TIMEOUT / 2, write).await.is_err(), "the write is pending");
            socket.inner.room = 1;
            assert_eq!(socket.write(b"a").await.unwrap(), 1);
        }
        assert_eq!(start.elapsed(), TIMEOUT / 2 * 10);
        let write = poll_fn(|cx| Pin::new(&mut socket).poll_write(cx, b"a"));
        assert!(tokio::time::timeout(TIMEOUT / 2, write).await.is_err());
        socket.flush().await.unwrap();
        socket.write(b"a").await.unwrap_err();
        assert_eq!(start.elapsed(), TIMEOUT / 2 * 12);
    }
}
