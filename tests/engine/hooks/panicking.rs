//! A network whose hooks panic as a schedule says, and an observer and an input recorder that do so too.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_gossipsub::{
    BatchVerdicts, BoxFuture, Delivery, FullMessage, InputRecorder, Limits, Network, PeerAction,
    RecordedInput, TransportStats, Validity,
    plain::PlainId,
    protocol::{NodeOptions, Timestamp},
};

/// Which calls of hooks panic, and what these panics did.
pub struct Schedule {
    seed: u64,
    /// One of this number of calls panics; 0 for none.
    pub one_of: AtomicU64,
    /// The number of calls of hooks that are not about one message.
    calls: AtomicU64,
    /// The hooks that were called.
    pub called: Mutex<BTreeSet<&'static str>>,
    /// The panics, by hook.
    pub panics: Mutex<BTreeMap<&'static str, u64>>,
    /// The messages whose validation panicked.
    pub lost: Mutex<BTreeSet<u64>>,
}

impl Schedule {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            one_of: AtomicU64::new(0),
            calls: AtomicU64::default(),
            called: Mutex::default(),
            panics: Mutex::default(),
            lost: Mutex::default(),
        })
    }

    /// Panics if the schedule says so for this call. `call` identifies it among those of the hook.
    fn hit(&self, hook: &'static str, call: u64, lost: impl IntoIterator<Item = u64>) {
        self.called.lock().expect("the lock is not poisoned").insert(hook);
        let mut hasher = DefaultHasher::new();
        (self.seed, hook, call).hash(&mut hasher);
        let one_of = self.one_of.load(Ordering::Relaxed);
        if one_of > 0 && hasher.finish().is_multiple_of(one_of) {
            *self.panics.lock().expect("the lock is not poisoned").entry(hook).or_default() += 1;
            self.lost.lock().expect("the lock is not poisoned").extend(lost);
            // As `panic!`, without the report of the process's panic hook.
            resume_unwind(Box::new("a panic that a test injects"));
        }
    }

    /// As [`hit`](Self::hit), for a call that loses no message.
    pub fn hit_any(&self, hook: &'static str) {
        self.hit(hook, self.calls.fetch_add(1, Ordering::Relaxed), []);
    }

    /// As [`hit`](Self::hit), for a call that loses this message.
    fn hit_message(&self, hook: &'static str, number: u64) {
        self.hit(hook, number, [number]);
    }

    pub fn panics(&self) -> u64 {
        self.panics.lock().expect("the lock is not poisoned").values().sum()
    }
}

/// The source of all messages: a peer that is not connected.
const UNCONNECTED: u64 = 1_000;

/// A network all of whose hooks panic as the schedule says.
pub struct PanickingHooks {
    pub schedule: Arc<Schedule>,
    /// Ids name their topic.
    pub named: bool,
    pub is_async: bool,
}

impl Network for PanickingHooks {
    type Peer = u64;
    type Topic = String;
    type MessageId = PlainId;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &PlainId) -> Option<String> {
        self.schedule.hit_any("topic_of");
        self.named.then(|| id.topic.clone())
    }

    fn topic_size(&self, topic: &String) -> usize {
        self.schedule.hit_any("topic_size");
        size_of_val(topic) + topic.len()
    }

    fn validate_id(&self, id: &PlainId) -> Validity {
        self.schedule.hit_message("validate_id", id.number);
        Validity::Valid
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        self.schedule.hit_message("validate", delivery.message.message_id.number);
        Validity::Valid
    }

    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        let number = delivery.message.message_id.number;
        self.schedule.hit_message("validate_async", number);
        let schedule = Arc::clone(&self.schedule);
        let verdict = async move {
            schedule.hit_message("the future of validate_async", number);
            Validity::Valid
        };
        self.is_async.then(|| Box::pin(verdict) as _)
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let numbers = batch.iter().map(|delivery| delivery.message.message_id.number);
        let call = self.schedule.calls.fetch_add(1, Ordering::Relaxed);
        self.schedule.hit("validate_batch", call, numbers);
        vec![Validity::Valid; batch.len()]
    }

    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let numbers: Vec<_> = batch.iter().map(|delivery| delivery.message.message_id.number).collect();
        let call = self.schedule.calls.fetch_add(1, Ordering::Relaxed);
        self.schedule.hit("validate_batch_async", call, numbers.iter().copied());
        let schedule = Arc::clone(&self.schedule);
        let verdicts = async move {
            let count = numbers.len();
            schedule.hit("the future of validate_batch_async", call, numbers);
            vec![Validity::Valid; count]
        };
        self.is_async.then(|| BatchVerdicts::Together(Box::pin(verdicts)))
    }

    fn expires_at(&self, _: &FullMessage<Self>, _: Timestamp) -> Option<Timestamp> {
        self.schedule.hit_any("expires_at");
        None
    }

    fn message_size(&self, message: &String) -> usize {
        self.schedule.hit_any("message_size");
        message.len()
    }

    fn encoded_size(&self, message: &FullMessage<Self>) -> usize {
        self.schedule.hit_any("encoded_size");
        message.message.len()
    }

    fn source(&self, _: &String) -> Option<u64> {
        self.schedule.hit_any("source");
        Some(UNCONNECTED)
    }

    fn refuses_source(&self, message: &String) -> bool {
        self.schedule.hit_message("refuses_source", message.parse().expect("the number of the message"));
        false
    }

    fn is_violation(&self, _: &String) -> bool {
        self.schedule.hit_any("is_violation");
        false
    }

    fn message_id_size(&self, id: &PlainId) -> usize {
        self.schedule.hit_any("message_id_size");
        size_of_val(id)
    }

    fn peer_filter(&self, _: &u64, action: PeerAction<'_, Self>) -> bool {
        // A subscription that is refused would change all that follows.
        if !matches!(action, PeerAction::Subscribe(_)) {
            self.schedule.hit_any("peer_filter");
        }
        true
    }

    fn reachable_point(&self, peer: &u64) -> Option<u64> {
        self.schedule.hit_any("reachable_point");
        Some(*peer)
    }

    fn transport_stats(&self) -> TransportStats {
        self.schedule.hit_any("transport_stats");
        TransportStats::default()
    }

    fn topic_label(&self, topic: &String) -> String {
        self.schedule.hit_any("topic_label");
        topic.clone()
    }

    fn topic_name(&self, topic: &String) -> String {
        self.schedule.hit_any("topic_name");
        topic.clone()
    }

    fn persistent_points(&self) -> Vec<u64> {
        self.schedule.hit_any("persistent_points");
        vec![77]
    }
}

/// A recorder that panics as the schedule says.
pub struct PanickingRecorder(pub Arc<Schedule>);

impl InputRecorder<PanickingHooks> for PanickingRecorder {
    fn start(&self, _: &Arc<PanickingHooks>, _: &Limits<String>, _: &NodeOptions<PanickingHooks>) {
        self.0.hit_any("input_recorder");
    }

    fn record(&self, _: &dyn Fn() -> Timestamp, _: RecordedInput<'_, PanickingHooks>) {
        self.0.hit_any("input_recorder");
    }
}
