//! The items that are queued for one connection, by lane. Items of one lane keep their order, except that IDONTWANTs
//! overtake full messages, and topics that are sent first overtake others. The send queue sets the bounds.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    slice,
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::delivery_report::DeliveryReport;
pub use super::lane_counts::LaneCounts;
use crate::{
    libp2p::{
        codec::encode::{Fragment, Kind},
        ids::{MessageId, TopicName},
        memory::{MemoryCharge, TransportMemory},
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
    /// It is sent before those of other topics in its lane.
    pub(in crate::libp2p) sent_first: bool,
    /// The id of a message that an IDONTWANT may remove. `None` for small messages, which no peer names in one.
    pub(in crate::libp2p) id: Option<MessageId>,
    /// What the peer misses if the fragment is dropped.
    pub(in crate::libp2p) offer: Offer,
    /// The topic of a GRAFT or PRUNE.
    pub(in crate::libp2p) mesh_topic: Option<TopicName>,
    /// Completed when the fragment is written or dropped.
    pub(in crate::libp2p) report: Option<DeliveryReport>,
}

/// The size in bytes from which peers send IDONTWANT for a message. js-libp2p has the lowest threshold.
const MIN_IDONTWANT_SIZE: usize = 512;

/// The messages that a fragment carries or offers.
#[derive(Clone, Debug, Default)]
pub(in crate::libp2p) enum Offer {
    #[default]
    None,
    Message(TopicName, MessageId),
    /// The ids of a whole IHAVE, which may have several fragments.
    Gossip(Arc<Gossip>),
}

/// The ids of an IHAVE, charged once for all recipients.
#[derive(Debug)]
pub(in crate::libp2p) struct Gossip {
    topic: TopicName,
    ids: Vec<MessageId>,
    _charge: MemoryCharge,
}

impl Offer {
    pub(in crate::libp2p) fn of(message: &P2pMessage<Libp2pNetwork>, memory: &Arc<TransportMemory>) -> Self {
        match message {
            P2pMessage::FullMessage(full) => Self::Message(full.topic.clone(), full.message_id.clone()),
            P2pMessage::IHave { topic, message_ids } => {
                let ids = message_ids.clone();
                let bytes = ids.iter().map(|id| size_of_val(id) + MessageId::HEADER + id.as_bytes().len());
                let charge = MemoryCharge::new(memory, bytes.sum());
                Self::Gossip(Arc::new(Gossip { topic: topic.clone(), ids, _charge: charge }))
            }
            _ => Self::None,
        }
    }

    /// The topic and the ids, if there are any.
    pub(super) fn messages(&self) -> Option<(&TopicName, &[MessageId])> {
        match self {
            Self::None => None,
            Self::Message(topic, id) => Some((topic, slice::from_ref(id))),
            Self::Gossip(gossip) => Some((&gossip.topic, &gossip.ids)),
        }
    }
}

impl Item {
    /// Creates an item for a fragment of `message`. An IDONTWANT may remove a full message, unless its recipient
    /// requested it by IWANT.
    pub(in crate::libp2p) fn new(
        message: &P2pMessage<Libp2pNetwork>,
        fragment: &Fragment,
        (lane, sent_first): (Lane, bool),
        offer: &Offer,
        report: Option<DeliveryReport>,
    ) -> Self {
        let id = match message {
            P2pMessage::FullMessage(full)
                if lane != Lane::Answer && fragment.bytes.len() >= MIN_IDONTWANT_SIZE =>
            {
                Some(full.message_id.clone())
            }
            _ => None,
        };
        let mesh_topic = match message {
            P2pMessage::Graft { topic } | P2pMessage::Prune { topic, .. } => Some(topic.clone()),
            _ => None,
        };
        Self { fragment: fragment.clone(), lane, sent_first, id, offer: offer.clone(), mesh_topic, report }
    }

    /// An item that nobody waits for, and that no other one removes or replaces.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(in crate::libp2p) fn plain(fragment: Fragment, lane: Lane) -> Self {
        Self {
            fragment,
            lane,
            sent_first: false,
            id: None,
            offer: Offer::None,
            mesh_topic: None,
            report: None,
        }
    }

    /// The bytes that a queued item takes besides its fragment. A queue of items has room for twice as many, and an item
    /// may have an entry in a map.
    pub(in crate::libp2p) const BYTES: usize = 2 * size_of::<Self>() + 96;
}

#[derive(Debug, Default)]
pub(in crate::libp2p) struct Lanes {
    /// Indexed by [`Lane::queue_index`].
    lanes: [VecDeque<Item>; Lane::QUEUES],
    /// How many times each message that may be removed is queued.
    ids: HashMap<MessageId, usize, RandomState>,
    /// The last GRAFT or PRUNE of each topic that is queued: its kind and its number.
    mesh: HashMap<TopicName, (Kind, usize), RandomState>,
    /// How many items of control were taken out. The number of a queued one is this and its index.
    control_taken: usize,
    control_bytes: usize,
    items: usize,
    bytes: usize,
}

const CONTROL: usize = 0;
/// An empty queue or map with a larger capacity is freed.
const RETAINED_ITEMS: usize = 64;
#[cfg(test)]
thread_local! {
    /// How many times lanes were searched on this thread.
    pub(super) static SEARCHES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Lanes {
    pub(in crate::libp2p) fn items(&self) -> usize {
        self.items
    }

    pub(in crate::libp2p) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The items and bytes of control.
    pub(super) fn control(&self) -> (usize, usize) {
        (self.lanes[CONTROL].len(), self.control_bytes)
    }

    /// Puts a GRAFT or PRUNE in the place of the last one of its topic, if that is of the same kind; `item` is then that
    /// one. Between a GRAFT and a PRUNE the order matters, so both stay. Returns false if there is none to replace.
    pub(in crate::libp2p) fn supersede(&mut self, item: &mut Item) -> bool {
        let last = item.mesh_topic.as_ref().and_then(|topic| self.mesh.get(topic));
        let Some((_, number)) = last.filter(|(kind, _)| *kind == item.fragment.kind) else {
            return false;
        };
        let Some(queued) = self.lanes[CONTROL].get_mut(number.wrapping_sub(self.control_taken)) else {
            return false;
        };
        let (before, after) = (queued.fragment.bytes.len(), item.fragment.bytes.len());
        self.bytes = self.bytes - before + after;
        self.control_bytes = self.control_bytes - before + after;
        std::mem::swap(queued, item);
        true
    }

    pub(in crate::libp2p) fn push(&mut self, item: Item) {
        self.items += 1;
        self.bytes += item.fragment.bytes.len();
        if item.lane == Lane::Control {
            self.control_bytes += item.fragment.bytes.len();
            if let Some(topic) = &item.mesh_topic {
                let number = self.control_taken.wrapping_add(self.lanes[CONTROL].len());
                self.mesh.insert(topic.clone(), (item.fragment.kind, number));
            }
        }
        if let Some(id) = &item.id {
            *self.ids.entry(id.clone()).or_default() += 1;
        }
        let idontwant = item.fragment.kind == Kind::IDontWant;
        self.lanes[item.lane.queue_index(idontwant, item.sent_first)].push_back(item);
    }

    /// All items, in the order in which [`pop`](Self::pop) takes them.
    pub(in crate::libp2p) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.lanes.iter().flatten()
    }

    /// Takes the oldest item of the most urgent lane.
    pub(in crate::libp2p) fn pop(&mut self) -> Option<Item> {
        let item = self.lanes.iter_mut().find_map(|lane| pop(lane, VecDeque::pop_front));
        self.taken(item)
    }

    /// Takes the newest item of the least urgent queue, if that is less urgent than the one of `lane`, or of the topics that are
    /// `sent_first` in it.
    pub(super) fn pop_less_urgent(&mut self, lane: Lane, sent_first: bool) -> Option<Item> {
        let less_urgent = lane.drop_order(sent_first);
        let item = less_urgent.iter().find_map(|index| pop(&mut self.lanes[*index], VecDeque::pop_back));
        self.taken(item)
    }

    /// Removes these messages from the lanes of full messages. The lanes are searched once, and only if one of the messages
    /// is queued.
    pub(in crate::libp2p) fn remove_messages<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a MessageId>,
    ) -> Vec<Item> {
        let queued: HashSet<&MessageId, RandomState> = ids.filter(|id| self.ids.contains_key(id)).collect();
        let mut taken = Vec::new();
        if queued.is_empty() {
            return taken;
        }
        #[cfg(test)]
        SEARCHES.set(SEARCHES.get() + 1);
        let queues =
            [Lane::Publish, Lane::Forward].into_iter().flat_map(|lane| [(lane, true), (lane, false)]);
        for (lane, sent_first) in queues {
            let lane = &mut self.lanes[lane.queue_index(false, sent_first)];
            for item in std::mem::take(lane) {
                let named = item.id.as_ref().is_some_and(|id| queued.contains(id));
                if named { taken.push(item) } else { lane.push_back(item) }
            }
        }
        taken.into_iter().filter_map(|item| self.taken(Some(item))).collect()
    }

    /// Updates the counts after an item was taken out. Control is taken in its order.
    fn taken(&mut self, item: Option<Item>) -> Option<Item> {
        let item = item?;
        self.items -= 1;
        self.bytes -= item.fragment.bytes.len();
        if item.lane == Lane::Control {
            self.control_bytes -= item.fragment.bytes.len();
            if let Some(topic) = &item.mesh_topic
                && self.mesh.get(topic).is_some_and(|(_, number)| *number == self.control_taken)
            {
                self.mesh.remove(topic);
                free_if_empty(&mut self.mesh);
            }
            self.control_taken = self.control_taken.wrapping_add(1);
        }
        if let Some(id) = &item.id
            && let Some(count) = self.ids.get_mut(id)
        {
            *count -= 1;
            if *count == 0 {
                self.ids.remove(id);
                free_if_empty(&mut self.ids);
            }
        }
        Some(item)
    }
}

fn pop(lane: &mut VecDeque<Item>, pop: impl FnOnce(&mut VecDeque<Item>) -> Option<Item>) -> Option<Item> {
    let item = pop(lane);
    if lane.is_empty() && lane.capacity() > RETAINED_ITEMS {
        *lane = VecDeque::new();
    }
    item
}

fn free_if_empty<K, V>(map: &mut HashMap<K, V, RandomState>) {
    if map.is_empty() && map.capacity() > RETAINED_ITEMS {
        *map = HashMap::default();
    }
}

#[cfg(test)]
pub(in crate::libp2p) mod tests {
    use super::*;
    use crate::libp2p::codec::encode::Kind;

    /// An item of ten bytes, all of them `tag`.
    pub(in crate::libp2p) fn item(kind: Kind, lane: Lane, tag: u8) -> Item {
        Item::plain(Fragment::new(kind, vec![tag; 10]), lane)
    }

    #[test]
    fn the_most_urgent_item_is_sent_first_and_the_least_urgent_dropped_first() {
        let mut lanes = Lanes::default();
        for (lane, tag) in [(Lane::Gossip, 1), (Lane::Forward, 2), (Lane::Control, 3), (Lane::Forward, 4)] {
            lanes.push(item(Kind::Message, lane, tag));
        }
        let tag = |item: Option<Item>| item.map(|item| item.fragment.bytes[0]);
        let order: Vec<_> = lanes.iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(order, [3, 2, 4, 1]);
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Gossip, false)), None);
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Publish, false)), Some(1));
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Publish, false)), Some(4));
        assert_eq!((lanes.items(), lanes.bytes()), (2, 20));
        assert_eq!([lanes.pop(), lanes.pop(), lanes.pop()].map(tag), [Some(3), Some(2), None]);
        assert_eq!((lanes.items(), lanes.bytes()), (0, 0));
    }

    #[test]
    fn a_topic_that_is_sent_first_goes_before_others_of_its_lane_only_and_is_dropped_after_them() {
        let mut lanes = Lanes::default();
        let all =
            [(Lane::Forward, false), (Lane::Publish, false), (Lane::Forward, true), (Lane::Answer, true)];
        for (tag, (lane, sent_first)) in (0..).zip(all) {
            lanes.push(Item { sent_first, ..item(Kind::Message, lane, tag) });
        }
        lanes.push(Item { sent_first: true, ..item(Kind::Message, Lane::Forward, 4) });
        let order: Vec<_> = lanes.iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(order, [1, 2, 4, 0, 3]);
        let tag = |item: Option<Item>| item.map(|item| item.fragment.bytes[0]);
        // The answer is less urgent than what is forwarded, and another topic than one that is sent first.
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Forward, false)), Some(3));
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Forward, false)), None);
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Forward, true)), Some(0));
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Forward, true)), None);
        assert_eq!(tag(lanes.pop_less_urgent(Lane::Publish, false)), Some(4));
        let id = MessageId::from(vec![2]);
        lanes.push(Item { id: Some(id.clone()), sent_first: true, ..item(Kind::Message, Lane::Publish, 5) });
        assert_eq!(lanes.remove_messages([id].iter()).len(), 1);
        assert_eq!([lanes.pop(), lanes.pop(), lanes.pop()].map(tag), [Some(1), Some(2), None]);
        assert_eq!((lanes.items(), lanes.bytes()), (0, 0));
    }

    #[test]
    fn an_idontwant_removes_messages_except_iwant_responses() {
        let mut lanes = Lanes::default();
        let id = |tag: u8| MessageId::from(vec![tag]);
        for (lane, tag) in [(Lane::Forward, 1), (Lane::Publish, 1), (Lane::Forward, 2), (Lane::Forward, 3)] {
            lanes.push(Item { id: Some(id(tag)), ..item(Kind::Message, lane, tag) });
        }
        lanes.push(item(Kind::Message, Lane::Answer, 1));
        lanes.push(item(Kind::IDontWant, Lane::Gossip, 9));
        let tags = |items: Vec<Item>| items.iter().map(|item| item.fragment.bytes[0]).collect::<Vec<_>>();
        assert_eq!(tags(lanes.remove_messages([id(1), id(3), id(7)].iter())), [1, 1, 3]);
        assert!(lanes.remove_messages([id(1), id(3)].iter()).is_empty());
        assert_eq!((lanes.items(), lanes.bytes()), (3, 30));
        assert_eq!(tags(std::iter::from_fn(|| lanes.pop()).collect()), [9, 2, 1]);
        assert!(lanes.ids.is_empty());
    }

    #[test]
    fn an_idontwant_is_sent_before_messages_and_dropped_before_them() {
        let mut lanes = Lanes::default();
        let all = [
            (Kind::Message, Lane::Publish),
            (Kind::Message, Lane::Forward),
            (Kind::Message, Lane::Answer),
            (Kind::IHave, Lane::Gossip),
            (Kind::IDontWant, Lane::Gossip),
            (Kind::Graft, Lane::Control),
        ];
        for (tag, (kind, lane)) in (0..).zip(all) {
            lanes.push(item(kind, lane, tag));
        }
        let order: Vec<_> = lanes.iter().map(|item| item.fragment.bytes[0]).collect();
        assert_eq!(order, [5, 4, 0, 1, 2, 3]);
        let dropped =
            |lanes: &mut Lanes, lane| lanes.pop_less_urgent(lane, false).map(|item| item.fragment.bytes[0]);
        assert_eq!(dropped(&mut lanes, Lane::Gossip), None);
        let order = [(); 6].map(|()| dropped(&mut lanes, Lane::Control));
        assert_eq!(order, [Some(3), Some(4), Some(2), Some(1), Some(0), None]);
    }
}
