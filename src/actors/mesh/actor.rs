//! The actor of one topic: its state, and a handler for each message.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
};

use actix::{Actor, Addr, Context, Handler};
use enum_map::EnumMap;

use super::{
    messages::{TopicItem, TopicQuery},
    peer_message::handle_peer,
    run::{RunContext, handle_message},
};
use crate::{
    actors::{
        arbiter::mailbox::TopicAddr,
        diagnostics::{journal::EventContext, log, sampler::LatencySampler, topic_status::PublishedTopic},
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    directory::connection::ConnectionRecord,
    metrics::TopicMeter,
    network::{Network, hooks::catch_panic},
    outputs::topic_queue::TopicSender,
    protocol::{
        exchange::{Outbox, command::TopicCommand, peer_view::PeerView},
        inspect::{
            footprint::Footprint,
            stats::{TopicCounts, TopicProblem},
        },
        outcome::{
            JoinOutcome, LeaveOutcome,
            decision::{EventKind, PeerDecision},
            labels::Input,
            reason::{GraftReason, LeaveReason},
        },
        output::pending::PendingDelivery,
        passive::TopicRef,
        topic::{TopicState, interest::Interest},
    },
    timestamp::Timestamp,
};

/// The actor of one topic. It owns the topic's state in a cell that the arbiter's actor, on the same thread, borrows to
/// run the topic on the items of the shared mailbox. The cell is empty once the topic has ended.
pub(crate) struct MeshActor<N: Network> {
    topic: TopicCell<N>,
    name: N::Topic,
    shared: Arc<Shared<N>>,
}

pub(in crate::actors) type TopicCell<N> = Rc<RefCell<Option<RunningTopic<N>>>>;

/// The state of a mesh actor: the protocol's state machine of a topic, and what the engine needs to run it.
pub(in crate::actors) struct RunningTopic<N: Network> {
    pub(super) state: TopicState<N>,
    pub(super) address: TopicAddr<N>,
    pub(super) shared: Arc<Shared<N>>,
    /// Items ahead of the mailbox, each with the time of its arrival: those that wait for the supervisor's confirmation of a
    /// join or leave, and those that exceeded the budget of the last run.
    pub(super) deferred: VecDeque<(TopicItem<N>, Timestamp)>,
    /// A join or leave waits for the supervisor's confirmation.
    pub(super) awaiting_supervisor: bool,
    /// Already listed in `Shared::unflushed_topics`.
    pub(super) in_flush_list: bool,
    /// The last heartbeat found that nothing needs the actor.
    pub(super) can_retire: bool,
    /// The footprint that is included in `Shared::topic_footprint`.
    footprint: Footprint,
    pub(super) meter: TopicMeter,
    pub(super) sampler: LatencySampler,
    /// The problems for which the topic is counted in the heartbeat monitor.
    problems: EnumMap<TopicProblem, bool>,
    /// The numbers that the topic table lists.
    published: Arc<PublishedTopic>,
    /// The topic has retired or was stopped.
    pub(super) stopping: bool,
    /// Where the topic's messages for the application go; `None`: to the stream that all topics share.
    pub(super) subscription: Option<Arc<TopicSender<N>>>,
}

impl<N: Network> MeshActor<N> {
    /// Starts the actor of a topic on the current arbiter. The actor ends when the address is dropped.
    pub(in crate::actors) fn start_topic(topic: RunningTopic<N>) -> (Addr<Self>, TopicCell<N>) {
        let (name, shared) = (topic.name().clone(), Arc::clone(&topic.shared));
        let topic = Rc::new(RefCell::new(Some(topic)));
        (Self { topic: Rc::clone(&topic), name, shared }.start(), topic)
    }
}

impl<N: Network> Actor for MeshActor<N> {
    type Context = Context<Self>;
}

impl<N: Network> Handler<TopicQuery<N>> for MeshActor<N> {
    type Result = ();

    /// Everything before the query is handled and sent: the arbiter's actor forwards the query in the run that reached
    /// it, and sends the results of that run before this handler can run. A panic of the query loses the answer only.
    /// If the topic retired or panicked in that run, the supervisor, which was notified before, runs the query.
    fn handle(&mut self, query: TopicQuery<N>, _: &mut Self::Context) {
        match &*self.topic.borrow() {
            Some(topic) => drop(catch_panic(|| query.run(&topic.state))),
            None => {
                let item = SupervisorItem::Topic { topic: self.name.clone(), item: TopicItem::Query(query) };
                // A closed supervisor drops the query: the engine has ended.
                let _ = self.shared.supervisor.push(item);
            }
        }
    }
}

// === Items of the arbiter's mailbox ===

impl<N: Network> RunningTopic<N> {
    pub(in crate::actors) fn new(
        state: TopicState<N>,
        address: TopicAddr<N>,
        shared: Arc<Shared<N>>,
        pending: impl Iterator<Item = (TopicItem<N>, Timestamp)>,
    ) -> Self {
        let series = shared.topic_labels.of(state.name());
        let published = shared.topic_table.get(state.name()).map(|entry| Arc::clone(&entry.published));
        Self {
            state,
            address,
            shared,
            deferred: pending.collect(),
            awaiting_supervisor: false,
            in_flush_list: false,
            can_retire: false,
            footprint: Footprint::default(),
            meter: TopicMeter::new(series),
            sampler: LatencySampler::default(),
            problems: EnumMap::default(),
            // A topic that is not in the table is about to be stopped.
            published: published.unwrap_or_default(),
            stopping: false,
            subscription: None,
        }
    }

    pub(in crate::actors) fn name(&self) -> &N::Topic {
        self.state.name()
    }

    /// Whether the topic has retired or was stopped.
    pub(in crate::actors) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a join or leave waits for the supervisor's confirmation.
    pub(in crate::actors) fn is_awaiting_supervisor(&self) -> bool {
        self.awaiting_supervisor
    }

    /// Takes the items that are ahead of the mailbox, each with the time of its arrival.
    pub(in crate::actors) fn take_deferred(&mut self) -> VecDeque<(TopicItem<N>, Timestamp)> {
        std::mem::take(&mut self.deferred)
    }

    /// `arrival`: the time of a full message.
    pub(super) fn handle_item(
        &mut self,
        item: TopicItem<N>,
        arrival: Timestamp,
        run: &mut RunContext<'_, N>,
    ) {
        let outbox = &mut *run.outbox;
        match item {
            // A deferred one: any other goes straight to `handle_message`.
            TopicItem::Message(message) => {
                let Self { state, shared, .. } = self;
                let limits = shared.limits.load();
                let cx = shared.context(&limits, arrival);
                handle_message(Some(state), message, &cx, run.observe_messages, shared, outbox, run.outgoing);
            }
            TopicItem::Peer(message) => {
                handle_peer(TopicRef::Active(&mut self.state), *message, &self.shared, outbox)
            }
            TopicItem::Publish { message, min_peers, received_at, credit, responder, batch: None } => {
                self.publish(message, min_peers, credit.charge(), responder, received_at, outbox);
                drop(credit);
            }
            TopicItem::Publish { message, received_at, credit, responder, batch: Some(batch), .. } => {
                self.publish_in_batch(message, &batch, credit.charge(), responder, received_at, run);
                drop(credit);
            }
            TopicItem::Join { interest, received_at, subscription } => {
                if subscription.is_some() {
                    self.set_subscription(subscription, run);
                }
                self.join(interest, received_at, run.outbox);
            }
            TopicItem::Leave { interest, received_at } => {
                if interest == Interest::Deliver {
                    self.set_subscription(None, run);
                }
                self.leave(interest, received_at, run.outbox);
            }
            TopicItem::Query(query) => run.actor.do_send(query),
            TopicItem::Verdict { message, verdict } => {
                let limits = self.shared.limits.load();
                let cx = self.shared.context(&limits, self.shared.now());
                let before = outbox.app.len();
                self.state.on_validation_result(&message, verdict, &cx, outbox);
                self.record_delivered(&outbox.app[before..]);
            }
            TopicItem::Command(command) => self.execute(command, outbox),
            TopicItem::FlushDeliveryCounts => {
                // The sender has taken the list: a delivery that follows must be in the next one.
                self.in_flush_list = false;
                self.state.flush_delivery_counts(outbox);
            }
            TopicItem::Retire => self.retire(run),
            TopicItem::Stop => self.stop(),
        }
    }

    fn join(&mut self, interest: Interest, received_at: Timestamp, outbox: &mut Outbox<N>) {
        let was_joined = self.state.is_joined();
        let fanout = self.state.fanout_view().map_or_else(BTreeSet::new, |fanout| fanout.peers);
        let limits = self.shared.limits.load();
        let outcome = self.state.join(interest, &self.shared.context(&limits, received_at), outbox);
        // At once, so that no panic comes between the state and the counts.
        if !was_joined && !limits.counts_subscription(true) {
            self.for_each_subscriber(ConnectionRecord::release_subscription);
        }
        log::join(self.state.name(), &outcome);
        self.awaiting_supervisor = !was_joined;
        outbox.counters.input(Input::Join, &outcome);
        if let JoinOutcome::Joined { to_graft } = &outcome {
            self.record_event(EventKind::Joined, received_at);
            if self.state.parameters().is_unscored {
                log::unscored_topic(self.state.name());
            }
            for peer in to_graft {
                let promoted = fanout.contains(peer);
                let reason = if promoted { GraftReason::FanoutPromoted } else { GraftReason::Join };
                self.record_decision(peer, PeerDecision::Grafted(reason), received_at);
            }
        }
        self.meter.rename(self.shared.topic_labels.of(self.state.name()));
        self.publish_gauges();
    }

    fn leave(&mut self, interest: Interest, received_at: Timestamp, outbox: &mut Outbox<N>) {
        let was_joined = self.state.is_joined();
        let limits = self.shared.limits.load();
        let outcome = self.state.leave(interest, &self.shared.context(&limits, received_at), outbox);
        self.awaiting_supervisor = was_joined && !self.state.is_joined();
        if self.awaiting_supervisor {
            self.count_subscribers();
        }
        log::leave(self.state.name(), &outcome);
        outbox.counters.input(Input::Leave, &outcome);
        if let LeaveOutcome::Left { to_prune, .. } = &outcome {
            self.record_event(EventKind::Left, received_at);
            for peer in to_prune {
                self.record_decision(peer, PeerDecision::Pruned(LeaveReason::Leave), received_at);
            }
        }
        self.publish_gauges();
    }

    /// The subscriptions to the topic count for `max_topics_per_peer` again, because it is joined no more.
    fn count_subscribers(&self) {
        let limits = self.shared.limits.load();
        if !limits.counts_subscription(true) {
            // Subscriptions that were made while the topic was joined are kept, even above the limit.
            self.for_each_subscriber(ConnectionRecord::add_subscription);
        }
    }

    /// Calls `run` for each connection that is subscribed and open.
    fn for_each_subscriber(&self, run: impl Fn(&ConnectionRecord)) {
        let directory = &self.shared.directory;
        let connections = directory.peers_of(&self.state.subscriber_ids()).into_iter();
        connections
            .filter_map(|peer| directory.connection(&peer))
            .filter(|connection| self.state.is_subscriber(connection.connection_id()))
            .for_each(|connection| run(&connection));
    }

    fn execute(&mut self, command: TopicCommand<N>, outbox: &mut Outbox<N>) {
        let confirms = matches!(command, TopicCommand::JoinConfirmed | TopicCommand::LeaveConfirmed);
        let finishes = matches!(command, TopicCommand::FinishHeartbeat);
        let _span = tracing::trace_span!("command", topic = ?self.state.name()).entered();
        let before = outbox.app.len();
        let (limits, now) = (self.shared.limits.load(), self.shared.now());
        let leaves = match &command {
            TopicCommand::SetDirect(peer, _, true) if self.state.is_in_mesh(peer) => Some(peer.clone()),
            _ => None,
        };
        self.state.handle_command(command, &self.shared.context(&limits, now), outbox);
        if let Some(peer) = leaves.filter(|peer| !self.state.is_in_mesh(peer)) {
            self.record_decision(&peer, PeerDecision::Pruned(LeaveReason::Direct), now);
        }
        self.record_delivered(&outbox.app[before..]);
        self.awaiting_supervisor &= !confirms;
        self.can_retire = finishes && !self.state.is_active();
        if finishes {
            self.record_footprint(self.state.footprint());
            self.publish_gauges();
            self.sampler.heartbeat(self.meter.series.is_own());
        }
    }

    fn retire(&mut self, run: &mut RunContext<'_, N>) {
        self.state.flush_delivery_counts(run.outbox);
        self.flush_outbox(run);
        let (topic, backoffs) = (self.state.name().clone(), self.state.take_backoffs());
        run.outgoing.supervisor_items.push(SupervisorItem::Retired { topic, backoffs });
        self.stop();
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.record_footprint(Footprint::default());
        self.meter.publish(TopicCounts::default());
        self.published.clear();
    }
}

// === Records ===

impl<N: Network> RunningTopic<N> {
    fn record_event(&self, kind: EventKind, time: Timestamp) {
        let topic = Some(self.state.name());
        self.shared.event_log.record(EventContext { peer: None, topic, score: None, time }, kind);
    }

    /// Records messages that were delivered after an asynchronous validation. Their sender is not known any more.
    fn record_delivered(&self, deliveries: &[PendingDelivery<N>]) {
        if self.shared.event_log.keeps_messages() {
            for PendingDelivery { message, .. } in deliveries {
                let topic = Some(self.state.name());
                let context = EventContext { peer: None, topic, score: None, time: self.shared.now() };
                self.shared.event_log.record_message(context, &message.message_id, EventKind::Delivered);
            }
        }
    }

    fn record_decision(&self, peer: &N::Peer, decision: PeerDecision, time: Timestamp) {
        let (topic, score) = (Some(self.state.name()), self.shared.directory.status(peer).score);
        let context = EventContext { peer: Some(peer), topic, score, time };
        self.shared.event_log.record_decision(context, decision);
    }

    fn record_footprint(&mut self, now: Footprint) {
        let problems = if now.topics > 0 { self.state.problems() } else { EnumMap::default() };
        self.shared.heartbeat_monitor.record_problems(&problems, &self.problems);
        self.problems = problems;
        let before = std::mem::replace(&mut self.footprint, now);
        self.shared.record_footprint(now, before);
    }

    fn publish_gauges(&mut self) {
        let counts = self.state.counts();
        self.published.publish(counts, &self.state.problems(), &self.state.parameters().degrees);
        self.meter.publish(counts);
    }
}

/// A topic that panicked, or that runs when the engine ends, is taken out of the totals and gauges.
impl<N: Network> Drop for RunningTopic<N> {
    fn drop(&mut self) {
        if self.stopping {
            return;
        }
        let closing = self.shared.is_closing();
        self.stop();
        if !closing {
            self.meter.lost();
            // A topic that is restarted is joined again. This uses a state that may be inconsistent, so it comes last.
            if self.state.is_joined() {
                self.count_subscribers();
            }
        }
    }
}
