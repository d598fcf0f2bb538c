//! Publications of the application.

use std::sync::Arc;

use super::Node;
use crate::{
    admission::charge::Charge,
    network::{FullMessage, Network},
    protocol::{
        outcome::PublishOutcome,
        output::{Lane, pending::PendingOutput, spread::spread},
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Publishes a message.
    pub fn publish(&mut self, message: FullMessage<N>, now: Timestamp) -> PublishOutcome<N> {
        self.publish_to_at_least(0, message, now)
    }

    /// Publishes messages whose sends leave together: each goes to one peer before any goes to a second one.
    pub fn publish_batch(
        &mut self,
        messages: impl IntoIterator<Item = FullMessage<N>>,
        now: Timestamp,
    ) -> Vec<PublishOutcome<N>> {
        let mut sends = Vec::new();
        let mut publish = |message| {
            let before = self.emitted.len();
            let outcome = self.publish(message, now);
            let is_send = |output: &mut PendingOutput<N>| output.lane() == Lane::Publish;
            sends.extend(self.emitted.extract_if(before.., is_send));
            outcome
        };
        let outcomes = messages.into_iter().map(&mut publish).collect();
        self.emitted.append(&mut spread(sends));
        outcomes
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
