//! Setting up and starting an engine. Does nothing once it runs.

use std::{
    num::NonZero,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use actix::{ArbiterHandle, System};
use crossbeam_utils::CachePadded;
use tokio::sync::watch;

use super::{
    Worker, input,
    streams::{AppOutputs, P2pOutputs},
};
use crate::{
    actors::{
        arbiter::{actor::ArbiterActor, mailbox::ArbiterMailboxes},
        diagnostics::{health::HeartbeatMonitor, journal::EventLog, refusals::RefusalReports},
        fault::EngineError,
        heartbeat::actor::HeartbeatActor,
        inbox::{BusyCount, Inbox},
        pool::{Arbiters, Pool, start_watched},
        router::actor::RouterActor,
        shared::{Observer, Shared},
        supervisor::actor::SupervisorActor,
        topic_table::TopicTable,
    },
    admission::Admission,
    clock::{Clock, SystemClock},
    directory::Directory,
    input_recorder::InputRecorder,
    limits::Limits,
    metrics::{Metrics, Queue, Source, TopicLabels},
    network::{AppInput, Network},
    outputs::{app_queue::AppQueue, p2p_queue::P2pQueue, publication::PublishReports, recycle::RecycleBins},
    protocol::{
        event::Event, exchange::command::ValidationMode, options::NodeOptions, peers::Peers,
        rate_limit::RateLimit,
    },
};

/// How an engine is to run. Every setting has a default.
pub struct WorkerBuilder<N: Network> {
    network: N,
    limits: Limits<N::Topic>,
    options: NodeOptions<N>,
    home: Arbiters,
    clock: Option<Arc<dyn Clock>>,
    manual: bool,
    observer: Option<Observer<N>>,
    message_events: usize,
    recorder: Source,
    max_topic_labels: usize,
    input_recorder: Option<Arc<dyn InputRecorder<N>>>,
}

/// A running engine: its handle and its two output streams.
pub struct Started<N: Network> {
    /// The handle.
    pub worker: Worker<N>,
    /// What the p2p layer is to do.
    pub p2p: P2pOutputs<N>,
    /// What the application receives.
    pub app: AppOutputs<N>,
}

/// Why an engine could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Actors need an actix system.
    #[error(
        "no actix System runs on this thread: start the engine inside `#[actix::main]` or `System::new().block_on(..)`"
    )]
    NoSystem,
}

impl<N: Network> WorkerBuilder<N> {
    pub(super) fn new(network: N, limits: Limits<N::Topic>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            network,
            limits,
            options: NodeOptions { seed: rand::random(), ..NodeOptions::default() },
            home: Arbiters::Own(cores),
            clock: None,
            manual: false,
            observer: None,
            message_events: 0,
            recorder: Source::Current,
            max_topic_labels: 100,
            input_recorder: None,
        }
    }

    /// This node's own peer: when peers advertise it, it is not connected to.
    pub fn self_peer(mut self, peer: N::Peer) -> Self {
        self.options.self_peer = Some(peer);
        self
    }

    /// Where random choices come from; by default from the operating system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// How many threads of its own the engine runs on; by default as many as there are cores. With 0
    /// it runs on the arbiter that starts it, where tokio's paused time works.
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.home = Arbiters::Own(arbiters);
        self
    }

    /// Runs the engine on these arbiters, in place of threads of its own. They are the caller's, who stops them once
    /// the engine has ended. Connections that live on them too are a topic's neighbours: what one says to the other
    /// need not cross from core to core. Without any it runs on the arbiter that starts it.
    pub fn on_arbiters(mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> Self {
        self.home = Arbiters::Given(arbiters.into_iter().collect());
        self
    }

    /// Judges messages in batches, each open for `interval`, by
    /// [`Network::validate_batch`]; by default one by one.
    pub fn batching(mut self, interval: Duration) -> Self {
        self.options.batch_interval = Some(interval);
        self
    }

    /// Where the time comes from; by default from the system's monotonic clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Runs no timers: heartbeats, retries and batches come by [`Worker::tick`],
    /// [`Worker::check_parked`] and [`Worker::process_batch`].
    pub fn manual(mut self) -> Self {
        self.manual = true;
        self
    }

    /// Who is told of [`Event`]s, on the engine's threads and the callers', in place of `tracing`.
    pub fn observer(mut self, observer: impl Fn(&Event<N>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Where its [metrics](crate::metrics) go; by default to the recorder that is current when it starts, and
    /// for topics that are joined later, to the one that is current then.
    pub fn recorder(mut self, recorder: Arc<dyn ::metrics::Recorder + Send + Sync>) -> Self {
        self.recorder = Source::Given(recorder);
        self
    }

    /// How many topics are told apart among the metrics, at most; by default 100. Those that are joined first have
    /// series of their own, for ever; a fifth of the room may go to those that are only published to. The others
    /// share a label ([`OTHER`](crate::metrics::OTHER)). Each takes 31 series.
    pub fn max_topic_labels(mut self, topics: usize) -> Self {
        self.max_topic_labels = topics;
        self
    }

    /// Who is shown every input, in the order of the door.
    pub fn input_recorder(mut self, recorder: Arc<dyn InputRecorder<N>>) -> Self {
        self.input_recorder = Some(recorder);
        self
    }

    /// Keeps the last `count` events about full messages (published, delivered, duplicate, rejected) for
    /// [`Worker::events`]; by default none, as each costs a lock and some copies. Events about peers are kept
    /// all the same.
    pub fn message_events(mut self, count: usize) -> Self {
        self.message_events = count;
        self
    }

    /// Starts the engine and joins `topics`, in order.
    ///
    /// # Errors
    /// No actix system runs on this thread.
    pub fn start(self, topics: impl IntoIterator<Item = N::Topic>) -> Result<Started<N>, StartError> {
        if System::try_current().is_none() {
            return Err(StartError::NoSystem);
        }
        let (pool, arbiters) = Pool::new(&self.home);
        let (options, manual) = (self.options.clone(), self.manual);
        let shared = Arc::new(self.share(pool.len()));
        if let Some(recorder) = &shared.input_recorder {
            recorder.start(&shared.network, &shared.limits, &options);
        }
        start_actors(&shared, pool, &options, manual);
        let worker = Worker { shared: Arc::clone(&shared), arbiters: Arc::new(Mutex::new(arbiters)) };
        for topic in topics {
            // Nothing is refused yet.
            let _ = input::app_input(&shared, AppInput::Join(topic));
        }
        let (p2p, app) = (P2pOutputs::new(Arc::clone(&shared)), AppOutputs::new(shared));
        Ok(Started { worker, p2p, app })
    }

    fn share(self, arbiters: usize) -> Shared<N> {
        let load = Arc::new(BusyCount::default());
        let bounds = &self.limits.bounds;
        let admission = Arc::new(Admission::new(bounds));
        let batched = self.options.batch_interval.is_some();
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let metrics = Metrics::new(&self.recorder, &self.limits);
        let watch = |queue| metrics.stopwatch(queue, Arc::clone(&clock));
        Shared {
            seed: self.options.seed,
            validation_mode: if batched { ValidationMode::Batched } else { ValidationMode::Sequential },
            directory: Directory::new(Arc::clone(&admission)),
            topic_table: TopicTable::<N>::default(),
            publications: Arc::new(Admission::new(bounds)),
            supervisor: Inbox::new(Arc::clone(&load)).into(),
            router: Inbox::new(Arc::clone(&load)).into(),
            desks: ArbiterMailboxes::new(arbiters, &load),
            load,
            p2p: P2pQueue::new(bounds.max_output_items, Arc::clone(&admission), watch(Queue::P2pOutput))
                .into(),
            app: AppQueue::new(bounds.max_output_items, Arc::clone(&admission), watch(Queue::AppOutput))
                .into(),
            admission,
            validating: AtomicUsize::new(0),
            tickets: PublishReports::default(),
            returns: RecycleBins::default(),
            observes_inputs: self.observer.is_some(),
            observer: self.observer.unwrap_or_else(|| Arc::new(trace)),
            input_recorder: self.input_recorder,
            refusal_reports: RefusalReports::new(RateLimit::new(bounds.event_interval)),
            clock,
            metrics,
            topic_labels: TopicLabels::new(self.recorder, self.max_topic_labels),
            last_overload: Mutex::default(),
            journal: EventLog::new(bounds, self.message_events),
            pulse: HeartbeatMonitor::new(self.manual),
            in_heartbeat: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            end: watch::Sender::new(None),
            credited: CachePadded::default(),
            topic_stats: CachePadded::default(),
            topic_footprint: Mutex::default(),
            peer_stats: Mutex::default(),
            network: Arc::new(self.network),
            limits: Arc::new(self.limits),
        }
    }
}

/// Supervisor, router and heartbeat live on one arbiter; topics on all in turn.
fn start_actors<N: Network>(shared: &Arc<Shared<N>>, pool: Pool, options: &NodeOptions<N>, manual: bool) {
    let first = pool.arbiter(0).clone();
    let fail = |fault: EngineError| {
        let shared = Arc::clone(shared);
        move || shared.finish(Err(fault))
    };
    let router = Arc::clone(shared);
    start_watched(&first, move || RouterActor::new(router), fail(EngineError::RouterPanicked));
    for (arbiter, desk) in shared.desks.iter().enumerate() {
        let (shared, desk) = (Arc::clone(shared), Arc::clone(desk));
        start_watched(
            pool.arbiter(arbiter),
            move || ArbiterActor::new(shared, desk),
            fail(EngineError::ArbiterPanicked),
        );
    }
    let peers = Peers::new(Arc::clone(&shared.network), Arc::clone(&shared.limits), options);
    let supervisor = Arc::clone(shared);
    let make = move || SupervisorActor::new(supervisor, pool, peers, manual);
    start_watched(&first, make, fail(EngineError::SupervisorPanicked));
    if !manual {
        let heartbeat = Arc::clone(shared);
        let make = move || HeartbeatActor::new(heartbeat);
        start_watched(&first, make, fail(EngineError::HeartbeatPanicked));
    }
}

/// The default observer.
fn trace<N: Network>(event: &Event<N>) {
    match event {
        Event::Heartbeat { tick } => tracing::trace!(tick, "heartbeat"),
        Event::P2pInput(_) | Event::AppInput(_) => {}
        Event::HeartbeatSkipped { tick } => tracing::warn!(tick, "heartbeat skipped: this one is not done"),
        Event::SubscribeTopicCapExceeded { peer, max_topics } => {
            tracing::warn!(?peer, max_topics, "subscription ignored: the peer has as many topics as it may");
        }
        Event::InputRefused { depth, reason } => tracing::warn!(depth, reason, "inputs refused"),
        Event::SlowPeer { peer } => tracing::warn!(?peer, "slow peer: it does not read what it must be told"),
        Event::TopicRestarted { topic } => tracing::error!(?topic, "topic restarted after a panic"),
        Event::TopicGivenUp { topic } => tracing::error!(?topic, "topic left: it panicked too often"),
    }
}
