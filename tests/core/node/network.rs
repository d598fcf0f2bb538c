//! The network of the tests.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use actix_gossipsub::{Delivery, FullMessage, Network, PeerAction, Validity, protocol::Timestamp};

/// The refused source for which the hook panics.
pub const PANICS: u32 = u32::MAX;

/// A network whose messages are all valid, all invalid, all outdated or all of unknown validity.
#[derive(Debug, Default)]
pub struct Plain {
    pub(super) all_invalid: AtomicBool,
    pub(super) all_outdated: AtomicBool,
    pub(super) all_unknown: AtomicBool,
    /// The number of messages that were validated.
    pub(super) validations: AtomicUsize,
    /// The size of every message in bytes.
    pub(super) size: AtomicUsize,
    /// Every message breaks the network's rules.
    pub(super) all_violations: AtomicBool,
    /// The source of every message; none if it is 0.
    pub(super) source: AtomicU32,
    /// The messages of this source are refused. [`PANICS`]: the hook panics.
    pub(super) refused_source: AtomicU32,
    /// Peers may subscribe to no topic.
    pub(super) no_subscriptions: AtomicBool,
    /// The messages that expire, by id.
    pub(super) expiries: Mutex<BTreeMap<u32, Timestamp>>,
    /// How often the engine asked when a message expires.
    pub(super) expiry_calls: AtomicUsize,
}

impl Network for Plain {
    type Peer = u32;
    type Topic = u32;
    type MessageId = u32;
    type Message = ();
    type Point = u32;

    fn topic_of(&self, _: &u32) -> Option<u32> {
        None
    }

    fn topic_size(&self, topic: &u32) -> usize {
        size_of_val(topic)
    }

    fn message_id_size(&self, id: &u32) -> usize {
        size_of_val(id)
    }

    fn validate(&self, _: &Delivery<Self>) -> Validity {
        self.validations.fetch_add(1, Ordering::Relaxed);
        let all = [&self.all_invalid, &self.all_outdated, &self.all_unknown];
        match all.map(|all| all.load(Ordering::Relaxed)) {
            [true, ..] => Validity::Invalid,
            [_, true, _] => Validity::Outdated,
            [.., true] => Validity::Unknown,
            _ => Validity::Valid,
        }
    }

    fn source(&self, (): &()) -> Option<u32> {
        Some(self.source.load(Ordering::Relaxed)).filter(|source| *source > 0)
    }

    fn refuses_source(&self, message: &()) -> bool {
        let refused = self.refused_source.load(Ordering::Relaxed);
        assert_ne!(refused, PANICS, "a panic that a test injects");
        self.source(message) == Some(refused)
    }

    fn expires_at(&self, message: &FullMessage<Self>, _: Timestamp) -> Option<Timestamp> {
        self.expiry_calls.fetch_add(1, Ordering::Relaxed);
        self.expiries.lock().expect("the lock is not poisoned").get(&message.message_id).copied()
    }

    fn is_violation(&self, (): &()) -> bool {
        self.all_violations.load(Ordering::Relaxed)
    }

    fn peer_filter(&self, _: &u32, action: PeerAction<'_, Self>) -> bool {
        let subscribes = matches!(action, PeerAction::Subscribe(_));
        !(subscribes && self.no_subscriptions.load(Ordering::Relaxed))
    }

    fn message_size(&self, (): &()) -> usize {
        self.size.load(Ordering::Relaxed)
    }
}
