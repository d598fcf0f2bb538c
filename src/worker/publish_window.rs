//! Publishing with back-pressure: a bounded number of publications that are not sent yet, so that a publisher waits for
//! its peers in place of filling their queues.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{PublishTicket, Worker};
use crate::{
    admission::refused::Refused,
    network::{FullMessage, Network},
};

/// The pause before a publication that the engine refused is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// The bounds of a [`PublishWindow`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishWindowLimits {
    /// Most publications that are not yet sent to all peers for which they were queued. Above 0; by default 256.
    pub max_messages: usize,
    /// Most bytes of these, as [`Network::message_size`] returns them; by default 1 MiB. A larger message is published
    /// alone.
    pub max_bytes: usize,
    /// How long a publication counts at most; by default 10 s. A peer that does not read can't end publishing: a
    /// publication that is not sent within this time stays in the peer's queue, which drops it when it is full. A peer that reads slowly slows the publisher down to one window in this time.
    pub max_wait: Duration,
}

impl PublishWindowLimits {
    /// Applies `change` and returns the result: `PublishWindowLimits::default().with(|l| l.max_messages = 16)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for PublishWindowLimits {
    fn default() -> Self {
        Self { max_messages: 256, max_bytes: 1 << 20, max_wait: Duration::from_secs(10) }
    }
}

/// Publishes the messages of one publisher, and waits while too many of them are not sent. So they are not dropped from
/// output queues, which have room for far more ([`PublishWindowLimits`]).
///
/// It needs a transport that reports what becomes of each publication
/// ([`Worker::has_publish_listener`](super::Worker::has_publish_listener)), as the libp2p transport does. With another one,
/// each publication counts for `max_wait`. It runs inside a tokio runtime, such as an actix system.
pub struct PublishWindow<N: Network> {
    worker: Worker<N>,
    limits: PublishWindowLimits,
    /// The publications that are not sent yet, oldest first.
    unsent: VecDeque<Unsent<N>>,
    /// The bytes of `unsent`.
    bytes: usize,
}

struct Unsent<N: Network> {
    ticket: PublishTicket<N>,
    bytes: usize,
    /// `None`: too far in the future to be a time.
    deadline: Option<Instant>,
}

impl<N: Network> PublishWindow<N> {
    /// A window for publications on `worker`.
    pub fn new(worker: Worker<N>, limits: PublishWindowLimits) -> Self {
        Self { worker, limits, unsent: VecDeque::new(), bytes: 0 }
    }

    /// Publishes a message once there is room in this window and in the engine.
    ///
    /// Cancellation safe: if the future is dropped before it completes, the message is not published.
    ///
    /// # Errors
    /// [`Refused::Stopped`]: the engine has ended.
    pub async fn publish(&mut self, message: FullMessage<N>) -> Result<(), Refused> {
        let bytes = self.worker.shared.network.message_size(&message.message);
        loop {
            self.wait_for_room(bytes).await;
            match self.worker.publish(message.clone()) {
                Ok(ticket) => {
                    let deadline = Instant::now().checked_add(self.limits.max_wait);
                    self.unsent.push_back(Unsent { ticket, bytes, deadline });
                    self.bytes = self.bytes.saturating_add(bytes);
                    return Ok(());
                }
                Err(Refused::Stopped) => return Err(Refused::Stopped),
                Err(_) => sleep(RETRY_DELAY).await,
            }
        }
    }

    async fn wait_for_room(&mut self, bytes: usize) {
        while self.is_full(bytes) {
            let Some(oldest) = self.unsent.front() else { return };
            let sent = oldest.ticket.completed();
            match oldest.deadline {
                // In both cases the publication counts no longer.
                Some(deadline) => drop(timeout_at(deadline, sent).await),
                None => drop(sent.await),
            }
            self.remove_oldest();
        }
    }

    /// Whether there is no room for `bytes` more. Publications that are sent need none.
    fn is_full(&mut self, bytes: usize) -> bool {
        while self.unsent.front().is_some_and(|unsent| unsent.ticket.report().is_complete()) {
            self.remove_oldest();
        }
        let full = self.unsent.len() >= self.limits.max_messages
            || self.bytes.saturating_add(bytes) > self.limits.max_bytes;
        full && !self.unsent.is_empty()
    }

    fn remove_oldest(&mut self) {
        if let Some(oldest) = self.unsent.pop_front() {
            self.bytes -= oldest.bytes;
        }
    }
}
