//! The outputs that a driver reads: the streams of a worker, with lanes, or any other stream of outputs.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};

use crate::{libp2p::network::Libp2pNetwork, network::P2pOutput, protocol::OutputBatch, worker::P2pOutputs};

/// A source of outputs for a [`NodeDriver`](crate::libp2p::NodeDriver).
///
/// A worker's [`P2pOutputs`] is one, with lanes and with one batch for all recipients of a message. A wrapper around it
/// keeps both by implementing this trait. Any stream of [`P2pOutput`]s is one as [`OutputStream`]; its messages have
/// the lane that [`OutputBatch::lane`] derives from their kind.
pub trait OutputSource {
    /// Polls for the next outputs; `None` once the engine has ended.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>>;
}

impl OutputSource for P2pOutputs<Libp2pNetwork> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>> {
        // The future has no state between two polls: a new one continues where the last one stopped.
        pin!(self.recv_batch()).poll(cx)
    }
}

/// Makes an [`OutputSource`] of a stream of single outputs.
#[derive(Debug)]
pub struct OutputStream<S>(pub S);

impl<S: Stream<Item = P2pOutput<Libp2pNetwork>> + Unpin> OutputSource for OutputStream<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<Libp2pNetwork>>> {
        self.0.poll_next_unpin(cx).map(|output| output.map(OutputBatch::Output))
    }
}
