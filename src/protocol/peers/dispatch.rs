//! Messages without a verdict: parked ones, which are tried again, and the pending batch, which is
//! judged as a whole. Asks the application and hands each message back to its topic, one topic at a
//! time, so that the application receives them in order.

use std::{collections::VecDeque, time::Duration};

use derive_where::derive_where;

use super::{Peers, batch::Batch, parked::Parked};
use crate::{
    limits::Bounds,
    network::{Delivery, Network, Validity},
    protocol::exchange::command::{TopicCommand, ValidationMode},
    timestamp::Timestamp,
};

#[derive_where(Debug)]
pub(super) struct PendingDispatch<N: Network> {
    pub(super) parked: Parked<N>,
    pub(super) batch: Batch<N>,
    validation_mode: ValidationMode,
    /// Orders that wait until their predecessor is done.
    queue: VecDeque<(N::Topic, TopicCommand<N>)>,
    /// The topic that an order is out to.
    dispatching: Option<N::Topic>,
}

impl<N: Network> PendingDispatch<N> {
    pub(super) fn new(bounds: &Bounds, batch_interval: Option<Duration>) -> Self {
        let validation_mode =
            if batch_interval.is_some() { ValidationMode::Batched } else { ValidationMode::Sequential };
        Self {
            parked: Parked::new(bounds),
            batch: Batch::new(batch_interval.unwrap_or_default(), bounds),
            validation_mode,
            queue: VecDeque::new(),
            dispatching: None,
        }
    }

    pub(super) fn validation_mode(&self) -> ValidationMode {
        self.validation_mode
    }
}

impl<N: Network> Peers<N> {
    pub(super) fn park(&mut self, delivery: Delivery<N>) {
        let bytes = delivery.message.size(&self.network);
        self.outbox.throttled += self.undecided.parked.add(delivery, bytes);
    }

    pub(super) fn await_batch(&mut self, delivery: Delivery<N>, now: Timestamp) {
        let room = self.undecided.batch.add(delivery, now);
        self.outbox.throttled += usize::from(!room);
    }

    /// Tries the parked messages, least id first, up to the first whose id is not decidable: ids
    /// ascend, so the rest is not either. Each is tried once a call. `judge` asks the application.
    pub(crate) fn check_parked(&mut self, judge: impl Fn(&N::MessageId) -> Validity) {
        let validation_mode = self.validation_mode();
        while let Some(first) = self.undecided.parked.first() {
            let verdict = judge(&first.message.message_id);
            if verdict == Validity::Unknown {
                break;
            }
            let Some(delivery) = self.undecided.parked.pop_first() else { break };
            if verdict != Validity::Outdated {
                let topic = delivery.message.topic.clone();
                self.undecided.queue.push_back((topic, TopicCommand::Retry(delivery, validation_mode)));
            }
        }
        self.dispatch();
    }

    /// When the pending batch is due.
    pub(crate) fn batch_deadline(&self) -> Option<Timestamp> {
        self.undecided.batch.deadline()
    }

    /// Takes all that is pending, in order, to be judged.
    pub(crate) fn take_batch(&mut self) -> Vec<Delivery<N>> {
        self.undecided.batch.take()
    }

    /// Judges a batch, and concludes it.
    pub(crate) fn judge_batch(&mut self, batch: Vec<Delivery<N>>) {
        if !batch.is_empty() {
            let verdicts = self.network.validate_batch(&batch);
            self.conclude_batch(batch, verdicts);
        }
    }

    /// Hands a judged batch to its topics.
    pub(crate) fn conclude_batch(&mut self, batch: Vec<Delivery<N>>, verdicts: Vec<Validity>) {
        self.undecided.batch.judged();
        let verdicts = one_each(&batch, verdicts);
        let mut judged = batch.into_iter().zip(verdicts).peekable();
        while let Some(first) = judged.next() {
            let topic = first.0.message.topic.clone();
            let mut entries = vec![first];
            while let Some(next) = judged.next_if(|(delivery, _)| delivery.message.topic == topic) {
                entries.push(next);
            }
            self.undecided.queue.push_back((topic, TopicCommand::Verdicts(entries)));
        }
        self.dispatch();
    }

    /// The order that was out is done, or its topic is gone.
    pub(crate) fn dispatched(&mut self) {
        self.undecided.dispatching = None;
        self.dispatch();
    }

    /// `topic` lost what it was doing: an order that was out to it is not answered.
    pub(super) fn abandon_dispatch(&mut self, topic: &N::Topic) {
        if self.undecided.dispatching.as_ref() == Some(topic) {
            self.dispatched();
        }
    }

    fn dispatch(&mut self) {
        if self.undecided.dispatching.is_some() {
            return;
        }
        if let Some((topic, order)) = self.undecided.queue.pop_front() {
            self.undecided.dispatching = Some(topic.clone());
            self.outbox.orders.push((topic, order));
        }
    }
}

/// The application's verdicts, one an entry; `None` for all if it gave another number of them.
pub(in crate::protocol) fn one_each<N: Network>(
    batch: &[Delivery<N>],
    verdicts: Vec<Validity>,
) -> Vec<Option<Validity>> {
    if verdicts.len() == batch.len() {
        verdicts.into_iter().map(Some).collect()
    } else {
        vec![None; batch.len()]
    }
}
