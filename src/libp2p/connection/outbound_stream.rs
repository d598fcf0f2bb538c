//! The stream that we opened, and the frames that are being written to it. Frames are taken from the send queue only
//! when all earlier ones are flushed, so that the queue can still reorder and drop what the socket can't take.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::libp2p::Stream;
use futures::{AsyncRead, AsyncWrite, FutureExt};
use tokio::time::{Sleep, sleep};

use super::{capabilities::ProtocolVersion, send_queue::SendQueue};
use crate::libp2p::{codec::limits::WireLimits, state::TrafficCounters};

/// Frames are collected until at least this many bytes can be written at once.
const WRITE_SIZE: usize = 16_384;
/// The frames for a peer that speaks floodsub are closed before they grow beyond this size, in bytes: rust-libp2p's floodsub
/// reads no larger ones.
const FLOODSUB_FRAME: usize = 2_048;

/// How long the second frame for a peer that speaks floodsub waits: one that reads one frame only ends the stream meanwhile.
const ONE_FRAME_WAIT: Duration = Duration::from_secs(1);

/// How a peer reads the streams that we open, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    /// It reads a stream as long as it is open, as the specification says.
    #[default]
    Lasting,
    /// It speaks floodsub and may read one frame only. Frames are written one by one, the second one when the peer has not
    /// ended the stream for a while.
    Unknown,
    /// It reads one frame of a stream, as rust-libp2p's floodsub does. The stream is closed after it.
    OneFrame,
}

impl Reader {
    /// The state of the reader when a stream of this version is open. `self` is the state before.
    pub(super) fn on_negotiated(self, version: ProtocolVersion) -> Self {
        match (version, self) {
            (ProtocolVersion::Floodsub, Self::Lasting) => Self::Unknown,
            (ProtocolVersion::Floodsub, known) => known,
            _ => Self::Lasting,
        }
    }
}

pub(super) struct OutboundStream<S = Stream> {
    stream: S,
    /// Whole frames, stored until they are flushed, since a stream that breaks may have lost all of them. Frames that
    /// it did deliver are then sent twice, which is harmless in gossipsub.
    unflushed: Vec<u8>,
    /// How many bytes of `unflushed` the stream took.
    written: usize,
    /// The bytes that the stream took since the last call of `take_progress`.
    progress: usize,
    /// Nothing can be read any more.
    read_ended: bool,
    reader: Reader,
    /// A frame was flushed.
    delivered: bool,
    /// Ends when the second frame may be written to a peer of which it is unknown how it reads. Set by the first one.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> OutboundStream<S> {
    /// Creates a stream that first writes the frames that an earlier one may not have delivered.
    pub(super) fn new(stream: S, unflushed: Vec<u8>, reader: Reader) -> Self {
        Self {
            stream,
            unflushed,
            written: 0,
            progress: 0,
            read_ended: false,
            reader,
            delivered: false,
            wait: None,
        }
    }

    /// Whether the stream took a whole frame.
    pub(super) fn has_delivered(&self) -> bool {
        self.delivered
    }

    /// Whether the peer reads nothing more of this stream, which is closed therefore.
    fn is_closing(&self) -> bool {
        self.delivered && self.reader == Reader::OneFrame
    }

    /// Takes the frames that this stream, which broke, may not have delivered.
    pub(super) fn take_unflushed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unflushed)
    }

    /// Whether frames wait for the stream to take or flush them, or it is being closed.
    pub(super) fn has_unflushed(&self) -> bool {
        !self.unflushed.is_empty() || self.is_closing()
    }

    /// The bytes that the stream took since the last call.
    pub(super) fn take_progress(&mut self) -> usize {
        std::mem::take(&mut self.progress)
    }

    /// Writes and flushes frames until the stream takes no more or the queue is empty. `Ready` is an error, or means that the
    /// stream was closed after the only frame that the peer reads of it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        queue: &SendQueue,
        limits: &WireLimits,
        traffic: &TrafficCounters,
    ) -> Poll<io::Result<Infallible>> {
        self.check_silent(cx, traffic)?;
        loop {
            ready!(self.poll_flush(cx, traffic))?;
            if self.reader == Reader::Unknown && self.delivered {
                if self.read_ended {
                    self.reader = Reader::OneFrame;
                } else {
                    // Completes the reports of what was written, and takes nothing.
                    queue.fill(&mut self.unflushed, 0, limits, cx);
                    let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(ONE_FRAME_WAIT)));
                    ready!(wait.poll_unpin(cx));
                }
            }
            if self.is_closing() {
                // Completes the reports of what was written, and takes nothing.
                queue.fill(&mut self.unflushed, 0, limits, cx);
                ready!(Pin::new(&mut self.stream).poll_close(cx))?;
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if self.reader == Reader::Lasting {
                queue.fill(&mut self.unflushed, WRITE_SIZE, limits, cx);
            } else {
                let small = limits.clone().with(|it| it.frame_target = it.frame_target.min(FLOODSUB_FRAME));
                queue.fill(&mut self.unflushed, 1, &small, cx);
            }
            if self.unflushed.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Fails if the peer writes on this stream, which is ours: nobody reads it, and up to 256 KiB would stay in memory.
    fn check_silent(&mut self, cx: &mut Context<'_>, traffic: &TrafficCounters) -> io::Result<()> {
        if self.read_ended {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_read(cx, &mut [0]) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(count)) if count > 0 => {
                traffic.add_bad_frame();
                Err(io::ErrorKind::InvalidData.into())
            }
            // An error of the stream is found by the next write.
            Poll::Ready(_) => {
                self.read_ended = true;
                Ok(())
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, traffic: &TrafficCounters) -> Poll<io::Result<()>> {
        while self.written < self.unflushed.len() {
            let rest = &self.unflushed[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.progress += count;
            traffic.add_sent(count);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.delivered |= !self.unflushed.is_empty();
        self.unflushed.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::advance;

    use super::*;
    use crate::{
        libp2p::{
            codec::encode::Kind,
            connection::{lanes::tests::item, queue_limits::QueueLimits},
        },
        protocol::Lane,
    };

    /// A stream that takes all bytes. The peer writes nothing, and has ended it or not.
    #[derive(Default)]
    struct Taken {
        bytes: Vec<u8>,
        ended: bool,
        closed: bool,
    }

    impl AsyncRead for Taken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            if self.ended { Poll::Ready(Ok(0)) } else { Poll::Pending }
        }
    }

    impl AsyncWrite for Taken {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.bytes.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.closed = true;
            Poll::Ready(Ok(()))
        }
    }

    /// A stream, and a queue. [`write`](Self::write) adds a message to it and writes what may be written.
    struct Fixture(OutboundStream<Taken>, SendQueue);

    impl Fixture {
        fn new(reader: Reader) -> Self {
            let queue = SendQueue::new(QueueLimits::default(), &Arc::default(), None);
            Self(OutboundStream::new(Taken::default(), Vec::new(), reader), queue)
        }

        fn add(&self, tag: u8) {
            self.1.push(item(Kind::Message, Lane::Publish, tag));
        }

        /// Whether the stream has broken or was closed.
        fn write(&mut self) -> bool {
            let cx = &mut Context::from_waker(std::task::Waker::noop());
            self.0.poll_write(cx, &self.1, &WireLimits::default(), &TrafficCounters::default()).is_ready()
        }

        /// The number of messages that are not written.
        fn queued(&self) -> usize {
            self.1.take_pending().len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_ends_the_stream_after_one_frame_is_written_no_second_one() {
        let mut fixture = Fixture::new(Reader::Unknown);
        fixture.add(1);
        assert!(!fixture.write());
        let first = fixture.0.stream.bytes.len();
        assert!(first > 0);
        fixture.add(2);
        assert!(!fixture.write());
        fixture.0.stream.ended = true;
        assert!(fixture.write() && fixture.0.stream.closed && fixture.0.has_delivered());
        assert_eq!((fixture.0.stream.bytes.len(), fixture.queued()), (first, 1));
        assert!(fixture.0.take_unflushed().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_on_is_written_the_second_frame_a_little_later() {
        let mut fixture = Fixture::new(Reader::Unknown);
        fixture.add(1);
        assert!(!fixture.write());
        let first = fixture.0.stream.bytes.len();
        fixture.add(2);
        advance(ONE_FRAME_WAIT / 2).await;
        assert!(!fixture.write());
        assert_eq!(fixture.0.stream.bytes.len(), first);
        advance(ONE_FRAME_WAIT).await;
        assert!(!fixture.write());
        assert_eq!(fixture.0.stream.bytes.len(), 2 * first);
        // From then on nothing waits.
        fixture.add(3);
        assert!(!fixture.write());
        assert_eq!((fixture.0.stream.bytes.len(), fixture.queued()), (3 * first, 0));
    }

    #[test]
    fn a_later_stream_of_gossipsub_is_read_as_long_as_it_is_open() {
        let floodsub = Reader::Lasting.on_negotiated(ProtocolVersion::Floodsub);
        assert_eq!(floodsub, Reader::Unknown);
        assert_eq!(Reader::OneFrame.on_negotiated(ProtocolVersion::Floodsub), Reader::OneFrame);
        for known in [floodsub, Reader::OneFrame] {
            assert_eq!(known.on_negotiated(ProtocolVersion::V1_0), Reader::Lasting);
        }
    }
}
