//! The test messages that `node --publish` publishes at a fixed interval.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    Worker,
    libp2p::{Libp2pNetwork, TopicName},
};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};

use super::report::{Line, Report};
use crate::cli::Failure;

/// The messages to publish, and the handles to publish them with.
pub struct Publishing {
    pub topics: Vec<TopicName>,
    /// Number of messages for each topic.
    pub count: u64,
    /// Size of each message in bytes.
    pub size: usize,
    pub prefix: String,
    pub interval: Duration,
    /// Time from the first subscription of a peer to the first message.
    pub settle: Duration,
    pub network: Libp2pNetwork,
    pub worker: Worker<Libp2pNetwork>,
    pub report: Report,
    /// Counts the published messages.
    pub published: Arc<AtomicU64>,
}

impl Publishing {
    /// Waits until a peer has subscribed and `settle` has passed, then publishes one message on each topic per
    /// interval. Skips messages after the engine has stopped.
    ///
    /// # Errors
    /// The transport can't encode a message of this size, prefix and topic.
    pub async fn run(self, subscribed: Arc<Notify>) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        subscribed.notified().await;
        sleep(self.settle).await;
        // An interval of zero panics.
        let mut times = interval(self.interval.max(Duration::from_nanos(1)));
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0..self.count {
            times.tick().await;
            for topic in &self.topics {
                self.publish(topic, number).await?;
            }
        }
        Ok(())
    }

    async fn publish(&self, topic: &TopicName, number: u64) -> Result<(), Failure> {
        let message = self.network.message(topic.clone(), payload(&self.prefix, topic, number, self.size))?;
        let published = self.report.published(&message);
        // Waits while too many messages are not sent.
        if self.worker.publish_when_room(message).await.is_err() {
            return Ok(());
        }
        self.published.fetch_add(1, Ordering::Relaxed);
        self.report.line(|| Line::Published(published));
        Ok(())
    }
}

/// `PREFIX/TOPIC/NUMBER/`, padded with the alphabet to `size` bytes.
fn payload(prefix: &str, topic: &TopicName, number: u64, size: usize) -> Vec<u8> {
    let mut data = format!("{prefix}/{topic}/{number}/").into_bytes();
    let padding = size.saturating_sub(data.len());
    data.extend((b'a'..=b'z').cycle().take(padding));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_size_unless_their_prefix_is_longer() {
        let topic = TopicName::from("t");
        assert_eq!(payload("m", &topic, 7, 10), b"m/t/7/abcd");
        assert_eq!(payload("m", &topic, 7, 3), b"m/t/7/");
        let long = payload("m", &topic, 7, 60);
        assert_eq!((long.len(), &long[30..36]), (60, &b"yzabcd"[..]));
    }
}
