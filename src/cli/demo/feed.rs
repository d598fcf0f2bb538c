//! The publishing: so many messages a second, each by a random node on a random topic. It counts no
//! deliveries.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    AppInput, Refused, Worker,
    libp2p::{Libp2pNetwork, TopicName},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Arguments, tally::Tally};
use crate::cli::{Failure, stop::Stop};

/// How long an engine that has too much to do is left alone.
const PAUSE: Duration = Duration::from_millis(5);

/// A node as one who publishes on it sees it.
#[derive(Clone)]
pub struct Publisher {
    pub worker: Worker<Libp2pNetwork>,
    pub network: Libp2pNetwork,
}

/// All that is to be published.
pub struct Feed {
    publishers: Vec<Publisher>,
    topics: Vec<TopicName>,
    messages: u64,
    rate: u64,
    size: usize,
    random: ChaCha8Rng,
    tally: Arc<Tally>,
    stop: Stop,
}

/// The name of a topic.
pub fn topic(index: usize) -> TopicName {
    format!("demo/{index:03}").into()
}

impl Feed {
    pub fn new(arguments: &Arguments, publishers: Vec<Publisher>, tally: Arc<Tally>, stop: Stop) -> Self {
        Self {
            publishers,
            topics: (0..arguments.topics()).map(topic).collect(),
            messages: arguments.messages(),
            rate: arguments.rate,
            size: usize::try_from(arguments.size).unwrap_or(usize::MAX),
            random: ChaCha8Rng::seed_from_u64(arguments.seed.wrapping_add(1)),
            tally,
            stop,
        }
    }

    /// Publishes all, or until it is told to stop. Whoever falls behind the rate catches up.
    pub async fn run(mut self) -> Result<(), Failure> {
        let start = Instant::now();
        for message in 0..self.messages {
            // No overflow: seconds are at most a day's.
            sleep_until(start + Duration::from_secs(1).mul_f64(message as f64 / self.rate as f64)).await;
            if self.stop.is_said() {
                break;
            }
            self.publish().await?;
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), Failure> {
        let node = self.random.random_range(0..self.publishers.len());
        let topic = self.random.random_range(0..self.topics.len());
        let Publisher { worker, network } = &self.publishers[node];
        let data = self.tally.message(topic, node, self.size);
        let message = network.message(self.topics[topic].clone(), data)?;
        while let Err(refused) = worker.app_input(AppInput::Publish(message.clone())) {
            match refused {
                Refused::Stopped => return Err(refused.into()),
                _ => sleep(PAUSE).await,
            }
        }
        Ok(())
    }
}
