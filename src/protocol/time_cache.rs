//! A map whose entries live for a number of heartbeats. The message history and the seen ids are
//! two of them. Never iterates over more than what expires.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::Hash,
};

use foldhash::fast::RandomState;

/// Keys with a value, each kept for `length` shifts after it was last inserted.
#[derive(Clone, Debug)]
pub(crate) struct TimeCache<K, V> {
    length: u64,
    /// The present slot: the number of shifts so far.
    slot: u64,
    /// Insertions, oldest first, with the slot of each. A key inserted twice stands here twice.
    order: VecDeque<(u64, K)>,
    /// Only looked up by key: its order can't reach an output.
    values: HashMap<K, Entry<V>, RandomState>,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    /// How many times the key stands in `order`.
    insertions: u32,
}

impl<K: Clone + Eq + Hash, V> TimeCache<K, V> {
    pub(crate) fn new(length: usize) -> Self {
        Self { length: length as u64, slot: 0, order: VecDeque::new(), values: HashMap::default() }
    }

    /// Inserts `key` in the present slot. `merge` sees the value that is there already, or makes one.
    pub(crate) fn insert(&mut self, key: K, merge: impl FnOnce(Option<&mut V>) -> Option<V>) {
        match self.values.entry(key.clone()) {
            hash_map::Entry::Occupied(mut occupied) => {
                let entry = occupied.get_mut();
                merge(Some(&mut entry.value));
                entry.insertions += 1;
            }
            hash_map::Entry::Vacant(vacant) => {
                if let Some(value) = merge(None) {
                    vacant.insert(Entry { value, insertions: 1 });
                }
            }
        }
        self.order.push_back((self.slot, key));
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Moves to the next slot; gives `expired` what is no longer here.
    pub(crate) fn shift(&mut self, mut expired: impl FnMut(K, V)) {
        self.slot += 1;
        while self.order.front().is_some_and(|(slot, _)| self.slot - slot >= self.length) {
            if let Some((key, value)) = self.pop_oldest() {
                expired(key, value);
            }
        }
        if self.order.is_empty() {
            // An idle topic holds no memory.
            self.order = VecDeque::new();
            self.values = HashMap::default();
        }
    }

    /// Takes out the oldest insertion; answers what is no longer here, if it was the key's last.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_front()?;
        let entry = self.values.get_mut(&key)?;
        entry.insertions -= 1;
        let last = entry.insertions == 0;
        last.then(|| self.values.remove(&key)).flatten().map(|entry| (key, entry.value))
    }

    /// How many insertions are remembered.
    pub(crate) fn insertions(&self) -> usize {
        self.order.len()
    }

    /// The insertions of the last `slots` slots, the present one included, oldest first.
    pub(crate) fn latest(&self, slots: usize) -> impl Iterator<Item = &K> {
        let first = (self.slot + 1).saturating_sub(slots as u64);
        let start = self.order.partition_point(|(slot, _)| *slot < first);
        self.order.range(start..).map(|(_, key)| key)
    }

    /// How many insertions there are in each slot that has some: its age in slots, and their number.
    pub(crate) fn slots(&self) -> Vec<(u64, usize)> {
        let (mut found, mut start) = (Vec::new(), 0);
        while let Some((slot, _)) = self.order.get(start) {
            let end = self.order.partition_point(|(other, _)| other <= slot);
            found.push((self.slot - slot, end - start));
            start = end;
        }
        found
    }

    /// Everything, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.values.iter().map(|(key, entry)| (key, &entry.value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}
