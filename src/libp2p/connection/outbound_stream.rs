//! The stream that we opened, and the frames that are being written to it. Frames are taken from the send queue only
//! when all earlier ones are flushed, so that the queue can still reorder and drop what the socket can't take.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::libp2p::Stream;
use futures::{AsyncRead, AsyncWrite};

use super::send_queue::SendQueue;
use crate::libp2p::{codec::limits::WireLimits, state::TrafficCounters};

/// Frames are collected until at least this many bytes can be written at once.
const WRITE_SIZE: usize = 16_384;
/// The frames for a peer that speaks floodsub are closed before they grow beyond this size, in bytes: rust-libp2p's floodsub
/// reads no larger ones.
const FLOODSUB_FRAME: usize = 2_048;

/// How a peer reads the streams that we open, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    /// It reads a stream as long as it is open, as the specification says.
    #[default]
    Lasting,
    /// It speaks floodsub and may read one frame only. Frames are written one by one.
    Unknown,
    /// It reads one frame of a stream, as rust-libp2p's floodsub does. The stream is closed after it.
    OneFrame,
}

pub(super) struct OutboundStream {
    stream: Stream,
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
}

impl OutboundStream {
    /// Creates a stream that first writes the frames that an earlier one may not have delivered.
    pub(super) fn new(stream: Stream, unflushed: Vec<u8>, reader: Reader) -> Self {
        Self { stream, unflushed, written: 0, progress: 0, read_ended: false, reader, delivered: false }
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
