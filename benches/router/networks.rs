//! This module defines the networks of the workloads. R has the identifiers of the reference, W those of a libp2p node.
//! Validation accepts every message after a set time.

use std::{
    hint,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_gossipsub::{Delivery, Key, Network, Validity};

use super::{matrix, random::Random};

/// A network that traffic can be made for.
pub trait Workload: Network<Topic = Arc<str>> {
    const NAME: matrix::Workload;

    /// A network whose validation takes this time.
    fn new(validation: ValidationTime) -> Self;

    /// The peer with this index.
    fn peer(index: usize) -> Self::Peer;
}

/// How long the validation of a message takes. The bench changes it between runs.
#[derive(Clone, Debug, Default)]
pub struct ValidationTime(Arc<AtomicU64>);

impl ValidationTime {
    pub fn set(&self, time: Duration) {
        self.0.store(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Keeps the CPU busy, as a signature check does.
    fn validate(&self) -> Validity {
        let nanos = self.0.load(Ordering::Relaxed);
        if nanos > 0 {
            let end = Instant::now() + Duration::from_nanos(nanos);
            while Instant::now() < end {
                hint::spin_loop();
            }
        }
        Validity::Valid
    }
}

/// The identifiers of the reference: peers are numbers, ids name their topic, all messages share one body.
pub struct R(ValidationTime);

/// An id of [`R`], ordered by number, then topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberedId {
    pub number: u64,
    pub topic: Arc<str>,
}

impl Workload for R {
    const NAME: matrix::Workload = matrix::Workload::R;

    fn new(validation: ValidationTime) -> Self {
        Self(validation)
    }

    fn peer(index: usize) -> u32 {
        index as u32
    }
}

impl Network for R {
    type Peer = u32;
    type Topic = Arc<str>;
    type MessageId = NumberedId;
    type Message = Arc<[u8]>;
    type Point = u32;

    fn topic_of(&self, id: &NumberedId) -> Option<Arc<str>> {
        Some(Arc::clone(&id.topic))
    }

    fn topic_size(&self, topic: &Arc<str>) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &NumberedId) -> usize {
        size_of_val(id)
    }

    fn validate(&self, _: &Delivery<Self>) -> Validity {
        self.0.validate()
    }

    fn message_size(&self, message: &Arc<[u8]>) -> usize {
        message.len()
    }
}

/// The identifiers of a libp2p node: peers are keys of 32 bytes, ids are 20 random bytes, and each copy has a body
/// of its own.
pub struct W<Id = [u8; 20]> {
    validation: ValidationTime,
    ids: PhantomData<fn() -> Id>,
}

/// An id of [`W`].
pub trait RandomId: Key {
    const WORKLOAD: matrix::Workload;

    fn new(bytes: [u8; 20], topic: &Arc<str>) -> Self;

    fn topic(&self) -> Option<Arc<str>>;
}

/// An id without a topic, as in libp2p: the engine remembers the topic of each message.
impl RandomId for [u8; 20] {
    const WORKLOAD: matrix::Workload = matrix::Workload::W;

    fn new(bytes: [u8; 20], _: &Arc<str>) -> Self {
        bytes
    }

    fn topic(&self) -> Option<Arc<str>> {
        None
    }
}

/// An id that names its topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdWithTopic {
    bytes: [u8; 20],
    topic: Arc<str>,
}

impl RandomId for IdWithTopic {
    const WORKLOAD: matrix::Workload = matrix::Workload::WNamed;

    fn new(bytes: [u8; 20], topic: &Arc<str>) -> Self {
        Self { bytes, topic: Arc::clone(topic) }
    }

    fn topic(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.topic))
    }
}

impl<Id: RandomId> Workload for W<Id> {
    const NAME: matrix::Workload = Id::WORKLOAD;

    fn new(validation: ValidationTime) -> Self {
        Self { validation, ids: PhantomData }
    }

    fn peer(index: usize) -> [u8; 32] {
        let mut key = [0; 32];
        Random::new(0x7065_6572 ^ ((index as u64) << 32)).fill(&mut key);
        key
    }
}

impl<Id: RandomId> Network for W<Id> {
    type Peer = [u8; 32];
    type Topic = Arc<str>;
    type MessageId = Id;
    type Message = Box<[u8]>;
    type Point = u32;

    fn topic_of(&self, id: &Id) -> Option<Arc<str>> {
        id.topic()
    }

    fn topic_size(&self, topic: &Arc<str>) -> usize {
        size_of_val(topic) + topic.len()
    }

    fn message_id_size(&self, id: &Id) -> usize {
        size_of_val(id)
    }

    fn validate(&self, _: &Delivery<Self>) -> Validity {
        self.validation.validate()
    }

    fn message_size(&self, message: &Box<[u8]>) -> usize {
        message.len()
    }
}
