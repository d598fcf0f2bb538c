//! What all actors and the handle of one engine share. Holds; never acts on its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crossbeam_utils::CachePadded;
use tokio::sync::watch;

use super::{
    arbiter::mailbox::{ArbiterMailboxes, TopicAddr},
    diagnostics::{health::HeartbeatMonitor, journal::EventLog, refusals::RefusalReports},
    fault::EngineError,
    inbox::{BusyCount, Inbox},
    mesh::messages::TopicItem,
    router::messages::RouterItem,
    supervisor::messages::SupervisorItem,
    topic_table::TopicTable,
};
use crate::{
    admission::{Admission, CreditOwner},
    clock::Clock,
    directory::Directory,
    input_recorder::{InputRecorder, RecordedInput},
    limits::Limits,
    metrics::{Metrics, Queues, TopicLabels, TopicSeries},
    network::Network,
    outputs::{
        app_queue::AppQueue,
        p2p_queue::P2pQueue,
        publication::{DropReason, PublishReports},
        recycle::RecycleBins,
    },
    protocol::{
        event::Event,
        exchange::{Context, Outbox, command::ValidationMode},
        inspect::{footprint::Footprint, stats::Stats},
        output::{Lane, OutputBatch, pending::PendingOutput},
    },
    timestamp::Timestamp,
};

/// One engine's common ground. What threads write often is padded: all of them read the rest for each input.
pub(crate) struct Shared<N: Network> {
    pub(crate) network: Arc<N>,
    pub(crate) limits: Arc<Limits<N::Topic>>,
    pub(crate) seed: u64,
    pub(crate) validation_mode: ValidationMode,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Directory<N>,
    pub(crate) topic_table: TopicTable<N>,
    pub(crate) load: Arc<BusyCount>,
    /// What waits of peers.
    pub(crate) admission: Arc<Admission>,
    /// What waits of the application's own publications.
    pub(crate) publications: Arc<CreditOwner>,
    pub(crate) supervisor: CachePadded<Inbox<SupervisorItem<N>>>,
    pub(crate) router: CachePadded<Inbox<RouterItem<N>>>,
    pub(crate) p2p: CachePadded<P2pQueue<N>>,
    pub(crate) app: CachePadded<AppQueue<N>>,
    /// How many validations are under way.
    pub(crate) validating: AtomicUsize,
    /// Copies of messages that go back to the threads that brought them.
    pub(crate) returns: RecycleBins<N>,
    /// Publications of which somebody wants to hear more.
    pub(crate) tickets: PublishReports<N>,
    pub(crate) observer: Observer<N>,
    /// Who keeps what the engine is told.
    pub(crate) input_recorder: Option<Arc<dyn InputRecorder<N>>>,
    /// Whether inputs are shown to the observer: to copy them for nobody is waste.
    pub(crate) observes_inputs: bool,
    pub(crate) refusal_reports: RefusalReports,
    pub(crate) metrics: Metrics,
    /// The topics' own.
    pub(crate) topic_labels: TopicLabels<N>,
    /// When an input was last refused, or an output dropped, for want of room.
    pub(crate) last_overload: Mutex<Option<Timestamp>>,
    /// What was decided, to be explained.
    pub(crate) journal: EventLog<N>,
    /// When the last heartbeat began.
    pub(crate) pulse: HeartbeatMonitor,
    /// Whether a heartbeat is under way.
    pub(crate) in_heartbeat: AtomicBool,
    /// No input is taken any more.
    pub(crate) closing: AtomicBool,
    /// How the engine ended, once it did.
    pub(crate) end: watch::Sender<Option<Result<(), EngineError>>>,
    /// The topics that have not told the supervisor of all deliveries: they do at each heartbeat, and when
    /// somebody waits for it.
    pub(crate) credited: CachePadded<Mutex<Vec<TopicAddr<N>>>>,
    /// One an arbiter, for the topics that live there.
    pub(crate) desks: ArbiterMailboxes<N>,
    /// What mesh actors counted, and the supervisor's part.
    pub(crate) topic_stats: CachePadded<Mutex<Stats>>,
    pub(crate) peer_stats: Mutex<Stats>,
    /// What running topics hold together, as of the last heartbeat of each.
    pub(crate) topic_footprint: Mutex<Footprint>,
}

/// Runs code of the application's; `None` if it panicked. It gets nothing mutable of ours, so nothing
/// of ours is left half done.
fn contain<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Who is told of events.
pub(crate) type Observer<N> = Arc<dyn Fn(&Event<N>) + Send + Sync>;

impl<N: Network> Shared<N> {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a topic's state machine is given.
    pub(crate) fn context(&self, now: Timestamp) -> Context<'_, N> {
        Context { network: &self.network, limits: &self.limits, peer_view: &self.directory, now }
    }

    /// Shows an event to the observer. Its panic is its own: the engine goes on.
    pub(crate) fn observe(&self, event: &Event<N>) {
        if contain(|| (self.observer)(event)).is_none() {
            self.metrics.hook_panicked();
        }
    }

    /// Shows an input to whoever records.
    pub(crate) fn record(&self, input: RecordedInput<'_, N>) {
        if let Some(recorder) = &self.input_recorder {
            recorder.record(&|| self.now(), input);
        }
    }

    /// Asks the application something on the supervisor's thread, whose panic would end the engine.
    pub(crate) fn ask<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        let answer = contain(question);
        if answer.is_none() {
            self.metrics.hook_panicked();
        }
        answer
    }

    /// Sends an item to a topic. A full message has no time of its own: it is stamped here.
    pub(crate) fn post(&self, address: &TopicAddr<N>, item: TopicItem<N>) {
        match item {
            TopicItem::Message(arrival) => address.push_message(|| self.now(), || arrival),
            item => address.push(item),
        }
    }

    /// Hands outputs to the router. It is closed only when the engine has ended, and with it both streams.
    pub(crate) fn emit(&self, outputs: impl ExactSizeIterator<Item = RouterItem<N>>) {
        if outputs.len() > 0 {
            self.router.extend(outputs);
        }
    }

    /// Counts and hands on what a topic left behind, but for its facts: puts what is for the router into `outputs`.
    /// Answers how many peers more than before are in the topic's mesh.
    pub(crate) fn flush(
        &self,
        topic: &N::Topic,
        series: &TopicSeries,
        outbox: &mut Outbox<N>,
        outputs: &mut Vec<RouterItem<N>>,
    ) -> i64 {
        let counted = std::mem::take(&mut outbox.stats);
        let more = series.flush(&self.metrics, &*self.network, outbox, &counted);
        outputs.extend(outbox.p2p.drain(..).map(RouterItem::P2p));
        outputs.extend(outbox.app.drain(..).map(RouterItem::App));
        for (id, entered) in outbox.history.drain(..) {
            self.directory.on_history_change(id, topic, entered);
        }
        if counted != Stats::default() {
            *self.topic_stats.lock().unwrap_or_else(PoisonError::into_inner) += counted;
        }
        more
    }

    /// An output found no room.
    pub(crate) fn dropped(&self, output: &PendingOutput<N>) {
        self.note_overload();
        self.metrics.output_dropped(output.lane(), DropReason::StreamFull, output.count());
        if let PendingOutput::Broadcast { to, message, lane: Lane::Publish } = output {
            self.tickets.not_sent(&message.topic, &message.message_id, DropReason::StreamFull, to.len());
        }
    }

    /// An output is read: now those whom it is for get their names. `None` if all of them are gone.
    pub(crate) fn read(&self, output: PendingOutput<N>) -> Option<OutputBatch<N>> {
        let meant = output.count();
        let batch = output.resolve(|connection_ids| self.directory.peers_of(connection_ids));
        let gone = meant - batch.count();
        if gone > 0 {
            self.metrics.output_dropped(Lane::Gossip, DropReason::Disconnected, gone);
        }
        (batch.count() > 0).then_some(batch)
    }

    /// A heartbeat is due, and the one of this number is not done.
    pub(crate) fn skip_heartbeat(&self, tick: u64) {
        self.metrics.heartbeat_missed();
        // What waits is of most interest then, and nobody else tells.
        self.metrics.gauges.set_queues(&self.queues());
        self.observe(&Event::HeartbeatSkipped { tick });
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = *self.peer_stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats += *self.topic_stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats
    }

    /// Waits until nothing is on its way and all deliveries are in the scores.
    pub(crate) async fn settled(&self) {
        loop {
            self.load.settled().await;
            let credited = self.take_credited();
            if credited.is_empty() {
                return;
            }
            credited.iter().for_each(|address| address.push(TopicItem::FlushDeliveryCounts));
        }
    }

    pub(crate) fn note_credited(&self, address: &TopicAddr<N>) {
        self.credited.lock().unwrap_or_else(PoisonError::into_inner).push(address.clone());
    }

    pub(crate) fn take_credited(&self) -> Vec<TopicAddr<N>> {
        std::mem::take(&mut *self.credited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something found no room: it may have been what we asked for, or our asking.
    pub(crate) fn note_overload(&self) {
        *self.last_overload.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
    }

    /// When something last found no room.
    pub(crate) fn last_overload(&self) -> Option<Timestamp> {
        *self.last_overload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many validations are under way.
    pub(crate) fn validating(&self) -> usize {
        self.validating.load(Ordering::Acquire)
    }

    /// Whether something found no room while what peers owe now was asked for.
    pub(crate) fn is_overloaded(&self) -> bool {
        let limits = &self.limits;
        let owed_for = limits.extensions.iwant_followup_time.saturating_add(limits.heartbeat_interval);
        self.last_overload().is_some_and(|last| last.after(owed_for) >= self.now())
    }

    /// A running topic holds this now, and held that when it last told.
    pub(crate) fn note_footprint(&self, now: Footprint, last: Footprint) {
        let mut held = self.topic_footprint.lock().unwrap_or_else(PoisonError::into_inner);
        *held += now;
        *held -= last;
    }

    /// What all hold together, `rest` included.
    pub(crate) fn footprint(&self, mut rest: Footprint) -> Footprint {
        rest += *self.topic_footprint.lock().unwrap_or_else(PoisonError::into_inner);
        rest
    }

    /// What waits now.
    pub(crate) fn queues(&self) -> Queues {
        let (inputs, publications) = (self.admission.queued(), self.publications.admission().queued());
        let (supervisor, router) = (self.supervisor.len(), self.router.len());
        let (p2p, app, returns) = (self.p2p.len(), self.app.len(), self.returns.len());
        Queues {
            items: [inputs.items(), publications.items(), supervisor, router, p2p, app, returns],
            bytes: [inputs.bytes(), publications.bytes()],
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The engine ended: both streams end, and those who wait hear how.
    pub(crate) fn finish(&self, end: Result<(), EngineError>) {
        self.closing.store(true, Ordering::Release);
        self.admission.close();
        self.supervisor.close();
        self.router.close();
        self.p2p.close();
        self.app.close();
        self.tickets.close();
        self.end.send_if_modified(|known| known.is_none() && known.replace(end).is_none());
    }
}
