//! A map of fixed capacity that evicts its oldest entry. Data that peers make the node store goes into
//! one of these, so that they can't fill the memory.

use std::hash::Hash;

use hashlink::LinkedHashMap;

/// Entries are ordered by the time of their first insertion; a lookup or an update leaves the order as it is.
#[derive(Debug)]
pub(super) struct BoundedMap<K, V> {
    entries: LinkedHashMap<K, V>,
    capacity: usize,
}

impl<K: Eq + Hash, V> BoundedMap<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: LinkedHashMap::new(), capacity }
    }

    /// Inserts an entry, or updates one in its place. Evicts the oldest entry of a full map.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.capacity == 0 {
            return;
        }
        self.entries.replace(key, value);
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key)
    }

    /// The keys, the oldest first.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_is_evicted() {
        let mut map = BoundedMap::new(2);
        for n in [1, 2, 1, 3] {
            map.insert(n, n * 10);
        }
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (None, Some(&20), Some(&30)));
        assert_eq!(map.remove(&2), Some(20));
        map.insert(4, 40);
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [3, 4]);
    }
}
