//! What waits for one connection, by urgency. Within a lane all keeps its order. It bounds nothing.

use std::collections::VecDeque;

use super::{encode::Fragment, receipt::Receipt};
use crate::protocol::Lane;

/// A fragment on its way to one peer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) fragment: Fragment,
    pub(super) lane: Lane,
    /// Settled when the fragment is written or dropped.
    pub(super) receipt: Option<Receipt>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By urgency.
    lanes: [VecDeque<Item>; Lane::ALL.len()],
    items: usize,
    bytes: usize,
}

impl Waiting {
    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items += 1;
        self.bytes += item.fragment.bytes.len();
        self.lanes[item.lane as usize].push_back(item);
    }

    /// All that waits, in the order in which [`pop`](Self::pop) takes it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.lanes.iter().flatten()
    }

    /// The oldest of the most urgent.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.lanes.iter_mut().find_map(VecDeque::pop_front);
        self.took(item)
    }

    /// The newest of the least urgent, if it is less urgent than `lane`.
    pub(super) fn pop_less_urgent(&mut self, lane: Lane) -> Option<Item> {
        let item = self.lanes[lane as usize + 1..].iter_mut().rev().find_map(VecDeque::pop_back);
        self.took(item)
    }

    fn took(&mut self, item: Option<Item>) -> Option<Item> {
        let item = item?;
        self.items -= 1;
        self.bytes -= item.fragment.bytes.len();
        Some(item)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::libp2p::encode::Kind;

    /// An item of ten bytes, all of them `tag`.
    pub(in crate::libp2p) fn item(kind: Kind, lane: Lane, tag: u8) -> Item {
        Item { fragment: Fragment { kind, bytes: [tag; 10].into() }, lane, receipt: None }
    }

    #[test]
    fn the_urgent_goes_first_and_the_least_urgent_is_given_up_first() {
        let mut waiting = Waiting::default();
        for (lane, tag) in [(Lane::Gossip, 1), (Lane::Forward, 2), (Lane::Control, 3), (Lane::Forward, 4)] {
            waiting.push(item(Kind::Message, lane, tag));
        }
        let tag = |item: Option<Item>| item.map(|item| item.fragment.bytes[0]);
        let order: Vec<_> = waiting.iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(order, [3, 2, 4, 1]);
        assert_eq!(tag(waiting.pop_less_urgent(Lane::Gossip)), None);
        assert_eq!(tag(waiting.pop_less_urgent(Lane::Publish)), Some(1));
        assert_eq!(tag(waiting.pop_less_urgent(Lane::Publish)), Some(4));
        assert_eq!((waiting.items(), waiting.bytes()), (2, 20));
        assert_eq!([waiting.pop(), waiting.pop(), waiting.pop()].map(tag), [Some(3), Some(2), None]);
        assert_eq!((waiting.items(), waiting.bytes()), (0, 0));
    }
}
