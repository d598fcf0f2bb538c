//! The publisher of the demonstration: at a fixed rate, a random node publishes on a random topic.

use std::{sync::Arc, time::Duration};

use actix_gossipsub::{
    Worker,
    libp2p::{Libp2pNetwork, TopicName},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Arguments, deliveries::DeliveryLog};
use crate::cli::Failure;

/// The handles that are needed to publish on one node.
pub struct PublishHandle {
    pub worker: Worker<Libp2pNetwork>,
    pub network: Libp2pNetwork,
}

/// Publishes the messages of the demonstration.
pub struct Publisher {
    nodes: Vec<PublishHandle>,
    topics: Vec<TopicName>,
    messages: u64,
    /// Messages per second.
    rate: u64,
    /// Bytes per message.
    size: usize,
    rng: ChaCha8Rng,
    log: Arc<DeliveryLog>,
    shutdown: CancellationToken,
}

/// The name of a topic.
pub fn topic(index: usize) -> TopicName {
    format!("demo/{index:03}").into()
}

impl Publisher {
    pub fn new(
        arguments: &Arguments,
        nodes: Vec<PublishHandle>,
        log: Arc<DeliveryLog>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            nodes,
            topics: (0..arguments.topics).map(topic).collect(),
            messages: arguments.messages(),
            rate: arguments.rate,
            size: arguments.size,
            rng: ChaCha8Rng::seed_from_u64(arguments.seed.wrapping_add(1)),
            log,
            shutdown,
        }
    }

    /// Publishes all messages, or stops early when the shutdown token is cancelled. A publisher that falls behind its
    /// rate catches up.
    ///
    /// # Errors
    /// An engine has stopped, or the transport can't encode a message.
    pub async fn run(mut self) -> Result<(), Failure> {
        let start = Instant::now();
        for message in 0..self.messages {
            // The offset is at most a day, so that it can't overflow.
            sleep_until(start + Duration::from_secs(1).mul_f64(message as f64 / self.rate as f64)).await;
            if self.shutdown.is_cancelled() {
                break;
            }
            self.publish().await?;
        }
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), Failure> {
        let node = self.rng.random_range(0..self.nodes.len());
        let topic = self.rng.random_range(0..self.topics.len());
        let PublishHandle { worker, network } = &self.nodes[node];
        let data = self.log.publish(topic, node, self.size);
        let message = network.message(self.topics[topic].clone(), data)?;
        // Waits while too many messages of the node are not sent.
        worker.publish_when_room(message).await?;
        Ok(())
    }
}
