//! Messages without a verdict: parked messages, which are tried again, and the pending batch. Messages go back to one
//! topic at a time, so that the application receives them in order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use derive_where::derive_where;

use super::{
    Peers,
    batch::Batch,
    parked::{CheckedMessages, DroppedMessages, Key, Parked},
};
use crate::{
    limits::Bounds,
    network::{Delivery, FullMessage, Network, Validity},
    protocol::exchange::command::{TopicCommand, ValidationMode},
    timestamp::Timestamp,
};

/// Parked messages, the pending batch, and the commands that return them to their topics.
#[derive_where(Debug)]
pub(super) struct PendingDispatch<N: Network> {
    pub(super) parked: Parked<N>,
    pub(super) batch: Batch<N>,
    validation_mode: ValidationMode,
    /// Commands that wait until the previous one is done.
    queue: VecDeque<(N::Topic, TopicCommand<N>)>,
    /// The topic that has a command and has not finished it.
    in_flight_topic: Option<N::Topic>,
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
            in_flight_topic: None,
        }
    }

    pub(super) fn validation_mode(&self) -> ValidationMode {
        self.validation_mode
    }
}

impl<N: Network> Peers<N> {
    /// Parks a message of unknown validity.
    pub(super) fn park(&mut self, delivery: Delivery<N>) {
        let bytes = delivery.message.size(&self.network);
        let DroppedMessages { count, keys } = self.pending_dispatch.parked.add(delivery, bytes);
        self.outbox.throttled += count;
        self.forget_parked(keys);
    }

    /// Reports messages that are parked no longer to their topics, so that they may request them again.
    fn forget_parked(&mut self, keys: Vec<Key<N>>) {
        if !self.limits.extensions.iwant_skips_undecided {
            return;
        }
        let mut by_topic: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, topic) in keys {
            by_topic.entry(topic).or_default().push(id);
        }
        let forget = |(topic, ids)| (topic, TopicCommand::ForgetParked(ids));
        self.outbox.commands.extend(by_topic.into_iter().map(forget));
    }

    /// Adds a message to the pending batch.
    pub(super) fn add_to_batch(&mut self, delivery: Delivery<N>, now: Timestamp) {
        let message = Arc::clone(&delivery.message);
        if !self.pending_dispatch.batch.add(delivery, now) {
            self.outbox.throttled += 1;
            self.forget_batched(message);
        }
    }

    fn forget_batched(&mut self, message: Arc<FullMessage<N>>) {
        let topic = message.topic.clone();
        self.outbox.commands.push((topic, TopicCommand::ForgetBatched(message)));
    }

    /// Tries the parked messages again. `validate_id` asks the application.
    pub(crate) fn check_parked(&mut self, validate_id: impl Fn(&N::MessageId) -> Validity) {
        let validation_mode = self.validation_mode();
        let CheckedMessages { decided, expired, dropped } =
            self.pending_dispatch.parked.check(&self.limits.extensions, validate_id);
        self.outbox.expired += expired;
        self.forget_parked(dropped);
        let retry = |delivery: Delivery<N>| {
            (delivery.message.topic.clone(), TopicCommand::Retry(delivery, validation_mode))
        };
        self.pending_dispatch.queue.extend(decided.into_iter().map(retry));
        self.dispatch();
    }

    /// The time at which the pending batch is due.
    pub(crate) fn batch_deadline(&self) -> Option<Timestamp> {
        self.pending_dispatch.batch.deadline()
    }

    /// Takes the pending batch for validation, sorted.
    pub(crate) fn take_batch(&mut self) -> Vec<Delivery<N>> {
        self.pending_dispatch.batch.take()
    }

    /// Validates a batch synchronously and applies the verdicts.
    pub(crate) fn validate_batch(&mut self, batch: Vec<Delivery<N>>) {
        if !batch.is_empty() {
            let verdicts = self.network.validate_batch(&batch).ok();
            self.apply_batch_verdicts(align_verdicts(batch, verdicts));
        }
    }

    /// Sends validated messages of a batch, which are sorted, to their topics. Those without a verdict are dropped: another
    /// attempt would fail again.
    pub(crate) fn apply_batch_verdicts(&mut self, verdicts: Vec<(Delivery<N>, Option<Validity>)>) {
        self.pending_dispatch.batch.validated(verdicts.len());
        let mut validated = Vec::with_capacity(verdicts.len());
        for (delivery, verdict) in verdicts {
            match verdict {
                Some(verdict) => validated.push((delivery, verdict)),
                None => self.forget_batched(delivery.message),
            }
        }
        let mut validated = validated.into_iter().peekable();
        while let Some(first) = validated.next() {
            let topic = first.0.message.topic.clone();
            let mut entries = vec![first];
            while let Some(next) = validated.next_if(|(delivery, _)| delivery.message.topic == topic) {
                entries.push(next);
            }
            self.pending_dispatch.queue.push_back((topic, TopicCommand::Verdicts(entries)));
        }
        self.dispatch();
    }

    /// The command in flight is done, or its topic has ended.
    pub(crate) fn dispatched(&mut self) {
        self.pending_dispatch.in_flight_topic = None;
        self.dispatch();
    }

    /// `topic` lost its state, so a command in flight to it gets no reply.
    pub(super) fn cancel_dispatch(&mut self, topic: &N::Topic) {
        if self.pending_dispatch.in_flight_topic.as_ref() == Some(topic) {
            self.dispatched();
        }
    }

    fn dispatch(&mut self) {
        if self.pending_dispatch.in_flight_topic.is_some() {
            return;
        }
        if let Some((topic, command)) = self.pending_dispatch.queue.pop_front() {
            self.pending_dispatch.in_flight_topic = Some(topic.clone());
            self.outbox.commands.push((topic, command));
        }
    }
}

/// The messages of a batch with the verdicts of the application, of which there are none if it panicked or took too long. All
/// are unknown if their number differs from that of the messages.
pub(crate) fn align_verdicts<N: Network>(
    batch: Vec<Delivery<N>>,
    verdicts: Option<Vec<Validity>>,
) -> Vec<(Delivery<N>, Option<Validity>)> {
    let verdicts = match verdicts {
        Some(verdicts) if verdicts.len() != batch.len() => vec![Some(Validity::Unknown); batch.len()],
        Some(verdicts) => verdicts.into_iter().map(Some).collect(),
        None => vec![None; batch.len()],
    };
    batch.into_iter().zip(verdicts).collect()
}
