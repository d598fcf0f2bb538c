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
}

impl OutboundStream {
    /// Creates a stream that first writes the frames that an earlier one may not have delivered.
    pub(super) fn new(stream: Stream, unflushed: Vec<u8>) -> Self {
        Self { stream, unflushed, written: 0, progress: 0, read_ended: false }
    }

    /// Takes the frames that this stream, which broke, may not have delivered.
    pub(super) fn take_unflushed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unflushed)
    }

    /// Whether frames wait for the stream to take or flush them.
    pub(super) fn has_unflushed(&self) -> bool {
        !self.unflushed.is_empty()
    }

    /// The bytes that the stream took since the last call.
    pub(super) fn take_progress(&mut self) -> usize {
        std::mem::take(&mut self.progress)
    }

    /// Writes and flushes frames until the stream takes no more or the queue is empty. `Ready` is an error.
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
            queue.fill(&mut self.unflushed, WRITE_SIZE, limits, cx);
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
        self.unflushed.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
