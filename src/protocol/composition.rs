//! How [`Node`] composes the two sides: carries facts up and orders down until neither has anything to
//! say. The actors do the same over threads. Decides nothing.

use std::collections::VecDeque;

use super::{
    Timestamp,
    node::Node,
    outbox::{Context, Emission, Fact, Order, Outbox, Validation},
    outcome::{HeartbeatOutcome, PruneOutcome},
    peers::Quota,
    topic::TopicState,
};
use crate::network::{Network, P2pOutput};

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
        let outcome = self.run(topic, now, handle);
        self.settle_from(topic.clone(), now, &mut |_, _| {}, px);
        self.forget_if_idle(topic);
        outcome
    }

    /// Drops a topic that is not worth remembering.
    fn forget_if_idle(&mut self, topic: &N::Topic) {
        let idle = self.topics.len().saturating_sub(self.peers.joined_count() + 1);
        if self.topics.get(topic).is_some_and(|state| !state.is_worth_keeping(idle, &self.limits)) {
            self.topics.remove(topic);
        }
    }

    fn run<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let cx = Context { network: &*self.network, limits: &self.limits, roster: &self.peers, now };
        if let Some(state) = self.topics.get_mut(topic) {
            return handle(state, &cx, &mut self.outbox);
        }
        let state = TopicState::new(topic.clone(), &self.limits, self.seed);
        handle(self.topics.entry(topic.clone()).or_insert(state), &cx, &mut self.outbox)
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.settle_with(now, &mut |_, _| {}, &mut None);
    }

    /// Carries orders to topics and facts to the peers' side until neither has anything to say.
    pub(super) fn settle_with(
        &mut self,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &Fact<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        let mut orders: VecDeque<(N::Topic, Order<N>)> = self.collect_peers().into();
        while let Some((topic, order)) = orders.pop_front() {
            self.run(&topic, now, |state, cx, outbox| state.execute(order, cx, outbox));
            self.fold_facts(&topic, now, note, px);
            self.forget_if_idle(&topic);
            orders.extend(self.collect_peers());
        }
    }

    fn settle_from(
        &mut self,
        topic: N::Topic,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &Fact<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        self.fold_facts(&topic, now, note, px);
        self.settle_with(now, note, px);
    }

    fn fold_facts(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        note: &mut dyn FnMut(&N::Topic, &Fact<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        self.judge_at_once(topic, now);
        self.collect_topic(topic);
        for fact in std::mem::take(&mut self.outbox.facts) {
            note(topic, &fact);
            if let Some(outcome) = self.peers.fold(topic, fact, now) {
                *px = Some(outcome);
            }
        }
    }

    /// A node has nobody to wait for a verdict that comes later: it takes the one of now.
    fn judge_at_once(&mut self, topic: &N::Topic, now: Timestamp) {
        for Validation { message, .. } in std::mem::take(&mut self.outbox.later) {
            let verdict = self.network.validate(&message.message_id, &message.message);
            self.run(topic, now, |state, cx, outbox| state.resolve(&message, Some(verdict), cx, outbox));
        }
    }

    fn collect_topic(&mut self, topic: &N::Topic) {
        let outbox = &mut self.outbox;
        expand(outbox.p2p.drain(..), &mut self.drained.p2p);
        self.drained.app.append(&mut outbox.app);
        self.stats += std::mem::take(&mut outbox.stats);
        for (id, kept) in outbox.history.drain(..) {
            if kept {
                self.homes.insert(id, topic.clone());
            } else if self.homes.get(&id) == Some(topic) {
                self.homes.remove(&id);
            }
        }
    }

    fn collect_peers(&mut self) -> Vec<(N::Topic, Order<N>)> {
        let outbox = self.peers.drain();
        expand(outbox.p2p, &mut self.drained.p2p);
        self.drained.events.extend(outbox.events);
        self.drained.throttled += outbox.throttled;
        outbox.orders
    }

    /// What a peer used up. As many peers have a place as are connected, and some strangers; who finds
    /// none has used up everything.
    pub(super) fn quota(&self, peer: &N::Peer) -> Quota {
        let places = self.peers.connection_count().saturating_add(self.limits.bounds.max_strangers);
        let fresh = if self.quotas.len() < places { Quota::default() } else { Quota::SPENT };
        self.quotas.get(peer).copied().unwrap_or(fresh)
    }

    pub(super) fn keep_quota(&mut self, peer: &N::Peer, quota: Quota) {
        if quota.is_kept() {
            self.quotas.insert(peer.clone(), quota);
        }
    }
}

fn expand<N: Network>(emissions: impl IntoIterator<Item = Emission<N>>, outputs: &mut Vec<P2pOutput<N>>) {
    for emission in emissions {
        emission.expand(|output| outputs.push(output));
    }
}

pub(super) fn note_maintenance<N: Network>(
    topic: &N::Topic,
    fact: &Fact<N>,
    outcome: &mut HeartbeatOutcome<N>,
) {
    let Fact::Maintained(maintenance) = fact else { return };
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
