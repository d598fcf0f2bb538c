//! The output streams as their readers see them. The queues behind them are in [`outputs`](crate::outputs).

use std::{
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::{Message, Recipient, dev::SendError};
use derive_where::derive_where;
use futures_core::Stream;

use super::lifecycle::Lifetime;
use crate::{
    actors::shared::Shared,
    network::{AppOutput, FullMessage, Network, P2pOutput},
    outputs::publication::DropReason,
    protocol::output::{Lane, OutputBatch, expand::OutputBatchIter, pending::PendingOutput},
};

/// The outputs for the p2p layer: a stream with one item for each recipient. Within a
/// [`Lane`](crate::protocol::output::Lane) the items have the order of the engine's decisions; items of a more urgent
/// lane come first.
///
/// With more than `bounds.max_output_items` unread items, or `bounds.max_output_bytes`, the engine drops the least urgent ones and counts them. It never
/// drops control messages. If the stream is dropped, the outputs are dropped too: metrics count them, and a
/// [`PublishTicket`](super::PublishTicket) reports [`DropReason::StreamClosed`]. Gossip to peers that have disconnected is skipped when it is read, and counted.
pub struct P2pOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    _lifetime: Arc<Lifetime<N>>,
    /// The batch whose recipients are read one by one.
    expanded: Option<OutputBatchIter<N>>,
}

/// The valid messages of the joined topics: a stream. The engine drops none of them. While `bounds.max_output_items` or
/// `bounds.max_output_bytes` are unread it refuses full messages of peers. If the stream is dropped, the engine discards the messages and goes on to
/// forward them: that is how a node relays topics without reading them.
pub struct AppOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    _lifetime: Arc<Lifetime<N>>,
}

impl<N: Network> P2pOutputs<N> {
    pub(super) fn new(shared: Arc<Shared<N>>, lifetime: Arc<Lifetime<N>>) -> Self {
        Self { shared, _lifetime: lifetime, expanded: None }
    }

    /// Waits for the next item. `None` once the engine has ended and all items are read.
    ///
    /// Cancellation safe: dropping the future loses no item.
    pub async fn recv(&mut self) -> Option<P2pOutput<N>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next item; `None` if there is none now.
    pub fn try_recv(&mut self) -> Option<P2pOutput<N>> {
        loop {
            if let Some(output) = self.next_expanded() {
                return Some(output);
            }
            self.expanded = Some(self.try_batch()?.into_iter());
        }
    }

    /// Waits for at least one item and appends at most `limit` items to `into`. Returns their number: 0 at the end of
    /// the stream, or if `limit` is 0.
    ///
    /// Cancellation safe: dropping the future loses no item.
    pub async fn recv_many(&mut self, into: &mut Vec<P2pOutput<N>>, limit: usize) -> usize {
        let first = if limit > 0 { self.recv().await } else { None };
        append(into, limit, first, || self.try_recv())
    }

    /// Waits for the next batch: a full message with all its recipients, or one item. For transports that encode a
    /// message once. `None` once the engine has ended and all items are read.
    ///
    /// Cancellation safe: dropping the future loses no batch.
    pub async fn recv_batch(&mut self) -> Option<OutputBatch<N>> {
        match self.next_expanded() {
            Some(output) => Some(OutputBatch::Output(output)),
            None => std::future::poll_fn(|cx| self.poll_batch(cx)).await,
        }
    }

    /// The next batch; `None` if there is none now.
    pub fn try_recv_batch(&mut self) -> Option<OutputBatch<N>> {
        self.next_expanded().map(OutputBatch::Output).or_else(|| self.try_batch())
    }

    /// An upper bound of the number of unread items: gossip to peers that have disconnected is counted, and skipped
    /// when it is read.
    pub fn len(&self) -> usize {
        self.expanded.as_ref().map_or(0, ExactSizeIterator::len) + self.shared.p2p.len()
    }

    /// True if the stream has no items. False does not guarantee an item: gossip to peers that have disconnected is
    /// skipped when it is read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every item to `recipient`. While its mailbox is full, items wait in this stream, under its limit. Returns when
    /// the engine has ended.
    ///
    /// Cancellation safe, but it consumes the stream: dropping the future drops the unread items.
    ///
    /// # Errors
    /// The actor has stopped. The unread items are dropped with the stream.
    pub async fn forward(mut self, recipient: Recipient<P2pOutput<N>>) -> Result<(), RecipientStopped> {
        while let Some(output) = self.recv().await {
            if let Err(unsent) = send(&recipient, output).await {
                if let Some(output) = unsent {
                    self.report_unsent(&output);
                }
                return Err(RecipientStopped);
            }
        }
        Ok(())
    }

    /// Reports an output that was read and could not be sent. Its batch, which has the lane, is still in `expanded`.
    fn report_unsent(&self, output: &P2pOutput<N>) {
        let batch = self.expanded.as_ref().and_then(OutputBatchIter::remaining);
        let (lane, message) = batch.unwrap_or((Lane::of(output), None));
        self.shared.report_not_sent(lane, message, DropReason::StreamClosed, 1);
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

    /// The next batch with at least one connected recipient.
    fn try_batch(&self) -> Option<OutputBatch<N>> {
        loop {
            if let Some(batch) = self.resolve(self.shared.p2p.try_pop()?) {
                return Some(batch);
            }
        }
    }

    fn poll_batch(&self, cx: &mut Context<'_>) -> Poll<Option<OutputBatch<N>>> {
        loop {
            let Some(output) = std::task::ready!(self.shared.p2p.poll_pop(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(batch) = self.resolve(output) {
                return Poll::Ready(Some(batch));
            }
        }
    }

    /// Resolves the connection ids of an output that is read. Peers that disconnected are left out; returns `None` if
    /// no peer remains.
    fn resolve(&self, output: PendingOutput<N>) -> Option<OutputBatch<N>> {
        let intended = output.count();
        let batch = output.resolve(|connection_ids| self.shared.directory.peers_of(connection_ids));
        let disconnected = intended - batch.count();
        if disconnected > 0 {
            let reason = DropReason::Disconnected;
            self.shared.metrics.output_dropped(Lane::Gossip, reason, disconnected);
        }
        (batch.count() > 0).then_some(batch)
    }

    #[inline]
    fn next_expanded(&mut self) -> Option<P2pOutput<N>> {
        let next = self.expanded.as_mut()?.next();
        if next.is_none() {
            // Frees the message of a batch that is read.
            self.expanded = None;
        }
        next
    }
}

/// Without a reader the outputs are dropped and counted, so that publishers learn that nothing is sent.
impl<N: Network> Drop for P2pOutputs<N> {
    fn drop(&mut self) {
        let shared = &self.shared;
        if let Some(expanded) = self.expanded.take()
            && let Some((lane, message)) = expanded.remaining()
        {
            shared.report_not_sent(lane, message, DropReason::StreamClosed, expanded.len());
        }
        let unread = shared.p2p.detach();
        unread.iter().for_each(|output| shared.report_dropped(output, DropReason::StreamClosed));
    }
}

impl<N: Network> Stream for P2pOutputs<N> {
    type Item = P2pOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }
}

impl<N: Network> AppOutputs<N> {
    pub(super) fn new(shared: Arc<Shared<N>>, lifetime: Arc<Lifetime<N>>) -> Self {
        Self { shared, _lifetime: lifetime }
    }

    /// Waits for the next message. `None` once the engine has ended and all messages are read.
    ///
    /// Cancellation safe: dropping the future loses no message.
    pub async fn recv(&mut self) -> Option<AppOutput<N>> {
        std::future::poll_fn(|cx| self.shared.app.poll_pop(cx)).await
    }

    /// The next message; `None` if there is none now.
    pub fn try_recv(&mut self) -> Option<AppOutput<N>> {
        self.shared.app.try_pop()
    }

    /// Waits for at least one message and appends at most `limit` messages to `into`. Returns their number: 0 at the
    /// end of the stream, or if `limit` is 0.
    ///
    /// Cancellation safe: dropping the future loses no message.
    pub async fn recv_many(&mut self, into: &mut Vec<AppOutput<N>>, limit: usize) -> usize {
        let first = if limit > 0 { self.recv().await } else { None };
        append(into, limit, first, || self.try_recv())
    }

    /// The number of unread messages.
    pub fn len(&self) -> usize {
        self.shared.app.len()
    }

    /// Whether there are no unread messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every message to `recipient`. While its mailbox is full, messages wait in this stream, and the engine refuses
    /// full messages of peers when that is full too. Returns when the engine has ended.
    ///
    /// Cancellation safe, but it consumes the stream: dropping the future drops the unread messages.
    ///
    /// # Errors
    /// The actor has stopped. The unread messages are dropped with the stream.
    pub async fn forward(
        mut self,
        recipient: Recipient<DeliveredMessage<N>>,
    ) -> Result<(), RecipientStopped> {
        while let Some(message) = self.recv().await {
            if send(&recipient, DeliveredMessage(message)).await.is_err() {
                return Err(RecipientStopped);
            }
        }
        Ok(())
    }
}

/// Without a reader messages are discarded, and refuse no input of peers.
impl<N: Network> Drop for AppOutputs<N> {
    fn drop(&mut self) {
        self.shared.app.detach();
    }
}

impl<N: Network> Stream for AppOutputs<N> {
    type Item = AppOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.app.poll_pop(cx)
    }
}

/// The actor to which a stream is forwarded has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the actor that receives the outputs has stopped")]
pub struct RecipientStopped;

/// A message that [`AppOutputs::forward`] sends. All recipients share one allocation.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredMessage<N: Network>(pub AppOutput<N>);

impl<N: Network> Deref for DeliveredMessage<N> {
    type Target = FullMessage<N>;

    fn deref(&self) -> &FullMessage<N> {
        &self.0
    }
}

/// Sends a message to an actor, and waits while its mailbox is full.
///
/// # Errors
/// The actor has stopped. Returns the message unless the actor may have received it.
async fn send<M>(recipient: &Recipient<M>, message: M) -> Result<(), Option<M>>
where
    M: Message<Result = ()> + Send + Unpin,
{
    match recipient.try_send(message) {
        Ok(()) => Ok(()),
        Err(SendError::Closed(message)) => Err(Some(message)),
        Err(SendError::Full(message)) => recipient.send(message).await.map_err(|_| None),
    }
}

/// Appends `first` and then items of `next`, `limit` items at most, and returns their number.
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
