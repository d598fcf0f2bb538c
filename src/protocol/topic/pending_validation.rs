//! The messages of one topic whose verdict is awaited, and what happens when it is given.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::TopicState;
use crate::{
    limits::{Extensions, Limits},
    network::{BoxFuture, Delivery, FullMessage, Network, Validity},
    protocol::{
        exchange::{Context, Outbox, Validation},
        outcome::{ReceiveOutcome, labels::Input},
        shares::{Room, Shares},
    },
    timestamp::Timestamp,
};

/// The messages whose verdict is awaited, each once, with its senders and its time of arrival: those under asynchronous
/// validation and those in a batch.
#[derive_where(Debug)]
pub(super) struct PendingValidations<N: Network> {
    max_co_senders: usize,
    entries: BTreeMap<Arc<FullMessage<N>>, Pending<N>>,
    /// The number of messages with each id: several contents may have one. `None` if ids are never queried.
    ids: Option<HashMap<N::MessageId, usize, RandomState>>,
    /// The share of each peer: the messages that it delivered first. `None` for a batch, which has no limits here.
    shares: Option<Shares<N::Peer>>,
}

#[derive_where(Debug)]
struct Pending<N: Network> {
    delivery: Delivery<N>,
    arrival: Timestamp,
    bytes: usize,
}

impl<N: Network> PendingValidations<N> {
    /// The messages under asynchronous validation.
    pub(super) fn asynchronous(limits: &Limits<N::Topic>) -> Self {
        Self { shares: Some(Shares::default()), ..Self::batched(limits) }
    }

    /// The messages of a batch.
    pub(super) fn batched(limits: &Limits<N::Topic>) -> Self {
        let ids = limits.extensions.iwant_skips_undecided.then(HashMap::default);
        let max_co_senders = limits.bounds.max_co_senders;
        Self { max_co_senders, entries: BTreeMap::new(), ids, shares: None }
    }

    /// Adds the senders of a copy to a message that is under validation. Returns false if it is not.
    pub(super) fn join(&mut self, delivery: &Delivery<N>) -> bool {
        let Some(pending) = self.entries.get_mut(&delivery.message) else { return false };
        pending.delivery.join(delivery.clone(), self.max_co_senders);
        true
    }

    /// Whether a message of `bytes` bytes of this sender may be added.
    pub(super) fn has_room(&self, sender: &N::Peer, bytes: usize, room: Room) -> bool {
        self.shares.as_ref().is_none_or(|shares| shares.has_room(sender, bytes, room))
    }

    /// Adds a message of `bytes` bytes that is not here.
    pub(super) fn add(&mut self, delivery: Delivery<N>, bytes: usize, arrival: Timestamp) {
        if let Some(ids) = &mut self.ids {
            *ids.entry(delivery.message.message_id.clone()).or_default() += 1;
        }
        if let Some(shares) = &mut self.shares {
            shares.add(&delivery.sender, bytes);
        }
        self.entries.insert(Arc::clone(&delivery.message), Pending { delivery, arrival, bytes });
    }

    pub(super) fn get(&self, message: &Arc<FullMessage<N>>) -> Option<&Delivery<N>> {
        self.entries.get(message).map(|pending| &pending.delivery)
    }

    /// Whether a message with this id is here. False if nobody asks about ids (`iwant_skips_undecided`).
    pub(super) fn contains_id(&self, id: &N::MessageId) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.contains_key(id))
    }

    /// Removes a message. Returns it with its senders and its time of arrival.
    pub(super) fn remove(&mut self, message: &Arc<FullMessage<N>>) -> Option<(Delivery<N>, Timestamp)> {
        let Pending { delivery, arrival, bytes } = self.entries.remove(message)?;
        if let Some(ids) = &mut self.ids {
            match ids.get_mut(&message.message_id) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(ids.remove(&message.message_id)),
            }
            if ids.is_empty() {
                // An idle topic uses no heap memory.
                *ids = HashMap::default();
            }
        }
        if let Some(shares) = &mut self.shares {
            shares.remove(&delivery.sender, bytes);
        }
        Some((delivery, arrival))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<N: Network> TopicState<N> {
    /// Applies the verdict on a message of a batch that the caller has collected, with the senders that the caller gives.
    pub(crate) fn apply_given_verdict(
        &mut self,
        delivery: Delivery<N>,
        verdict: Validity,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        let recheck_seen = cx.limits.extensions.recheck_seen_after_batch;
        self.apply_late_verdict(delivery, verdict, recheck_seen, cx, outbox)
    }

    /// Applies a verdict that was not given at once. Meanwhile the topic may have been left, the application may refuse the
    /// source, and the message may have expired. With `recheck_seen` a message that was accepted meanwhile, because this
    /// node published it or another content had the same id, is a duplicate.
    fn apply_late_verdict(
        &mut self,
        delivery: Delivery<N>,
        verdict: Validity,
        recheck_seen: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        if !self.is_joined() {
            ReceiveOutcome::NotSubscribed
        } else if recheck_seen && self.is_duplicate(&delivery, cx, outbox) {
            ReceiveOutcome::AlreadyReceived
        } else if cx.network.refuses_source(&delivery.message.message) {
            ReceiveOutcome::RefusedSource
        } else {
            let is_valid = verdict == Validity::Valid;
            let expires_at = if is_valid { cx.expiry(&delivery.message) } else { Timestamp::MAX };
            let verdict = if expires_at <= cx.present { Validity::Outdated } else { verdict };
            self.apply_content_verdict(delivery, verdict, expires_at, cx, outbox)
        }
    }

    /// Starts an asynchronous validation, if there is room for the message. Otherwise it is dropped, so the mesh peers are
    /// not asked to keep their copies.
    pub(super) fn start_validation(
        &mut self,
        mut delivery: Delivery<N>,
        verdict: BoxFuture<Validity>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        let message = Arc::clone(&delivery.message);
        let (bytes, bounds) = (message.size(cx.network), &cx.limits.bounds);
        let room =
            Room { items: bounds.max_validating_per_topic, bytes: bounds.max_validating_bytes_per_topic };
        if !self.pending_validations.has_room(&delivery.sender, bytes, room) {
            cx.network.discard(verdict);
            return ReceiveOutcome::Throttled;
        }
        self.send_idontwant(&message, Some(&delivery.sender), cx, outbox);
        delivery.begin_charge(cx.network);
        let sender = delivery.sender.clone();
        self.pending_validations.add(delivery, bytes, cx.now);
        outbox.pending_validations.push(Validation { sender, message, bytes, verdict });
        ReceiveOutcome::Validating
    }

    /// The delivery of a message under asynchronous validation.
    pub(crate) fn pending_validation(&self, message: &Arc<FullMessage<N>>) -> Option<&Delivery<N>> {
        self.pending_validations.get(message)
    }

    /// Applies the result of an asynchronous validation. `None` means that it timed out or was throttled: the message
    /// is dropped and may be received again. Deliveries are credited as of the arrival of the message.
    pub(crate) fn on_validation_result(
        &mut self,
        message: &Arc<FullMessage<N>>,
        verdict: Option<Validity>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let Some((delivery, arrival)) = self.pending_validations.remove(message) else { return };
        let cx = Context { now: arrival, ..*cx };
        if let Some(verdict) = verdict {
            let outcome = self.apply_late_verdict(delivery, verdict, true, &cx, outbox);
            outbox.counters.input(Input::ValidationResult, &outcome);
        }
    }
}

/// The ids of the messages of one topic that the peers' side has parked, or has on the way back to the topic. The peers' side
/// bounds them: it reports each message that it parks no longer.
#[derive_where(Debug, Default)]
pub(super) struct ParkedIds<N: Network>(HashSet<N::MessageId, RandomState>);

impl<N: Network> ParkedIds<N> {
    /// A message was sent to be parked.
    pub(super) fn add(&mut self, id: &N::MessageId, extensions: &Extensions) {
        if extensions.iwant_skips_undecided {
            self.0.insert(id.clone());
        }
    }

    pub(super) fn contains(&self, id: &N::MessageId) -> bool {
        self.0.contains(id)
    }

    /// A message is parked no longer.
    pub(super) fn remove(&mut self, id: &N::MessageId) {
        self.0.remove(id);
        if self.0.is_empty() {
            self.0 = HashSet::default();
        }
    }
}
