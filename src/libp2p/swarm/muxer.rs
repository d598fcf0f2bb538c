//! Yamux with a bound on the streams that peers open. A peer may send 256 KiB on each stream before it is read, and yamux
//! takes them into memory; a stream that is not read at all, since its negotiation waits for a peer that does not read
//! either, costs as much as it can. What is beyond the bound is reset at once.

use std::{
    collections::VecDeque,
    error::Error,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use ::libp2p::{
    core::{
        StreamMuxer,
        muxing::StreamMuxerEvent,
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    },
    yamux,
};
use futures::{AsyncRead, AsyncWrite, FutureExt, TryFutureExt, future::BoxFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    libp2p::{limits::config::ConnectionLimits, state::TransportState},
    network::ConnectionRefusal,
};

/// The bytes that a peer may send on a stream before it is read. rust-libp2p can't lower it.
const WINDOW: usize = 256 << 10;
/// The inbound streams that each connection may have: gossipsub, and one for identify or ping.
const STREAMS: usize = 2;

/// The most memory of the windows of `connections`, including the stream for ping, which we open and seldom read.
pub(super) fn windows_at_most(connections: usize, shared_streams: usize) -> usize {
    connections.saturating_mul((STREAMS + 1) * WINDOW).saturating_add(shared_streams.saturating_mul(WINDOW))
}

/// A connection is closed when this many more streams of its peer were refused than accepted. A refused stream is freed
/// only when its reset is written, and until then yamux stores what arrives on it.
const MAX_REFUSED: usize = 64;
/// The part of the shared streams that are free which one connection may have: with an eighth, many connections that want
/// all of them leave some to the others.
const SHARED_PART: usize = 8;

/// The upgrade of a connection. Clones share the streams of one node.
#[derive(Clone)]
pub(super) struct Muxing {
    yamux: yamux::Config,
    shared: Arc<Semaphore>,
    max_streams: usize,
    state: Arc<TransportState>,
}

impl Muxing {
    /// rust-libp2p's yamux may widen the windows of a connection to 1 GiB in total for a peer that answers late. Only the
    /// number of streams can be set, each of which is guaranteed 256 KiB of that sum: with 4,096 nothing is left to widen.
    pub(super) fn new(state: Arc<TransportState>, limits: &ConnectionLimits) -> Self {
        let mut yamux = yamux::Config::default();
        yamux.set_max_num_streams(4_096);
        let shared_streams = (limits.shared_streams as usize).min(Semaphore::MAX_PERMITS);
        let max_streams = limits.streams_per_connection as usize;
        Self { yamux, shared: Arc::new(Semaphore::new(shared_streams)), max_streams, state }
    }

    /// Bounds the streams of a connection.
    pub(super) fn bound<M: StreamMuxer>(self) -> impl FnOnce(M) -> BoundedMuxer<M> {
        move |inner| BoundedMuxer {
            inner: Box::pin(inner),
            shared: self.shared,
            max_streams: self.max_streams,
            state: self.state,
            own: Arc::default(),
            refused: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl UpgradeInfo for Muxing {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.yamux.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Muxing {
    type Output = BoundedMuxer<yamux::Muxer<C>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_inbound(self, io: C, info: &'static str) -> Self::Future {
        self.yamux.clone().upgrade_inbound(io, info).map_ok(self.bound()).boxed()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Muxing {
    type Output = BoundedMuxer<yamux::Muxer<C>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_outbound(self, io: C, info: &'static str) -> Self::Future {
        self.yamux.clone().upgrade_outbound(io, info).map_ok(self.bound()).boxed()
    }
}

/// A muxer that resets inbound streams beyond the bound.
pub(super) struct BoundedMuxer<M: StreamMuxer> {
    inner: Pin<Box<M>>,
    shared: Arc<Semaphore>,
    /// The most inbound streams of this connection, with those of `shared`.
    max_streams: usize,
    state: Arc<TransportState>,
    /// The inbound streams of this connection.
    own: Arc<AtomicUsize>,
    /// How many more of its streams were refused than accepted.
    refused: usize,
    /// Accepted streams for which the swarm has not asked.
    waiting: VecDeque<BoundedStream<M::Substream>>,
}

/// A stream that counts until it is dropped, if the peer opened it.
pub(super) struct BoundedStream<S> {
    inner: Pin<Box<S>>,
    _permit: Option<StreamPermit>,
}

struct StreamPermit {
    own: Arc<AtomicUsize>,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.own.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<M: StreamMuxer<Error: Error + Send + Sync + 'static>> BoundedMuxer<M> {
    /// `None` if the connection, or the node, has no room for another stream.
    fn permit(&self) -> Option<StreamPermit> {
        let streams = self.own.load(Ordering::Relaxed);
        if streams >= self.max_streams {
            return None;
        }
        let shared = match streams.checked_sub(STREAMS) {
            None => None,
            Some(extra) if extra >= self.shared.available_permits() / SHARED_PART => return None,
            Some(_) => Some(Arc::clone(&self.shared).try_acquire_owned().ok()?),
        };
        self.own.fetch_add(1, Ordering::Relaxed);
        Some(StreamPermit { own: Arc::clone(&self.own), _shared: shared })
    }

    /// The next stream within the bound. Those beyond it are dropped, which resets them.
    ///
    /// # Errors
    /// The connection failed, or too many streams were refused.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BoundedStream<M::Substream>>> {
        loop {
            let stream = ready!(self.inner.as_mut().poll_inbound(cx)).map_err(io::Error::other)?;
            if let Some(permit) = self.permit() {
                self.refused = self.refused.saturating_sub(1);
                return Poll::Ready(Ok(BoundedStream { inner: Box::pin(stream), _permit: Some(permit) }));
            }
            self.state.refusals().add(ConnectionRefusal::Streams, None, None);
            self.refused += 1;
            if self.refused > MAX_REFUSED {
                return Poll::Ready(Err(io::Error::other("the peer opens too many streams")));
            }
        }
    }
}

impl<M: StreamMuxer<Error: Error + Send + Sync + 'static>> StreamMuxer for BoundedMuxer<M> {
    type Substream = BoundedStream<M::Substream>;
    type Error = io::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = self.get_mut();
        match this.waiting.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => this.poll_accept(cx),
        }
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let stream = ready!(self.get_mut().inner.as_mut().poll_outbound(cx)).map_err(io::Error::other)?;
        Poll::Ready(Ok(BoundedStream { inner: Box::pin(stream), _permit: None }))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.get_mut().inner.as_mut().poll_close(cx).map_err(io::Error::other)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let this = self.get_mut();
        let event = this.inner.as_mut().poll(cx).map_err(io::Error::other);
        // Yamux itself stores 256 streams for which the swarm does not ask.
        while let Poll::Ready(stream) = this.poll_accept(cx) {
            this.waiting.push_back(stream?);
        }
        event
    }
}

impl<S: AsyncRead> AsyncRead for BoundedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.get_mut().inner.as_mut().poll_read(cx, buf)
    }
}

impl<S: AsyncWrite> AsyncWrite for BoundedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().inner.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner.as_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner.as_mut().poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::io::Cursor;

    use super::*;

    /// A muxer whose peer opens this number of streams.
    struct Opened(usize);

    impl StreamMuxer for Opened {
        type Substream = Cursor<Vec<u8>>;
        type Error = Infallible;

        fn poll_inbound(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            if self.0 == 0 {
                return Poll::Pending;
            }
            self.0 -= 1;
            Poll::Ready(Ok(Cursor::new(Vec::new())))
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            Poll::Ready(Ok(Cursor::new(Vec::new())))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Infallible>> {
            Poll::Pending
        }
    }

    #[test]
    fn the_streams_that_peers_open_are_bounded_for_each_connection_and_for_all() {
        let limits = ConnectionLimits::default();
        let (shared, most) = (limits.shared_streams as usize, limits.streams_per_connection as usize);
        let muxing = Muxing::new(Arc::new(TransportState::new(false)), &limits);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let connection = |streams| muxing.clone().bound()(Opened(streams));
        let accepted = |muxer: &mut BoundedMuxer<Opened>, cx: &mut Context<'_>| {
            let mut streams = Vec::new();
            // The streams wait until the swarm asks for them.
            assert!(Pin::new(&mut *muxer).poll(cx).is_pending());
            while let Poll::Ready(Ok(stream)) = Pin::new(&mut *muxer).poll_inbound(cx) {
                streams.push(stream);
            }
            streams
        };
        let mut one = connection(most + MAX_REFUSED);
        let streams = accepted(&mut one, &mut cx);
        assert_eq!(streams.len(), most);
        assert_eq!(muxing.state.stats().refused(ConnectionRefusal::Streams), MAX_REFUSED as u64);
        one.inner.0 = 1;
        assert!(matches!(one.poll_accept(&mut cx), Poll::Ready(Err(_))), "one more ends the connection");
        drop(streams);
        assert_eq!((one.own.load(Ordering::Relaxed), muxing.shared.available_permits()), (0, shared));

        let mut all: Vec<_> = (0..40).map(|_| connection(most + MAX_REFUSED / 2)).collect();
        let streams: Vec<_> = all.iter_mut().flat_map(|muxer| accepted(muxer, &mut cx)).collect();
        let free = muxing.shared.available_permits();
        assert_eq!(streams.len(), 40 * STREAMS + shared - free);
        assert!(free >= SHARED_PART - 1, "{free} are left");
        // A peer that arrives now has its own ones, and ours are not counted.
        let mut late = connection(STREAMS);
        assert_eq!(accepted(&mut late, &mut cx).len(), STREAMS);
        assert!(Pin::new(&mut late).poll_outbound(&mut cx).is_ready());
    }
}
