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

use super::send_queue::SendQueue;
use crate::libp2p::network::Libp2pNetwork;

/// Frames are gathered until about this many bytes can be written at once.
const WRITE_SIZE: usize = 16_384;

pub(in crate::libp2p) struct Writer {
    stream: Stream,
    /// Whole frames; kept until flushed, since a stream that breaks may have lost them all. Those that it
    /// did deliver are then sent twice, which is harmless in gossipsub.
    unflushed: Vec<u8>,
    written: usize,
    /// Bytes that the stream took since somebody asked.
    progress: usize,
}

impl Writer {
    /// Begins with what an earlier stream may not have delivered.
    pub(in crate::libp2p) fn new(stream: Stream, unflushed: Vec<u8>) -> Self {
        Self { stream, unflushed, written: 0, progress: 0 }
    }

    /// What this stream, which broke, may not have delivered.
    pub(in crate::libp2p) fn take_unflushed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unflushed)
    }

    /// Whether something waits for the stream to take it.
    pub(in crate::libp2p) fn is_behind(&self) -> bool {
        !self.unflushed.is_empty()
    }

    /// The bytes that the stream took since this was last asked.
    pub(in crate::libp2p) fn take_progress(&mut self) -> usize {
        std::mem::take(&mut self.progress)
    }

    /// Takes more from the queue only when all taken before is flushed: the socket's pace is ours.
    pub(in crate::libp2p) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        queue: &SendQueue,
        network: &Libp2pNetwork,
    ) -> Poll<io::Result<Infallible>> {
        loop {
            ready!(self.poll_flush(cx, network))?;
            queue.fill(&mut self.unflushed, WRITE_SIZE, network.limits(), cx);
            if self.unflushed.is_empty() {
                return Poll::Pending;
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, network: &Libp2pNetwork) -> Poll<io::Result<()>> {
        while self.written < self.unflushed.len() {
            let rest = &self.unflushed[self.written..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.progress += count;
            network.wire().sent(count);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
