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
    outputs::{p2p_queue::P2pQueue, publication::DropReason},
    protocol::output::{
        Lane, OutputBatch,
        announcements::Announcements,
        expand::OutputBatchIter,
        pending::{PendingOutput, Resolved},
    },
};

/// The outputs for the p2p layer: a stream with one item for each recipient. Within a
/// [`Lane`](crate::protocol::output::Lane) the items have the order of the engine's decisions; items of a more urgent
/// lane come first.
///
/// With more than `bounds.max_output_items` unread items, or `bounds.max_output_bytes`, the engine drops the least urgent
/// ones and counts them. It never drops control messages. If the stream is dropped, the outputs are dropped too: metrics count them, and a
/// [`PublishTicket`](super::PublishTicket) reports [`DropReason::StreamClosed`].
///
/// Gossip and control messages are for one connection. After its end they are skipped and counted
/// ([`DropReason::Disconnected`]), also if the peer has a new connection.
pub struct P2pOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    _lifetime: Arc<Lifetime<N>>,
    /// The topics that the outputs read so far have announced.
    announcements: Announcements<N>,
    /// The batch whose recipients are read one by one.
    expanded: Option<OutputBatchIter<N>>,
}

/// The valid messages of the joined topics: a stream. The engine drops none of them. While `bounds.max_output_items` or
/// `bounds.max_output_bytes` are unread it refuses full messages of peers. If the stream is dropped, the engine discards the
/// messages and goes on to forward them: that is how a node relays topics without reading them.
pub struct AppOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    _lifetime: Arc<Lifetime<N>>,
}

impl<N: Network> P2pOutputs<N> {
    pub(super) fn new(shared: Arc<Shared<N>>, lifetime: Arc<Lifetime<N>>) -> Self {
        Self { shared, _lifetime: lifetime, announcements: Announcements::default(), expanded: None }
    }

    /// Waits for the next item. `None` once the engine has ended and all items are read.
    ///
    /// Cancellation safe: dropping the future loses no item.
    pub async fn recv(&mut self) -> Option<P2pOutput<N>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next item; `None` if there is none now.
    pub fn try_recv(&mut self) -> Option<P2pOutput<N>> {
        ready(self.next_item(|queue| Poll::Ready(queue.try_pop())))
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
        std::future::poll_fn(|cx| self.next_batch(|queue| queue.poll_pop(cx))).await
    }

    /// The next batch; `None` if there is none now.
    pub fn try_recv_batch(&mut self) -> Option<OutputBatch<N>> {
        ready(self.next_batch(|queue| Poll::Ready(queue.try_pop())))
    }

    /// The number of unread items. Gossip and control messages to peers that have disconnected are counted until they are
    /// skipped. An announcement is one item until it is read: that of all joined topics to a new peer, and that of a join
    /// or leave to all peers, even if there are none.
    pub fn len(&self) -> usize {
        self.expanded.as_ref().map_or(0, ExactSizeIterator::len) + self.shared.p2p.len()
    }

    /// True if the stream has no items. False does not guarantee an item: what is for peers that have disconnected is
    /// skipped when it is read, and an announcement may be for no peer.
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
        self.next_item(|queue| queue.poll_pop(cx))
    }

    /// The next output of those that `pop` takes from the queue.
    fn next_item(&mut self, mut pop: impl FnMut(&P2pQueue<N>) -> Popped<N>) -> Poll<Option<P2pOutput<N>>> {
        loop {
            if let Some(output) = self.next_expanded() {
                return Poll::Ready(Some(output));
            }
            let Some(output) = std::task::ready!(pop(&self.shared.p2p)) else { return Poll::Ready(None) };
            if let Some(batch) = self.resolve(output) {
                self.expanded = Some(batch.into_iter());
            }
        }
    }

    /// The next batch of those that `pop` takes from the queue.
    fn next_batch(&mut self, mut pop: impl FnMut(&P2pQueue<N>) -> Popped<N>) -> Poll<Option<OutputBatch<N>>> {
        loop {
            if let Some(output) = self.next_expanded() {
                return Poll::Ready(Some(OutputBatch::Output(output)));
            }
            let Some(output) = std::task::ready!(pop(&self.shared.p2p)) else { return Poll::Ready(None) };
            if let Some(batch) = self.resolve(output) {
                return Poll::Ready(Some(batch));
            }
        }
    }

    /// Resolves an output that is read. What is for closed connections is left out and counted; returns `None` if nothing
    /// remains. Announcements go to `expanded`.
    fn resolve(&mut self, output: PendingOutput<N>) -> Option<OutputBatch<N>> {
        let (lane, intended) = (output.lane(), output.count());
        let joined = !matches!(output, PendingOutput::Announcement { joined: false, .. });
        let Self { shared, announcements, expanded, .. } = self;
        let open = || shared.directory.peers_by_connection();
        let is_connected = |peer: &N::Peer| shared.directory.connection(peer).is_some();
        let (batch, reached) = match output.resolve(announcements, open, is_connected) {
            Some(Resolved::Batch(batch)) => {
                let recipients = batch.count();
                (Some(batch), recipients)
            }
            Some(Resolved::Announcements(outputs)) => {
                shared.metrics.announced(joined, outputs.len());
                *expanded = Some(outputs);
                (None, intended)
            }
            None => (None, 0),
        };
        if reached < intended {
            shared.metrics.output_dropped(lane, DropReason::Disconnected, intended - reached);
        }
        batch
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

/// The result of a read from a queue.
type Popped<N> = Poll<Option<PendingOutput<N>>>;

/// The next item of a reader that does not wait.
fn ready<T>(next: Poll<Option<T>>) -> Option<T> {
    match next {
        Poll::Ready(next) => next,
        Poll::Pending => None,
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
        std::future::poll_fn(|cx| self.poll_next_delivery(cx)).await.map(|(_, message)| message)
    }

    /// Polls for the next message, with the peer that delivered it first. `None` once the engine has ended and all messages
    /// are read.
    pub fn poll_next_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<(N::Peer, AppOutput<N>)>> {
        let next = self.shared.app.poll_pop(cx);
        next.map(|next| next.map(|delivery| (delivery.sender, delivery.message)))
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
    pub async fn forward(self, recipient: Recipient<DeliveredMessage<N>>) -> Result<(), RecipientStopped> {
        forward(self, recipient, DeliveredMessage).await
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
        self.get_mut().poll_next_delivery(cx).map(|next| next.map(|(_, message)| message))
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

/// Sends every item of a stream to an actor, as the message that `message` makes of it, until the stream ends.
///
/// # Errors
/// The actor has stopped.
pub(super) async fn forward<S, M>(
    mut stream: S,
    recipient: Recipient<M>,
    message: impl Fn(S::Item) -> M,
) -> Result<(), RecipientStopped>
where
    S: Stream + Unpin,
    M: Message<Result = ()> + Send + Unpin,
{
    while let Some(item) = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
        send(&recipient, message(item)).await.map_err(|_| RecipientStopped)?;
    }
    Ok(())
}

/// Appends `first` and then items of `next`, `limit` items at most, and returns their number.
pub(super) fn append<T>(
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
