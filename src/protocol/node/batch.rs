//! The validation of batches of messages.

use super::Node;
use crate::{
    network::{Delivery, Network},
    protocol::{outcome::ReceiveOutcome, passive::TopicRef, peers::dispatch::align_verdicts},
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Validates these messages as one batch and applies the verdicts, in this order.
    pub fn apply_batch(
        &mut self,
        batch: Vec<Delivery<N>>,
        now: Timestamp,
    ) -> Vec<(Delivery<N>, ReceiveOutcome<N>)> {
        let verdicts = self.network.validate_batch(&batch).ok();
        let mut apply = |(delivery, verdict): (Delivery<N>, Option<_>)| {
            let topic = delivery.message.topic.clone();
            let mut validated = delivery.clone();
            // The caller may have listed the sender twice. The deliveries of the engine never do.
            validated.co_senders.retain(|peer| *peer != validated.sender);
            let outcome = self.on_topic(&topic, now, |topic, cx, outbox| match (verdict, topic) {
                (Some(verdict), TopicRef::Active(state)) => {
                    // If it is in the pending batch, that validates it again: it awaits no first verdict.
                    state.forget_batched(&validated.message);
                    state.apply_given_verdict(validated, verdict, cx, outbox)
                }
                (Some(_), TopicRef::Passive(_)) => ReceiveOutcome::NotSubscribed,
                (None, _) => ReceiveOutcome::ValidationPanicked,
            });
            (delivery, outcome)
        };
        align_verdicts(batch, verdicts).into_iter().map(&mut apply).collect()
    }

    /// Validates the pending batch.
    pub fn process_batch(&mut self, now: Timestamp) {
        let batch = self.peers.take_batch();
        self.peers.validate_batch(batch);
        self.settle(now);
    }
}
