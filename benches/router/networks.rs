//! The networks of the two workloads: R's identifiers are the reference's, W's are those of a libp2p node.
//! They judge messages by working for as long as they are told, and nothing else.

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

use super::random::Random;

/// A network that the traffic can be made for.
pub trait Workload: Network<Topic = Arc<str>> {
    /// Its letter.
    const NAME: &'static str;

    /// A network whose verdicts take as long as this one says.
    fn new(verdict: Verdict) -> Self;

    /// The peer of this number.
    fn peer(number: usize) -> Self::Peer;
}

/// How long a verdict takes; the bench changes it between runs.
#[derive(Clone, Debug, Default)]
pub struct Verdict(Arc<AtomicU64>);

impl Verdict {
    pub fn set(&self, time: Duration) {
        self.0.store(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Works, as a signature check does: it does not sleep.
    fn judge(&self) -> Validity {
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

/// The reference's identifiers: numbers for peers, ids that name their topic, one body for all messages.
pub struct R(Verdict);

/// An id of [`R`]; ordered by number, then topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberedId {
    pub number: u64,
    pub topic: Arc<str>,
}

impl Workload for R {
    const NAME: &'static str = "R";

    fn new(verdict: Verdict) -> Self {
        Self(verdict)
    }

    fn peer(number: usize) -> u32 {
        number as u32
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

    fn validate(&self, _: &Delivery<Self>) -> Validity {
        self.0.judge()
    }

    fn message_size(&self, message: &Arc<[u8]>) -> usize {
        message.len()
    }
}

/// A libp2p node's identifiers: keys of 32 bytes for peers, ids of 20 random bytes, and a body of its own for
/// each copy.
pub struct W<Id = [u8; 20]> {
    verdict: Verdict,
    ids: PhantomData<fn() -> Id>,
}

/// An id of [`W`].
pub trait RandomId: Key {
    const WORKLOAD: &'static str;

    fn new(bytes: [u8; 20], topic: &Arc<str>) -> Self;

    fn topic(&self) -> Option<Arc<str>>;
}

/// An id that names no topic, as libp2p's: the engine remembers where each message is.
impl RandomId for [u8; 20] {
    const WORKLOAD: &'static str = "W";

    fn new(bytes: [u8; 20], _: &Arc<str>) -> Self {
        bytes
    }

    fn topic(&self) -> Option<Arc<str>> {
        None
    }
}

/// An id that names its topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamingId {
    bytes: [u8; 20],
    topic: Arc<str>,
}

impl RandomId for NamingId {
    const WORKLOAD: &'static str = "W_named";

    fn new(bytes: [u8; 20], topic: &Arc<str>) -> Self {
        Self { bytes, topic: Arc::clone(topic) }
    }

    fn topic(&self) -> Option<Arc<str>> {
        Some(Arc::clone(&self.topic))
    }
}

impl<Id: RandomId> Workload for W<Id> {
    const NAME: &'static str = Id::WORKLOAD;

    fn new(verdict: Verdict) -> Self {
        Self { verdict, ids: PhantomData }
    }

    fn peer(number: usize) -> [u8; 32] {
        let mut key = [0; 32];
        Random::new(0x7065_6572 ^ ((number as u64) << 32)).fill(&mut key);
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

    fn validate(&self, _: &Delivery<Self>) -> Validity {
        self.verdict.judge()
    }

    fn message_size(&self, message: &Box<[u8]>) -> usize {
        message.len()
    }
}
