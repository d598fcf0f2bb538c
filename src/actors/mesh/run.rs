//! One run of a topic: which items it handles now and which it defers, where their results go, and whether it must run
//! again. The arbiter's actor calls it with the part of the drained batch that is for this topic. Full messages are handled
//! here. Outputs and events are collected over a batch, so that router and supervisor are woken once.

use std::sync::{Arc, PoisonError};

use actix::Addr;
use derive_where::derive_where;

use super::{
    actor::{MeshActor, RunningTopic},
    messages::{IncomingMessage, TopicItem},
    validation,
};
use crate::{
    actors::{
        arbiter::burst::{Burst, MessageList},
        diagnostics::{journal::EventContext, log},
        router::messages::RouterItem,
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    admission::amount::ItemsAndBytes,
    metrics::{Handled, TopicSeries, Undelivered},
    network::{Delivery, Network, hooks::catch_panic},
    outputs::topic_queue::{Outcome, TopicSender},
    protocol::{
        exchange::{Context, Outbox, peer_view::PeerView},
        inspect::stats::Stats,
        outcome::{ReceiveOutcome, decision::EventKind, labels::Input},
        topic::{TopicState, receive::receive_not_joined},
    },
    timestamp::Timestamp,
};

/// The input of a run and the places for its results.
pub(in crate::actors) struct RunContext<'a, N: Network> {
    pub(in crate::actors) burst: &'a mut Burst<N>,
    /// The items of the batch that are for this topic.
    pub(in crate::actors) list: &'a mut MessageList,
    /// The number of commands of the application that reached the topic.
    pub(in crate::actors) commands: u32,
    /// The protocol's context at the arrival of the batch, for full messages.
    pub(in crate::actors) cx: &'a Context<'a, N>,
    /// The largest number of items to handle.
    pub(in crate::actors) budget: usize,
    /// The log or the event log wants each full message.
    pub(in crate::actors) observe_messages: bool,
    /// The topic's actor, for queries.
    pub(in crate::actors) actor: &'a Addr<MeshActor<N>>,
    pub(in crate::actors) outbox: &'a mut Outbox<N>,
    pub(in crate::actors) outgoing: &'a mut Outgoing<N>,
}

/// The result of a run.
pub(in crate::actors) struct RunResult {
    /// The number of items handled.
    pub(in crate::actors) items: usize,
    pub(in crate::actors) next: Next,
}

/// The next action for a topic after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum Next {
    /// Another run: it has items that it may handle.
    Ready,
    /// Nothing until an item arrives.
    Idle,
    /// The topic has ended.
    Stopped,
}

impl<N: Network> RunningTopic<N> {
    /// Handles at most a budget of items and sends the results.
    pub(in crate::actors) fn run(&mut self, mut run: RunContext<'_, N>) -> RunResult {
        let items = (0..run.budget).take_while(|_| !self.stopping && self.handle_next(&mut run)).count();
        self.flush_outbox(&mut run);
        self.report_can_retire(&mut run);
        let next = match self.stopping {
            true => Next::Stopped,
            false if self.is_idle(run.list) => Next::Idle,
            false => Next::Ready,
        };
        RunResult { items, next }
    }

    /// Moves the rest of the topic's items out of the batch, so that the mailbox can be drained again.
    pub(in crate::actors) fn defer_rest(&mut self, burst: &mut Burst<N>, list: &mut MessageList) {
        while let Some(item) = burst.take(list) {
            self.defer(item, burst.first_arrival);
        }
    }

    fn defer(&mut self, item: TopicItem<N>, arrival: Timestamp) {
        self.deferred.push_back((item, arrival));
    }

    /// Whether no item is left that may be handled now.
    fn is_idle(&self, list: &MessageList) -> bool {
        list.is_empty() && (self.awaiting_supervisor || self.deferred.is_empty())
    }

    /// Handles an item; returns false if there was none.
    fn handle_next(&mut self, run: &mut RunContext<'_, N>) -> bool {
        // The hot path: a full message goes straight from the batch to the state machine.
        if !self.awaiting_supervisor
            && self.deferred.is_empty()
            && let Some(message) = run.burst.take_message(run.list)
        {
            let arrival = Some(run.cx.now);
            let sample = self.sampler.begin(&self.shared, || Handled::ReceiveMessage, || arrival);
            let RunContext { cx, observe_messages, outbox, outgoing, .. } = run;
            let state = Some(&mut self.state);
            handle_message(state, message, cx, *observe_messages, &self.shared, outbox, outgoing);
            sample.into_iter().for_each(|sample| sample.end(&self.shared));
            return true;
        }
        let Some((item, arrival)) = self.next_item(run) else { return false };
        let sample = self.sampler.begin(&self.shared, || Handled::of(&item), || item.arrival(arrival));
        self.handle_item(item, arrival, run);
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    /// Takes the next item that may be handled now, and the time of its arrival; defers those that may not.
    fn next_item(&mut self, run: &mut RunContext<'_, N>) -> Option<(TopicItem<N>, Timestamp)> {
        if !self.awaiting_supervisor
            && let Some(next) = self.deferred.pop_front()
        {
            if self.deferred.is_empty() {
                // There are as many of these queues as topics: an empty one keeps no memory.
                self.deferred = Default::default();
            }
            return Some(next);
        }
        loop {
            let (item, arrival) = (run.burst.take(run.list)?, run.burst.first_arrival);
            if !self.awaiting_supervisor || item.bypasses_wait() {
                return Some((item, arrival));
            }
            self.defer(item, arrival);
        }
    }

    /// Sends the topic's messages to this subscription from now on, and those before to the former one.
    pub(super) fn set_subscription(
        &mut self,
        subscription: Option<Arc<TopicSender<N>>>,
        run: &mut RunContext<'_, N>,
    ) {
        if subscription.is_some() || self.subscription.is_some() {
            self.flush_outbox(run);
            self.subscription = subscription;
        }
    }

    /// Sends what the handled items left in the outbox: outputs for the router, events for the supervisor.
    pub(super) fn flush_outbox(&mut self, run: &mut RunContext<'_, N>) {
        self.schedule_flush();
        self.send_outbox(run.outbox, run.outgoing);
    }

    /// Sends what the handled items left in the outbox, and ends the accounts of the state, after a panic.
    pub(in crate::actors) fn flush_after_panic(
        &mut self,
        outbox: &mut Outbox<N>,
        outgoing: &mut Outgoing<N>,
    ) {
        // Counting what the state has may panic again. What is in the outbox is sent nevertheless.
        let _ = catch_panic(|| self.state.abandon(outbox));
        self.send_outbox(outbox, outgoing);
    }

    fn send_outbox(&mut self, outbox: &mut Outbox<N>, outgoing: &mut Outgoing<N>) {
        for validation in outbox.pending_validations.drain(..) {
            validation::start(validation, &self.address, &self.shared);
        }
        let (topic, series) = (self.state.name(), &self.meter.series);
        let mesh_growth = outgoing.flush_topic(topic, series, &mut self.subscription, outbox, &self.shared);
        self.meter.mesh_changed(mesh_growth);
        if !outbox.events.is_empty() {
            outgoing.supervisor_items.push(SupervisorItem::Events {
                topic: self.state.name().clone(),
                events: outbox.events.drain(..).collect(),
                now: self.shared.now(),
            });
        }
    }

    /// Deliveries are reported at heartbeats and not one by one: one report stands for hundreds of messages.
    fn schedule_flush(&mut self) {
        if !self.state.has_unflushed_deliveries() {
            self.in_flush_list = false;
        } else if !self.in_flush_list {
            self.in_flush_list = true;
            self.shared.schedule_flush(&self.address);
        }
    }

    /// Reports that nothing needs the actor. The outbox is flushed before, and nothing waits for the topic.
    fn report_can_retire(&mut self, run: &mut RunContext<'_, N>) {
        if self.can_retire && !self.awaiting_supervisor && self.is_idle(run.list) {
            self.can_retire = false;
            if !self.state.is_active() {
                let topic = self.state.name().clone();
                run.outgoing
                    .supervisor_items
                    .push(SupervisorItem::CanRetire { topic, commands: run.commands });
            }
        }
    }
}

/// Runs a topic on a full message. `state` is `None` for a passive topic. `observe_messages`: see [`observes_messages`].
pub(in crate::actors) fn handle_message<N: Network>(
    state: Option<&mut TopicState<N>>,
    incoming: IncomingMessage<N>,
    cx: &Context<'_, N>,
    observe_messages: bool,
    shared: &Shared<N>,
    outbox: &mut Outbox<N>,
    outgoing: &mut Outgoing<N>,
) {
    let IncomingMessage { from, message, credit } = incoming;
    // The peer was graylisted after its message was queued.
    let graylisted = credit.is_graylisted();
    let charge = credit.release_into(&mut outgoing.released_credit);
    let delivery = Delivery::new(from, message).charged_to(charge);
    let bytes = shared.network.message_size(&delivery.message.message);
    outbox.counters.bytes += bytes as u64;
    let observed = observe_messages.then(|| delivery.clone());
    let outcome = match state {
        _ if graylisted => ReceiveOutcome::Graylisted,
        Some(state) => state.receive(delivery, shared.validation_mode, cx, outbox),
        None => receive_not_joined(&delivery, cx, outbox),
    };
    outbox.counters.input(Input::ReceiveMessage, &outcome);
    if let Some(delivery) = observed {
        record_message(&delivery, &outcome, cx.now, shared);
    }
    match outcome {
        ReceiveOutcome::Throttled => shared.metrics.validations_throttled(1),
        ReceiveOutcome::ValidationPanicked => shared.metrics.validations_panicked(1),
        _ => {}
    }
}

/// Whether the log or the event log wants each full message. Asked once for a batch.
pub(in crate::actors) fn observes_messages<N: Network>(shared: &Shared<N>) -> bool {
    shared.event_log.keeps_messages() || log::wants_messages()
}

fn record_message<N: Network>(
    delivery: &Delivery<N>,
    outcome: &ReceiveOutcome<N>,
    received_at: Timestamp,
    shared: &Shared<N>,
) {
    let Delivery { sender, message, .. } = delivery;
    log::message::<N>(sender, &message.topic, outcome);
    if let Some(kind) = EventKind::to_message(outcome).filter(|_| shared.event_log.keeps_messages()) {
        let score = shared.directory.status(sender).score;
        let context =
            EventContext { peer: Some(sender), topic: Some(&message.topic), score, time: received_at };
        shared.event_log.record_message(context, &message.message_id, kind);
    }
}

/// The results of a batch of inputs.
#[derive_where(Default)]
pub(crate) struct Outgoing<N: Network> {
    outputs: Vec<RouterItem<N>>,
    pub(in crate::actors) supervisor_items: Vec<SupervisorItem<N>>,
    /// The credit of the inputs that were handled.
    pub(in crate::actors) released_credit: ItemsAndBytes,
}

impl<N: Network> Outgoing<N> {
    /// Takes what a topic left in the outbox, except its events, and counts it. Messages for the application go to the
    /// topic's subscription, if it has one that is read; otherwise it is removed. Returns by how many peers the topic's mesh
    /// has grown.
    pub(in crate::actors) fn flush_topic(
        &mut self,
        topic: &N::Topic,
        series: &TopicSeries,
        subscription: &mut Option<Arc<TopicSender<N>>>,
        outbox: &mut Outbox<N>,
        shared: &Shared<N>,
    ) -> i64 {
        let stats = std::mem::take(&mut outbox.stats);
        let mesh_growth = series.flush(&shared.metrics, &shared.network, outbox, &stats);
        self.outputs.extend(outbox.p2p.drain(..).map(|output| RouterItem::p2p(output, &shared.network)));
        deliver_to_subscription(subscription, outbox, shared);
        self.outputs.extend(outbox.app.drain(..).map(RouterItem::App));
        for (id, entered) in outbox.history_changes.drain(..) {
            shared.directory.on_history_change(id, topic, entered);
        }
        if stats != Stats::default() {
            *shared.topic_stats.lock().unwrap_or_else(PoisonError::into_inner) += stats;
        }
        mesh_growth
    }

    /// Sends everything. A closed inbox drops it: the engine has ended.
    pub(in crate::actors) fn send(&mut self, shared: &Shared<N>) {
        if !self.outputs.is_empty() {
            shared.router.extend(self.outputs.drain(..));
        }
        if !self.supervisor_items.is_empty() {
            shared.supervisor.extend(self.supervisor_items.drain(..));
        }
        shared.admission.release(std::mem::take(&mut self.released_credit));
    }
}

/// Delivers the messages for the application to the topic's subscription, if it has one. Without a subscription they stay in
/// the outbox.
fn deliver_to_subscription<N: Network>(
    subscription: &mut Option<Arc<TopicSender<N>>>,
    outbox: &mut Outbox<N>,
    shared: &Shared<N>,
) {
    let Some(sender) = subscription.as_ref().filter(|_| !outbox.app.is_empty()) else { return };
    match sender.deliver(&mut outbox.app) {
        Outcome::Queued { without_room } => {
            shared.metrics.deliveries_dropped(Undelivered::QueueFull, without_room);
        }
        Outcome::Leaving => {
            shared.metrics.deliveries_dropped(Undelivered::Unread, outbox.app.drain(..).count());
        }
        Outcome::Ended => *subscription = None,
    }
}
