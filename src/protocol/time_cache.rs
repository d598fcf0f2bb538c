//! A map whose entries expire after a number of heartbeats, used for the message history and rejected messages. A heartbeat
//! costs time only for the entries that expire.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::Hash,
};

use foldhash::fast::RandomState;

/// A map that keeps each key for `length` calls of [`advance`](Self::advance) after its last insertion.
#[derive(Clone, Debug)]
pub(crate) struct TimeCache<K, V> {
    length: u64,
    /// The current epoch: the number of calls of `advance`.
    epoch: u64,
    /// Insertions, oldest first, each with its epoch. A key that is inserted twice has two entries here.
    order: VecDeque<(u64, K)>,
    /// Used only for lookups by key, so the hash map's order reaches no output.
    values: HashMap<K, Entry<V>, RandomState>,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    value: V,
    /// The number of entries of the key in `order`.
    insertions: u32,
}

impl<K: Clone + Eq + Hash, V> TimeCache<K, V> {
    /// The approximate bytes of an entry, without what it owns on the heap: about as much again is unused capacity.
    pub(crate) const ENTRY: usize = 2 * (size_of::<(u64, K)>() + size_of::<(K, Entry<V>)>());

    pub(crate) fn new(length: usize) -> Self {
        Self { length: length as u64, epoch: 0, order: VecDeque::new(), values: HashMap::default() }
    }

    /// The number of calls of `advance` for which a key is kept.
    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// Inserts `key` in the current epoch. `merge` is given the existing value, or makes a new one.
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
        self.order.push_back((self.epoch, key));
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Starts the next epoch, and passes each entry that expires to `expired`.
    pub(crate) fn advance(&mut self, mut expired: impl FnMut(K, V)) {
        self.epoch += 1;
        while self.order.front().is_some_and(|(epoch, _)| self.epoch - epoch >= self.length) {
            if let Some((key, value)) = self.pop_oldest() {
                expired(key, value);
            }
        }
        if self.order.is_empty() {
            // The cache of an idle topic uses no heap memory.
            self.order = VecDeque::new();
            self.values = HashMap::default();
        }
    }

    /// Removes the entries for which `is_expired` is true, and passes each to `removed`. Looks at all entries.
    pub(crate) fn remove_where(&mut self, is_expired: impl Fn(&V) -> bool, mut removed: impl FnMut(K, V)) {
        let values = &mut self.values;
        self.order.retain(|(_, key)| {
            let stays = values.get(key).map(|entry| !is_expired(&entry.value));
            if stays == Some(false)
                && let Some((key, entry)) = values.remove_entry(key)
            {
                removed(key, entry.value);
            }
            // `None`: a further insertion of an entry that was removed.
            stays == Some(true)
        });
    }

    /// Removes the oldest insertion. Returns the entry if this was the last insertion of its key.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_front()?;
        let entry = self.values.get_mut(&key)?;
        entry.insertions -= 1;
        let last = entry.insertions == 0;
        last.then(|| self.values.remove(&key)).flatten().map(|entry| (key, entry.value))
    }

    /// The number of insertions that have not expired.
    pub(crate) fn insertions(&self) -> usize {
        self.order.len()
    }

    /// Returns the keys inserted in the last `epochs` epochs, the current one included, oldest first.
    pub(crate) fn recent(&self, epochs: usize) -> impl Iterator<Item = &K> {
        let first = (self.epoch + 1).saturating_sub(epochs as u64);
        let start = self.order.partition_point(|(epoch, _)| *epoch < first);
        self.order.range(start..).map(|(_, key)| key)
    }

    /// Returns the age of each non-empty epoch, in epochs, and its number of insertions; oldest first.
    pub(crate) fn entries_per_tick(&self) -> Vec<(u64, usize)> {
        let (mut found, mut start) = (Vec::new(), 0);
        while let Some((epoch, _)) = self.order.get(start) {
            let end = self.order.partition_point(|(other, _)| other <= epoch);
            found.push((self.epoch - epoch, end - start));
            start = end;
        }
        found
    }

    /// All entries, in arbitrary order.
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
