//! The application of a schedule: it gives verdicts when the schedule decides, and panics in the hook that the schedule
//! chooses.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_gossipsub::{
    BatchVerdicts, BoxFuture, Delivery, FullMessage, Network, PeerAction, TransportStats, Validity,
};
use tokio::sync::oneshot;

use super::random::Random;

thread_local! {
    /// The schedule's next clone of an id by a topic panics: [`arm_clone`].
    static CLONE: Cell<Clones> = const { Cell::new(Clones::Safe) };
    /// The id whose clone panicked.
    static NOT_CLONED: RefCell<Option<Id>> = const { RefCell::new(None) };
}

/// Whether a clone of an id panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clones {
    Safe,
    /// The next one by a topic does.
    Armed,
    /// The next one does: topics run.
    Panic,
}

/// The id of a message. A clone of it may panic in a topic, which restarts then.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub number: u64,
    pub topic: String,
}

impl Id {
    /// A clone that does not panic.
    fn copy(&self) -> Self {
        Self { number: self.number, topic: self.topic.clone() }
    }
}

fn copies(ids: &[Id]) -> Vec<Id> {
    ids.iter().map(Id::copy).collect()
}

impl Clone for Id {
    fn clone(&self) -> Self {
        let copy = self.copy();
        if CLONE.get() == Clones::Panic {
            CLONE.set(Clones::Safe);
            NOT_CLONED.set(Some(copy));
            inject();
        }
        copy
    }
}

/// The next clone of an id by a topic panics.
pub fn arm_clone() {
    CLONE.set(Clones::Armed);
}

pub fn disarm_clone() {
    CLONE.set(Clones::Safe);
}

/// Topics run from now on, or no more.
pub fn set_topics_run(run: bool) {
    match (CLONE.get(), run) {
        (Clones::Armed, true) => CLONE.set(Clones::Panic),
        (Clones::Panic, false) => CLONE.set(Clones::Armed),
        _ => {}
    }
}

/// The id whose clone panicked since the last call.
pub fn take_not_cloned() -> Option<Id> {
    NOT_CLONED.take()
}

/// How messages are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// At once.
    Immediate,
    /// One by one, when the schedule decides.
    Awaited,
    /// In batches, at once.
    Batches,
    /// In batches, when the schedule decides.
    AwaitedBatches,
}

impl Validation {
    pub fn in_batches(self) -> bool {
        matches!(self, Self::Batches | Self::AwaitedBatches)
    }
}

/// The hooks in which a schedule injects a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    TopicOf,
    ValidateId,
    Validate,
    ValidateAsync,
    /// The future that an asynchronous validation returned.
    Verdict,
    ValidateBatch,
    ValidateBatchAsync,
    MessageSize,
    PeerFilter,
    ReachablePoint,
    TransportStats,
    TopicLabel,
    PersistentPoints,
    Observer,
}

pub const HOOKS: [Hook; 14] = [
    Hook::TopicOf,
    Hook::ValidateId,
    Hook::Validate,
    Hook::ValidateAsync,
    Hook::Verdict,
    Hook::ValidateBatch,
    Hook::ValidateBatchAsync,
    Hook::MessageSize,
    Hook::PeerFilter,
    Hook::ReachablePoint,
    Hook::TransportStats,
    Hook::TopicLabel,
    Hook::PersistentPoints,
    Hook::Observer,
];

/// The verdict on each message: most are valid.
pub fn validity(number: u64) -> Validity {
    match number % 16 {
        3 => Validity::Invalid,
        11 => Validity::Outdated,
        _ => Validity::Valid,
    }
}

/// A verdict that the engine awaits: of one message or of a batch.
pub struct Awaited {
    pub ids: Vec<Id>,
    sender: oneshot::Sender<bool>,
}

/// What the network and the schedule share.
#[derive(Default)]
pub struct Hooks {
    state: Mutex<HookState>,
    /// The schedule calls the engine: a panic would be one of the caller.
    pub is_input: AtomicBool,
}

#[derive(Default)]
struct HookState {
    awaited: Vec<Awaited>,
    armed: Option<Hook>,
    /// The panics: the hook and the messages that it was called with.
    injected: Vec<(Hook, Vec<Id>)>,
    batches: Vec<Vec<Id>>,
}

impl Hooks {
    fn lock(&self) -> MutexGuard<'_, HookState> {
        self.state.lock().expect("no hook panics while it has the lock")
    }

    /// The next call of this hook by an actor panics.
    pub fn arm(&self, hook: Option<Hook>) {
        self.lock().armed = hook;
    }

    /// The panics since the last call.
    pub fn take_injected(&self) -> Vec<(Hook, Vec<Id>)> {
        std::mem::take(&mut self.lock().injected)
    }

    /// The batches whose validation started since the last call, in order.
    pub fn take_batches(&self) -> Vec<Vec<Id>> {
        std::mem::take(&mut self.lock().batches)
    }

    /// The number of verdicts that the engine awaits.
    pub fn awaited(&self) -> usize {
        let mut state = self.lock();
        state.awaited.retain(|awaited| !awaited.sender.is_closed());
        state.awaited.len()
    }

    /// Takes any of the awaited verdicts.
    pub fn take_awaited(&self, random: &mut Random) -> Option<Awaited> {
        let count = self.awaited();
        (count > 0).then(|| self.lock().awaited.swap_remove(random.below(count)))
    }

    /// All messages whose verdict the engine awaits.
    pub fn awaited_ids(&self) -> Vec<Id> {
        self.lock().awaited.iter().flat_map(|awaited| awaited.ids.clone()).collect()
    }

    /// Gives an awaited verdict. Returns false if the validation panics instead.
    pub fn resolve(&self, awaited: Awaited) -> bool {
        let panics = self.is_armed(Hook::Verdict, &awaited.ids);
        // The engine may have dropped the validation.
        let _ = awaited.sender.send(!panics);
        !panics
    }

    fn is_armed(&self, hook: Hook, ids: &[Id]) -> bool {
        let mut state = self.lock();
        let is_armed = state.armed == Some(hook) && !self.is_input.load(Ordering::Relaxed);
        if is_armed {
            state.armed = None;
            state.injected.push((hook, copies(ids)));
        }
        is_armed
    }

    pub fn call(&self, hook: Hook, ids: &[Id]) {
        if self.is_armed(hook, ids) {
            inject();
        }
    }

    fn awaits<T: Send + 'static>(
        &self,
        ids: Vec<Id>,
        verdict: impl FnOnce(&[Id]) -> T + Send + 'static,
    ) -> BoxFuture<T> {
        let (sender, answer) = oneshot::channel();
        self.lock().awaited.push(Awaited { ids: copies(&ids), sender });
        Box::pin(async move {
            match answer.await {
                Ok(true) => verdict(&ids),
                // A schedule that ends drops its verdicts.
                _ => inject(),
            }
        })
    }
}

/// Panics without a message on stderr.
fn inject() -> ! {
    std::panic::resume_unwind(Box::new("a panic that a schedule injects"))
}

pub struct ScheduledNetwork {
    pub validation: Validation,
    pub hooks: Arc<Hooks>,
}

impl Network for ScheduledNetwork {
    type Peer = u64;
    type Topic = String;
    type MessageId = Id;
    type Message = String;
    type Point = u64;

    fn topic_of(&self, id: &Id) -> Option<String> {
        self.hooks.call(Hook::TopicOf, &[]);
        Some(id.topic.clone())
    }

    fn topic_size(&self, topic: &String) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &Id) -> usize {
        size_of_val(id)
    }

    fn validate_id(&self, id: &Id) -> Validity {
        self.hooks.call(Hook::ValidateId, std::slice::from_ref(id));
        Validity::Valid
    }

    fn validate(&self, delivery: &Delivery<Self>) -> Validity {
        let id = &delivery.message.message_id;
        self.hooks.call(Hook::Validate, std::slice::from_ref(id));
        validity(id.number)
    }

    fn validate_async(&self, delivery: &Delivery<Self>) -> Option<BoxFuture<Validity>> {
        if self.validation != Validation::Awaited {
            return None;
        }
        let id = delivery.message.message_id.copy();
        self.hooks.call(Hook::ValidateAsync, std::slice::from_ref(&id));
        Some(self.hooks.awaits(vec![id], |ids| validity(ids[0].number)))
    }

    fn validate_batch(&self, batch: &[Delivery<Self>]) -> Vec<Validity> {
        let ids = ids_of(batch);
        self.hooks.lock().batches.push(copies(&ids));
        self.hooks.call(Hook::ValidateBatch, &ids);
        ids.iter().map(|id| validity(id.number)).collect()
    }

    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let ids = ids_of(batch);
        self.hooks.call(Hook::ValidateBatchAsync, &ids);
        if self.validation != Validation::AwaitedBatches {
            return None;
        }
        self.hooks.lock().batches.push(copies(&ids));
        let verdicts = self.hooks.awaits(ids, |ids| ids.iter().map(|id| validity(id.number)).collect());
        Some(BatchVerdicts::Together(verdicts))
    }

    fn peer_filter(&self, _: &u64, action: PeerAction<'_, Self>) -> bool {
        if matches!(action, PeerAction::Graft) {
            self.hooks.call(Hook::PeerFilter, &[]);
        }
        true
    }

    fn message_size(&self, message: &String) -> usize {
        self.hooks.call(Hook::MessageSize, &[]);
        message.len()
    }

    fn reachable_point(&self, peer: &u64) -> Option<u64> {
        self.hooks.call(Hook::ReachablePoint, &[]);
        Some(*peer)
    }

    fn topic_label(&self, topic: &String) -> String {
        self.hooks.call(Hook::TopicLabel, &[]);
        topic.clone()
    }

    fn persistent_points(&self) -> Vec<u64> {
        self.hooks.call(Hook::PersistentPoints, &[]);
        vec![1]
    }

    fn transport_stats(&self) -> TransportStats {
        self.hooks.call(Hook::TransportStats, &[]);
        TransportStats::default()
    }
}

fn ids_of(batch: &[Delivery<ScheduledNetwork>]) -> Vec<Id> {
    batch.iter().map(|delivery| delivery.message.message_id.copy()).collect()
}

pub fn message(id: &Id) -> FullMessage<ScheduledNetwork> {
    FullMessage { topic: id.topic.clone(), message_id: id.clone(), message: "content".to_owned() }
}

/// A value that the tasks of a schedule share.
pub type SharedCell<T> = Rc<RefCell<T>>;
