//! Configures an engine and starts its actors.

use std::{
    num::NonZero,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use actix::ArbiterHandle;
use crossbeam_utils::CachePadded;
use tokio::sync::{Semaphore, watch};
use tracing::{Span, error_span};

use super::{
    Worker,
    event_log::log_event,
    input,
    lifecycle::Lifetime,
    streams::{AppOutputs, P2pOutputs},
};
use crate::{
    actors::{
        arbiter::{actor::ArbiterActor, mailbox::ArbiterMailboxes},
        diagnostics::{health::HeartbeatMonitor, journal::EventLog, report_limit::ReportLimit},
        fault::{EngineError, StartError},
        heartbeat::actor::HeartbeatActor,
        inbox::{BusyCount, Inbox},
        pool::{Arbiters, Pool},
        router::actor::RouterActor,
        shared::{MAX_LONG_QUERIES, Observer, PeerListener, Shared},
        supervisor::actor::SupervisorActor,
        topic_table::TopicTable,
        watch::start_watched,
    },
    admission::{Admission, CreditOwner, totals::Totals},
    clock::{Clock, SystemClock},
    directory::{Directory, limits::CurrentLimits},
    input_recorder::{InputRecorder, RecordedInput},
    limits::Limits,
    metrics::{Metrics, RecorderSource, TimedQueue, TopicLabels},
    network::{
        AppInput, Network,
        hooks::{Hook, Hooks},
    },
    outputs::{
        app_queue::AppQueue, backpressure::FullQueues, event_queue::EventSubscribers, p2p_queue::P2pQueue,
        publication::PublishReports, publish_room::PublishRoom, shared_room::SharedRoom,
    },
    protocol::{
        backoff::RemainingBackoff,
        event::Event,
        exchange::command::ValidationMode,
        options::NodeOptions,
        peers::{Peers, peer_event::PeerEvent},
        rate_limit::RateLimit,
    },
};

/// The configuration of an engine. Every setting has a default.
///
/// # Examples
/// ```
/// # use actix_gossipsub::{Limits, LimitsConfig, Started, Worker, plain::PlainNetwork};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix::System::new().block_on(async {
/// let limits = Limits::try_from(LimitsConfig::default())?;
/// let Started { worker, p2p, app } = Worker::builder(PlainNetwork::new(), limits)
///     .arbiters(1)
///     .message_events(100)
///     .start(["news".to_owned()])?;
/// assert!(worker.is_subscribed(&"news".to_owned()));
/// # worker.shutdown().await;
/// # Ok(()) }) }
/// ```
pub struct WorkerBuilder<N: Network> {
    network: N,
    limits: Limits<N::Topic>,
    options: NodeOptions<N>,
    backoffs: Vec<RemainingBackoff<N>>,
    arbiters: Arbiters,
    clock: Option<Arc<dyn Clock>>,
    manual: bool,
    observer: Option<Observer<N>>,
    peer_listener: Option<PeerListener<N>>,
    message_events: usize,
    recorder: RecorderSource,
    name: Option<Arc<str>>,
    max_topic_labels: usize,
    input_recorder: Option<Arc<dyn InputRecorder<N>>>,
}

/// A running engine: its handle and its two output streams.
pub struct Started<N: Network> {
    /// The handle.
    pub worker: Worker<N>,
    /// The outputs for the p2p layer.
    pub p2p: P2pOutputs<N>,
    /// The messages for the application.
    pub app: AppOutputs<N>,
}

impl<N: Network> WorkerBuilder<N> {
    pub(super) fn new(network: N, limits: Limits<N::Topic>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            network,
            limits,
            options: NodeOptions { seed: rand::random(), ..NodeOptions::default() },
            backoffs: Vec::new(),
            arbiters: Arbiters::Spawn(cores),
            clock: None,
            manual: false,
            observer: None,
            peer_listener: None,
            message_events: 0,
            recorder: RecorderSource::default(),
            name: None,
            max_topic_labels: 100,
            input_recorder: None,
        }
    }

    /// Sets the peer id of this node. The engine requests no connection to it when peers recommend it. By default it
    /// has none.
    pub fn self_peer(mut self, peer: N::Peer) -> Self {
        self.options.self_peer = Some(peer);
        self
    }

    /// Takes over the backoffs that a former process of this node left
    /// ([`Worker::shutdown_with_backoffs`]), less the time since then. Their peers are grafted at the second heartbeat after they
    /// end; a GRAFT before would cost this node score (P7). What exceeds the bounds of all backoffs is dropped and counted.
    pub fn initial_backoffs(mut self, backoffs: impl IntoIterator<Item = RemainingBackoff<N>>) -> Self {
        self.backoffs = backoffs.into_iter().collect();
        self
    }

    /// Sets the seed of all random choices. By default the operating system provides one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Runs the engine on this number of own threads, by default one a core. They are arbiters of the caller's actix
    /// system or, if the caller has none, as under `#[tokio::main]`, of a system that the engine runs. With 0 the engine
    /// runs on the arbiter that starts it, where alone paused tokio time works, or on one thread if there is no system.
    pub fn arbiters(mut self, arbiters: usize) -> Self {
        self.arbiters = Arbiters::Spawn(arbiters);
        self
    }

    /// Runs the engine on these arbiters instead of own threads. The caller stops them after the engine has ended.
    /// Connections that run on the same arbiters exchange messages with topics without a change of thread. With an
    /// empty iterator this is [`arbiters(0)`](Self::arbiters).
    pub fn on_arbiters(mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> Self {
        self.arbiters = Arbiters::Borrowed(arbiters.into_iter().collect());
        self
    }

    /// Validates messages in batches by [`Network::validate_batch`]. A batch is validated `interval` after its first
    /// message, or when it has `bounds.max_batch_items`. By default messages are validated one by one.
    pub fn batching(mut self, interval: Duration) -> Self {
        self.options.batch_interval = Some(interval);
        self
    }

    /// Sets the clock of the engine, by default the system's monotonic clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Starts no timers: heartbeats, retries of parked messages and batches run only by [`Worker::tick`],
    /// [`Worker::check_parked`] and [`Worker::process_batch`].
    pub fn manual(mut self) -> Self {
        self.manual = true;
        self
    }

    /// Sets the function that receives each [`Event`], on the engine's threads and on those of its callers. It must not
    /// block. By default events go to `tracing`, except inputs.
    pub fn observer(mut self, observer: impl Fn(&Event<N>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the function that receives each [`PeerEvent`](crate::protocol::PeerEvent): connections, subscriptions, meshes and
    /// penalties, in the order in which the engine learns of them. It is called on the thread of the supervisor and must
    /// not block. By default there is none, and none of these events is assembled.
    pub fn peer_listener(mut self, listener: impl Fn(PeerEvent<N>) + Send + Sync + 'static) -> Self {
        self.peer_listener = Some(Arc::new(listener));
        self
    }

    /// Sets the recorder of the engine's [metrics](crate::metrics). By default it is the current recorder at the start
    /// and, for topics that are joined later, the current recorder at the join.
    pub fn recorder(mut self, recorder: Arc<dyn ::metrics::Recorder + Send + Sync>) -> Self {
        self.recorder.recorder = Some(recorder);
        self
    }

    /// Sets the name that distinguishes this engine from others of the same process: the label `engine` of all its metrics
    /// and the field `engine` of the span `gossipsub` in which its log lines are. By default there is no name, no label and
    /// no span. The span belongs to the `tracing` subscriber that is current at the start of the engine.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = Arc::<str>::from(name.into());
        self.recorder.engine = Some(Arc::clone(&name));
        self.name = Some(name);
        self
    }

    /// Sets how many topics have metrics of their own, by default 100. The first topics that are joined get them and
    /// keep them; at most a fifth may go to topics to which we only publish. All other topics share the label
    /// [`OTHER`](crate::metrics::OTHER). Each topic takes 33 series.
    pub fn max_topic_labels(mut self, topics: usize) -> Self {
        self.max_topic_labels = topics;
        self
    }

    /// Sets the recorder that receives every accepted input. By default there is none.
    pub fn input_recorder(mut self, recorder: Arc<dyn InputRecorder<N>>) -> Self {
        self.input_recorder = Some(recorder);
        self
    }

    /// Keeps the last `count` events about full messages (published, delivered, duplicate, rejected) for
    /// [`Worker::events`]. By default it keeps none: each costs a lock and some copies. Events about peers are always
    /// kept.
    pub fn message_events(mut self, count: usize) -> Self {
        self.message_events = count;
        self
    }

    /// Starts the engine and joins `topics`, in order.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn start(mut self, topics: impl IntoIterator<Item = N::Topic>) -> Result<Started<N>, StartError> {
        let (pool, own_threads) = Pool::new(&self.arbiters)?;
        let (options, manual) = (self.options.clone(), self.manual);
        let backoffs = std::mem::take(&mut self.backoffs);
        let shared = Arc::new(self.into_shared(pool.len()));
        if let Some(recorder) = &shared.input_recorder {
            let limits = shared.limits.load();
            let start = || recorder.start(shared.network.network(), &limits, &options);
            // Without its start the recorder may record nothing; the engine runs.
            let _ = shared.network.contain(Hook::InputRecorder, start);
        }
        if !backoffs.is_empty() {
            shared.record(RecordedInput::RestoreBackoffs(&backoffs));
        }
        start_actors(&shared, &pool, &options, &backoffs, manual);
        let lifetime = Arc::new(Lifetime::new(&shared, pool.arbiter(0), own_threads));
        let worker = Worker { shared: Arc::clone(&shared), lifetime: Arc::clone(&lifetime) };
        for topic in topics {
            // A join is refused only by an engine that has ended.
            let _ = input::app_input(&shared, AppInput::Join(topic));
        }
        let p2p = P2pOutputs::new(Arc::clone(&shared), Arc::clone(&lifetime));
        let app = AppOutputs::new(shared, lifetime);
        Ok(Started { worker, p2p, app })
    }

    fn into_shared(self, arbiters: usize) -> Shared<N> {
        let busy_count = Arc::new(BusyCount::default());
        let bounds = &self.limits.bounds;
        let admission = Arc::new(Admission::new(bounds));
        let (totals, full_queues) = (Totals::new(bounds), Arc::<FullQueues>::default());
        let batched = self.options.batch_interval.is_some();
        let event_subscribers = Arc::new(EventSubscribers::new(bounds.max_unread_events));
        let subscribed = SharedRoom::new(bounds.max_subscribed_items, bounds.max_subscribed_bytes);
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let metrics = Metrics::new(&self.recorder, &self.limits);
        // At the level of the most important lines, so that a filter that lets a line pass lets the span pass too.
        let span =
            self.name.as_deref().map_or_else(Span::none, |name| error_span!("gossipsub", engine = name));
        let network = Hooks::new(Arc::new(self.network), on_hook_panic(&metrics, span.clone()));
        let wait_time = |queue| metrics.wait_time(queue, Arc::clone(&clock));
        Shared {
            seed: self.options.seed,
            name: self.name,
            span,
            self_peer: self.options.self_peer,
            validation_mode: if batched { ValidationMode::Batched } else { ValidationMode::Sequential },
            directory: Directory::new(Arc::clone(&admission), totals.clone()),
            totals,
            topic_table: TopicTable::<N>::default(),
            publications: Arc::new(CreditOwner::new(Arc::new(Admission::of_publications(bounds)))),
            supervisor: Inbox::new(Arc::clone(&busy_count)).into(),
            router: Inbox::new(Arc::clone(&busy_count)).into(),
            mailboxes: ArbiterMailboxes::new(arbiters, &busy_count),
            busy_count,
            running_actors: Arc::default(),
            p2p: P2pQueue::new(bounds, Arc::clone(&admission), wait_time(TimedQueue::P2pOutput)).into(),
            app: AppQueue::new(
                bounds,
                Arc::clone(&full_queues),
                Arc::clone(&admission),
                wait_time(TimedQueue::AppOutput),
            )
            .into(),
            full_queues,
            admission,
            subscribed: Arc::new(subscribed),
            validations: Mutex::default().into(),
            publish_reports: Arc::new(PublishReports::default()),
            waiting_publishers: Arc::default(),
            publish_room: PublishRoom::new(bounds),
            waiting_publications: PublishRoom::new(bounds),
            observes_inputs: self.observer.is_some(),
            observer: self.observer.unwrap_or_else(|| Arc::new(log_event)),
            peer_listener: self.peer_listener,
            input_recorder: self.input_recorder,
            refusal_reports: ReportLimit::new(RateLimit::new(bounds.event_interval)),
            unsent_publication_reports: ReportLimit::new(RateLimit::new(bounds.event_interval)),
            clock,
            metrics,
            topic_labels: TopicLabels::new(self.recorder, self.max_topic_labels),
            last_overload: Mutex::default(),
            event_log: EventLog::new(bounds, self.message_events, Arc::clone(&event_subscribers)),
            event_subscribers,
            heartbeat_monitor: HeartbeatMonitor::new(self.manual),
            heartbeat_in_progress: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            end: watch::Sender::new(None),
            unflushed_topics: CachePadded::default(),
            topic_stats: CachePadded::default(),
            topic_footprint: Mutex::default(),
            long_queries: Semaphore::new(MAX_LONG_QUERIES),
            peer_stats: Mutex::default(),
            network,
            limits: CurrentLimits::new(self.limits),
        }
    }
}

/// Starts supervisor, router and heartbeat on the first arbiter, and the actor that runs topics on each.
fn start_actors<N: Network>(
    shared: &Arc<Shared<N>>,
    pool: &Pool,
    options: &NodeOptions<N>,
    backoffs: &[RemainingBackoff<N>],
    manual: bool,
) {
    let first = pool.arbiter(0);
    start_watched(first, shared, EngineError::RouterPanicked, RouterActor::new);
    for (arbiter, mailbox) in shared.mailboxes.iter().enumerate() {
        let mailbox = Arc::clone(mailbox);
        let make = |shared| ArbiterActor::new(shared, mailbox);
        start_watched(pool.arbiter(arbiter), shared, EngineError::ArbiterPanicked, make);
    }
    let mut peers =
        Peers::new(shared.network.clone(), shared.limits.load_full(), shared.totals.clone(), options);
    peers.restore_backoffs(backoffs, shared.now());
    let make = move |shared| SupervisorActor::new(shared, peers, manual);
    start_watched(first, shared, EngineError::SupervisorPanicked, make);
    if !manual {
        start_watched(first, shared, EngineError::HeartbeatPanicked, HeartbeatActor::new);
    }
}

/// Counts and logs a panic of a hook. The process's panic hook has reported its message.
fn on_hook_panic(metrics: &Metrics, span: Span) -> impl Fn(Hook) + Send + Sync + 'static {
    let panics = metrics.hook_panics();
    move |hook| {
        panics.increment(1);
        let _entered = span.enter();
        tracing::error!(hook = hook.name(), "a hook of the application panicked");
    }
}
