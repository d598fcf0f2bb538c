//! The networks of the two workloads: R's identifiers are the reference's, W's are those of a libp2p node.
//! They judge messages by waiting for as long as they are told, and nothing else.

use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_gossipsub::{Network, Validity};

use super::random::Random;

/// A network that the traffic can be made for.
pub trait Workload: Network<Topic = Arc<str>> {
    /// Its letter.
    const NAME: &'static str;

    /// A network whose verdicts take no time.
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
pub struct NamingId {
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
    type MessageId = NamingId;
    type Message = Arc<[u8]>;
    type Point = u32;

    fn topic_of(&self, id: &NamingId) -> Option<Arc<str>> {
        Some(Arc::clone(&id.topic))
    }

    fn validate(&self, _: &NamingId, _: &Arc<[u8]>) -> Validity {
        self.0.judge()
    }

    fn message_size(&self, message: &Arc<[u8]>) -> usize {
        message.len()
    }
}

/// A libp2p node's identifiers: keys of 32 bytes for peers, ids of 20 bytes that name no topic, and a body of
/// its own for each copy.
pub struct W(Verdict);

impl Workload for W {
    const NAME: &'static str = "W";

    fn new(verdict: Verdict) -> Self {
        Self(verdict)
    }

    fn peer(number: usize) -> [u8; 32] {
        let mut key = [0; 32];
        Random::new(0x7065_6572 ^ ((number as u64) << 32)).fill(&mut key);
        key
    }
}

impl Network for W {
    type Peer = [u8; 32];
    type Topic = Arc<str>;
    type MessageId = [u8; 20];
    type Message = Box<[u8]>;
    type Point = u32;

    fn topic_of(&self, _: &[u8; 20]) -> Option<Arc<str>> {
        None
    }

    fn validate(&self, _: &[u8; 20], _: &Box<[u8]>) -> Validity {
        self.0.judge()
    }

    fn message_size(&self, message: &Box<[u8]>) -> usize {
        message.len()
    }
}
