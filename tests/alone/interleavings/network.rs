//! The application of a schedule: it gives verdicts when the schedule decides, and panics in the hook that the schedule
//! chooses.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use actix_gossipsub::{
    BatchVerdicts, BoxFuture, Delivery, FullMessage, Network, PeerAction, TransportStats, Validity,
    protocol::Timestamp,
};

use super::hooks::{Hook, Hooks, inject};

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

pub fn copies(ids: &[Id]) -> Vec<Id> {
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
    /// In batches, each message when the schedule decides.
    AwaitedEach,
}

impl Validation {
    /// The hook that gives the verdicts.
    pub fn hook(self) -> Hook {
        match self {
            Self::Immediate => Hook::Validate,
            Self::Awaited | Self::AwaitedEach => Hook::Verdict,
            Self::Batches => Hook::ValidateBatch,
            Self::AwaitedBatches => Hook::ValidateBatchAsync,
        }
    }

    pub fn in_batches(self) -> bool {
        matches!(self, Self::Batches | Self::AwaitedBatches | Self::AwaitedEach)
    }
}

/// The verdict on each message: most are valid.
pub fn validity(number: u64) -> Validity {
    match number % 16 {
        3 => Validity::Invalid,
        11 => Validity::Outdated,
        _ => Validity::Valid,
    }
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
        self.hooks.call(Hook::TopicSize, &[]);
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &Id) -> usize {
        self.hooks.call(Hook::MessageIdSize, &[]);
        size_of_val(id) + id.topic.len()
    }

    fn encoded_size(&self, message: &FullMessage<Self>) -> usize {
        self.hooks.call(Hook::EncodedSize, &[]);
        message.message.len()
    }

    fn source(&self, _: &String) -> Option<u64> {
        self.hooks.call(Hook::Source, &[]);
        None
    }

    fn refuses_source(&self, message: &String) -> bool {
        self.hooks.call_of_content(Hook::RefusesSource, message);
        false
    }

    fn expires_at(&self, _: &FullMessage<Self>, _: Timestamp) -> Option<Timestamp> {
        self.hooks.call(Hook::ExpiresAt, &[]);
        None
    }

    fn is_violation(&self, _: &String) -> bool {
        self.hooks.call(Hook::IsViolation, &[]);
        false
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
        self.hooks.on_batch(&ids);
        self.hooks.call(Hook::ValidateBatch, &ids);
        ids.iter().map(|id| validity(id.number)).collect()
    }

    fn validate_batch_async(&self, batch: &[Delivery<Self>]) -> Option<BatchVerdicts> {
        let ids = ids_of(batch);
        self.hooks.call(Hook::ValidateBatchAsync, &ids);
        let verdict = |id: &Id| validity(id.number);
        match self.validation {
            Validation::AwaitedBatches => {
                self.hooks.on_batch(&ids);
                let verdicts = self.hooks.awaits(ids, move |ids| ids.iter().map(verdict).collect());
                Some(BatchVerdicts::Together(verdicts))
            }
            Validation::AwaitedEach => {
                self.hooks.on_batch(&ids);
                let verdict_of = |id| self.hooks.awaits(vec![id], move |ids| verdict(&ids[0]));
                Some(BatchVerdicts::Each(ids.into_iter().map(verdict_of).collect()))
            }
            _ => None,
        }
    }

    fn peer_filter(&self, _: &u64, action: PeerAction<'_, Self>) -> bool {
        if matches!(action, PeerAction::Graft | PeerAction::IWant(_)) {
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

    fn topic_name(&self, topic: &String) -> String {
        self.hooks.call(Hook::TopicName, &[]);
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
    let content = format!("{} {}", id.number, id.topic);
    FullMessage { topic: id.topic.clone(), message_id: id.clone(), message: content }
}

/// A value that the tasks of a schedule share.
pub type SharedCell<T> = Rc<RefCell<T>>;
