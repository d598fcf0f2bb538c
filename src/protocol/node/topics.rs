//! The topics of a node: found by name in constant time, iterated in ascending order.

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

    /// The index of a topic. Its state is made if it does not exist.
    pub(super) fn find_or_insert(
        &mut self,
        topic: &N::Topic,
        make: impl FnOnce() -> TopicState<N>,
    ) -> TopicIndex {
        self.find(topic).unwrap_or_else(|| self.insert(topic, make()))
    }

    fn insert(&mut self, topic: &N::Topic, state: TopicState<N>) -> TopicIndex {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(Box::new(state));
        self.index.insert(topic.clone(), index);
        self.sorted.insert(topic.clone(), index);
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

    pub(super) fn remove(&mut self, index: TopicIndex) {
        if let Some(state) = self.slots.get_mut(index).and_then(Option::take) {
            self.index.remove(&state.topic);
            self.sorted.remove(&state.topic);
            self.free.push(index);
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &N::Topic> {
        self.sorted.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TopicState<N>> {
        self.sorted.values().filter_map(|index| self.get_by_index(*index))
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&TopicState<N>) -> bool) {
        let indexes = self.sorted.values().copied();
        let dropped: Vec<_> = indexes.filter(|index| !self.get_by_index(*index).is_some_and(&keep)).collect();
        dropped.into_iter().for_each(|index| self.remove(index));
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}
