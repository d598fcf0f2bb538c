//! The events of an engine as a stream, or sent to an actor.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::Recipient;
use futures_core::Stream;

use super::{
    Worker,
    streams::{RecipientStopped, forward},
};
use crate::{
    actors::shared::Shared,
    network::Network,
    outputs::event_queue::{EngineEvent, EventQueue},
};

/// The events of an engine since [`Worker::subscribe_events`]: a stream. It is bounded: while it is full, further events are
/// left out, and an [`EngineEvent::Missed`] in their place has their number. It does not keep the engine running. Dropping it
/// ends the subscription.
#[must_use = "dropping it ends the subscription"]
pub struct EngineEvents<N: Network> {
    queue: Arc<EventQueue<N>>,
    shared: Arc<Shared<N>>,
}

impl<N: Network> Worker<N> {
    /// The engine's events from now on, of which at most `max_unread`, and at least 1, are kept unread. Each subscriber costs
    /// the engine a copy of each event, however slowly it reads. Events of one actor are in their order.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{EngineEvent, Limits, LimitsConfig, Started, Worker, plain::PlainNetwork, protocol::EventKind};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).manual().start([])?;
    /// let mut events = worker.subscribe_events(1024);
    /// worker.app_input(actix_gossipsub::AppInput::Join("news".to_owned()))?;
    /// let Some(EngineEvent::Record(record)) = events.recv().await else { panic!("the engine runs") };
    /// assert_eq!((record.kind, record.topic.as_deref()), (EventKind::Joined, Some("news")));
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn subscribe_events(&self, max_unread: usize) -> EngineEvents<N> {
        let queue = self.shared.event_subscribers.subscribe(max_unread);
        EngineEvents { queue, shared: Arc::clone(&self.shared) }
    }
}

impl<N: Network> EngineEvents<N> {
    /// Waits for the next event. `None` once the engine has ended and all events are read.
    ///
    /// Cancellation safe: dropping the future loses no event.
    pub async fn recv(&mut self) -> Option<EngineEvent<N>> {
        std::future::poll_fn(|cx| self.queue.poll_pop(cx)).await
    }

    /// The next event; `None` if there is none now.
    pub fn try_recv(&mut self) -> Option<EngineEvent<N>> {
        self.queue.try_pop()
    }

    /// The number of unread events.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are no unread events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every event to `recipient`. While its mailbox is full, events wait in this stream, under its bound. Returns when
    /// the engine has ended.
    ///
    /// Cancellation safe, but it consumes the stream: dropping the future ends the subscription.
    ///
    /// # Errors
    /// The actor has stopped. The subscription ends.
    pub async fn forward(self, recipient: Recipient<EngineEvent<N>>) -> Result<(), RecipientStopped> {
        forward(self, recipient, |event| event).await
    }
}

impl<N: Network> Drop for EngineEvents<N> {
    fn drop(&mut self) {
        self.shared.event_subscribers.unsubscribe(&self.queue);
    }
}

impl<N: Network> Stream for EngineEvents<N> {
    type Item = EngineEvent<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_pop(cx)
    }
}
