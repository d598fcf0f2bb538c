//! The backoffs of passive topics: of GRAFTs that were refused because the topic is not joined, and those that a topic has
//! when it becomes passive.

use std::{collections::BTreeMap, ops::Bound};

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::{Network, hooks::Hooks},
    protocol::{
        backoff::{Backoffs, RemainingBackoff},
        inspect::{footprint::Footprint, view::View},
    },
    timestamp::Timestamp,
};

/// The backoffs of the passive topics that have some. A heartbeat visits only these.
#[derive_where(Debug)]
pub(crate) struct PassiveBackoffs<N: Network> {
    totals: Totals,
    topics: BTreeMap<N::Topic, Entry<N>>,
    /// The bytes of the names and entries of the topics.
    names: Share,
}

#[derive_where(Debug)]
struct Entry<N: Network> {
    backoffs: Backoffs<N::Peer>,
    /// The bytes that `names` has for the topic.
    bytes: usize,
}

impl<N: Network> PassiveBackoffs<N> {
    pub(super) fn new(totals: Totals) -> Self {
        Self { names: totals.share(Remembered::PassiveBackoffs), totals, topics: BTreeMap::new() }
    }

    pub(crate) fn get(&self, topic: &N::Topic) -> Option<&Backoffs<N::Peer>> {
        self.topics.get(topic).map(|entry| &entry.backoffs)
    }

    /// The topics with backoffs that follow `after`, ascending.
    pub(crate) fn topics_after<'a>(
        &'a self,
        after: Option<&'a N::Topic>,
    ) -> impl Iterator<Item = &'a N::Topic> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.topics.range::<N::Topic, _>((from, Bound::Unbounded)).map(|(topic, _)| topic)
    }

    /// Sets the backoff of a refused GRAFT. It is not stored if `max_idle_topics` other topics have backoffs, or if there is no
    /// room for it.
    pub(super) fn set(
        &mut self,
        topic: &N::Topic,
        peer: &N::Peer,
        network: &Hooks<N>,
        limits: &Limits<N::Topic>,
        now: Timestamp,
    ) {
        let span = limits.prune_backoff;
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.backoffs.set(peer, span, now);
        } else if self.topics.len() < limits.bounds.max_idle_topics {
            let mut backoffs = self.empty(limits);
            backoffs.set(peer, span, now);
            self.insert(topic.clone(), backoffs, network);
        } else {
            self.names.count_evicted(1);
        }
    }

    /// Sets a backoff that a former process of this node left, of at most the longest time that a backoff of this node has. As
    /// in [`set`](Self::set), it is not stored if `max_idle_topics` other topics have backoffs, or if there is no room for it.
    pub(super) fn restore(
        &mut self,
        backoff: &RemainingBackoff<N>,
        network: &Hooks<N>,
        limits: &Limits<N::Topic>,
        now: Timestamp,
    ) {
        let RemainingBackoff { topic, peer, remaining } = backoff;
        let own = limits.prune_backoff.max(limits.unsubscribe_backoff);
        let remaining = (*remaining).min(limits.bounds.max_remote_backoff.max(own));
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.backoffs.restore(peer, remaining, now);
        } else if self.topics.len() < limits.bounds.max_idle_topics {
            let mut backoffs = self.empty(limits);
            backoffs.restore(peer, remaining, now);
            self.insert(topic.clone(), backoffs, network);
        } else {
            self.names.count_evicted(1);
        }
    }

    fn empty(&self, limits: &Limits<N::Topic>) -> Backoffs<N::Peer> {
        let share = self.totals.share(Remembered::PassiveBackoffs);
        Backoffs::new(limits.bounds.max_backoffs_per_topic, share)
    }

    /// Stores the backoffs of a topic that became passive.
    pub(crate) fn store(&mut self, topic: N::Topic, backoffs: Backoffs<N::Peer>, network: &Hooks<N>) {
        let backoffs = backoffs.moved_to(self.totals.share(Remembered::PassiveBackoffs));
        self.insert(topic, backoffs, network);
    }

    fn insert(&mut self, topic: N::Topic, backoffs: Backoffs<N::Peer>, network: &Hooks<N>) {
        let bytes = 2 * size_of::<(N::Topic, Entry<N>)>() + network.topic_size(&topic);
        if backoffs.is_empty() {
            return;
        }
        if self.names.try_add(bytes) {
            self.topics.insert(topic, Entry { backoffs, bytes });
        } else {
            self.names.count_evicted(backoffs.len());
        }
    }

    /// Takes the backoffs of a topic that becomes active.
    pub(crate) fn take(&mut self, topic: &N::Topic) -> Option<Backoffs<N::Peer>> {
        let Entry { backoffs, bytes } = self.topics.remove(topic)?;
        self.names.remove(bytes);
        Some(backoffs.moved_to(self.totals.share(Remembered::Backoffs)))
    }

    /// Heartbeat: removes expired backoffs.
    pub(super) fn cleanup(&mut self, limits: &Limits<N::Topic>, now: Timestamp) {
        let slack = limits.backoff_slack();
        let Self { topics, names, .. } = self;
        topics.retain(|_, Entry { backoffs, bytes }| {
            backoffs.cleanup(slack, now);
            if backoffs.is_empty() {
                names.remove(*bytes);
            }
            !backoffs.is_empty()
        });
    }

    pub(super) fn footprint(&self) -> Footprint {
        let backoffs = self.topics.values().map(|entry| entry.backoffs.len()).sum();
        let backoffs_bytes = self.totals.used(Remembered::PassiveBackoffs);
        Footprint { topics: self.topics.len(), backoffs, backoffs_bytes, ..Footprint::default() }
    }

    pub(super) fn view(&self, view: &mut View<N>) {
        for (topic, entry) in &self.topics {
            let backoffs = entry.backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect();
            view.backoff.insert(topic.clone(), backoffs);
        }
    }
}
