//! What waits for one connection, by urgency. Within a lane all keeps its order, but that IDONTWANTs go ahead of
//! full messages. It bounds nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use foldhash::fast::RandomState;

use super::delivery_report::Receipt;
use crate::{
    libp2p::{
        codec::encode::{Fragment, Kind},
        ids::MessageId,
        network::Libp2pNetwork,
    },
    network::P2pMessage,
    protocol::Lane,
};

/// A fragment on its way to one peer.
#[derive(Debug)]
pub(in crate::libp2p) struct Item {
    pub(in crate::libp2p) fragment: Fragment,
    pub(in crate::libp2p) lane: Lane,
    /// That of a message which the peer may say that it does not want. None of a small one: nobody says so.
    pub(in crate::libp2p) id: Option<MessageId>,
    /// Settled when the fragment is written or dropped.
    pub(in crate::libp2p) receipt: Option<Receipt>,
}

/// Of smaller messages no peer says that it does not want them (js-libp2p has the lowest threshold).
const MIN_WITHDRAWN: usize = 512;

impl Item {
    /// A part of what is said. A message may be taken back unless its recipient asked for it.
    pub(in crate::libp2p) fn of(
        message: &P2pMessage<Libp2pNetwork>,
        fragment: &Fragment,
        lane: Lane,
        receipt: Option<Receipt>,
    ) -> Self {
        let id = match message {
            P2pMessage::FullMessage(full)
                if lane != Lane::Answer && fragment.bytes.len() >= MIN_WITHDRAWN =>
            {
                Some(full.message_id.clone())
            }
            _ => None,
        };
        Self { fragment: fragment.clone(), lane, id, receipt }
    }
}

#[derive(Debug, Default)]
pub(in crate::libp2p) struct Waiting {
    /// By [`Lane::place`].
    lanes: [VecDeque<Item>; Lane::PLACES],
    /// How often each message waits that may be withdrawn.
    ids: HashMap<MessageId, usize, RandomState>,
    items: usize,
    bytes: usize,
}

impl Waiting {
    pub(in crate::libp2p) fn items(&self) -> usize {
        self.items
    }

    pub(in crate::libp2p) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::libp2p) fn push(&mut self, item: Item) {
        self.items += 1;
        self.bytes += item.fragment.bytes.len();
        if let Some(id) = &item.id {
            *self.ids.entry(id.clone()).or_default() += 1;
        }
        self.lanes[item.lane.place(item.fragment.kind == Kind::IDontWant)].push_back(item);
    }

    /// All that waits, in the order in which [`pop`](Self::pop) takes it.
    pub(in crate::libp2p) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.lanes.iter().flatten()
    }

    /// The oldest of the most urgent.
    pub(in crate::libp2p) fn pop(&mut self) -> Option<Item> {
        let item = self.lanes.iter_mut().find_map(VecDeque::pop_front);
        self.took(item)
    }

    /// The newest of the least urgent, if it is less urgent than `lane`.
    pub(in crate::libp2p) fn pop_less_urgent(&mut self, lane: Lane) -> Option<Item> {
        let item = lane.less_urgent().iter().find_map(|place| self.lanes[*place].pop_back());
        self.took(item)
    }

    /// Takes out these messages, wherever they wait. Looks for none that does not.
    pub(in crate::libp2p) fn withdraw(&mut self, ids: &[MessageId]) -> Vec<Item> {
        let there: HashSet<&MessageId, RandomState> =
            ids.iter().filter(|id| self.ids.contains_key(id)).collect();
        let mut taken = Vec::new();
        if there.is_empty() {
            return taken;
        }
        for lane in [Lane::Publish, Lane::Forward] {
            let lane = &mut self.lanes[lane.place(false)];
            for item in std::mem::take(lane) {
                let unwanted = item.id.as_ref().is_some_and(|id| there.contains(id));
                if unwanted { taken.push(item) } else { lane.push_back(item) }
            }
        }
        taken.into_iter().filter_map(|item| self.took(Some(item))).collect()
    }

    fn took(&mut self, item: Option<Item>) -> Option<Item> {
        let item = item?;
        self.items -= 1;
        self.bytes -= item.fragment.bytes.len();
        if let Some(id) = &item.id
            && let Some(times) = self.ids.get_mut(id)
        {
            *times -= 1;
            if *times == 0 {
                self.ids.remove(id);
            }
        }
        Some(item)
    }
}

#[cfg(test)]
pub(in crate::libp2p) mod tests {
    use super::*;
    use crate::libp2p::codec::encode::Kind;

    /// An item of ten bytes, all of them `tag`.
    pub(in crate::libp2p) fn item(kind: Kind, lane: Lane, tag: u8) -> Item {
        Item { fragment: Fragment { kind, bytes: [tag; 10].into() }, lane, id: None, receipt: None }
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

    #[test]
    fn what_is_not_wanted_is_withdrawn_but_for_answers() {
        let mut waiting = Waiting::default();
        let id = |tag: u8| MessageId::from(vec![tag]);
        for (lane, tag) in [(Lane::Forward, 1), (Lane::Publish, 1), (Lane::Forward, 2), (Lane::Forward, 3)] {
            waiting.push(Item { id: Some(id(tag)), ..item(Kind::Message, lane, tag) });
        }
        waiting.push(item(Kind::Message, Lane::Answer, 1));
        waiting.push(item(Kind::IDontWant, Lane::Gossip, 9));
        let tags = |items: Vec<Item>| items.iter().map(|item| item.fragment.bytes[0]).collect::<Vec<_>>();
        assert_eq!(tags(waiting.withdraw(&[id(1), id(3), id(7)])), [1, 1, 3]);
        assert!(waiting.withdraw(&[id(1), id(3)]).is_empty());
        assert_eq!((waiting.items(), waiting.bytes()), (3, 30));
        assert_eq!(tags(std::iter::from_fn(|| waiting.pop()).collect()), [9, 2, 1]);
        assert!(waiting.ids.is_empty());
    }

    #[test]
    fn an_idontwant_goes_ahead_of_messages_and_is_given_up_before_them() {
        let mut waiting = Waiting::default();
        let all = [
            (Kind::Message, Lane::Publish),
            (Kind::Message, Lane::Forward),
            (Kind::Message, Lane::Answer),
            (Kind::IHave, Lane::Gossip),
            (Kind::IDontWant, Lane::Gossip),
            (Kind::Graft, Lane::Control),
        ];
        for (tag, (kind, lane)) in (0..).zip(all) {
            waiting.push(item(kind, lane, tag));
        }
        let order: Vec<_> = waiting.iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(order, [5, 4, 0, 1, 2, 3]);
        let given_up =
            |waiting: &mut Waiting, lane| waiting.pop_less_urgent(lane).map(|item| item.fragment.bytes[0]);
        assert_eq!(given_up(&mut waiting, Lane::Gossip), None);
        let order = [(); 6].map(|()| given_up(&mut waiting, Lane::Control));
        assert_eq!(order, [Some(3), Some(4), Some(2), Some(1), Some(0), None]);
    }
}
