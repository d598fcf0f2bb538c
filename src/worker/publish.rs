//! How an application publishes: at once, or when there is room.

use std::sync::Arc;

use super::{PublishTicket, Worker, input};
use crate::{
    admission::refused::Refused,
    network::{FullMessage, Network},
    outputs::publication::PublishState,
};

impl<N: Network> Worker<N> {
    /// Publishes a message as [`AppInput::Publish`](crate::AppInput::Publish) does, and returns a ticket that reports to how
    /// many peers it was sent. Dropping the ticket does not affect the message. Never blocks: a publisher that is faster than
    /// its peers fills their send queues, from which messages are dropped then. [`publish_when_room`](Self::publish_when_room)
    /// waits in place of that.
    ///
    /// # Errors
    /// As [`app_input`](Self::app_input).
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, RouteResult, Started, Worker, plain::PlainNetwork};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
    /// let ticket = worker.publish(PlainNetwork::message("news", 1, "hello"))?;
    /// let report = ticket.routed().await;
    /// assert_eq!(report.routed, Some(RouteResult::NoPeers), "no peer is connected yet");
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn publish(&self, message: FullMessage<N>) -> Result<PublishTicket<N>, Refused> {
        self.publish_to_at_least(0, Arc::new(message))
    }

    /// Publishes a message once there is room for it, so that it is not dropped because its publisher is faster than the peers
    /// read: room in the engine's queue for publications, and room among the publications that are not yet sent to all peers
    /// for which they were queued. All publishers that use this method on one engine share that room and get it in turn.
    ///
    /// The room is `bounds.max_unsent_publications` messages and `bounds.max_unsent_publication_bytes`, far less than the send
    /// queue of a peer takes. A larger message is published alone. A publication occupies its room for
    /// `bounds.unsent_publication_timeout` at most: a peer that does not read slows publishers down to one room in this time
    /// and can't stop them; what it does not read is dropped from its queue when that is full, and reported by the ticket.
    ///
    /// This needs a transport that reports what becomes of each publication
    /// ([`has_publish_listener`](Self::has_publish_listener)), as the libp2p transport does. With another one each publication
    /// that was queued for a peer occupies its room for the whole timeout.
    ///
    /// Cancellation safe: if the future is dropped before it completes, the message is not published and occupies no room.
    /// Once it has completed, dropping the ticket affects neither.
    ///
    /// # Errors
    /// [`Refused::Stopped`]: the engine has ended. Nothing else is refused.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, RouteResult, Started, Worker, plain::PlainNetwork};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
    /// for number in 0..1_000 {
    ///     worker.publish_when_room(PlainNetwork::message("news", number, "hello")).await?;
    /// }
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub async fn publish_when_room(&self, message: FullMessage<N>) -> Result<PublishTicket<N>, Refused> {
        let shared = &self.shared;
        let bytes = shared.network.message_size(&message.message);
        let room = shared.publish_room.acquire(bytes).await.ok_or(Refused::Stopped)?;
        let message = Arc::new(message);
        let ticket = loop {
            input::publication_ready(shared, &message).await;
            match self.publish_to_at_least(0, Arc::clone(&message)) {
                Ok(ticket) => break ticket,
                // Other publications were faster.
                Err(refused) if refused.is_temporary() => {}
                Err(refused) => return Err(refused),
            }
        };
        let (sent, timeout) = (ticket.share(), shared.limits.load().bounds.unsent_publication_timeout);
        self.lifetime.spawn(async move {
            // In both cases the publication occupies the room no longer.
            let _ = tokio::time::timeout(timeout, sent.completed()).await;
            drop(room);
        });
        Ok(ticket)
    }

    /// Publishes several messages together, of one topic or of several: each is sent to one peer before any is sent to a second
    /// one, and these first copies go to different peers as far as possible. Where the upload is the bottleneck, the network
    /// has all of them after the time that one copy of each takes; published one by one, all copies of the first message
    /// leave before the second message. Otherwise each is published as [`publish`](Self::publish) does, and has a ticket, in
    /// the order of the messages.
    ///
    /// The sends leave when the last topic has routed its messages. A transport encodes each message twice. A recording
    /// has the messages one by one, so that its replay sends them in another order.
    ///
    /// # Errors
    /// As [`app_input`](Self::app_input), if there is not room for all: then none is published. So a batch has at most
    /// `bounds.max_input_items` messages.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{Limits, LimitsConfig, RouteResult, Started, Worker, plain::PlainNetwork};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
    /// let parts = (1..=8).map(|number| PlainNetwork::message("news", number, "a part"));
    /// for ticket in worker.publish_batch(parts)? {
    ///     assert_eq!(ticket.routed().await.routed, Some(RouteResult::NoPeers), "no peer is connected yet");
    /// }
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub fn publish_batch(
        &self,
        messages: impl IntoIterator<Item = FullMessage<N>>,
    ) -> Result<Vec<PublishTicket<N>>, Refused> {
        let publication = |message| {
            let state = self.publish_state(&message);
            (Arc::new(message), state)
        };
        let publications: Vec<_> = messages.into_iter().map(publication).collect();
        let tickets = publications.iter().map(|(_, state)| PublishTicket::new(Arc::clone(state))).collect();
        input::publish_batch(&self.shared, publications)?;
        Ok(tickets)
    }

    /// As [`publish_when_room`](Self::publish_when_room), for an actor that does not wait for it. What waits is bounded as what
    /// is on the way.
    ///
    /// # Errors
    /// Too many publications wait already.
    pub(super) fn publish_later(
        &self,
        message: FullMessage<N>,
    ) -> Result<impl Future<Output = Result<PublishTicket<N>, Refused>> + use<N>, Refused> {
        let bytes = self.shared.network.message_size(&message.message);
        let waits = self.shared.waiting_publications.try_acquire(bytes).map_err(|waiting| {
            let refused = Refused::TooManyInputs { waiting };
            input::report_refused(&self.shared, refused);
            refused
        })?;
        let worker = self.clone();
        Ok(async move {
            let published = worker.publish_when_room(message).await;
            drop(waits);
            published
        })
    }

    /// As [`publish`](Self::publish), and does not publish the message if it can be sent to fewer than `min_peers` peers
    /// ([`RouteResult::TooFewPeers`](crate::RouteResult::TooFewPeers)).
    pub(super) fn publish_to_at_least(
        &self,
        min_peers: usize,
        message: Arc<FullMessage<N>>,
    ) -> Result<PublishTicket<N>, Refused> {
        let state = self.publish_state(&message);
        input::publish_with_ticket(&self.shared, message, min_peers, &state)?;
        Ok(PublishTicket::new(state))
    }

    fn publish_state(&self, message: &FullMessage<N>) -> Arc<PublishState<N>> {
        let key = (message.topic.clone(), message.message_id.clone());
        Arc::new(PublishState::new(key, Arc::clone(&self.shared.publish_reports)))
    }
}
