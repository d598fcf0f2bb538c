//! A map that forgets its oldest entry when it is full. It never grows beyond its capacity, whatever
//! peers make us remember.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

#[derive(Debug)]
pub(in crate::libp2p) struct Recent<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(in crate::libp2p) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity }
    }

    /// Remembers `value`. A known key keeps its age.
    pub(in crate::libp2p) fn insert(&mut self, key: K, value: V) {
        if self.capacity == 0 {
            return;
        }
        if self.entries.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(in crate::libp2p) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(in crate::libp2p) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.order.retain(|other| other != key);
        Some(value)
    }

    pub(in crate::libp2p) fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::new(2);
        for n in [1, 2, 1, 3] {
            recent.insert(n, n * 10);
        }
        assert_eq!((recent.get(&1), recent.get(&2), recent.get(&3)), (None, Some(&20), Some(&30)));
        assert_eq!(recent.remove(&2), Some(20));
        recent.insert(4, 40);
        assert_eq!(recent.keys().copied().collect::<Vec<_>>(), [3, 4]);
    }
}
