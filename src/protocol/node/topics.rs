//! The active topics of a node: found by name in constant time, iterated in ascending order.

use std::collections::{BTreeMap, HashMap};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{network::Network, protocol::topic::TopicState};

/// The index of a topic's state, valid until the topic is removed.
pub(super) type TopicIndex = usize;

#[derive_where(Debug, Default)]
pub(super) struct Topics<N: Network> {
    slots: Vec<Option<Box<TopicState<N>>>>,
    free: Vec<TopicIndex>,
    /// Used for each message.
    index: HashMap<N::Topic, TopicIndex, RandomState>,
    /// Iterated at each heartbeat.
    sorted: BTreeMap<N::Topic, TopicIndex>,
}

impl<N: Network> Topics<N> {
    pub(super) fn find(&self, topic: &N::Topic) -> Option<TopicIndex> {
        self.index.get(topic).copied()
    }

    /// Adds a topic that is not there yet.
    pub(super) fn insert(&mut self, state: TopicState<N>) -> TopicIndex {
        let topic = state.name().clone();
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(Box::new(state));
        self.index.insert(topic.clone(), index);
        self.sorted.insert(topic, index);
        index
    }

    pub(super) fn get_by_index(&self, index: TopicIndex) -> Option<&TopicState<N>> {
        self.slots.get(index)?.as_deref()
    }

    pub(super) fn get_by_index_mut(&mut self, index: TopicIndex) -> Option<&mut TopicState<N>> {
        self.slots.get_mut(index)?.as_deref_mut()
    }

    /// The topic with this index, which must be valid.
    pub(super) fn expect_mut(&mut self, index: TopicIndex) -> &mut TopicState<N> {
        // An index is handed out with its state, and only `remove` empties the slot.
        #[allow(clippy::expect_used)]
        self.get_by_index_mut(index).expect("a valid index has a topic")
    }

    pub(super) fn get(&self, topic: &N::Topic) -> Option<&TopicState<N>> {
        self.get_by_index(self.find(topic)?)
    }

    fn remove(&mut self, index: TopicIndex) -> Option<Box<TopicState<N>>> {
        let state = self.slots.get_mut(index)?.take()?;
        self.index.remove(state.name());
        self.sorted.remove(state.name());
        self.free.push(index);
        Some(state)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &N::Topic> {
        self.sorted.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TopicState<N>> {
        self.sorted.values().filter_map(|index| self.get_by_index(*index))
    }

    /// Removes the topics that need no state machine any more.
    pub(super) fn take_inactive(&mut self) -> Vec<Box<TopicState<N>>> {
        let is_active = |index: &TopicIndex| self.get_by_index(*index).is_some_and(TopicState::is_active);
        let inactive: Vec<_> = self.sorted.values().copied().filter(|index| !is_active(index)).collect();
        inactive.into_iter().filter_map(|index| self.remove(index)).collect()
    }
}
