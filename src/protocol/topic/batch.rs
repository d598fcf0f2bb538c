//! Messages that are validated in a batch. The peers' side collects the batch; the topic has the senders of the copies.

use std::sync::Arc;

use super::{TopicState, receive::refuse_outdated};
use crate::{
    network::{Delivery, FullMessage, Network, Validity},
    protocol::{
        exchange::{Context, Outbox, event::TopicEvent},
        outcome::{ReceiveOutcome, labels::Input},
    },
};

impl<N: Network> TopicState<N> {
    /// Reports the first copy of a message for the batch, unless it has expired. Copies that arrive before the verdict only
    /// add their senders, here and not in the batch.
    #[inline(never)]
    pub(super) fn add_to_batch(
        &mut self,
        mut delivery: Delivery<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        let is_copy = self.batched.join(&delivery);
        if !is_copy && cx.has_expired(&delivery.message) {
            return refuse_outdated(outbox);
        }
        self.send_idontwant(&delivery.message, Some(&delivery.sender), cx, outbox);
        if !is_copy {
            delivery.begin_charge(cx.network);
            self.batched.add(delivery.clone(), 0, cx.now);
            outbox.events.push(TopicEvent::Batch(delivery));
        }
        ReceiveOutcome::Batched
    }

    /// Applies the verdict on a message of a batch, with the senders of the copies that arrived since it entered the batch.
    fn apply_batch_verdict(
        &mut self,
        mut delivery: Delivery<N>,
        verdict: Validity,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        if let Some((pending, _)) = self.batched.remove(&delivery.message) {
            delivery.join(pending, cx.limits.bounds.max_co_senders);
        }
        self.apply_given_verdict(delivery, verdict, cx, outbox)
    }

    /// Forgets a message of a batch that gets no verdict. It may be received again.
    pub(in crate::protocol) fn forget_batched(&mut self, message: &Arc<FullMessage<N>>) {
        self.batched.remove(message);
    }

    /// Applies the verdicts on the messages of a batch.
    pub(super) fn apply_batch_verdicts(
        &mut self,
        verdicts: Vec<(Delivery<N>, Validity)>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        for (delivery, verdict) in verdicts {
            let outcome = self.apply_batch_verdict(delivery, verdict, cx, outbox);
            outbox.counters.input(Input::ValidationResult, &outcome);
        }
        outbox.events.push(TopicEvent::Dispatched);
    }
}
