//! One schedule: an engine of which all actors run on this thread, one grant after the other.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::Arbiter;
use actix_gossipsub::{
    AppOutputs, Clock, Limits, LimitsConfig, Mailbox, Mailboxes, ManualClock, P2pInput, P2pMessage,
    P2pOutputs, PublishTicket, Refused, Worker,
    limits::{PatternOverrides, TopicOverrides},
    protocol::{Event, Timestamp},
};
use tokio::{sync::Mutex as AsyncMutex, task::JoinHandle, task::yield_now};

use super::{
    checks::{Checks, STABLE, is_repaired},
    hooks::{Hook, Hooks},
    network::{Id, ScheduledNetwork, SharedCell, set_topics_run, take_not_cloned},
    plan::{Peril, Plan},
    random::Random,
    reference::Reference,
    trace::Trace,
};

pub const TOPICS: [&str; 4] = ["a", "b", "c", "d"];
/// The peer that the engine is.
pub const SELF: u64 = 0;
/// Most heartbeats of a schedule before its end: no seen id expires.
pub const MAX_TICKS: usize = 5;
/// The time for which messages are collected in a batch.
pub const BATCH_INTERVAL: Duration = Duration::from_secs(1);
/// More grants in one drain than any schedule needs.
const MAX_GRANTS: usize = 20_000;

/// A stream that tasks read in turn. Empty once the schedule drops it.
type Stream<T> = Rc<AsyncMutex<Option<T>>>;

/// A future that a schedule has not dropped.
pub struct Task {
    name: &'static str,
    handle: JoinHandle<()>,
}

pub struct Schedule {
    pub plan: Plan,
    pub random: Random,
    pub worker: Worker<ScheduledNetwork>,
    pub mailboxes: Rc<Mailboxes<ScheduledNetwork>>,
    pub hooks: Arc<Hooks>,
    pub clock: Arc<ManualClock>,
    pub checks: SharedCell<Checks>,
    pub reference: Option<Reference>,
    pub tasks: Vec<Task>,
    pub tickets: Vec<(Id, Rc<PublishTicket<ScheduledNetwork>>)>,
    pub ticks: usize,
    /// The messages that only [`complete_plan`](Self::complete_plan) sends.
    pub new_messages: u64,
    pub p2p: Stream<P2pOutputs<ScheduledNetwork>>,
    pub app: Stream<AppOutputs<ScheduledNetwork>>,
    events: Arc<Mutex<Vec<Event<ScheduledNetwork>>>>,
    /// The engine ended by a panic of an actor.
    pub has_ended: Rc<Cell<bool>>,
    /// Waits for such an end.
    end: JoinHandle<()>,
    trace: Trace,
}

thread_local! {
    static LIMITS: [Limits<String>; 2] = [false, true].map(limits);
}

fn limits(graft_on_subscribe: bool) -> Limits<String> {
    let mut limits = LimitsConfig::tezos_dal();
    limits.extensions = Default::default();
    limits.extensions.graft_on_subscribe = graft_on_subscribe;
    limits.extensions.idontwant_message_size = 1;
    // So that the engine calls `encoded_size`, `source`, `is_violation` and `topic_name`.
    limits.extensions.max_message_size = 1024;
    limits.extensions.refuse_own_messages = true;
    limits.extensions.protocol_violation_penalty = 1.0;
    let pattern = PatternOverrides { pattern: "*".into(), limits: TopicOverrides::default() };
    limits.topics.patterns.push(pattern);
    limits.seen_history_length = MAX_TICKS + 2;
    limits.heartbeat_ping_interval = 2;
    limits.backoff_cleanup_ticks = 1;
    limits.bounds.reconnect_interval_ticks = 1;
    limits.bounds.shutdown_deadline = Duration::from_secs(3600);
    limits.bounds.validation_timeout = Duration::from_secs(60);
    Limits::try_from(limits).expect("the limits are valid")
}

impl Schedule {
    /// Starts an engine and connects its peers.
    pub async fn start(seed: u64, trace: Trace) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let (hooks, clock, events) = (Arc::<Hooks>::default(), Arc::new(ManualClock::new()), Arc::default());
        let limits = LIMITS.with(|limits| limits[usize::from(plan.grafts_on_subscribe)].clone());
        let network = ScheduledNetwork { validation: plan.validation, hooks: Arc::clone(&hooks) };
        let arbiters = (0..plan.arbiters).map(|_| Arbiter::current());
        let mut builder = Worker::builder(network, limits.clone())
            .manual()
            .seed(seed)
            .self_peer(SELF)
            .on_arbiters(arbiters)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .observer(observer(&events, &hooks));
        if plan.validation.in_batches() {
            builder = builder.batching(BATCH_INTERVAL);
        }
        let joined = if random.one_in(2) { &TOPICS[..1] } else { &TOPICS[..2] };
        let started = builder.start(joined.iter().map(|topic| (*topic).to_owned())).expect("a system runs");
        let mut checks = Checks::default();
        checks.validation = Some(plan.validation);
        checks.outputs = plan.is_compared.then(Default::default);
        TOPICS.iter().for_each(|topic| drop(checks.topics.insert((*topic).to_owned(), Default::default())));
        joined.iter().for_each(|topic| checks.on_join(topic));
        let mut reference = plan.is_compared.then(|| Reference::new(plan.validation, limits, seed));
        for topic in joined {
            reference.iter_mut().for_each(|reference| reference.join(&(*topic).to_owned(), clock.now()));
        }
        let mailboxes = Rc::new(started.worker.schedule_mailboxes());
        let (worker, has_ended) = (started.worker.clone(), Rc::<Cell<bool>>::default());
        let has_failed = Rc::clone(&has_ended);
        let end = actix::spawn(async move { has_failed.set(worker.wait_for_end().await.is_err()) });
        let mut schedule = Self {
            plan,
            random,
            worker: started.worker,
            mailboxes,
            hooks,
            clock,
            checks: Rc::new(RefCell::new(checks)),
            reference,
            tasks: Vec::new(),
            tickets: Vec::new(),
            ticks: 0,
            new_messages: 0,
            p2p: Rc::new(AsyncMutex::new(Some(started.p2p))),
            app: Rc::new(AsyncMutex::new(Some(started.app))),
            events,
            has_ended,
            end,
            trace,
        };
        schedule.read_streams();
        for peer in STABLE {
            schedule.connect(peer);
            for topic in TOPICS {
                let message = P2pMessage::subscribe(topic.to_owned());
                schedule.input(P2pInput::message(peer, message));
            }
            let message = P2pMessage::Graft { topic: "a".to_owned() };
            schedule.input(P2pInput::message(peer, message));
        }
        schedule.drain().await;
        schedule
    }

    // === Inputs ===

    pub fn connect(&mut self, peer: u64) {
        if self.input(P2pInput::connected(peer)) {
            self.checks.borrow_mut().on_connect(peer);
        }
    }

    /// Sends an input of the p2p layer. Returns whether the engine accepted it.
    pub fn input(&mut self, input: P2pInput<ScheduledNetwork>) -> bool {
        self.trace(|| format!("    {input:?}"));
        let copy = self.reference.is_some().then(|| input.clone());
        let accepted = self.worker.p2p_input(input);
        let is_accepted = self.accepted(accepted).is_some();
        if let (true, Some(input)) = (is_accepted, copy) {
            self.with_reference(|reference, now| reference.p2p_input(input, now));
        }
        is_accepted
    }

    /// Repeats an input that the engine accepted.
    pub fn with_reference(&mut self, input: impl FnOnce(&mut Reference, Timestamp)) {
        if let Some(reference) = &mut self.reference {
            input(reference, self.clock.now());
        }
    }

    /// See [`Trace`].
    pub fn trace(&self, line: impl FnOnce() -> String) {
        self.trace.line(line);
    }

    /// An engine refuses inputs once it shuts down, and no queue is full in a schedule.
    pub fn accepted<T>(&mut self, result: Result<T, Refused>) -> Option<T> {
        let ended = self.checks.borrow().shut_down || self.worker.is_ended();
        let is_kept = match &result {
            Ok(_) => !ended,
            Err(refused) => ended && *refused == Refused::Stopped,
        };
        let refused = result.as_ref().err().copied();
        self.checks
            .borrow_mut()
            .rule(is_kept, || format!("ended: {ended}, an input is refused: {refused:?}"));
        result.ok()
    }

    // === Tasks ===

    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Task { name, handle: actix::spawn(task) });
    }

    /// A future after which the engine is settled.
    pub fn spawn_settling(&mut self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        let (mailboxes, checks) = (Rc::clone(&self.mailboxes), Rc::clone(&self.checks));
        let hooks = Arc::clone(&self.hooks);
        self.spawn(name, async move {
            task.await;
            let queued: Vec<_> = mailboxes.lengths().filter(|(_, length)| *length > 0).collect();
            let is_settled = mailboxes.is_idle() && queued.is_empty() && hooks.awaited() == 0;
            checks.borrow_mut().rule(is_settled, || format!("{name} returns with work left: {queued:?}"));
        });
    }

    /// Reads both streams in tasks.
    pub fn read_streams(&mut self) {
        let (stream, checks) = (Rc::clone(&self.p2p), Rc::clone(&self.checks));
        let trace = self.trace.clone();
        self.spawn("reading the p2p stream", async move {
            loop {
                let next = match &mut *stream.lock().await {
                    Some(stream) => stream.recv_batch().await,
                    None => return,
                };
                match next {
                    Some(batch) => {
                        trace.value(&batch);
                        checks.borrow_mut().on_output(&batch);
                    }
                    None => return checks.borrow_mut().p2p_ended = true,
                }
            }
        });
        let (stream, checks) = (Rc::clone(&self.app), Rc::clone(&self.checks));
        let trace = self.trace.clone();
        self.spawn("reading the application's stream", async move {
            loop {
                let next = match &mut *stream.lock().await {
                    Some(stream) => stream.recv().await,
                    None => return,
                };
                match next {
                    Some(message) => {
                        trace.value(&message);
                        checks.borrow_mut().on_delivered(&message.message_id);
                    }
                    None => return checks.borrow_mut().app_ended = true,
                }
            }
        });
    }

    /// Drops one of the futures.
    pub fn cancel_one(&mut self) {
        if !self.tasks.is_empty() {
            let task = self.tasks.swap_remove(self.random.below(self.tasks.len()));
            task.handle.abort();
            self.checks.borrow_mut().seen_perils.insert(Peril::Cancellation);
        }
    }

    /// Drops the futures that read the streams.
    pub fn stop_reading(&mut self) {
        let is_reading = |task: &Task| task.name.starts_with("reading");
        self.tasks.iter().filter(|task| is_reading(task)).for_each(|task| task.handle.abort());
        self.tasks.retain(|task| !is_reading(task));
    }

    pub fn abort_tasks(&mut self) {
        self.tasks.drain(..).for_each(|task| task.handle.abort());
    }

    /// Drops all futures and the handle of the engine.
    pub fn drop_all(mut self) {
        self.abort_tasks();
        self.end.abort();
    }

    // === Running ===

    /// Runs all tasks that are ready.
    pub async fn run_ready(&mut self) {
        for _ in 0..2 {
            yield_now().await;
        }
        set_topics_run(false);
        self.record();
    }

    /// Records what the hooks and the observer have seen.
    fn record(&mut self) {
        let mut checks = self.checks.borrow_mut();
        let events = std::mem::take(&mut *self.events.lock().expect("the lock is not poisoned"));
        for event in &events {
            self.trace(|| format!("    {event:?}"));
            checks.on_event(event);
        }
        self.hooks.take_batches().iter().for_each(|batch| checks.on_batch(batch));
        for injected in self.hooks.take_injected() {
            self.trace(|| format!("    {injected:?}"));
            checks.on_panic();
            *checks.fired.entry(injected.0).or_default() += 1;
            checks.on_no_verdict(&injected.1);
        }
        if let Some(id) = take_not_cloned() {
            self.trace(|| format!("    the clone of {id:?} panics"));
            checks.on_panic();
            checks.on_no_verdict(&[id]);
        }
        checks.check_answers();
        self.tasks.retain(|task| !task.handle.is_finished());
        checks.rule(!self.has_ended.get() || !is_repaired("A14"), || "an actor panicked".to_owned());
    }

    /// Lets an actor handle some of its items.
    pub async fn grant_one(&mut self) -> bool {
        let queued: Vec<_> = self.mailboxes.lengths().filter(|(_, length)| *length > 0).collect();
        if queued.is_empty() {
            return false;
        }
        let (mailbox, length) = self.random.pick(&queued);
        let most = if self.random.one_in(3) { 8 } else { 1 };
        let items = 1 + self.random.below(most);
        self.trace(|| format!("    {items} of {length} for {mailbox:?}"));
        self.mailboxes.grant(mailbox, items);
        set_topics_run(matches!(mailbox, Mailbox::Arbiter(_)));
        self.run_ready().await;
        true
    }

    /// Gives one of the verdicts that the engine awaits.
    pub async fn resolve_one(&mut self) -> bool {
        let Some(awaited) = self.hooks.take_awaited(&mut self.random) else { return false };
        self.checks.borrow_mut().on_verdict(&awaited.ids);
        self.hooks.resolve(awaited);
        self.run_ready().await;
        true
    }

    /// Lets all actors run, in any order, until nothing is queued or awaited.
    pub async fn drain(&mut self) {
        self.run_ready().await;
        for _ in 0..MAX_GRANTS {
            let verdict_first = self.random.one_in(4) && self.resolve_one().await;
            if !verdict_first && !self.grant_one().await && !self.resolve_one().await {
                let is_idle = self.mailboxes.is_idle();
                return self.checks.borrow_mut().rule(is_idle, || "the engine never settles".to_owned());
            }
        }
        self.checks.borrow_mut().rule(false, || "the engine always has work".to_owned());
    }

    /// All futures that were not dropped have returned, except those that read streams and those in `waiting`.
    pub fn check_tasks(&mut self, waiting: &[&str]) {
        self.record();
        let unfinished: Vec<_> = self.tasks.iter().map(|task| task.name).collect();
        let unfinished: Vec<_> = unfinished.into_iter().filter(|name| !waiting.contains(name)).collect();
        self.checks.borrow_mut().rule(unfinished.is_empty(), || format!("not woken: {unfinished:?}"));
    }

    pub fn has(&self, peril: Peril) -> bool {
        self.plan.has(peril)
    }
}

fn observer(
    events: &Arc<Mutex<Vec<Event<ScheduledNetwork>>>>,
    hooks: &Arc<Hooks>,
) -> impl Fn(&Event<ScheduledNetwork>) + Send + Sync + 'static {
    let (events, hooks) = (Arc::clone(events), Arc::clone(hooks));
    move |event| {
        if matches!(event, Event::TopicRestarted { .. } | Event::TopicGivenUp { .. }) {
            events.lock().expect("the lock is not poisoned").push(event.clone());
        }
        hooks.call(Hook::Observer, &[]);
    }
}
