//! Full messages from peers: duplicates, the verdict, credit, recipients and delivery.

use std::{collections::BTreeMap, sync::Arc};

use super::{TopicState, idontwant::filter_idontwant, interest::Interest};
use crate::{
    network::{Delivery, FullMessage, Network, Validity, hooks::HookPanicked},
    protocol::{
        connection::ConnectionId,
        exchange::{Context, Outbox, command::ValidationMode, event::TopicEvent},
        outcome::{ReceiveOutcome, labels::Input},
        output::{Lane, pending::PendingDelivery},
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

    #[inline]
    pub(super) fn fulfil_promises(&mut self, id: &N::MessageId, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let deadline = || cx.now.after(cx.limits.extensions.iwant_followup_time);
        self.promises.fulfil(id, deadline, &mut outbox.counters);
        self.requests.remove(id);
    }

    /// Whether the message is a duplicate. A duplicate within the delivery window earns P3, unless the message was ignored.
    pub(super) fn is_duplicate(
        &mut self,
        delivery: &Delivery<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> bool {
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
    pub(super) fn apply_content_verdict(
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

impl<N: Network> TopicState<N> {
    /// The recipients of a message: the peers of the mesh or fanout, the direct subscribers, and those that speak floodsub and
    /// are not below the publish threshold, without its senders. The second list is the first without bootstrap peers, which
    /// are sent no full messages.
    pub(super) fn recipients(
        &self,
        sender: Option<&N::Peer>,
        others: &[N::Peer],
        cx: &Context<'_, N>,
    ) -> (Vec<N::Peer>, Vec<N::Peer>) {
        let connection_ids = self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers));
        let most = connection_ids.map_or(0, BTreeMap::len) + self.direct.len() + self.floodsub.len();
        let (mut to, mut bootstrap) = (Vec::with_capacity(most), Vec::new());
        let add = |(peer, connection_id): (&N::Peer, &ConnectionId)| {
            if Some(peer) != sender && !others.contains(peer) {
                to.push(peer.clone());
                if connection_id.is_bootstrap() {
                    bootstrap.push(peer.clone());
                }
            }
        };
        // `for_each` on the flattened option costs fewer instructions than a loop.
        connection_ids.into_iter().flatten().for_each(add);
        if !self.direct.is_empty() || !self.floodsub.is_empty() {
            self.add_unmeshed_recipients((sender, others), cx, &mut to, &mut bootstrap);
        }
        let mut sent = to.clone();
        if !bootstrap.is_empty() {
            sent.retain(|peer| !bootstrap.contains(peer));
        }
        (to, sent)
    }

    /// Adds the recipients that are in no mesh. Most topics have none: apart from the loop over the mesh, so that this stays
    /// small.
    #[inline(never)]
    fn add_unmeshed_recipients(
        &self,
        (sender, others): (Option<&N::Peer>, &[N::Peer]),
        cx: &Context<'_, N>,
        to: &mut Vec<N::Peer>,
        bootstrap: &mut Vec<N::Peer>,
    ) {
        let threshold = cx.limits.publish_threshold;
        let good = self.floodsub.iter().filter(|(peer, _)| cx.peer_view.score(peer) >= threshold);
        let is_sender = |peer: &N::Peer| Some(peer) == sender || others.contains(peer);
        for (peer, connection_id) in self.direct.iter().chain(good).filter(|(peer, _)| !is_sender(peer)) {
            to.push(peer.clone());
            if connection_id.is_bootstrap() {
                bootstrap.push(peer.clone());
            }
        }
        to.sort_unstable();
        // A direct peer may speak floodsub.
        to.dedup();
    }

    /// Adds a subscriber to those that are in no mesh, if it is direct or speaks floodsub.
    pub(super) fn add_unmeshed(&mut self, peer: &N::Peer, connection_id: ConnectionId, direct: bool) {
        let add = |connection_ids: &mut BTreeMap<N::Peer, ConnectionId>| {
            // A message of an earlier connection may arrive late.
            let known = connection_ids.entry(peer.clone()).or_insert(connection_id);
            *known = connection_id.max(*known);
        };
        if direct {
            add(&mut self.direct);
        }
        if connection_id.is_floodsub() {
            add(&mut self.floodsub);
        }
    }

    /// The connections of the direct subscribers and of those that speak floodsub. One that is both comes twice.
    pub(super) fn unmeshed(&self) -> impl Iterator<Item = ConnectionId> {
        self.direct.values().chain(self.floodsub.values()).copied()
    }

    /// The number of direct subscribers and of those that speak floodsub.
    pub(super) fn unmeshed_count(&self) -> usize {
        let only_floodsub = self.floodsub.keys().filter(|peer| !self.direct.contains_key(peer));
        self.direct.len() + only_floodsub.count()
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
