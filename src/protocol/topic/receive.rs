//! Full messages from peers: duplicates, validation, credit, forwarding and delivery.

use std::sync::Arc;

use super::{TopicState, idontwant::filter_idontwant, interest::Interest};
use crate::{
    network::{BoxFuture, Delivery, FullMessage, Network, Validity, hooks::HookPanicked},
    protocol::{
        exchange::{Context, Outbox, Validation, command::ValidationMode, event::TopicEvent},
        outcome::{ReceiveOutcome, labels::Input},
        output::{Lane, pending::PendingDelivery},
        shares::Room,
    },
    timestamp::Timestamp,
};

impl<N: Network> TopicState<N> {
    /// Handles a full message from a peer, or a parked message that is tried again.
    pub(crate) fn receive(
        &mut self,
        delivery: Delivery<N>,
        validation_mode: ValidationMode,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        if !self.is_joined() {
            return receive_not_joined(&delivery, cx, outbox);
        }
        let message_id = &delivery.message.message_id;
        // A duplicate of a message that was requested fulfils the promise too.
        self.fulfil_promises(message_id, cx, outbox);
        if self.is_duplicate(&delivery, cx, outbox) {
            return ReceiveOutcome::AlreadyReceived;
        }
        if is_own_message(&delivery.message, cx) {
            return ReceiveOutcome::OwnMessage;
        }
        if cx.network.refuses_source(&delivery.message.message) {
            return ReceiveOutcome::RefusedSource;
        }
        if self.parameters.is_too_large(|| cx.network.encoded_size(&delivery.message)) {
            return self.refuse_too_large(&delivery, outbox);
        }
        if self.invalid_cache.contains(&delivery.message) {
            return refuse_invalid(&delivery, outbox);
        }
        match (self.validate_id(message_id, cx), validation_mode) {
            (Validity::Valid, ValidationMode::Batched) => self.add_to_batch(delivery, cx, outbox),
            (Validity::Valid, ValidationMode::Sequential) => {
                if self.pending_validations.join(&delivery) {
                    self.send_idontwant(&delivery.message, Some(&delivery.sender), cx, outbox);
                    return ReceiveOutcome::Validating;
                }
                // Its id is not remembered: nothing of the message has been checked, and another may have the id. Copies
                // of this one have expired too.
                let expires_at = cx.expiry(&delivery.message);
                if expires_at <= cx.present {
                    return refuse_outdated(outbox);
                }
                match cx.network.validate_async(&delivery) {
                    Ok(Some(verdict)) => return self.start_validation(delivery, verdict, cx, outbox),
                    Ok(None) => {}
                    Err(HookPanicked) => return ReceiveOutcome::ValidationPanicked,
                }
                self.send_idontwant(&delivery.message, Some(&delivery.sender), cx, outbox);
                match cx.network.validate(&delivery) {
                    Ok(verdict) => self.apply_content_verdict(delivery, verdict, expires_at, cx, outbox),
                    Err(HookPanicked) => ReceiveOutcome::ValidationPanicked,
                }
            }
            (Validity::Unknown, _) if cx.has_expired(&delivery.message) => refuse_outdated(outbox),
            (Validity::Unknown, _) => {
                self.send_idontwant(&delivery.message, Some(&delivery.sender), cx, outbox);
                self.park(delivery, cx, outbox)
            }
            (Validity::Invalid, _) => refuse_invalid(&delivery, outbox),
            (Validity::Outdated, _) => refuse_outdated(outbox),
        }
    }

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
    /// source, and the message may have expired. With `recheck_seen` a message that was accepted meanwhile, because this node published it or another
    /// content had the same id, is a duplicate.
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
    fn start_validation(
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

    #[inline]
    pub(super) fn fulfil_promises(&mut self, id: &N::MessageId, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let deadline = || cx.now.after(cx.limits.extensions.iwant_followup_time);
        self.promises.fulfil(id, deadline, &mut outbox.counters);
        self.requests.remove(id);
    }

    /// Whether the message is a duplicate. A duplicate within the delivery window earns P3, unless the message was ignored.
    fn is_duplicate(&mut self, delivery: &Delivery<N>, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> bool {
        let Some(mut seen) = self.seen.get_mut(&delivery.message.message_id) else { return false };
        if seen.is_ignored() {
            return true;
        }
        outbox.counters.duplicate(|| cx.now.saturating_since(seen.first_seen()));
        if cx.now <= seen.first_seen().after(self.parameters.delivery_window) {
            let mut credit = |peer| {
                if seen.credit_duplicate(peer, cx.limits) {
                    self.delivery_counts.duplicate_in_window(peer, outbox);
                }
            };
            credit(&delivery.sender);
            delivery.co_senders.iter().for_each(credit);
        }
        true
    }

    /// Applies a verdict on the content of a message that expires at `expires_at`, and remembers a rejected message.
    fn apply_content_verdict(
        &mut self,
        delivery: Delivery<N>,
        verdict: Validity,
        expires_at: Timestamp,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        match verdict {
            Validity::Valid => self.accept(delivery, expires_at, cx, outbox),
            Validity::Invalid => {
                let message = &delivery.message;
                self.invalid_cache.add(Arc::clone(message), message.sizes(cx.network));
                refuse_invalid(&delivery, outbox)
            }
            Validity::Outdated => {
                self.remember_ignored(&delivery, cx);
                refuse_outdated(outbox)
            }
            Validity::Unknown => self.park(delivery, cx, outbox),
        }
    }

    #[cold]
    fn remember_ignored(&mut self, Delivery { sender, message, .. }: &Delivery<N>, cx: &Context<'_, N>) {
        let (id, id_bytes) = (&message.message_id, message.sizes(cx.network).id);
        if cx.limits.extensions.remember_ignored {
            self.seen.insert_ignored(id, id_bytes, sender, cx);
        } else {
            self.invalid_cache.add_id(id, id_bytes);
        }
    }

    /// Has the peers' side park a message on which the application cannot decide yet.
    #[cold]
    fn park(
        &mut self,
        mut delivery: Delivery<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        outbox.stats.count_recv_unknown_validity_app_messages += 1;
        delivery.begin_charge(cx.network);
        self.parked_ids.add(&delivery.message.message_id, &cx.limits.extensions);
        outbox.events.push(TopicEvent::Park(delivery));
        ReceiveOutcome::Unknown
    }

    /// Accepts a valid message: credits its senders, forwards it and, unless the topic is only relayed, delivers it to the
    /// application.
    fn accept(
        &mut self,
        delivery: Delivery<N>,
        expires_at: Timestamp,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        outbox.stats.count_recv_valid_app_messages += 1;
        let Delivery { sender, co_senders, message, mut charge } = delivery;
        let size = message.sizes(cx.network);
        self.delivery_counts.first(&sender, outbox);
        co_senders.iter().for_each(|peer| self.delivery_counts.duplicate_in_window(peer, outbox));
        let (to, mut sent) = self.recipients(Some(&sender), &co_senders, cx);
        let large = self.parameters.idontwant_message_size;
        filter_idontwant(&mut sent, &message, large, cx, &mut outbox.counters);
        if cx.limits.extensions.skip_author
            && let Some(author) = cx.network.source(&message.message)
        {
            sent.retain(|peer| *peer != author);
        }
        self.history.insert(&message, size, expires_at, cx, outbox);
        self.seen.insert(&message.message_id, size.id, Some(sender.clone()), co_senders, cx);
        outbox.broadcast(
            sent,
            &message,
            size.total,
            (Lane::Forward, self.parameters.sent_first),
            &mut charge,
        );
        if self.interests.has(Interest::Deliver) {
            charge.begin(|| size.total);
            outbox.app.push(PendingDelivery { sender, message, charge });
        }
        ReceiveOutcome::Route { to }
    }

    /// Handles a parked message again.
    pub(super) fn retry_parked(
        &mut self,
        delivery: Delivery<N>,
        validation_mode: ValidationMode,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        self.parked_ids.remove(&delivery.message.message_id);
        let outcome = self.receive(delivery, validation_mode, cx, outbox);
        outbox.counters.input(Input::RetryMessage, &outcome);
        outbox.events.push(TopicEvent::Dispatched);
    }
}

/// Handles a full message on a topic that is not joined. It gets no verdict, so a violation of the network's rules counts
/// as a misbehaviour (P7) and not as an invalid message (P4), which is a counter of a topic.
pub(crate) fn receive_not_joined<N: Network>(
    delivery: &Delivery<N>,
    cx: &Context<'_, N>,
    outbox: &mut Outbox<N>,
) -> ReceiveOutcome<N> {
    let enabled = cx.limits.extensions.protocol_violation_penalty > 0.0;
    if enabled && cx.network.is_violation(&delivery.message.message) {
        outbox.events.push(TopicEvent::ProtocolViolation(delivery.sender.clone()));
    }
    ReceiveOutcome::NotSubscribed
}

/// Drops an invalid message, at the cost of all that delivered it.
fn refuse_invalid<N: Network>(delivery: &Delivery<N>, outbox: &mut Outbox<N>) -> ReceiveOutcome<N> {
    outbox.stats.count_recv_invalid_app_messages += 1;
    outbox.events.extend(delivery.senders().map(|peer| TopicEvent::InvalidMessage(peer.clone())));
    ReceiveOutcome::Invalid
}

/// Drops a message that is ignored or has expired.
pub(super) fn refuse_outdated<N: Network>(outbox: &mut Outbox<N>) -> ReceiveOutcome<N> {
    outbox.stats.count_recv_outdated_app_messages += 1;
    ReceiveOutcome::Outdated
}

/// Whether this node is the source of the message (see `refuse_own_messages`).
fn is_own_message<N: Network>(message: &FullMessage<N>, cx: &Context<'_, N>) -> bool {
    cx.limits.extensions.refuse_own_messages
        && cx.self_peer.is_some_and(|this| cx.network.source(&message.message).as_ref() == Some(this))
}
