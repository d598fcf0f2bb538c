//! The validations that ended lately, so that an error says why a verdict is late.

use std::collections::{HashMap, VecDeque};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::{LateVerdict, Network};

/// The number of ended validations that are remembered.
const MAX_ENDED: usize = 8192;
/// The bytes that they take at most.
const MAX_ENDED_BYTES: usize = 1024 * 1024;

type Key<N> = (<N as Network>::MessageId, <N as Network>::Peer);

/// The validations that ended lately, the oldest first.
#[derive_where(Default)]
pub(super) struct EndedValidations<N: Network> {
    /// How each ended, and the number of its last end.
    ends: HashMap<Key<N>, (LateVerdict, u64), RandomState>,
    /// The ends in their order, each with its number and its bytes.
    order: VecDeque<(Key<N>, u64, usize)>,
    next: u64,
    bytes: usize,
}

impl<N: Network> EndedValidations<N> {
    /// The approximate bytes of an entry, without those that its id owns on the heap.
    const ENTRY: usize = 2 * (size_of::<(Key<N>, u64, usize)>() + size_of::<(Key<N>, (LateVerdict, u64))>());

    pub(super) fn insert(&mut self, key: Key<N>, end: LateVerdict, id_bytes: usize) {
        let bytes = Self::ENTRY + 2 * id_bytes;
        self.next += 1;
        self.bytes += bytes;
        self.ends.insert(key.clone(), (end, self.next));
        self.order.push_back((key, self.next, bytes));
        while (self.order.len() > MAX_ENDED || self.bytes > MAX_ENDED_BYTES)
            && let Some((key, number, bytes)) = self.order.pop_front()
        {
            self.bytes -= bytes;
            if self.ends.get(&key).is_some_and(|(_, last)| *last == number) {
                self.ends.remove(&key);
            }
        }
    }

    pub(super) fn get(&self, message_id: &N::MessageId, peer: &N::Peer) -> Option<LateVerdict> {
        self.ends.get(&(message_id.clone(), peer.clone())).map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::{PlainId, PlainNetwork};

    #[test]
    fn ended_validations_are_bounded_in_items_and_in_bytes() {
        let mut ended = EndedValidations::<PlainNetwork>::default();
        let key = |number| (PlainId { number, topic: String::new() }, 1);
        for number in 0..2 * MAX_ENDED as u64 {
            ended.insert(key(number), LateVerdict::TimedOut, 1);
            ended.insert(key(0), LateVerdict::AlreadyDecided, 1);
        }
        assert!(ended.order.len() <= MAX_ENDED && ended.ends.len() <= ended.order.len());
        assert!(ended.bytes <= MAX_ENDED_BYTES);
        let end = |number| ended.get(&key(number).0, &1);
        assert_eq!(end(0), Some(LateVerdict::AlreadyDecided), "its last end counts");
        assert_eq!(end(1), None);
        assert_eq!(end(2 * MAX_ENDED as u64 - 1), Some(LateVerdict::TimedOut));
        // One id that takes all bytes.
        ended.insert(key(1), LateVerdict::TimedOut, MAX_ENDED_BYTES);
        assert_eq!((ended.ends.len(), ended.order.len(), ended.bytes), (0, 0, 0));
    }
}
