//! Publishing to a minimum number of peers. The publisher can wait for them, since a node has no peers after its start.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{PublishTicket, Worker};
use crate::{
    admission::refused::Refused,
    network::{FullMessage, Network},
    outputs::publication::RouteResult,
};

/// The pause before a publication that the engine refused is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// The options of [`Worker::publish_with`](super::Worker::publish_with).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishOptions {
    /// The fewest peers to which the message must be sent, by default 1. With 0 it is published even if nobody gets it.
    pub min_peers: usize,
    /// How long to wait for these peers, and for room in the engine. By default 0: the first attempt decides.
    pub max_wait: Duration,
}

impl PublishOptions {
    /// Applies `change` and returns the result: `PublishOptions::default().with(|o| o.min_peers = 3)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { min_peers: 1, max_wait: Duration::ZERO }
    }
}

/// Why a message was not published. Except after [`TooLarge`](Self::TooLarge), [`Outdated`](Self::Outdated) and
/// [`AlreadyPublished`](Self::AlreadyPublished) it may be published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPublished {
    /// Fewer than `min_peers` peers are subscribed, are not below `publish_threshold` and want the message.
    #[error("the message can be sent to {peers} peers, and not to {min_peers}")]
    TooFewPeers {
        /// The number of peers to which it could be sent at the last attempt.
        peers: usize,
        /// The number that was demanded.
        min_peers: usize,
    },
    /// The message is larger than [`max_message_size`](crate::limits::Extensions::max_message_size) of its topic.
    #[error("the message is larger than its topic allows")]
    TooLarge,
    /// The time of the message is over ([`Network::expires_at`]).
    #[error("the time of the message is over")]
    Outdated,
    /// A message with this id was published or received before.
    #[error("a message with this id was published or received before")]
    AlreadyPublished,
    /// The topic panicked, or the engine ended, before the message was routed.
    #[error("the message was lost: its topic panicked or the engine ended")]
    Lost,
    /// The engine did not accept the publication.
    #[error("the publication was refused: {0}")]
    Refused(#[from] Refused),
}

impl NotPublished {
    /// Whether another attempt may succeed.
    fn is_temporary(self) -> bool {
        match self {
            Self::TooFewPeers { .. } => true,
            Self::Refused(refused) => refused.is_temporary(),
            Self::TooLarge | Self::Outdated | Self::AlreadyPublished | Self::Lost => false,
        }
    }
}

impl<N: Network> Worker<N> {
    /// Publishes a message once it can be sent to at least `options.min_peers` peers: those of the mesh or fanout, direct
    /// peers, and further subscribers if the limits allow for that
    /// ([`publish_reaches_degree_optimal`](crate::limits::Extensions::publish_reaches_degree_optimal)). The minimum
    /// is decided together with the recipients: a message is sent to all of them or not published. Whether it arrives says
    /// the ticket.
    ///
    /// It tries again when a peer subscribes and after each heartbeat, until `options.max_wait` has passed. With a
    /// `max_wait` it runs inside a tokio runtime, such as an actix system.
    ///
    /// Cancellation safe: if the future is dropped before it completes, the message is not published, unless it is being
    /// routed at this moment.
    ///
    /// # Errors
    /// The message was not published.
    ///
    /// # Examples
    /// ```
    /// # use actix_gossipsub::{
    /// #     Limits, LimitsConfig, NotPublished, P2pInput, P2pMessage, PublishOptions, Started, Worker, plain::PlainNetwork,
    /// # };
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
    /// # let limits = Limits::try_from(LimitsConfig::default())?;
    /// # let Started { worker, .. } = Worker::builder(PlainNetwork::new(), limits).start(["news".to_owned()])?;
    /// let message = PlainNetwork::message("news", 1, "hello");
    /// let nobody = worker.publish_with(message.clone(), PublishOptions::default()).await;
    /// assert_eq!(nobody.err(), Some(NotPublished::TooFewPeers { peers: 0, min_peers: 1 }));
    ///
    /// worker.p2p_input(P2pInput::connected(7))?;
    /// worker.p2p_input(P2pInput::message(7, P2pMessage::subscribe("news".to_owned())))?;
    /// let options = PublishOptions::default().with(|options| options.max_wait = Duration::from_secs(10));
    /// let ticket = worker.publish_with(message, options).await?;
    /// assert_eq!(ticket.report().queued, 1);
    /// # worker.shutdown().await;
    /// # Ok(()) }) }
    /// ```
    pub async fn publish_with(
        &self,
        message: FullMessage<N>,
        options: PublishOptions,
    ) -> Result<PublishTicket<N>, NotPublished> {
        let PublishOptions { min_peers, max_wait } = options;
        let message = Arc::new(message);
        if max_wait.is_zero() {
            return self.try_publish(min_peers, &message).await;
        }
        // None: too far in the future to be a time.
        let deadline = Instant::now().checked_add(max_wait);
        let waiting = self.shared.waiting_publishers.register(&message.topic);
        loop {
            let changed = waiting.changed.notified();
            tokio::pin!(changed);
            // Registered before the attempt, so that no subscription after it is missed.
            changed.as_mut().enable();
            let failure = match self.try_publish(min_peers, &message).await {
                Ok(ticket) => return Ok(ticket),
                Err(failure) if !failure.is_temporary() => return Err(failure),
                Err(failure) => failure,
            };
            let retry = async {
                match failure {
                    NotPublished::Refused(_) => sleep(RETRY_DELAY).await,
                    _ => changed.await,
                }
            };
            tokio::select! {
                () = retry => {}
                () = until(deadline) => return Err(failure),
            }
        }
    }

    async fn try_publish(
        &self,
        min_peers: usize,
        message: &Arc<FullMessage<N>>,
    ) -> Result<PublishTicket<N>, NotPublished> {
        let ticket = self.publish_to_at_least(min_peers, Arc::clone(message))?;
        match ticket.routed().await.routed {
            Some(RouteResult::Queued | RouteResult::NoPeers) => Ok(ticket),
            Some(RouteResult::TooFewPeers { peers }) => Err(NotPublished::TooFewPeers { peers, min_peers }),
            Some(RouteResult::TooLarge) => Err(NotPublished::TooLarge),
            Some(RouteResult::Outdated) => Err(NotPublished::Outdated),
            Some(RouteResult::AlreadyPublished) => Err(NotPublished::AlreadyPublished),
            Some(RouteResult::Lost) | None => Err(NotPublished::Lost),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
