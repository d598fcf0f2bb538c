//! A map of fixed capacity that evicts its least recently used entry. Data that peers make the node store goes into
//! one of these, so that they can't fill the memory.

use std::{collections::HashMap, hash::Hash};

use hashlink::LinkedHashMap;

/// Entries are ordered by the time of their last use: an insertion, an update, or [`touch`](Self::touch).
#[derive(Debug)]
pub(super) struct BoundedMap<K, V> {
    entries: LinkedHashMap<K, V>,
    capacity: usize,
    /// The entries of the keys that the owner named: they are never evicted, and use no capacity.
    kept: HashMap<K, Option<V>>,
}

impl<K: Eq + Hash, V> BoundedMap<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: LinkedHashMap::new(), capacity, kept: HashMap::new() }
    }

    /// The maximum number of entries, without those that are never evicted.
    #[cfg(feature = "libp2p-node")]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Never evicts the entries of these keys.
    pub(super) fn keep(&mut self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            let entry = self.entries.remove(&key);
            self.kept.entry(key).or_insert(entry);
        }
    }

    /// Inserts or updates an entry. Evicts the least recently used entry of a full map, and returns it.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if let Some(kept) = self.kept.get_mut(&key) {
            *kept = Some(value);
        } else if self.capacity > 0 {
            self.entries.insert(key, value);
            if self.entries.len() > self.capacity {
                return self.entries.pop_front();
            }
        }
        None
    }

    /// Finds an entry and leaves the order as it is.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).or_else(|| self.kept.get(key)?.as_ref())
    }

    /// Finds an entry, which is then the most recently used one.
    pub(super) fn touch(&mut self, key: &K) -> Option<&mut V> {
        match self.entries.to_back(key) {
            Some(value) => Some(value),
            None => self.kept.get_mut(key)?.as_mut(),
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).or_else(|| self.kept.get_mut(key)?.take())
    }

    /// The keys, the least recently used first. Those that are never evicted come last.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        let kept = self.kept.iter().filter(|(_, value)| value.is_some());
        self.entries.keys().chain(kept.map(|(key, _)| key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(map: &BoundedMap<u32, u32>) -> Vec<u32> {
        map.keys().copied().collect()
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted() {
        let mut map = BoundedMap::new(2);
        for n in [1, 2, 1, 3] {
            map.insert(n, n * 10);
        }
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (Some(&10), None, Some(&30)));
        assert_eq!(map.touch(&1), Some(&mut 10));
        map.insert(4, 40);
        assert_eq!(keys(&map), [1, 4]);
        assert_eq!(map.remove(&1), Some(10));
        assert_eq!(map.remove(&1), None);
    }

    #[test]
    fn entries_that_the_owner_names_are_never_evicted() {
        let mut map = BoundedMap::new(2);
        map.insert(1, 10);
        map.keep([1, 2]);
        map.insert(2, 20);
        for n in 3..1_000 {
            map.insert(n, 0);
        }
        assert_eq!((map.get(&1), map.get(&2)), (Some(&10), Some(&20)));
        assert_eq!(map.keys().count(), 4);
        assert_eq!(map.remove(&2), Some(20));
        assert_eq!(map.get(&2), None);
        assert_eq!(map.remove(&2), None);
        map.insert(2, 21);
        assert_eq!(map.touch(&2), Some(&mut 21));
    }
}
