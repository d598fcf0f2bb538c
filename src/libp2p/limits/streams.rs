//! The streams of all connections. A muxer counts its streams here and resets those that are too many.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use ::libp2p::{
    PeerId,
    core::{
        StreamMuxer,
        muxing::{StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
    },
};
use futures::{AsyncRead, AsyncWrite};

use super::config::ConnectionLimits;
use crate::{libp2p::state::TransportState, network::ConnectionRefusal};

/// Most streams that a muxer resets in a row before it lets other tasks run.
const MAX_RESETS: usize = 16;

/// The open streams in total and of each peer.
#[derive(Debug)]
pub(in crate::libp2p) struct Streams {
    open: Mutex<OpenStreams>,
    max: u32,
    max_per_peer: u32,
    state: Arc<TransportState>,
}

#[derive(Debug, Default)]
struct OpenStreams {
    total: u32,
    /// An entry is removed with its last stream.
    peers: HashMap<PeerId, u32>,
}

/// One open stream. It is closed when this value is dropped.
#[derive(Debug)]
struct OpenStream {
    streams: Arc<Streams>,
    peer: PeerId,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.total -= 1;
        if let Some(count) = open.peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.peers.remove(&self.peer);
            }
        }
    }
}

impl Streams {
    pub(in crate::libp2p) fn new(limits: &ConnectionLimits, state: &Arc<TransportState>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            max: limits.streams,
            max_per_peer: limits.streams_per_peer,
            state: Arc::clone(state),
        })
    }

    /// Limits the streams of a connection to `peer`.
    pub(in crate::libp2p) fn limit(self: Arc<Self>, peer: PeerId, muxer: StreamMuxerBox) -> LimitedMuxer {
        LimitedMuxer { muxer, peer, streams: self }
    }

    /// Counts a stream. `inbound`: the peer opened it, so that the limits apply. We open only a few.
    fn add(self: &Arc<Self>, peer: PeerId, inbound: bool) -> Option<OpenStream> {
        let mut open = self.open();
        let of_peer = open.peers.get(&peer).copied().unwrap_or_default();
        if inbound && (open.total >= self.max || of_peer >= self.max_per_peer) {
            return None;
        }
        open.total += 1;
        open.peers.insert(peer, of_peer + 1);
        Some(OpenStream { streams: Arc::clone(self), peer })
    }

    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        // Plain data: a panic elsewhere leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose streams are counted.
pub(in crate::libp2p) struct LimitedMuxer {
    muxer: StreamMuxerBox,
    peer: PeerId,
    streams: Arc<Streams>,
}

impl StreamMuxer for LimitedMuxer {
    type Substream = CountedStream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CountedStream>> {
        for _ in 0..MAX_RESETS {
            let stream = ready!(Pin::new(&mut self.muxer).poll_inbound(cx))?;
            if let Some(open) = self.streams.add(self.peer, true) {
                return Poll::Ready(Ok(CountedStream { stream, _open: open }));
            }
            self.streams.state.refusals().add(ConnectionRefusal::Streams, None, Some(self.peer));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<CountedStream>> {
        let stream = ready!(Pin::new(&mut self.muxer).poll_outbound(cx))?;
        let open = self.streams.add(self.peer, false);
        Poll::Ready(open.map(|open| CountedStream { stream, _open: open }).ok_or(io::ErrorKind::Other.into()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.muxer).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.muxer).poll(cx)
    }
}

/// A stream that is counted until it is dropped.
pub(in crate::libp2p) struct CountedStream {
    stream: SubstreamBox,
    _open: OpenStream,
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [io::IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read_vectored(cx, to)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures::io::Cursor;

    use super::*;

    /// A connection whose peer opens `left` more streams.
    struct Opening {
        left: usize,
    }

    impl StreamMuxer for Opening {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            let Some(left) = self.left.checked_sub(1) else { return Poll::Pending };
            self.left = left;
            Poll::Ready(Ok(Cursor::default()))
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Ready(Ok(Cursor::default()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    /// The streams that are accepted until the connection reports nothing more.
    fn accepted(muxer: &mut LimitedMuxer) -> Vec<CountedStream> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut streams = Vec::new();
        // A muxer that resets many streams pauses between them.
        for _ in 0..100 {
            while let Poll::Ready(stream) = Pin::new(&mut *muxer).poll_inbound(&mut cx) {
                streams.push(stream.unwrap());
            }
        }
        streams
    }

    #[test]
    fn streams_beyond_the_limits_of_a_peer_and_of_all_are_reset() {
        let limits = ConnectionLimits::default().with(|c| {
            c.streams = 100;
            c.streams_per_peer = 60;
        });
        let state = Arc::<TransportState>::default();
        let streams = Streams::new(&limits, &state);
        let muxer = |peer| {
            let opening = StreamMuxerBox::new(Opening { left: 200 });
            Arc::clone(&streams).limit(peer, opening)
        };
        let (peer, other) = (PeerId::random(), PeerId::random());
        let (mut first, mut second, mut third) = (muxer(peer), muxer(peer), muxer(other));
        let of_peer = accepted(&mut first);
        assert_eq!((of_peer.len(), accepted(&mut second).len(), accepted(&mut third).len()), (60, 0, 40));
        assert_eq!(state.stats().refused(ConnectionRefusal::Streams), 140 + 200 + 160);
        // Our own streams are not limited, and closed ones make room.
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut first).poll_outbound(&mut cx), Poll::Ready(Ok(_))));
        drop(of_peer);
        assert!(streams.open().peers.is_empty() && streams.open().total == 0);
    }
}
