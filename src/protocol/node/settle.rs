//! How [`Node`] composes topics and the peers' side: it applies the events of topics and runs the commands of the
//! peers' side until there are none left. The actors do the same over threads.

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
            Context, Outbox, Validation,
            command::TopicCommand,
            event::TopicEvent,
            peer_view::{PeerStatus, is_graylisted},
        },
        outcome::{HeartbeatOutcome, PruneOutcome},
        passive::{PassiveTopic, TopicRef, activate},
        quota::Quota,
        topic::TopicState,
    },
    timestamp::Timestamp,
};

impl<N: Network> Node<N> {
    /// Runs an input on a topic, and then everything that follows from it.
    pub(super) fn on_topic<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicRef<'_, N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        self.on_topic_with(topic, now, &mut None, handle)
    }

    /// Like [`on_topic`](Self::on_topic), and stores the outcome of a PRUNE in `px`.
    pub(super) fn on_topic_with<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        px: &mut Option<PruneOutcome<N>>,
        handle: impl FnOnce(&mut TopicRef<'_, N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        self.flush_delivery_counts(now);
        let outcome = match self.topics.find(topic) {
            Some(index) => {
                let outcome = self.call_topic(index, now, |state, cx, outbox| {
                    handle(&mut TopicRef::Active(state), cx, outbox)
                });
                self.propagate(index, now, &mut |_, _| {}, px);
                outcome
            }
            None => {
                let outcome = self.call_passive_topic(topic, now, |topic, cx, outbox| {
                    handle(&mut TopicRef::Passive(topic), cx, outbox)
                });
                self.settle_with(now, &mut |_, _| {}, px);
                outcome
            }
        };
        self.flush_delivery_counts(now);
        outcome
    }

    /// Runs an input that makes a topic active, and then everything that follows from it.
    pub(super) fn on_active_topic<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        self.flush_delivery_counts(now);
        let index = match self.topics.find(topic) {
            Some(index) => index,
            None => self.topics.insert(activate(
                topic.clone(),
                &mut self.peers,
                &self.limits,
                &self.totals,
                self.seed,
            )),
        };
        let outcome = self.call_topic(index, now, handle);
        self.propagate(index, now, &mut |_, _| {}, &mut None);
        self.flush_delivery_counts(now);
        outcome
    }

    /// Like [`on_topic`](Self::on_topic), for inputs that read no score but those of peers that speak floodsub. Delivery counts
    /// are flushed only if there are such peers.
    pub(super) fn on_message<T>(
        &mut self,
        index: TopicIndex,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let outcome = self.call_topic(index, now, handle);
        // Most messages are duplicates without any effect.
        if !self.outbox.is_empty() {
            self.propagate(index, now, &mut |_, _| {}, &mut None);
        }
        if self.peers.has_floodsub() {
            self.flush_before_next_message(now);
        }
        outcome
    }

    /// Whether a peer that speaks floodsub is sent the next message depends on its score. Apart from
    /// [`on_message`](Self::on_message), so that this stays small: most nodes have no such peers.
    #[cold]
    #[inline(never)]
    fn flush_before_next_message(&mut self, now: Timestamp) {
        self.flush_delivery_counts(now);
    }

    /// The peers with scores that include all unflushed deliveries, for read-only queries.
    pub(super) fn settled_peers(&self) -> SettledPeerView<'_, N> {
        let mut scores = Cow::Borrowed(self.peers.scores());
        for state in self.unflushed.iter().filter_map(|index| self.topics.get_by_index(*index)) {
            if state.has_unflushed_deliveries() {
                scores.to_mut().delivered(state.unflushed_deliveries(), state.name());
            }
        }
        SettledPeerView { peers: &self.peers, connected: &self.connected, scores }
    }

    /// Reports all delivery counts to the peers' side, before a score is read.
    pub(super) fn flush_delivery_counts(&mut self, now: Timestamp) {
        let mut unflushed = std::mem::take(&mut self.unflushed);
        for index in unflushed.drain(..) {
            if let Some(state) = self.topics.get_by_index_mut(index) {
                state.flush_delivery_counts(&mut self.outbox);
                self.apply_events(index, now, &mut |_, _| {}, &mut None);
            }
        }
        self.unflushed = unflushed;
    }

    /// The status of a peer, with all deliveries counted.
    pub(super) fn status(&mut self, peer: &N::Peer, now: Timestamp) -> PeerStatus {
        self.flush_delivery_counts(now);
        self.peers.status(peer)
    }

    /// Whether a full message of a peer is not handled. Most are, and need no lookup.
    pub(super) fn sends_graylisted(&mut self, peer: &N::Peer, now: Timestamp) -> bool {
        let threshold = self.limits.extensions.graylist_threshold;
        threshold.is_some_and(|threshold| !self.peers.min_score_at_least(threshold)) && {
            let status = self.status(peer, now);
            is_graylisted(status, &self.limits)
        }
    }

    /// Removes the state machines that are not needed any more: their topics are passive from now on.
    pub(super) fn retire_inactive_topics(&mut self) {
        for mut state in self.topics.take_inactive() {
            let backoffs = state.take_backoffs();
            self.peers.deactivate_topic(state.into_name(), Some(backoffs));
        }
    }

    /// Calls a topic. `index` must be valid.
    fn call_topic<T>(
        &mut self,
        index: TopicIndex,
        now: Timestamp,
        handle: impl FnOnce(&mut TopicState<N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let peer_view =
            LivePeerView { peers: &self.peers, connected: &self.connected, idontwant: &self.idontwant };
        let cx = peer_view.context(&self.network, &self.limits, now);
        let state = self.topics.expect_mut(index);
        let was_flushed = !state.has_unflushed_deliveries();
        let outcome = handle(state, &cx, &mut self.outbox);
        if was_flushed && state.has_unflushed_deliveries() {
            self.unflushed.push(index);
        }
        outcome
    }

    /// Calls a topic without a state machine, and applies its events to the peers' side.
    pub(super) fn call_passive_topic<T>(
        &mut self,
        topic: &N::Topic,
        now: Timestamp,
        handle: impl FnOnce(PassiveTopic<'_, N>, &Context<'_, N>, &mut Outbox<N>) -> T,
    ) -> T {
        let peer_view =
            LivePeerView { peers: &self.peers, connected: &self.connected, idontwant: &self.idontwant };
        let cx = peer_view.context(&self.network, &self.limits, now);
        let passive = PassiveTopic { name: topic, peers: &self.peers };
        let outcome = handle(passive, &cx, &mut self.outbox);
        self.emitted.append(&mut self.outbox.p2p);
        for event in self.outbox.events.drain(..) {
            self.peers.apply_event(topic, event, now);
        }
        outcome
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.settle_with(now, &mut |_, _| {}, &mut None);
        self.flush_delivery_counts(now);
    }

    /// Runs commands of the peers' side and applies the events that follow, until there are none. `observe` is called
    /// with each event.
    pub(super) fn settle_with(
        &mut self,
        now: Timestamp,
        observe: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        if self.peers.is_outbox_empty() {
            return;
        }
        let mut commands: VecDeque<(N::Topic, TopicCommand<N>)> = self.take_commands().into();
        while let Some((topic, command)) = commands.pop_front() {
            if let Some(index) = self.topics.find(&topic) {
                self.call_topic(index, now, |state, cx, outbox| state.handle_command(command, cx, outbox));
                self.apply_events(index, now, observe, px);
            } else {
                self.call_passive_topic(&topic, now, |topic, _, outbox| {
                    topic.handle_command(command, outbox)
                });
            }
            commands.extend(self.take_commands());
        }
    }

    /// Applies everything that follows from an input of a topic.
    fn propagate(
        &mut self,
        index: TopicIndex,
        now: Timestamp,
        observe: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        self.apply_events(index, now, observe, px);
        self.settle_with(now, observe, px);
    }

    /// Applies the events of a topic to the peers' side.
    fn apply_events(
        &mut self,
        index: TopicIndex,
        now: Timestamp,
        observe: &mut dyn FnMut(&N::Topic, &TopicEvent<N>),
        px: &mut Option<PruneOutcome<N>>,
    ) {
        if self.outbox.is_empty() {
            return;
        }
        self.validate_now(index, now);
        self.take_outputs(index);
        let mut events = std::mem::take(&mut self.outbox.events);
        let topic = self.topics.expect_mut(index).name();
        for event in events.drain(..) {
            observe(topic, &event);
            if let Some(outcome) = self.peers.apply_event(topic, event, now) {
                *px = Some(outcome);
            }
        }
        self.outbox.events = events;
    }

    /// A node does not wait for asynchronous validation: it validates synchronously.
    fn validate_now(&mut self, index: TopicIndex, now: Timestamp) {
        if self.outbox.pending_validations.is_empty() {
            return;
        }
        for Validation { message, .. } in std::mem::take(&mut self.outbox.pending_validations) {
            self.call_topic(index, now, |state, cx, outbox| {
                let verdict = state
                    .pending_validation(&message)
                    .and_then(|delivery| cx.network.validate(delivery).ok());
                state.on_validation_result(&message, verdict, cx, outbox);
            });
        }
    }

    /// Moves the outputs of a topic to those of the node.
    fn take_outputs(&mut self, index: TopicIndex) {
        let outbox = &mut self.outbox;
        self.emitted.append(&mut outbox.p2p);
        if !outbox.app.is_empty() {
            self.drained.app.extend(outbox.app.drain(..).map(|delivery| delivery.message));
        }
        for (id, entered) in outbox.history_changes.drain(..) {
            let topic = self.topics.expect_mut(index).name();
            if entered {
                self.topic_by_message_id.insert(id, topic.clone());
            } else if self.topic_by_message_id.get(&id) == Some(topic) {
                self.topic_by_message_id.remove(&id);
            }
        }
    }

    /// Moves the outputs of the peers' side to those of the node, and returns its commands.
    fn take_commands(&mut self) -> Vec<(N::Topic, TopicCommand<N>)> {
        let outbox = self.peers.drain();
        self.emitted.extend(outbox.p2p);
        self.drained.events.extend(outbox.events);
        self.drained.throttled += outbox.throttled;
        self.drained.expired += outbox.expired;
        outbox.commands
    }

    /// The quota of a peer in this heartbeat. The number of tracked peers is bounded; the quota of any other peer is
    /// exhausted.
    pub(super) fn quota(&self, peer: &N::Peer) -> Quota {
        let untracked =
            || Quota::of_untracked(self.quotas.len(), self.peers.connection_count(), &self.limits);
        self.quotas.get(peer).copied().unwrap_or_else(untracked)
    }

    pub(super) fn store_quota(&mut self, peer: &N::Peer, quota: Quota) {
        if quota.is_tracked() {
            self.quotas.insert(peer.clone(), quota);
        }
    }
}

/// Adds the result of a topic's maintenance to the outcome of a heartbeat.
pub(super) fn add_maintenance<N: Network>(
    topic: &N::Topic,
    event: &TopicEvent<N>,
    outcome: &mut HeartbeatOutcome<N>,
) {
    let TopicEvent::Maintained(maintenance) = event else { return };
    for grafted in &maintenance.grafted {
        outcome.to_graft.entry(grafted.peer.clone()).or_default().insert(topic.clone());
    }
    for pruned in &maintenance.pruned {
        outcome.to_prune.entry(pruned.peer.clone()).or_default().insert(topic.clone());
        if pruned.no_px {
            outcome.no_px.insert(pruned.peer.clone());
        }
    }
}
