//! The two output streams, as their readers see them. What may wait in them is
//! [`lanes`](crate::outputs::p2p_queue)'. Interprets nothing.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::Recipient;
use futures_core::Stream;

use crate::{
    actors::shared::Shared,
    network::{AppOutput, FullMessage, Network, P2pOutput},
    protocol::output::{OutputBatch, expand::OutputBatchIter},
};

/// What the p2p layer is to do: a stream, one item a peer. Within a [`Lane`](crate::protocol::output::Lane) items
/// come in the order they were decided; a more urgent lane is read first.
///
/// Beyond `bounds.max_output_items` unread items the least urgent are dropped and counted; never who is
/// in which topic or mesh. Gossip to a peer whose connection has ended when it would be read is left out, and counted.
pub struct P2pOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    /// What is being read peer by peer.
    expanded: Option<OutputBatchIter<N>>,
}

/// The valid messages of the joined topics: a stream. Nothing that was accepted is lost; while it is
/// full, no messages are admitted.
pub struct AppOutputs<N: Network> {
    shared: Arc<Shared<N>>,
}

impl<N: Network> P2pOutputs<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, expanded: None }
    }

    /// The next item; `None` once the engine has ended and all is read.
    pub async fn recv(&mut self) -> Option<P2pOutput<N>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next item, if there is one.
    pub fn try_recv(&mut self) -> Option<P2pOutput<N>> {
        loop {
            if let Some(output) = self.next_expanded() {
                return Some(output);
            }
            self.expanded = Some(self.try_batch()?.into_iter());
        }
    }

    /// Waits for items and appends at most `limit` of them; answers how many, 0 at the end.
    pub async fn recv_many(&mut self, into: &mut Vec<P2pOutput<N>>, limit: usize) -> usize {
        let first = if limit > 0 { self.recv().await } else { None };
        append(into, limit, first, || self.try_recv())
    }

    /// The next item with a full message to many peers unexpanded, for transports that encode once.
    pub async fn recv_batch(&mut self) -> Option<OutputBatch<N>> {
        match self.next_expanded() {
            Some(output) => Some(OutputBatch::Output(output)),
            None => std::future::poll_fn(|cx| self.poll_batch(cx)).await,
        }
    }

    /// The same, if there is one.
    pub fn try_recv_batch(&mut self) -> Option<OutputBatch<N>> {
        self.next_expanded().map(OutputBatch::Output).or_else(|| self.try_batch())
    }

    /// At most so many items wait: gossip to who is gone by then is left out when it is read.
    pub fn len(&self) -> usize {
        self.expanded.as_ref().map_or(0, ExactSizeIterator::len) + self.shared.p2p.len()
    }

    /// Whether none waits; if not, there may still be nothing to read, as [`len`](Self::len) says.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every item to an actor instead. Runs until the engine ends.
    pub async fn forward(mut self, recipient: Recipient<P2pOutput<N>>) {
        while let Some(output) = self.recv().await {
            recipient.do_send(output);
        }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<P2pOutput<N>>> {
        loop {
            if let Some(output) = self.next_expanded() {
                return Poll::Ready(Some(output));
            }
            match std::task::ready!(self.poll_batch(cx)) {
                Some(batch) => self.expanded = Some(batch.into_iter()),
                None => return Poll::Ready(None),
            }
        }
    }

    /// The next emission that is for somebody.
    fn try_batch(&self) -> Option<OutputBatch<N>> {
        loop {
            if let Some(batch) = self.shared.read(self.shared.p2p.try_pop()?) {
                return Some(batch);
            }
        }
    }

    fn poll_batch(&self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<N>>> {
        loop {
            let Some(output) = std::task::ready!(self.shared.p2p.poll_pop(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(batch) = self.shared.read(output) {
                return Poll::Ready(Some(batch));
            }
        }
    }

    #[inline]
    fn next_expanded(&mut self) -> Option<P2pOutput<N>> {
        let next = self.expanded.as_mut()?.next();
        if next.is_none() {
            // It may hold a message.
            self.expanded = None;
        }
        next
    }
}

impl<N: Network> Stream for P2pOutputs<N> {
    type Item = P2pOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }
}

impl<N: Network> AppOutputs<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared }
    }

    /// The next message; `None` once the engine has ended and all is read.
    pub async fn recv(&mut self) -> Option<AppOutput<N>> {
        std::future::poll_fn(|cx| self.shared.app.poll_pop(cx)).await
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Option<AppOutput<N>> {
        self.shared.app.try_pop()
    }

    /// Waits for messages and appends at most `limit` of them; answers how many, 0 at the end.
    pub async fn recv_many(&mut self, into: &mut Vec<AppOutput<N>>, limit: usize) -> usize {
        let first = if limit > 0 { self.recv().await } else { None };
        append(into, limit, first, || self.try_recv())
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.shared.app.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every message to an actor instead. Runs until the engine ends.
    pub async fn forward(mut self, recipient: Recipient<FullMessage<N>>) {
        while let Some(message) = self.recv().await {
            recipient.do_send(FullMessage::clone(&message));
        }
    }
}

impl<N: Network> Stream for AppOutputs<N> {
    type Item = AppOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.app.poll_pop(cx)
    }
}

/// Appends `first`, and at most `limit` items with it, as long as `next` has some; answers how many.
fn append<T>(
    into: &mut Vec<T>,
    limit: usize,
    first: Option<T>,
    mut next: impl FnMut() -> Option<T>,
) -> usize {
    let before = into.len();
    into.extend(first);
    while into.len() - before < limit
        && let Some(item) = next()
    {
        into.push(item);
    }
    into.len() - before
}
