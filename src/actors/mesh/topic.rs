//! One topic at work: runs its state machine on what comes to its seat. Translates, calls, flushes; never decides.

use std::{collections::VecDeque, sync::Arc};

use super::{
    messages::TopicItem,
    peer_message::{handle_message, handle_peer},
    validation,
};
use crate::{
    actors::{
        arbiter::{
            burst::{Burst, MessageList},
            mailbox::TopicAddr,
            outgoing::Outgoing,
        },
        diagnostics::{journal::Note, log, sampler::LatencySampler},
        shared::Shared,
        supervisor::messages::SupervisorItem,
    },
    metrics::{Handled, TopicMeter},
    network::{AppOutput, FullMessage, Network},
    outputs::publication::{PublishResponder, RouteResult},
    protocol::{
        exchange::{Context, Outbox, command::TopicCommand, peer_view::PeerView},
        inspect::{footprint::Footprint, view::View},
        outcome::{
            JoinOutcome, LeaveOutcome, PublishOutcome,
            decision::{EventKind, Grafting, PeerDecision, Pruning},
            labels::Input,
        },
        topic::TopicState,
    },
    timestamp::Timestamp,
};

/// A running topic.
pub(in crate::actors) struct Topic<N: Network> {
    state: TopicState<N>,
    address: TopicAddr<N>,
    shared: Arc<Shared<N>>,
    /// Ahead of what comes: held back while a join or leave waits for the supervisor's word of who is connected, or
    /// left over from the last turn.
    held: VecDeque<TopicItem<N>>,
    /// When the first of it came, for full messages: those behind it came with it or later.
    held_at: Timestamp,
    waiting: bool,
    /// It stands among those who have not told of all deliveries.
    is_credited: bool,
    /// A heartbeat found that nothing needs the actor.
    idle: bool,
    /// What it last told that it holds.
    footprint: Footprint,
    meter: TopicMeter,
    sampler: LatencySampler,
    /// It last told that it is joined and no peer is subscribed.
    is_lonely: bool,
    /// It ends as it should.
    ends: bool,
}

/// What a topic works on, and with.
pub(in crate::actors) struct Work<'a, N: Network> {
    /// What came of late.
    pub(in crate::actors) pile: &'a mut Burst<N>,
    /// What of it is for this topic.
    pub(in crate::actors) chain: &'a mut MessageList,
    /// How many of the application's commands reached it.
    pub(in crate::actors) commands: u32,
    /// As of when full messages came: those of the pile came together.
    pub(in crate::actors) cx: &'a Context<'a, N>,
    /// On so many items, at most.
    pub(in crate::actors) share: usize,
    /// Log or journal want to hear of each full message.
    pub(in crate::actors) watched: bool,
    /// Where it writes down what follows.
    pub(in crate::actors) outbox: &'a mut Outbox<N>,
    /// Where it puts what is for others.
    pub(in crate::actors) outgoing: &'a mut Outgoing<N>,
}

/// What came of it.
pub(in crate::actors) struct Worked {
    /// How many items it handled.
    pub(in crate::actors) items: usize,
    pub(in crate::actors) next: Next,
}

/// What a topic wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum Next {
    /// Another turn.
    More,
    /// To hear when something comes.
    Rest,
    /// Its life is over.
    End,
}

impl<N: Network> Topic<N> {
    pub(in crate::actors) fn new(
        state: TopicState<N>,
        address: TopicAddr<N>,
        shared: Arc<Shared<N>>,
    ) -> Self {
        let (series, now) = (shared.topic_labels.of(&state.topic), shared.now());
        Self {
            state,
            address,
            shared,
            held: VecDeque::new(),
            held_at: now,
            waiting: false,
            is_credited: false,
            idle: false,
            footprint: Footprint::default(),
            meter: TopicMeter::new(series),
            sampler: LatencySampler::default(),
            is_lonely: false,
            ends: false,
        }
    }

    pub(in crate::actors) fn name(&self) -> &N::Topic {
        &self.state.topic
    }

    /// Works on what waits for it.
    pub(in crate::actors) fn work(&mut self, mut work: Work<'_, N>) -> Worked {
        let items = (0..work.share).take_while(|_| !self.ends && self.handle_next(&mut work)).count();
        self.flush(&mut work);
        let next = match self.ends {
            true => Next::End,
            false if self.is_at_rest(work.chain) => Next::Rest,
            false => Next::More,
        };
        Worked { items, next }
    }

    /// What came before it began is handled first.
    pub(in crate::actors) fn begin(&mut self, early: impl Iterator<Item = TopicItem<N>>) {
        self.held.extend(early);
    }

    /// Its turn is over: the rest of what came waits here, ahead of what comes next.
    pub(in crate::actors) fn put_off(&mut self, pile: &mut Burst<N>, chain: &mut MessageList) {
        while let Some(item) = pile.take(chain) {
            self.hold(item, pile.since);
        }
    }

    fn hold(&mut self, item: TopicItem<N>, came: Timestamp) {
        if self.held.is_empty() {
            self.held_at = came;
        }
        self.held.push_back(item);
    }

    /// Nothing that it may handle now waits for it.
    fn is_at_rest(&self, chain: &MessageList) -> bool {
        chain.is_empty() && (self.waiting || self.held.is_empty())
    }

    /// Handles an item; tells whether there was one.
    fn handle_next(&mut self, work: &mut Work<'_, N>) -> bool {
        // Most of what comes: straight from the pile to the state machine.
        if !self.waiting
            && self.held.is_empty()
            && let Some(arrival) = work.pile.take_message(work.chain)
        {
            let since = Some(work.cx.now);
            let sample = self.sampler.begin(&self.shared, || Handled::ReceiveMessage, || since);
            let Work { cx, watched, outbox, outgoing, .. } = work;
            handle_message(&mut self.state, arrival, cx, *watched, &self.shared, outbox, outgoing);
            sample.into_iter().for_each(|sample| sample.end(&self.shared));
            return true;
        }
        let Some(item) = self.next_item(work) else { return false };
        let since = || item.since(self.held_at);
        let sample = self.sampler.begin(&self.shared, || Handled::of(&item), since);
        self.handle_item(item, work);
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    /// Takes the next item; holds back what must wait.
    fn next_item(&mut self, work: &mut Work<'_, N>) -> Option<TopicItem<N>> {
        if !self.waiting
            && let Some(item) = self.held.pop_front()
        {
            if self.held.is_empty() {
                // There are as many of these queues as topics.
                self.held = VecDeque::new();
            }
            return Some(item);
        }
        loop {
            let item = work.pile.take(work.chain)?;
            if !self.waiting || item.overtakes() {
                return Some(item);
            }
            self.hold(item, work.pile.since);
        }
    }

    fn handle_item(&mut self, item: TopicItem<N>, work: &mut Work<'_, N>) {
        let outbox = &mut *work.outbox;
        match item {
            // One that was held: others don't come here.
            TopicItem::Message(arrival) => {
                let Self { state, shared, held_at, .. } = self;
                let cx = shared.context(*held_at);
                handle_message(state, arrival, &cx, work.watched, shared, outbox, work.outgoing);
            }
            TopicItem::Peer(saying) => handle_peer(&mut self.state, *saying, &self.shared, outbox),
            TopicItem::Publish { message, at, credit, promise } => {
                self.publish(message, promise, at, outbox);
                drop(credit);
            }
            TopicItem::Join { at } => self.join(at, outbox),
            TopicItem::Leave { at } => self.leave(at, outbox),
            TopicItem::Verdict { message, verdict } => {
                let cx = self.shared.context(self.shared.now());
                let before = outbox.app.len();
                self.state.on_validation_result(&message, verdict, &cx, outbox);
                self.note_delivered(&outbox.app[before..]);
            }
            TopicItem::Command(order) => self.execute(order, outbox),
            TopicItem::FlushDeliveryCounts => self.state.flush_delivery_counts(outbox),
            TopicItem::Inspect(reply) => {
                // What is reported has left: who asks may act on it.
                self.state.flush_delivery_counts(outbox);
                self.hand_on(work);
                work.outgoing.send(&self.shared);
                drop(reply.send(report(&self.state, &self.shared)));
            }
            TopicItem::Look(look) => look(&self.state),
            TopicItem::Retire => self.retire(work),
            TopicItem::Stop => self.end(),
        }
    }

    pub(in crate::actors) fn end(&mut self) {
        self.ends = true;
        self.note_footprint(Footprint::default());
        self.meter.show(Default::default());
    }

    fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        promise: PublishResponder,
        at: Timestamp,
        outbox: &mut Outbox<N>,
    ) {
        let key = (message.topic.clone(), message.message_id.clone());
        let before = outbox.stats.count_sent_app_messages;
        let outcome = self.state.publish(message, &self.shared.context(at), outbox);
        log::publish(&self.state.topic, &outcome);
        outbox.tally.input(Input::Publish, &outcome);
        if self.shared.journal.keeps_messages() && matches!(outcome, PublishOutcome::Published { .. }) {
            let about = Note { peer: None, topic: Some(&key.0), score: None, at };
            self.shared.journal.message(about, &key.1, EventKind::Published);
        }
        let queued = (outbox.stats.count_sent_app_messages - before) as usize;
        let routed = match outcome {
            PublishOutcome::AlreadyPublished => RouteResult::AlreadyPublished,
            PublishOutcome::Published { .. } if queued == 0 => RouteResult::NoPeers,
            PublishOutcome::Published { .. } => RouteResult::Queued,
        };
        promise.respond(routed, queued, |publication| self.shared.tickets.insert(key, publication));
    }

    fn join(&mut self, at: Timestamp, outbox: &mut Outbox<N>) {
        let outcome = self.state.join(&self.shared.context(at), outbox);
        log::join(&self.state.topic, &outcome);
        self.waiting = outcome != JoinOutcome::AlreadyJoined;
        outbox.tally.input(Input::Join, &outcome);
        self.note_join(&outcome, at);
        self.meter.rename(self.shared.topic_labels.of(&self.state.topic));
        self.show();
    }

    fn leave(&mut self, at: Timestamp, outbox: &mut Outbox<N>) {
        let outcome = self.state.leave(&self.shared.context(at), outbox);
        log::leave(&self.state.topic, &outcome);
        self.waiting = outcome != LeaveOutcome::NotJoined;
        outbox.tally.input(Input::Leave, &outcome);
        self.note_leave(&outcome, at);
        self.show();
    }

    fn note_join(&self, outcome: &JoinOutcome<N>, at: Timestamp) {
        if let JoinOutcome::Joined { to_graft } = outcome {
            self.note(EventKind::Joined, at);
            self.note_each(to_graft, PeerDecision::Grafted(Grafting::Join), at);
        }
    }

    fn note_leave(&self, outcome: &LeaveOutcome<N>, at: Timestamp) {
        if let LeaveOutcome::Left { to_prune, .. } = outcome {
            self.note(EventKind::Left, at);
            self.note_each(to_prune, PeerDecision::Pruned(Pruning::Leave), at);
        }
    }

    fn note(&self, what: EventKind, at: Timestamp) {
        let topic = Some(&self.state.topic);
        self.shared.journal.note(Note { peer: None, topic, score: None, at }, what);
    }

    /// Messages whose verdict came later; who delivered them is forgotten by now.
    fn note_delivered(&self, messages: &[AppOutput<N>]) {
        if self.shared.journal.keeps_messages() {
            for message in messages {
                let topic = Some(&self.state.topic);
                let about = Note { peer: None, topic, score: None, at: self.shared.now() };
                self.shared.journal.message(about, &message.message_id, EventKind::Delivered);
            }
        }
    }

    fn note_each(&self, peers: &[N::Peer], decision: PeerDecision, at: Timestamp) {
        let topic = Some(&self.state.topic);
        for peer in peers {
            let score = self.shared.directory.status(peer).score;
            self.shared.journal.decided(Note { peer: Some(peer), topic, score, at }, decision);
        }
    }

    fn execute(&mut self, order: TopicCommand<N>, outbox: &mut Outbox<N>) {
        let answered = matches!(order, TopicCommand::JoinConfirmed(_) | TopicCommand::LeaveConfirmed(_));
        let concluded = matches!(order, TopicCommand::FinishHeartbeat);
        let _span = tracing::trace_span!("order", topic = ?self.state.topic).entered();
        let before = outbox.app.len();
        self.state.handle_command(order, &self.shared.context(self.shared.now()), outbox);
        self.note_delivered(&outbox.app[before..]);
        self.waiting &= !answered;
        self.idle = concluded && !self.state.is_active();
        if concluded {
            self.note_footprint(self.state.footprint());
            self.show();
            self.sampler.heartbeat(self.meter.series.is_own());
        }
    }

    fn show(&mut self) {
        self.meter.show(self.state.counts());
    }

    fn note_footprint(&mut self, now: Footprint) {
        let lonely = now.topics > 0 && self.state.is_joined() && now.subscribers == 0;
        self.shared.pulse.note_lonely(lonely, std::mem::replace(&mut self.is_lonely, lonely));
        let last = std::mem::replace(&mut self.footprint, now);
        self.shared.note_footprint(now, last);
    }

    fn retire(&mut self, work: &mut Work<'_, N>) {
        self.state.flush_delivery_counts(work.outbox);
        self.hand_on(work);
        let empty = TopicState::new(self.state.topic.clone(), &self.shared.limits, self.shared.seed);
        let state = std::mem::replace(&mut self.state, empty);
        work.outgoing.reports.push(SupervisorItem::Retired(Box::new(state)));
        self.end();
    }

    /// Hands on what the handled items left behind; only then it may be said to have nothing to do.
    fn flush(&mut self, work: &mut Work<'_, N>) {
        self.hand_on(work);
        if self.idle && !self.waiting && self.is_at_rest(work.chain) {
            self.idle = false;
            if !self.state.is_active() {
                work.outgoing.reports.push(SupervisorItem::Idle(self.state.topic.clone(), work.commands));
            }
        }
    }

    fn hand_on(&mut self, work: &mut Work<'_, N>) {
        let Work { outbox, outgoing, .. } = work;
        for validation in outbox.later.drain(..) {
            validation::start(validation, &self.address, &self.shared);
        }
        self.note_credits();
        let more = self.shared.flush(&self.state.topic, &self.meter.series, outbox, &mut outgoing.outputs);
        self.meter.count_mesh(more);
        if !outbox.facts.is_empty() {
            outgoing.reports.push(SupervisorItem::Facts {
                topic: self.state.topic.clone(),
                facts: outbox.facts.drain(..).collect(),
                at: self.shared.now(),
            });
        }
    }

    /// What deliveries are worth is told at heartbeats, not at each: one word is enough for many.
    fn note_credits(&mut self) {
        if !self.state.has_unflushed_deliveries() {
            self.is_credited = false;
        } else if !self.is_credited {
            self.is_credited = true;
            self.shared.note_credited(&self.address);
        }
    }
}

/// A topic that is lost leaves nothing behind among the numbers that are shown.
impl<N: Network> Drop for Topic<N> {
    fn drop(&mut self) {
        self.note_footprint(Footprint::default());
        if !self.ends {
            self.meter.lost();
        }
    }
}

/// A topic's share of the state.
pub(crate) fn report<N: Network>(state: &TopicState<N>, shared: &Shared<N>) -> View<N> {
    let mut view = View::default();
    state.view(&shared.limits, &mut view);
    view
}
