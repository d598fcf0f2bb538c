//! The messages that a node publishes by itself, for trials and tests. It decides when, not to whom.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_gossipsub::{
    AppInput, Refused, Worker,
    libp2p::{Libp2pNetwork, TopicName},
};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Failure,
    report::{Line, Report},
};

/// How long an engine that has too much to do is left alone.
const PAUSE: Duration = Duration::from_millis(5);

/// What to publish, and how.
pub struct Publishing {
    pub topics: Vec<TopicName>,
    /// Messages for each topic.
    pub count: u64,
    pub size: usize,
    pub prefix: String,
    pub interval: Duration,
    /// From the first subscription of a peer to the first message.
    pub settle: Duration,
    pub network: Libp2pNetwork,
    pub worker: Worker<Libp2pNetwork>,
    pub report: Report,
    /// Messages published so far.
    pub published: Arc<AtomicU64>,
}

impl Publishing {
    /// Publishes all, one of each topic at a time, once `subscribed` tells of a peer that wants some.
    pub async fn run(self, subscribed: Arc<Notify>) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        subscribed.notified().await;
        sleep(self.settle).await;
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
        let published = self.report.described(&message);
        while let Err(refused) = self.worker.app_input(AppInput::Publish(message.clone())) {
            match refused {
                Refused::Stopped => return Ok(()),
                _ => sleep(PAUSE).await,
            }
        }
        self.published.fetch_add(1, Ordering::Relaxed);
        self.report.line(Line::Published(published)).await;
        Ok(())
    }
}

/// `PREFIX/TOPIC/NUMBER/`, filled up with the alphabet to `size` bytes.
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
    fn payloads_have_the_size_unless_their_head_is_longer() {
        let topic = TopicName::from("t");
        assert_eq!(payload("m", &topic, 7, 10), b"m/t/7/abcd");
        assert_eq!(payload("m", &topic, 7, 3), b"m/t/7/");
        let long = payload("m", &topic, 7, 60);
        assert_eq!((long.len(), &long[30..36]), (60, &b"yzabcd"[..]));
    }
}
