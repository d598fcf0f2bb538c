//! Publications of the application.

use std::sync::Arc;

use super::Node;
use crate::{
    admission::charge::Charge,
    network::{FullMessage, Network},
    protocol::outcome::PublishOutcome,
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Publishes a message.
    pub fn publish(&mut self, message: FullMessage<N>, now: Timestamp) -> PublishOutcome<N> {
        self.publish_to_at_least(0, message, now)
    }

    /// Publishes a message if it can be sent to at least `min_peers` peers.
    pub fn publish_to_at_least(
        &mut self,
        min_peers: usize,
        message: FullMessage<N>,
        now: Timestamp,
    ) -> PublishOutcome<N> {
        let topic = message.topic.clone();
        self.on_active_topic(&topic, now, |state, cx, outbox| {
            state.publish(Arc::new(message), min_peers, Charge::default(), cx, outbox)
        })
    }
}
