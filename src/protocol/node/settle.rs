//! How [`Node`] composes the two sides: carries facts up and orders down until neither has anything to
//! say. The actors do the same over threads. Decides nothing.

use std::{borrow::Cow, collections::VecDeque};

use super::{
    Node,
    peer_view::{LivePeerView, SettledPeerView},
    topics::TopicIndex,
};
use crate::{
    network::Network,
    protocol::{
        exchange::{
            Context, Outbox, Validation, command::TopicCommand, event::TopicEvent, peer_view::PeerStatus,
        },
        outcome::{HeartbeatOutcome, PruneOutcome},
        quota::Quota,
        topic::TopicState,
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Lets a topic handle an input, then everything that follows from it.
    pub(super) fn on_topic<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        self.on_topic_with(topic, now, &mut None, handle)
    }

    pub(super) fn on_topic_with<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        px: &mut Option<PruneOutcome<N>>,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        self.settle_credits(now);
        let slot = self.slot(topic);
        let outcome = self.run(slot, now, handle);
        self.follow(slot, now, &mut |_, _| {}, px);
        self.settle_credits(now);
        outcome
    }

    /// As [`on_topic`](Self::on_topic), for what reads no score: what deliveries are worth may wait.
    pub(super) fn on_message<T>(
        &mut self,
        slot: TopicIndex,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let outcome = self.run(slot, now, handle);
        // Most messages are copies, and nothing follows from them.
        if !self.outbox.is_silent() {
            self.follow(slot, now, &mut |_, _| {}, &mut None);
        }
        outcome
    }

    /// The peers as they are once their side was told what deliveries are worth, for who looks and changes
    /// nothing.
    pub(super) fn up_to_date(&self) -> SettledPeerView<'_, N> {
        let mut scores = Cow::Borrowed(&self.peers.scores);
        for state in self.credited.iter().filter_map(|slot| self.topics.at(*slot)) {
            if state.has_unflushed_deliveries() {
                scores.to_mut().delivered(state.unflushed_deliveries(), &state.topic);
            }
        }
        SettledPeerView { peers: &self.peers, connected: &self.connected, scores }
    }

    /// Tells the peers' side what deliveries are worth, before anybody asks for a score.
    pub(super) fn settle_credits(&mut self, now: Timestamp) {
        let mut credited = std::mem::take(&mut self.credited);
        for slot in credited.drain(..) {
            if let Some(state) = self.topics.at_mut(slot) {
                state.flush_delivery_counts(&mut self.outbox);
                self.fold_facts(slot, now, &mut |_, _| {}, &mut None);
            }
        }
        self.credited = credited;
    }

    /// How a peer stands once all deliveries are counted.
    pub(super) fn status(&mut self, peer: &N::Peer, now: Timestamp) -> PeerStatus {
        self.settle_credits(now);
        self.peers.status(peer)
    }

    fn slot(&mut self, topic: &N::Topic) -> TopicIndex {
        let (limits, seed) = (&self.limits, self.seed);
        self.topics.find_or_insert(topic, || TopicState::new(topic.clone(), limits, seed))
    }

    /// Drops a topic that is not worth remembering.
    fn forget_if_idle(&mut self, slot: TopicIndex) {
        let Some(state) = self.topics.at(slot).filter(|state| !state.is_active()) else { return };
        let idle = self.topics.len().saturating_sub(self.peers.joined_count() + 1);
        if !state.should_retain(idle, &self.limits) {
            self.topics.remove(slot);
        }
    }

    /// `slot` holds a topic: whoever calls has just found it.
    fn run<T>(
        &mut self,
        slot: TopicIndex,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let peer_view =
            LivePeerView { peers: &self.peers, connected: &self.connected, unwanted: &self.unwanted };
        let cx = Context { network: &*self.network, limits: &self.limits, peer_view: &peer_view, now };
        let state = self.topics.state_mut(slot);
        let told = !state.has_unflushed_deliveries();
        let outcome = handle(state, &cx, &mut self.outbox);
        if told && state.has_unflushed_deliveries() {
            self.credited.push(slot);
        }
        outcome
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.settle_with(now, &mut |_, _| {}, &mut None);
        self.settle_credits(now);
    }

    /// Carries orders to topics and facts to the peers' side until neither has anything to say.
    pub(super) fn settle_with(
        &mut self,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        if self.peers.is_silent() {
            return;
        }
        let mut orders: VecDeque<(N::Topic, TopicCommand<N>)> = self.collect_peers().into();
        while let Some((topic, order)) = orders.pop_front() {
            let slot = self.slot(&topic);
            self.run(slot, now, |state, cx, outbox| state.handle_command(order, cx, outbox));
            self.fold_facts(slot, now, note, px);
            self.forget_if_idle(slot);
            orders.extend(self.collect_peers());
        }
    }

    fn follow(
        &mut self,
        slot: TopicIndex,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        self.fold_facts(slot, now, note, px);
        self.settle_with(now, note, px);
        self.forget_if_idle(slot);
    }

    fn fold_facts(
        &mut self,
        slot: TopicIndex,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        if self.outbox.is_silent() {
            return;
        }
        self.judge_at_once(slot, now);
        self.collect_topic(slot);
        let mut facts = std::mem::take(&mut self.outbox.facts);
        let topic = &self.topics.state_mut(slot).topic;
        for fact in facts.drain(..) {
            note(topic, &fact);
            if let Some(outcome) = self.peers.fold(topic, fact, now) {
                *px = Some(outcome);
            }
        }
        self.outbox.facts = facts;
    }

    /// A node has nobody to wait for a verdict that comes later: it takes the one of now.
    fn judge_at_once(&mut self, slot: TopicIndex, now: Timestamp) {
        if self.outbox.later.is_empty() {
            return;
        }
        for Validation { message, .. } in std::mem::take(&mut self.outbox.later) {
            self.run(slot, now, |state, cx, outbox| {
                let verdict =
                    state.pending_validation(&message).map(|delivery| cx.network.validate(delivery));
                state.on_validation_result(&message, verdict, cx, outbox);
            });
        }
    }

    fn collect_topic(&mut self, slot: TopicIndex) {
        let outbox = &mut self.outbox;
        outbox.copy = None;
        self.emitted.append(&mut outbox.p2p);
        self.drained.app.append(&mut outbox.app);
        for (id, kept) in outbox.history.drain(..) {
            let topic = &self.topics.state_mut(slot).topic;
            if kept {
                self.homes.insert(id, topic.clone());
            } else if self.homes.get(&id) == Some(topic) {
                self.homes.remove(&id);
            }
        }
    }

    fn collect_peers(&mut self) -> Vec<(N::Topic, TopicCommand<N>)> {
        let outbox = self.peers.drain();
        self.emitted.extend(outbox.p2p);
        self.drained.events.extend(outbox.events);
        self.drained.throttled += outbox.throttled;
        outbox.orders
    }

    /// What a peer used up. As many peers have a place as are connected, and some strangers; who finds
    /// none has used up everything.
    pub(super) fn quota(&self, peer: &N::Peer) -> Quota {
        let places = self.peers.connection_count().saturating_add(self.limits.bounds.max_unconnected_peers);
        let fresh = if self.quotas.len() < places { Quota::default() } else { Quota::EXHAUSTED };
        self.quotas.get(peer).copied().unwrap_or(fresh)
    }

    pub(super) fn keep_quota(&mut self, peer: &N::Peer, quota: Quota) {
        if quota.is_tracked() {
            self.quotas.insert(peer.clone(), quota);
        }
    }
}

pub(super) fn note_maintenance<N: Network>(
    topic: &N::Topic,
    fact: &TopicEvent<N>,
    outcome: &mut HeartbeatOutcome<N>,
) {
    let TopicEvent::Maintained(maintenance) = fact else { return };
    for (peer, _) in &maintenance.grafted {
        outcome.to_graft.entry(peer.clone()).or_default().insert(topic.clone());
    }
    for pruned in &maintenance.pruned {
        outcome.to_prune.entry(pruned.peer.clone()).or_default().insert(topic.clone());
        if pruned.no_px {
            outcome.no_px.insert(pruned.peer.clone());
        }
    }
}
