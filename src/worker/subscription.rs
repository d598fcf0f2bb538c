//! The subscription to one topic: its messages as a stream of their own, or to an actor.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix::Recipient;
use futures_core::Stream;

use super::{
    Worker, input,
    lifecycle::Lifetime,
    streams::{DeliveredMessage, RecipientStopped, append, forward},
};
use crate::{
    actors::shared::Shared,
    admission::refused::Refused,
    limits::InvalidLimits,
    metrics::Undelivered,
    network::{AppOutput, Network},
    outputs::topic_queue::{SubscriptionConfig, TopicQueue, TopicSender},
};

/// The valid messages of one topic: a stream. Made by [`Worker::subscribe`]. They do not go to
/// [`AppOutputs`](super::AppOutputs) too.
///
/// It has a bound of its own ([`SubscriptionConfig`]): while too much of it is unread, the engine refuses or drops the
/// messages of this topic, and all other topics go on.
///
/// It ends when the topic is left or given up ([`Event::TopicGivenUp`](crate::protocol::Event::TopicGivenUp)), when another
/// subscription to the topic takes its place, and with the engine; what it has until then can still be read. Dropping it ends
/// the subscription, discards and counts what is unread, and leaves the topic
/// ([`leave_on_drop`](SubscriptionConfig::leave_on_drop)).
#[must_use = "dropping it ends the subscription"]
pub struct TopicMessages<N: Network> {
    topic: N::Topic,
    queue: Arc<TopicQueue<N>>,
    shared: Arc<Shared<N>>,
    _lifetime: Arc<Lifetime<N>>,
}

/// Why a topic can't be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The settings break rules.
    #[error(transparent)]
    Config(#[from] InvalidLimits),
    /// The engine has ended.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl<N: Network> Worker<N> {
    /// Joins a topic, if it is not joined, and returns its messages as a stream of their own, with the default settings
    /// ([`SubscriptionConfig::default`]).
    ///
    /// A topic has one subscription: a further one takes the place of the former, whose stream ends. Messages are cheap to
    /// clone for several consumers.
    ///
    /// # Errors
    /// The engine has ended.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, P2pInput, P2pMessage, Started, Worker, plain::PlainNetwork};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// let Started { worker, mut app, .. } = Worker::builder(PlainNetwork::new(), limits).start([])?;
    /// let mut news = worker.subscribe("news".to_owned())?;
    /// worker.p2p_input(P2pInput::connected(7))?;
    /// let message = PlainNetwork::message("news", 1, "hello");
    /// worker.p2p_input(P2pInput::message(7, P2pMessage::FullMessage(message.into())))?;
    /// assert_eq!(news.recv().await.expect("the engine runs").message, "hello");
    /// assert_eq!(app.try_recv(), None);
    /// drop(news);
    /// assert!(!worker.is_subscribed(&"news".to_owned()));
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn subscribe(&self, topic: N::Topic) -> Result<TopicMessages<N>, SubscribeError> {
        self.subscribe_with(topic, SubscriptionConfig::default())
    }

    /// As [`subscribe`](Self::subscribe), with these settings.
    ///
    /// # Errors
    /// The engine has ended, or the settings break rules.
    pub fn subscribe_with(
        &self,
        topic: N::Topic,
        config: SubscriptionConfig,
    ) -> Result<TopicMessages<N>, SubscribeError> {
        config.check()?;
        let shared = &self.shared;
        let (sender, queue) =
            TopicSender::new(config, &shared.full_queues, &shared.admission, &shared.subscribed);
        input::subscribe(shared, topic.clone(), sender)?;
        let (shared, lifetime) = (Arc::clone(shared), Arc::clone(&self.lifetime));
        Ok(TopicMessages { topic, queue, shared, _lifetime: lifetime })
    }
}

impl<N: Network> TopicMessages<N> {
    /// The topic.
    pub fn topic(&self) -> &N::Topic {
        &self.topic
    }

    /// Waits for the next message. `None` once the subscription has ended and all messages are read.
    ///
    /// Cancellation safe: dropping the future loses no message.
    pub async fn recv(&mut self) -> Option<AppOutput<N>> {
        std::future::poll_fn(|cx| self.queue.poll_pop(cx)).await
    }

    /// The next message; `None` if there is none now.
    pub fn try_recv(&mut self) -> Option<AppOutput<N>> {
        self.queue.try_pop()
    }

    /// Waits for at least one message and appends at most `limit` messages to `into`. Returns their number: 0 at the end of
    /// the stream, or if `limit` is 0.
    ///
    /// Cancellation safe: dropping the future loses no message.
    pub async fn recv_many(&mut self, into: &mut Vec<AppOutput<N>>, limit: usize) -> usize {
        let first = if limit > 0 { self.recv().await } else { None };
        append(into, limit, first, || self.try_recv())
    }

    /// The number of unread messages.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are no unread messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the unread messages, by their size in memory.
    pub fn bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// The number of messages that were dropped because too many were unread ([`WhenFull::Drop`](super::WhenFull::Drop)).
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Sends every message to `recipient`. While its mailbox is full, messages wait in this stream, under its bound. Returns
    /// when the subscription has ended.
    ///
    /// Cancellation safe, but it consumes the stream: dropping the future ends the subscription.
    ///
    /// # Errors
    /// The actor has stopped. The subscription ends.
    pub async fn forward(self, recipient: Recipient<DeliveredMessage<N>>) -> Result<(), RecipientStopped> {
        forward(self, recipient, DeliveredMessage).await
    }
}

impl<N: Network> Drop for TopicMessages<N> {
    fn drop(&mut self) {
        // First the topic: its later messages go to the shared stream, if it stays joined.
        input::unsubscribe(&self.shared, &self.topic, &self.queue);
        self.shared.metrics.deliveries_dropped(Undelivered::Unread, self.queue.detach());
    }
}

impl<N: Network> Stream for TopicMessages<N> {
    type Item = AppOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queue.poll_pop(cx)
    }
}
