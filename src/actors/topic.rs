//! A mesh actor: runs one topic's state machine. Translates, calls, flushes; never decides.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use actix::{Actor, ActorContext, AsyncContext, Context};

use super::{
    attendance::{Attendance, Attends},
    desk::Desk,
    journal::Note,
    log,
    messages::{Inbox, SupervisorItem, TopicItem},
    sample::Sampler,
    saying::{handle_message, handle_peer, watches_messages},
    shared::Shared,
    validation,
};
use crate::{
    metrics::{Handled, TopicMeter},
    network::{AppOutput, FullMessage, Network},
    protocol::{
        Decision, Footprint, Grafting, Happened, Input, JoinOutcome, LeaveOutcome, Order, Outbox, Pruning,
        PublishOutcome, Roster, Timestamp, TopicState, View,
    },
    worker::{Promise, Routed},
};

/// After this many items the actor lets others of its arbiter run: actix never interrupts one
/// whose mailbox fills.
const BUDGET: usize = 128;

/// The actor of one topic.
pub(crate) struct MeshActor<N: Network> {
    state: TopicState<N>,
    inbox: Arc<Inbox<TopicItem<N>>>,
    shared: Arc<Shared<N>>,
    /// Where it writes down what follows, with its neighbours.
    desk: Arc<Desk<N>>,
    /// Taken from the inbox and not handled.
    backlog: VecDeque<TopicItem<N>>,
    /// When what is being handled came; see [`Inbox::push_stamped`].
    at: Timestamp,
    /// Log or journal want to hear of each full message.
    watched: bool,
    /// Held back while a join or leave waits for the supervisor's word of who is connected.
    held: VecDeque<TopicItem<N>>,
    waiting: bool,
    /// A restarted topic is joined again before anything else.
    rejoin: bool,
    /// It stands among those who have not told of all deliveries.
    is_credited: bool,
    /// A heartbeat found that nothing needs the actor.
    idle: bool,
    /// What it last told that it holds.
    footprint: Footprint,
    meter: TopicMeter,
    sampler: Sampler,
    /// It last told that it is joined and no peer is subscribed.
    is_lonely: bool,
    /// It ends as it should.
    ends: bool,
}

impl<N: Network> MeshActor<N> {
    pub(crate) fn new(
        state: TopicState<N>,
        inbox: Arc<Inbox<TopicItem<N>>>,
        shared: Arc<Shared<N>>,
        arbiter: usize,
        rejoin: bool,
    ) -> Self {
        let (series, now) = (shared.topic_labels.of(&state.topic), shared.now());
        Self {
            state,
            inbox,
            desk: Arc::clone(&shared.desks[arbiter]),
            shared,
            backlog: VecDeque::new(),
            at: now,
            watched: false,
            held: VecDeque::new(),
            waiting: false,
            rejoin,
            is_credited: false,
            idle: false,
            footprint: Footprint::default(),
            meter: TopicMeter::new(series),
            sampler: Sampler::default(),
            is_lonely: false,
            ends: false,
        }
    }

    /// Handles an item, or holds it back; tells whether there was one.
    fn attend_next(&mut self, ctx: &mut Context<Self>, waker: &Waker, outbox: &mut Outbox<N>) -> bool {
        if self.backlog.is_empty() {
            let since = self.inbox.take(&mut self.backlog, waker);
            self.at = since.map_or(self.at, |since| since.max(self.at));
        }
        let Some(item) = self.backlog.pop_front() else { return false };
        if self.waiting && !item.overtakes() {
            self.held.push_back(item);
            return true;
        }
        let sample = self.sampler.begin(&self.shared, || Handled::of(&item), || item.since(self.at));
        self.handle_item(item, ctx, outbox);
        sample.into_iter().for_each(|sample| sample.end(&self.shared));
        true
    }

    fn handle_item(&mut self, item: TopicItem<N>, ctx: &mut Context<Self>, outbox: &mut Outbox<N>) {
        match item {
            TopicItem::Message(arrival) => {
                handle_message(&mut self.state, arrival, self.at, self.watched, &self.shared, outbox);
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
                self.state.resolve(&message, verdict, &cx, outbox);
                self.note_delivered(&outbox.app[before..]);
            }
            TopicItem::Order(order) => self.execute(order, outbox),
            TopicItem::TellCredits => self.state.tell_credits(outbox),
            TopicItem::Inspect(reply) => {
                // What is reported has left: who asks may act on it.
                self.state.tell_credits(outbox);
                self.hand_on(outbox);
                drop(reply.send(report(&self.state, &self.shared)));
            }
            TopicItem::Look(look) => look(&self.state),
            TopicItem::Retire => self.retire(ctx, outbox),
            TopicItem::Stop => self.end(ctx),
        }
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.ends = true;
        // Now, not when it is dropped: nobody waits for that.
        self.note_footprint(Footprint::default());
        self.meter.show(Default::default());
        ctx.stop();
    }

    fn publish(
        &mut self,
        message: Arc<FullMessage<N>>,
        promise: Promise,
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
            self.shared.journal.message(about, &key.1, Happened::Published);
        }
        let queued = (outbox.stats.count_sent_app_messages - before) as usize;
        let routed = match outcome {
            PublishOutcome::AlreadyPublished => Routed::AlreadyPublished,
            PublishOutcome::Published { .. } if queued == 0 => Routed::NoPeers,
            PublishOutcome::Published { .. } => Routed::Queued,
        };
        promise.keep(routed, queued, |publication| self.shared.tickets.insert(key, publication));
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
            self.note(Happened::Joined, at);
            self.note_each(to_graft, Decision::Grafted(Grafting::Join), at);
        }
    }

    fn note_leave(&self, outcome: &LeaveOutcome<N>, at: Timestamp) {
        if let LeaveOutcome::Left { to_prune, .. } = outcome {
            self.note(Happened::Left, at);
            self.note_each(to_prune, Decision::Pruned(Pruning::Leave), at);
        }
    }

    fn note(&self, what: Happened, at: Timestamp) {
        let topic = Some(&self.state.topic);
        self.shared.journal.note(Note { peer: None, topic, score: None, at }, what);
    }

    /// Messages whose verdict came later; who delivered them is forgotten by now.
    fn note_delivered(&self, messages: &[AppOutput<N>]) {
        if self.shared.journal.keeps_messages() {
            for message in messages {
                let topic = Some(&self.state.topic);
                let about = Note { peer: None, topic, score: None, at: self.shared.now() };
                self.shared.journal.message(about, &message.message_id, Happened::Delivered);
            }
        }
    }

    fn note_each(&self, peers: &[N::Peer], decision: Decision, at: Timestamp) {
        let topic = Some(&self.state.topic);
        for peer in peers {
            let score = self.shared.directory.standing(peer).score;
            self.shared.journal.decided(Note { peer: Some(peer), topic, score, at }, decision);
        }
    }

    fn execute(&mut self, order: Order<N>, outbox: &mut Outbox<N>) {
        let answered = matches!(order, Order::Welcome(_) | Order::Farewell(_));
        let concluded = matches!(order, Order::Conclude);
        let _span = tracing::trace_span!("order", topic = ?self.state.topic).entered();
        let before = outbox.app.len();
        self.state.execute(order, &self.shared.context(self.shared.now()), outbox);
        self.note_delivered(&outbox.app[before..]);
        if answered {
            self.waiting = false;
            self.held.append(&mut self.backlog);
            std::mem::swap(&mut self.held, &mut self.backlog);
        }
        self.idle = concluded && !self.state.is_active();
        if concluded {
            self.note_footprint(self.state.footprint());
            self.show();
            self.sampler.heartbeat(self.meter.series.is_own());
        }
    }

    fn show(&mut self) {
        self.meter.show(self.state.census());
    }

    fn note_footprint(&mut self, now: Footprint) {
        let lonely = now.topics > 0 && self.state.is_joined() && now.subscribers == 0;
        self.shared.pulse.note_lonely(lonely, std::mem::replace(&mut self.is_lonely, lonely));
        let last = std::mem::replace(&mut self.footprint, now);
        self.shared.note_footprint(now, last);
    }

    fn retire(&mut self, ctx: &mut Context<Self>, outbox: &mut Outbox<N>) {
        self.state.tell_credits(outbox);
        self.hand_on(outbox);
        let empty = TopicState::new(self.state.topic.clone(), &self.shared.limits, self.shared.seed);
        let state = std::mem::replace(&mut self.state, empty);
        self.tell(SupervisorItem::Retired(Box::new(state)));
        self.end(ctx);
    }

    /// Hands on what the handled items left behind; only then does the inbox rest.
    fn flush(&mut self, outbox: &mut Outbox<N>) {
        self.hand_on(outbox);
        if self.backlog.is_empty() && self.held.is_empty() && !self.waiting {
            let _ticket = self.inbox.rest(&mut self.backlog);
            if std::mem::take(&mut self.idle) {
                self.tell(SupervisorItem::Idle(self.state.topic.clone()));
            }
        }
    }

    fn hand_on(&mut self, outbox: &mut Outbox<N>) {
        for validation in outbox.later.drain(..) {
            validation::start(validation, &self.inbox, &self.shared);
        }
        self.note_credits();
        self.meter.count_mesh(self.shared.flush(&self.state.topic, &self.meter.series, outbox));
        if !outbox.facts.is_empty() {
            self.tell(SupervisorItem::Facts {
                topic: self.state.topic.clone(),
                facts: outbox.facts.drain(..).collect(),
                at: self.shared.now(),
            });
        }
    }

    /// What deliveries are worth is told at heartbeats, not at each: one word is enough for many.
    fn note_credits(&mut self) {
        if !self.state.has_credits() {
            self.is_credited = false;
        } else if !self.is_credited {
            self.is_credited = true;
            self.shared.note_credited(&self.inbox);
        }
    }

    /// A closed supervisor: the engine has ended.
    fn tell(&self, item: SupervisorItem<N>) {
        let _ = self.shared.supervisor.push(item);
    }
}

/// actix' own supervisor does not restart after a panic, and leaves no trace of one. The inbox keeps its ticket:
/// until the supervisor has handled the panic, the engine is not settled.
impl<N: Network> Drop for MeshActor<N> {
    fn drop(&mut self) {
        self.note_footprint(Footprint::default());
        if !self.ends {
            self.meter.lost();
            self.tell(SupervisorItem::Panicked(self.state.topic.clone()));
        }
    }
}

impl<N: Network> Actor for MeshActor<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.rejoin {
            let desk = Arc::clone(&self.desk);
            let mut outbox = desk.sit_down();
            self.join(self.shared.now(), &mut outbox);
            self.flush(&mut outbox);
        }
        self.inbox.take_over();
        ctx.spawn(Attendance);
    }
}

impl<N: Network> Attends for MeshActor<N> {
    fn attend(&mut self, ctx: &mut Context<Self>, waker: &Waker) -> bool {
        self.watched = watches_messages(&self.shared);
        let desk = Arc::clone(&self.desk);
        let mut outbox = desk.sit_down();
        let more = (0..BUDGET).all(|_| self.attend_next(ctx, waker, &mut outbox));
        self.flush(&mut outbox);
        more
    }
}

/// A topic's share of the state.
pub(crate) fn report<N: Network>(state: &TopicState<N>, shared: &Shared<N>) -> View<N> {
    let mut view = View::default();
    state.view(&shared.limits, &mut view);
    view
}
