//! The state that the actors and the handle of one engine share, and the functions that several of them use.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crossbeam_utils::CachePadded;
use enum_map::enum_map;
use tokio::sync::{Semaphore, watch};
use tracing::Span;

use super::{
    arbiter::mailbox::{ArbiterMailboxes, TopicAddr},
    diagnostics::{health::HeartbeatMonitor, journal::EventLog, report_limit::ReportLimit},
    fault::EngineError,
    inbox::{BusyCount, Inbox},
    mesh::messages::TopicItem,
    router::messages::RouterItem,
    supervisor::messages::SupervisorItem,
    topic_table::TopicTable,
};
use crate::{
    admission::{Admission, CreditOwner, totals::Totals},
    clock::Clock,
    directory::{Directory, limits::CurrentLimits},
    input_recorder::{InputRecorder, RecordedInput},
    limits::Limits,
    metrics::{ByteQueue, EngineQueue, Metrics, QueueDepths, TopicLabels},
    network::{
        FullMessage, Network,
        hooks::{Hook, Hooks},
    },
    outputs::{
        app_queue::AppQueue,
        backpressure::FullQueues,
        event_queue::{EngineEvent, EventSubscribers},
        p2p_queue::P2pQueue,
        publication::{DropReason, PublishReports},
        publish_room::PublishRoom,
        shared_room::SharedRoom,
        waiting_publishers::WaitingPublishers,
    },
    protocol::{
        event::Event,
        exchange::{Context, command::ValidationMode},
        inspect::{footprint::Footprint, stats::Stats},
        output::{Lane, pending::PendingOutput},
        peers::peer_event::PeerEvent,
        shares::Shares,
    },
    timestamp::Timestamp,
};

/// The number of long queries that may run at a time: of lists that may have more than a few hundred items.
pub(crate) const MAX_LONG_QUERIES: usize = 4;

/// The state that the actors and the handle of one engine share. Fields that threads write often are padded, because
/// all threads read the others for each input.
pub(crate) struct Shared<N: Network> {
    pub(crate) network: Hooks<N>,
    pub(crate) limits: CurrentLimits<N::Topic>,
    pub(crate) seed: u64,
    /// The name by which the application distinguishes this engine from others.
    pub(crate) name: Option<Arc<str>>,
    /// The span of a named engine, in which its log lines are. Disabled for an engine without a name.
    pub(crate) span: Span,
    /// The id of this node, if it is known.
    pub(crate) self_peer: Option<N::Peer>,
    pub(crate) validation_mode: ValidationMode,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory<N>,
    /// The limits of what all topics remember.
    pub(crate) totals: Totals,
    pub(crate) topic_table: TopicTable<N>,
    pub(crate) busy_count: Arc<BusyCount>,
    /// The actors that run, without mesh actors.
    pub(crate) running_actors: Arc<BusyCount>,
    /// The limits on queued inputs of peers.
    pub(crate) admission: Arc<Admission>,
    /// The limits on queued publications of the application.
    pub(crate) publications: Arc<CreditOwner>,
    pub(crate) supervisor: CachePadded<Inbox<SupervisorItem<N>>>,
    pub(crate) router: CachePadded<Inbox<RouterItem<N>>>,
    /// One for each arbiter, for the topics that live there.
    pub(crate) mailboxes: ArbiterMailboxes<N>,
    pub(crate) p2p: CachePadded<P2pQueue<N>>,
    pub(crate) app: CachePadded<AppQueue<N>>,
    /// The queues of messages for the application that are full now.
    pub(crate) full_queues: Arc<FullQueues>,
    /// The room for the unread messages of all topics that the application subscribed to.
    pub(crate) subscribed: Arc<SharedRoom>,
    /// The asynchronous validations of all topics that are in progress.
    pub(crate) validations: CachePadded<Mutex<Shares<N::Peer>>>,
    /// The publications whose publisher waits for a report.
    pub(crate) publish_reports: Arc<PublishReports<N>>,
    /// The publishers that wait for more peers.
    pub(crate) waiting_publishers: Arc<WaitingPublishers<N::Topic>>,
    /// The room for publications whose publishers wait for it.
    pub(crate) publish_room: PublishRoom,
    /// The room for the publications that actors let wait. It is as large as `publish_room`, and no publisher waits for it.
    pub(crate) waiting_publications: PublishRoom,
    pub(crate) observer: Observer<N>,
    /// Called for each event about a peer.
    pub(crate) peer_listener: Option<PeerListener<N>>,
    /// The subscribers that are sent the events, except inputs, and the records of the event log.
    pub(crate) event_subscribers: Arc<EventSubscribers<N>>,
    pub(crate) input_recorder: Option<Arc<dyn InputRecorder<N>>>,
    /// The observer wants inputs too. If not, none is copied for it.
    pub(crate) observes_inputs: bool,
    pub(crate) refusal_reports: ReportLimit,
    /// Limits the events about publications that are sent to no peer.
    pub(crate) unsent_publication_reports: ReportLimit,
    pub(crate) metrics: Metrics,
    pub(crate) topic_labels: TopicLabels<N>,
    /// When an input was last refused or an output dropped because a queue was full.
    pub(crate) last_overload: Mutex<Option<Timestamp>>,
    pub(crate) event_log: EventLog<N>,
    pub(crate) heartbeat_monitor: HeartbeatMonitor,
    pub(crate) heartbeat_in_progress: AtomicBool,
    /// The engine accepts no more inputs.
    pub(crate) closing: AtomicBool,
    /// The engine has ended: the first to set this determines how.
    pub(crate) ended: AtomicBool,
    /// How the engine ended, once its inboxes and streams are closed.
    pub(crate) end: watch::Sender<Option<Result<(), EngineError>>>,
    /// The topics with deliveries that the supervisor does not know yet. Topics report them at each heartbeat and in
    /// [`settled`](Self::settled).
    pub(crate) unflushed_topics: CachePadded<Mutex<Vec<TopicAddr<N>>>>,
    /// The counters of all topics.
    pub(crate) topic_stats: CachePadded<Mutex<Stats>>,
    /// The counters of the supervisor.
    pub(crate) peer_stats: Mutex<Stats>,
    /// The long queries that may run at a time.
    pub(crate) long_queries: Semaphore,
    /// The footprint of the topics that have an actor, each as of its last heartbeat.
    pub(crate) topic_footprint: Mutex<Footprint>,
}

/// The function that receives events.
pub(crate) type Observer<N> = Arc<dyn Fn(&Event<N>) + Send + Sync>;

/// The function that receives events about peers.
pub(crate) type PeerListener<N> = Arc<dyn Fn(PeerEvent<N>) + Send + Sync>;

impl<N: Network> Shared<N> {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The environment for a topic's state machine.
    pub(crate) fn context<'a>(&'a self, limits: &'a Limits<N::Topic>, now: Timestamp) -> Context<'a, N> {
        let (network, self_peer) = (&self.network, self.self_peer.as_ref());
        Context { network, limits, peer_view: &self.directory, self_peer, now, present: now }
    }

    // === Code of the application ===

    /// Calls the observer. A panic of the observer is counted, and the engine goes on.
    pub(crate) fn observe(&self, event: &Event<N>) {
        // The caller may be a thread of the application.
        let _entered = self.span.enter();
        let _ = self.network.contain(Hook::Observer, || (self.observer)(event));
        if !matches!(event, Event::P2pInput(_) | Event::AppInput(_)) {
            self.event_subscribers.publish(|| EngineEvent::Event(event.clone())).wake();
        }
    }

    /// Calls the listener for events about peers, if there is one. A panic of it is counted as one of the observer.
    pub(crate) fn report_peer_event(&self, event: impl FnOnce() -> Option<PeerEvent<N>>) {
        if let Some(listener) = &self.peer_listener
            && let Some(event) = event()
        {
            let _ = self.network.contain(Hook::Observer, || listener(event));
        }
    }

    /// Passes an input to the recorder, if there is one. A panic of the recorder is counted, and the engine goes on.
    pub(crate) fn record(&self, input: RecordedInput<'_, N>) {
        if let Some(recorder) = &self.input_recorder {
            let record = || recorder.record(&|| self.now(), input);
            let _ = self.network.contain(Hook::InputRecorder, record);
        }
    }

    // === Sending ===

    /// Sends an item to a topic. A full message has no arrival time: it gets the present time here.
    pub(crate) fn send_to_topic(&self, address: &TopicAddr<N>, item: TopicItem<N>) {
        match item {
            TopicItem::Message(message) => address.push_message(|| self.now(), || message),
            item => address.push(item),
        }
    }

    /// Reports an output that the p2p stream dropped.
    pub(crate) fn report_dropped(&self, output: &PendingOutput<N>, reason: DropReason) {
        if reason == DropReason::OutputQueueFull {
            self.note_overload();
        }
        let message =
            if let PendingOutput::Broadcast { message, .. } = output { Some(message) } else { None };
        if reason == DropReason::OutputQueueFull {
            self.store_missed_outputs(output);
        }
        self.report_not_sent(output.lane(), message, reason, output.count());
    }

    /// Counts `count` recipients that were not sent an output, and reports that to the publisher if it is a publication.
    pub(crate) fn report_not_sent(
        &self,
        lane: Lane,
        message: Option<&Arc<FullMessage<N>>>,
        reason: DropReason,
        count: usize,
    ) {
        self.metrics.output_dropped(lane, reason, count);
        if let (Lane::Publish, Some(message)) = (lane, message) {
            self.publish_reports.not_sent(&message.topic, &message.message_id, reason, count);
        }
    }

    // === Settling ===

    /// Waits until nothing is busy and the scores include all deliveries.
    pub(crate) async fn settled(&self) {
        loop {
            self.busy_count.settled().await;
            let unflushed = self.take_unflushed();
            if unflushed.is_empty() {
                return;
            }
            unflushed.iter().for_each(|address| address.push(TopicItem::FlushDeliveryCounts));
        }
    }

    /// Adds a topic to those with deliveries that the supervisor does not know yet.
    pub(crate) fn schedule_flush(&self, address: &TopicAddr<N>) {
        self.unflushed_topics.lock().unwrap_or_else(PoisonError::into_inner).push(address.clone());
    }

    pub(crate) fn take_unflushed(&self) -> Vec<TopicAddr<N>> {
        std::mem::take(&mut *self.unflushed_topics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    // === Load ===

    /// Records that a queue was full. The refused input may have been what we asked for, the dropped output our
    /// request.
    pub(crate) fn note_overload(&self) {
        *self.last_overload.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
    }

    /// When a queue was last full.
    pub(crate) fn last_overload(&self) -> Option<Timestamp> {
        *self.last_overload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a queue was full while the IWANT promises that are due now were made.
    pub(crate) fn is_overloaded(&self) -> bool {
        let limits = self.limits.load();
        let period = limits.extensions.iwant_followup_time.saturating_add(limits.heartbeat_interval);
        self.last_overload().is_some_and(|last| last.after(period) >= self.now())
    }

    /// The number of validations in progress.
    pub(crate) fn validating(&self) -> usize {
        self.validations.lock().unwrap_or_else(PoisonError::into_inner).items()
    }

    /// The current length of each queue.
    pub(crate) fn queues(&self) -> QueueDepths {
        let (inputs, publications) = (self.admission.queued(), self.publications.admission().queued());
        QueueDepths {
            items: enum_map! {
                EngineQueue::Input => inputs.items(),
                EngineQueue::Publication => publications.items(),
                EngineQueue::Supervisor => self.supervisor.len(),
                EngineQueue::Router => self.router.len(),
                EngineQueue::P2pOutput => self.p2p.len(),
                EngineQueue::AppOutput => self.app.len(),
            },
            bytes: enum_map! {
                ByteQueue::Input => inputs.bytes(),
                ByteQueue::Publication => publications.bytes(),
                ByteQueue::P2pOutput => self.p2p.bytes(),
                ByteQueue::AppOutput => self.app.bytes(),
            },
        }
    }

    // === What is measured ===

    /// Reports a heartbeat that is skipped because the one with this number is in progress.
    pub(crate) fn skip_heartbeat(&self, tick: u64) {
        self.metrics.heartbeat_skipped();
        // The queues matter most now, and the gauges are otherwise set by finished heartbeats.
        self.metrics.gauges.set_queues(&self.queues());
        self.observe(&Event::HeartbeatSkipped { tick });
    }

    /// The counters of the whole engine.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = *self.peer_stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats += *self.topic_stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats
    }

    /// Replaces the footprint of a topic, `before`, in the total.
    pub(crate) fn record_footprint(&self, now: Footprint, before: Footprint) {
        let mut total = self.topic_footprint.lock().unwrap_or_else(PoisonError::into_inner);
        *total += now;
        *total -= before;
    }

    /// Adds what actors and handle share to a footprint.
    pub(crate) fn add_own_footprint(&self, footprint: &mut Footprint) {
        *footprint += self.directory.footprint();
        footprint.publish_reports = self.publish_reports.len();
        footprint.subscribed = self.subscribed.items();
        footprint.subscribed_bytes = self.subscribed.bytes();
        footprint.unread_events = self.event_subscribers.unread();
    }

    /// The footprint of the engine, of which `rest` is everything but topics that have an actor.
    pub(crate) fn footprint(&self, mut rest: Footprint) -> Footprint {
        rest += *self.topic_footprint.lock().unwrap_or_else(PoisonError::into_inner);
        rest
    }

    // === The end ===

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Waits until the engine has ended.
    pub(crate) async fn wait_for_end(&self) -> Result<(), EngineError> {
        let mut end = self.end.subscribe();
        // Waiting cannot fail: `self` owns the sender.
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(Ok(()))
    }

    /// Ends the engine: closes inboxes, streams and reports, and wakes those who wait for the end. The actors
    /// stop when they find their inboxes closed. Only the first call determines how the engine ended.
    pub(crate) fn finish(&self, end: Result<(), EngineError>) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        self.closing.store(true, Ordering::Release);
        self.admission.close();
        self.publications.admission().close();
        self.supervisor.close();
        self.mailboxes.iter().for_each(|mailbox| mailbox.inbox.close());
        self.router.close();
        self.topic_table.clear();
        self.p2p.close();
        self.app.close();
        self.publish_reports.close();
        self.waiting_publishers.notify_all();
        self.publish_room.close();
        self.long_queries.close();
        self.event_subscribers.close();
        self.end.send_replace(Some(end));
    }
}
