//! Full messages: received, published, judged. Validity is the application's; who is credited,
//! penalised and forwarded to is decided here.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    link::Link,
    names::Input,
    outbox::{Context, Fact, Lane, Outbox, Validation},
    outcome::{PublishOutcome, ReceiveOutcome},
    topic::{Cached, Seen, TopicState},
    unwanted::spare,
};
use crate::network::{Delivery, FullMessage, Later, Network, Validity};

/// How messages from the network are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Each on its own, at once.
    Sequential,
    /// Together with the others of its batch.
    Batched,
}

impl<N: Network> TopicState<N> {
    /// A full message came, or a parked one is tried again.
    pub(crate) fn receive(
        &mut self,
        delivery: Delivery<N>,
        handling: Handling,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        if !self.is_joined() {
            return ReceiveOutcome::NotSubscribed;
        }
        let FullMessage { message_id, message, .. } = &*delivery.message;
        // A copy of a message that was accepted since it was asked for keeps the promise too.
        self.keep_promises(message_id, cx, outbox);
        if self.is_duplicate(&delivery, cx, outbox) {
            outbox.copy = Some(delivery.message);
            return ReceiveOutcome::AlreadyReceived;
        }
        if self.invalid.contains(&delivery.message) {
            return self.conclude_delivery(delivery, Validity::Invalid, cx, outbox);
        }
        let judged = self.judge_id(message_id, cx);
        if matches!(judged, Validity::Valid | Validity::Unknown) {
            self.decline(&delivery.message, &delivery.sender, cx, outbox);
        }
        match (judged, handling) {
            (Validity::Valid, Handling::Batched) => {
                outbox.facts.push(Fact::Batch(delivery));
                ReceiveOutcome::Batched
            }
            (Validity::Valid, Handling::Sequential) => {
                if self.validating.join(&delivery) {
                    return ReceiveOutcome::Validating;
                }
                if let Some(verdict) = cx.network.validate_later(&delivery.message) {
                    return self.await_verdict(delivery, verdict, cx, outbox);
                }
                let verdict = cx.network.validate(message_id, message);
                self.conclude_judged(delivery, verdict, cx, outbox)
            }
            (verdict, _) => self.conclude_delivery(delivery, verdict, cx, outbox),
        }
    }

    /// The verdict on a message of a batch. It may have been seen since, and is routed all the same.
    pub(crate) fn verdict(
        &mut self,
        delivery: Delivery<N>,
        verdict: Option<Validity>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        match verdict {
            Some(_) if !self.is_joined() => ReceiveOutcome::NotSubscribed,
            Some(verdict) => self.conclude_judged(delivery, verdict, cx, outbox),
            None => self.conclude_delivery(delivery, Validity::Unknown, cx, outbox),
        }
    }

    fn await_verdict(
        &mut self,
        delivery: Delivery<N>,
        verdict: Later<Validity>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        let message = Arc::clone(&delivery.message);
        if !self.validating.add(delivery, cx.now) {
            return ReceiveOutcome::Throttled;
        }
        outbox.later.push(Validation { message, verdict });
        ReceiveOutcome::Validating
    }

    /// A verdict came; `None` if it took too long or there was no room for it: the message is dropped,
    /// and may come again. Credits are as of its arrival.
    pub(crate) fn resolve(
        &mut self,
        message: &Arc<FullMessage<N>>,
        verdict: Option<Validity>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let Some((delivery, arrival)) = self.validating.remove(message) else { return };
        let cx = Context { now: arrival, ..*cx };
        if verdict.is_some() {
            let outcome = self.verdict(delivery, verdict, &cx, outbox);
            outbox.tally.input(Input::JudgeMessage, &outcome);
        }
    }

    /// The application publishes a message. It is not delivered to itself.
    pub(crate) fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> PublishOutcome<N> {
        if self.seen.get(&message.message_id).is_some() {
            return PublishOutcome::AlreadyPublished;
        }
        self.keep_promises(&message.message_id, cx, outbox);
        self.remember(&message, None, Vec::new(), cx, outbox);
        if self.mesh.is_none() {
            self.refresh_fanout(cx);
        }
        let (to, mut sent) = self.recipients(None, &[]);
        spare(&mut sent, &message, cx, &mut outbox.tally);
        if self.mesh.is_none() {
            outbox.tally.fanout_sends(sent.len());
        }
        outbox.broadcast(sent, &message, Lane::Publish);
        PublishOutcome::Published { to }
    }

    #[inline]
    fn keep_promises(&mut self, id: &N::MessageId, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let deadline = || cx.now.after(cx.limits.extensions.iwant_followup_time);
        self.promises.keep(id, deadline, &mut outbox.tally);
    }

    /// A copy that comes soon after the first is worth something too (P3).
    fn is_duplicate(&mut self, delivery: &Delivery<N>, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> bool {
        let Some(seen) = self.seen.get_mut(&delivery.message.message_id) else { return false };
        outbox.tally.duplicate(|| cx.now.saturating_since(seen.first_seen));
        let window = cx.limits.score.topics.parameters(&self.topic).mesh_message_deliveries_window;
        if cx.now <= seen.first_seen.after(window) {
            for peer in deliverers(delivery) {
                if seen.credits(peer, cx.limits) {
                    self.credits.near_first(peer, outbox);
                }
            }
        }
        true
    }

    /// As [`conclude_delivery`](Self::conclude_delivery), by a verdict on the content.
    fn conclude_judged(
        &mut self,
        delivery: Delivery<N>,
        verdict: Validity,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        if verdict == Validity::Invalid {
            let bytes = delivery.message.size(cx.network);
            self.invalid.add(Arc::clone(&delivery.message), bytes);
        }
        self.conclude_delivery(delivery, verdict, cx, outbox)
    }

    fn conclude_delivery(
        &mut self,
        delivery: Delivery<N>,
        verdict: Validity,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        match verdict {
            Validity::Valid => self.accept(delivery, cx, outbox),
            Validity::Invalid => {
                outbox.stats.count_recv_invalid_app_messages += 1;
                outbox.facts.extend(deliverers(&delivery).map(|peer| Fact::InvalidMessage(peer.clone())));
                ReceiveOutcome::Invalid
            }
            Validity::Outdated => {
                outbox.stats.count_recv_outdated_app_messages += 1;
                ReceiveOutcome::Outdated
            }
            Validity::Unknown => {
                outbox.stats.count_recv_unknown_validity_app_messages += 1;
                outbox.facts.push(Fact::Park(delivery));
                ReceiveOutcome::Unknown
            }
        }
    }

    /// A valid message: remembered, credited, forwarded, delivered.
    fn accept(
        &mut self,
        delivery: Delivery<N>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> ReceiveOutcome<N> {
        outbox.stats.count_recv_valid_app_messages += 1;
        let Delivery { sender, mut co_senders, message } = delivery;
        co_senders.retain(|peer| *peer != sender);
        self.credits.first(&sender, outbox);
        co_senders.iter().for_each(|peer| self.credits.near_first(peer, outbox));
        let (to, mut sent) = self.recipients(Some(&sender), &co_senders);
        spare(&mut sent, &message, cx, &mut outbox.tally);
        self.remember(&message, Some(sender), co_senders, cx, outbox);
        outbox.broadcast(sent, &message, Lane::Forward);
        outbox.app.push(message);
        ReceiveOutcome::Route { to }
    }

    /// The mesh, or the fanout, and the direct subscribers, without those who delivered it: whom a message is
    /// for, and those of them that it is sent to, but for those who don't want it. Bootstrap peers get no full
    /// messages.
    fn recipients(&self, sender: Option<&N::Peer>, others: &[N::Peer]) -> (Vec<N::Peer>, Vec<N::Peer>) {
        let links = self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers));
        let most = links.map_or(0, BTreeMap::len) + self.direct.len();
        let (mut to, mut bootstrap) = (Vec::with_capacity(most), Vec::new());
        let mut add = |(peer, link): (&N::Peer, &Link)| {
            if Some(peer) != sender && !others.contains(peer) {
                to.push(peer.clone());
                if link.is_bootstrap() {
                    bootstrap.push(peer.clone());
                }
            }
        };
        links.into_iter().flatten().for_each(&mut add);
        if !self.direct.is_empty() {
            self.direct.iter().for_each(add);
            to.sort_unstable();
        }
        let mut sent = to.clone();
        if !bootstrap.is_empty() {
            sent.retain(|peer| !bootstrap.contains(peer));
        }
        (to, sent)
    }

    /// Puts a message in the history and its id among the seen.
    fn remember(
        &mut self,
        message: &Arc<FullMessage<N>>,
        deliverer: Option<N::Peer>,
        others: Vec<N::Peer>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let id = &message.message_id;
        let bytes = message.size(cx.network);
        // One that fills more than all the room would drive out all others, and then go itself.
        let kept = bytes <= cx.limits.bounds.max_history_bytes_per_topic;
        if kept {
            self.keep_for_askers(message, bytes);
        }
        self.seen.insert(id.clone(), |known| match known {
            Some(seen) => {
                seen.join(deliverer, others);
                None
            }
            None => Some(Seen { first_seen: cx.now, deliverer, others }),
        });
        if kept && cx.network.topic_of(id).is_none() {
            outbox.history.push((id.clone(), true));
        }
        self.keep_within_bounds(cx, outbox);
    }

    fn keep_for_askers(&mut self, message: &Arc<FullMessage<N>>, bytes: usize) {
        let held = &mut self.history_bytes;
        self.history.insert(message.message_id.clone(), |known| match known {
            Some(_) => None,
            None => {
                *held += bytes;
                Some(Cached { message: Arc::clone(message), bytes, accesses: BTreeMap::new() })
            }
        });
    }

    /// What is too much goes before its time, oldest first.
    fn keep_within_bounds(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let bounds = &cx.limits.bounds;
        while self.history.insertions() > bounds.max_history_per_topic
            || self.history_bytes > bounds.max_history_bytes_per_topic
        {
            if let Some((id, cached)) = self.history.pop_oldest() {
                forget_cached(id, cached, &mut self.history_bytes, cx, outbox);
            }
        }
        while self.seen.insertions() > bounds.max_seen_per_topic {
            self.seen.pop_oldest();
        }
    }

    pub(super) fn retry(
        &mut self,
        delivery: Delivery<N>,
        handling: Handling,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let outcome = self.receive(delivery, handling, cx, outbox);
        outbox.tally.input(Input::RetryMessage, &outcome);
        outbox.facts.push(Fact::Dispatched);
    }

    pub(super) fn verdicts(
        &mut self,
        verdicts: Vec<(Delivery<N>, Option<Validity>)>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        for (delivery, verdict) in verdicts {
            let outcome = self.verdict(delivery, verdict, cx, outbox);
            outbox.tally.input(Input::JudgeMessage, &outcome);
        }
        outbox.facts.push(Fact::Dispatched);
    }
}

fn deliverers<N: Network>(delivery: &Delivery<N>) -> impl Iterator<Item = &N::Peer> {
    let co_senders = delivery.co_senders.iter().filter(|peer| **peer != delivery.sender);
    std::iter::once(&delivery.sender).chain(co_senders)
}

/// A message left the history.
pub(super) fn forget_cached<N: Network>(
    id: N::MessageId,
    cached: Cached<N>,
    held: &mut usize,
    cx: &Context<'_, N>,
    outbox: &mut Outbox<N>,
) {
    *held -= cached.bytes;
    if cx.network.topic_of(&id).is_none() {
        outbox.history.push((id, false));
    }
}
