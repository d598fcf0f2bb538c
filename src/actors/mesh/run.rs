//! One run of a topic: which items it handles now and which it defers, where their results go, and whether it must run
//! again. The arbiter's actor calls it with the part of the drained batch that is for this topic.

use std::sync::Arc;

use actix::Addr;

use super::{
    actor::{MeshActor, RunningTopic},
    messages::TopicItem,
    peer_message::handle_message,
    validation,
};
use crate::{
    actors::{
        arbiter::{
            burst::{Burst, MessageList},
            outgoing::Outgoing,
        },
        shared::catch_panic,
        supervisor::messages::SupervisorItem,
    },
    metrics::Handled,
    network::Network,
    outputs::topic_queue::TopicSender,
    protocol::exchange::{Context, Outbox},
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

/// What a topic needs after a run.
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
        let Some(item) = self.next_item(run) else { return false };
        let arrival = || item.arrival(self.deferred_arrival);
        let sample = self.sampler.begin(&self.shared, || Handled::of(&item), arrival);
        self.handle_item(item, run);
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    /// Takes the next item that may be handled now; defers those that may not.
    fn next_item(&mut self, run: &mut RunContext<'_, N>) -> Option<TopicItem<N>> {
        if !self.awaiting_supervisor
            && let Some((item, arrival)) = self.deferred.pop_front()
        {
            self.deferred_arrival = arrival;
            if self.deferred.is_empty() {
                // There are as many of these queues as topics: an empty one keeps no memory.
                self.deferred = Default::default();
            }
            return Some(item);
        }
        loop {
            let item = run.burst.take(run.list)?;
            if !self.awaiting_supervisor || item.bypasses_wait() {
                return Some(item);
            }
            self.defer(item, run.burst.first_arrival);
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
        let (topic, series) = (&self.state.topic, &self.meter.series);
        let mesh_growth = outgoing.flush_topic(topic, series, &mut self.subscription, outbox, &self.shared);
        self.meter.mesh_changed(mesh_growth);
        if !outbox.events.is_empty() {
            outgoing.supervisor_items.push(SupervisorItem::Events {
                topic: self.state.topic.clone(),
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
                let topic = self.state.topic.clone();
                run.outgoing
                    .supervisor_items
                    .push(SupervisorItem::CanRetire { topic, commands: run.commands });
            }
        }
    }
}
