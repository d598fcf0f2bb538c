//! The publishers that wait until their message can be sent to enough peers. They are notified when a peer subscribes to
//! their topic and after each heartbeat, and try again.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dashmap::{DashMap, Entry};
use derive_where::derive_where;
use foldhash::fast::RandomState;
use tokio::sync::Notify;

/// The waiting publishers by topic.
#[derive_where(Default; T: Eq + Hash)]
pub(crate) struct WaitingPublishers<T> {
    topics: DashMap<T, TopicPublishers, RandomState>,
    /// The number of topics in the map: while it is 0, nothing is looked up there.
    count: AtomicUsize,
}

/// The publishers of one topic.
#[derive(Default)]
struct TopicPublishers {
    publishers: usize,
    changed: Arc<Notify>,
}

impl<T: Eq + Hash + Clone> WaitingPublishers<T> {
    /// Registers a publisher until the result is dropped. It must be registered before it tries to publish.
    pub(crate) fn register(self: &Arc<Self>, topic: &T) -> WaitingPublisher<T> {
        let mut waiting = match self.topics.entry(topic.clone()) {
            Entry::Occupied(entry) => entry.into_ref(),
            Entry::Vacant(entry) => {
                self.count.fetch_add(1, Ordering::AcqRel);
                entry.insert(TopicPublishers::default())
            }
        };
        waiting.publishers += 1;
        let changed = Arc::clone(&waiting.changed);
        WaitingPublisher { all: Arc::clone(self), topic: topic.clone(), changed }
    }

    /// The message of a publisher may have more recipients now.
    pub(crate) fn notify(&self, topic: &T) {
        if self.count.load(Ordering::Acquire) > 0 {
            // Without a lock, since a publisher that is woken may be dropped at once.
            let changed = self.topics.get(topic).map(|waiting| Arc::clone(&waiting.changed));
            changed.iter().for_each(|changed| changed.notify_waiters());
        }
    }

    /// Notifies the publishers of all topics.
    pub(crate) fn notify_all(&self) {
        if self.count.load(Ordering::Acquire) > 0 {
            let changed: Vec<_> = self.topics.iter().map(|waiting| Arc::clone(&waiting.changed)).collect();
            changed.iter().for_each(|changed| changed.notify_waiters());
        }
    }
}

/// A registered publisher.
pub(crate) struct WaitingPublisher<T: Eq + Hash + Clone> {
    all: Arc<WaitingPublishers<T>>,
    topic: T,
    /// Notified when the publisher should try again.
    pub(crate) changed: Arc<Notify>,
}

impl<T: Eq + Hash + Clone> Drop for WaitingPublisher<T> {
    fn drop(&mut self) {
        let is_last = |_: &T, waiting: &mut TopicPublishers| {
            waiting.publishers -= 1;
            waiting.publishers == 0
        };
        if self.all.topics.remove_if_mut(&self.topic, is_last).is_some() {
            self.all.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
