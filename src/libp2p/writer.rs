//! An outbound stream and the frames that are being written to it. It takes from the queue at the pace
//! of the socket, and never looks at what the frames say.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::libp2p::Stream;
use futures::AsyncWrite;

use super::{codec::WireLimits, queue::SendQueue, receipt::Receipt};

/// Frames are gathered until about this many bytes can be written at once.
const WRITE_SIZE: usize = 16_384;

/// Whole frames; kept until flushed, since a stream that breaks may have lost them all. Those that it did
/// deliver are then sent twice, which is harmless in gossipsub.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    frames: Vec<u8>,
    receipts: Vec<Receipt>,
}

pub(super) struct Writer {
    stream: Stream,
    unflushed: Unflushed,
    written: usize,
}

impl Writer {
    /// Begins with what an earlier stream may not have delivered.
    pub(super) fn new(stream: Stream, unflushed: Unflushed) -> Self {
        Self { stream, unflushed, written: 0 }
    }

    /// What this stream, which broke, may not have delivered.
    pub(super) fn take_unflushed(&mut self) -> Unflushed {
        std::mem::take(&mut self.unflushed)
    }

    /// Takes more from the queue only when all taken before is flushed: the socket's pace is ours.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        queue: &SendQueue,
        limits: &WireLimits,
    ) -> Poll<io::Result<Infallible>> {
        loop {
            ready!(self.poll_flush(cx))?;
            let Unflushed { frames, receipts } = &mut self.unflushed;
            queue.fill(frames, receipts, WRITE_SIZE, limits, cx);
            if frames.is_empty() {
                return Poll::Pending;
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Unflushed { frames, receipts } = &mut self.unflushed;
        while self.written < frames.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &frames[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        receipts.drain(..).for_each(Receipt::sent);
        frames.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
