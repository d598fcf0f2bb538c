//! The backoffs of passive topics: of GRAFTs that were refused because the topic is not joined, and those that a topic has
//! when it becomes passive.

use std::{collections::BTreeMap, ops::Bound};

use derive_where::derive_where;

use crate::{
    admission::totals::Totals,
    limits::Limits,
    network::Network,
    protocol::{
        backoff::Backoffs,
        inspect::{footprint::Footprint, view::View},
    },
    timestamp::Timestamp,
};

/// The backoffs of the passive topics that have some. A heartbeat visits only these.
#[derive_where(Debug)]
pub(crate) struct PassiveBackoffs<N: Network> {
    totals: Totals,
    topics: BTreeMap<N::Topic, Backoffs<N::Peer>>,
}

impl<N: Network> PassiveBackoffs<N> {
    pub(super) fn new(totals: Totals) -> Self {
        Self { totals, topics: BTreeMap::new() }
    }

    pub(crate) fn get(&self, topic: &N::Topic) -> Option<&Backoffs<N::Peer>> {
        self.topics.get(topic)
    }

    /// The topics with backoffs that follow `after`, ascending.
    pub(crate) fn topics_after<'a>(
        &'a self,
        after: Option<&'a N::Topic>,
    ) -> impl Iterator<Item = &'a N::Topic> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.topics.range::<N::Topic, _>((from, Bound::Unbounded)).map(|(topic, _)| topic)
    }

    /// Sets the backoff of a refused GRAFT. It is not stored if `max_idle_topics` other topics have backoffs.
    pub(super) fn set(
        &mut self,
        topic: &N::Topic,
        peer: &N::Peer,
        limits: &Limits<N::Topic>,
        now: Timestamp,
    ) {
        let (bounds, span) = (&limits.bounds, limits.prune_backoff);
        if let Some(backoffs) = self.topics.get_mut(topic) {
            backoffs.set(peer, span, now);
        } else if self.topics.len() < bounds.max_idle_topics {
            let mut backoffs = Backoffs::new(bounds.max_backoffs_per_topic, &self.totals);
            backoffs.set(peer, span, now);
            self.store(topic.clone(), backoffs);
        }
    }

    /// Stores the backoffs of a topic that became passive.
    pub(crate) fn store(&mut self, topic: N::Topic, backoffs: Backoffs<N::Peer>) {
        if !backoffs.is_empty() {
            self.topics.insert(topic, backoffs);
        }
    }

    /// Takes the backoffs of a topic that becomes active.
    pub(crate) fn take(&mut self, topic: &N::Topic) -> Option<Backoffs<N::Peer>> {
        self.topics.remove(topic)
    }

    /// Heartbeat: removes expired backoffs.
    pub(super) fn cleanup(&mut self, limits: &Limits<N::Topic>, now: Timestamp) {
        let slack = limits.heartbeat_interval.saturating_mul(2);
        self.topics.retain(|_, backoffs| {
            backoffs.cleanup(slack, now);
            !backoffs.is_empty()
        });
    }

    pub(super) fn footprint(&self) -> Footprint {
        let backoffs = self.topics.values().map(Backoffs::len).sum();
        let backoffs_bytes = self.topics.values().map(Backoffs::bytes).sum();
        Footprint { topics: self.topics.len(), backoffs, backoffs_bytes, ..Footprint::default() }
    }

    pub(super) fn view(&self, view: &mut View<N>) {
        for (topic, backoffs) in &self.topics {
            let backoffs = backoffs.iter().map(|(peer, until)| (peer.clone(), until)).collect();
            view.backoff.insert(topic.clone(), backoffs);
        }
    }
}
