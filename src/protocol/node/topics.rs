//! The topics of a node: found by name in constant time, walked in the order of their names. Runs none.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{network::Network, protocol::topic::TopicState};

/// Where a topic's state is, until the topic is removed.
pub(super) type TopicIndex = usize;

#[derive_where(Debug, Default)]
pub(super) struct Topics<N: Network> {
    slots: Vec<Option<Box<TopicState<N>>>>,
    free: Vec<TopicIndex>,
    /// Looked up for every message.
    by_name: HashMap<N::Topic, TopicIndex, RandomState>,
    /// Walked at a heartbeat.
    in_order: BTreeMap<N::Topic, TopicIndex>,
}

impl<N: Network> Topics<N> {
    pub(super) fn find(&self, topic: &N::Topic) -> Option<TopicIndex> {
        self.by_name.get(topic).copied()
    }

    /// The slot of a topic, whose state is made if there is none.
    pub(super) fn find_or_insert(
        &mut self,
        topic: &N::Topic,
        make: impl FnOnce() -> TopicState<N>,
    ) -> TopicIndex {
        self.find(topic).unwrap_or_else(|| self.insert(topic, make()))
    }

    fn insert(&mut self, topic: &N::Topic, state: TopicState<N>) -> TopicIndex {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Box::new(state));
        self.by_name.insert(topic.clone(), slot);
        self.in_order.insert(topic.clone(), slot);
        slot
    }

    pub(super) fn at(&self, slot: TopicIndex) -> Option<&TopicState<N>> {
        self.slots.get(slot)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, slot: TopicIndex) -> Option<&mut TopicState<N>> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// The topic in a slot that was just found, and not removed since.
    pub(super) fn state_mut(&mut self, slot: TopicIndex) -> &mut TopicState<N> {
        // A slot is given out with its state, and emptied only by `remove`.
        #[allow(clippy::expect_used)]
        self.at_mut(slot).expect("a slot that was just found holds a topic")
    }

    pub(super) fn get(&self, topic: &N::Topic) -> Option<&TopicState<N>> {
        self.at(self.find(topic)?)
    }

    pub(super) fn remove(&mut self, slot: TopicIndex) {
        if let Some(state) = self.slots.get_mut(slot).and_then(Option::take) {
            self.by_name.remove(&state.topic);
            self.in_order.remove(&state.topic);
            self.free.push(slot);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &N::Topic> {
        self.in_order.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TopicState<N>> {
        self.in_order.values().filter_map(|slot| self.at(*slot))
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&TopicState<N>) -> bool) {
        let slots = self.in_order.values().copied();
        let dropped: Vec<_> = slots.filter(|slot| !self.at(*slot).is_some_and(&keep)).collect();
        dropped.into_iter().for_each(|slot| self.remove(slot));
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }
}
