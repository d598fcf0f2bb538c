//! The messages that a connected peer was not sent because a queue was full. They are offered to it by IHAVE when there
//! is room again.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::{Network, hooks::Hooks},
};

/// Message ids by topic.
pub(crate) type IdsByTopic<N> = Vec<(<N as Network>::Topic, Vec<<N as Network>::MessageId>)>;

/// The messages that one connected peer was not sent, over all topics.
#[derive_where(Debug)]
pub(crate) struct MissedMessages<N: Network> {
    /// The entries by age, those first that a new one replaces. Each occurs once.
    order: VecDeque<(N::Topic, N::MessageId)>,
    /// The entries of `order`, each with the bytes that the share counts for it.
    known: HashMap<(N::Topic, N::MessageId), usize, RandomState>,
    share: Share,
    /// The most messages to offer at once: 0 between a message that the transport dropped and its next report of room.
    room: usize,
    /// The IHAVEs sent to the peer in this heartbeat by [`take`](Self::take), and the ids in them.
    offered: Offered,
}

#[derive(Clone, Copy, Debug, Default)]
struct Offered {
    messages: usize,
    ids: usize,
}

impl<N: Network> MissedMessages<N> {
    /// The approximate bytes of an entry, without what its id owns on the heap.
    const ENTRY: usize = 4 * size_of::<(N::Topic, N::MessageId)>() + 2 * size_of::<usize>();

    pub(crate) fn new(totals: &Totals) -> Self {
        let (order, known, offered) = Default::default();
        Self { order, known, share: totals.share(Remembered::PeerIds), room: usize::MAX, offered }
    }

    /// Stores ids of one topic. Returns how many were dropped, the oldest first, because more than
    /// `max_missed_ids_per_peer` are stored or the peer's share of the bytes has no room.
    pub(crate) fn insert(
        &mut self,
        topic: &N::Topic,
        ids: &[N::MessageId],
        network: &Hooks<N>,
        limits: &Limits<N::Topic>,
    ) -> usize {
        let mut dropped = 0;
        for id in ids {
            let entry = (topic.clone(), id.clone());
            if self.known.contains_key(&entry) {
                continue;
            }
            let bytes = Self::ENTRY + 2 * network.message_id_size(id);
            let mut fits = self.share.try_add(bytes);
            while !fits && self.remove_oldest() {
                dropped += 1;
                fits = self.share.try_add(bytes);
            }
            if fits {
                self.known.insert(entry.clone(), bytes);
                self.order.push_back(entry);
            } else {
                dropped += 1;
            }
        }
        while self.order.len() > limits.extensions.max_missed_ids_per_peer && self.remove_oldest() {
            dropped += 1;
        }
        dropped
    }

    /// Returns false if there was none.
    fn remove_oldest(&mut self) -> bool {
        let Some(oldest) = self.order.pop_front() else { return false };
        self.share.remove(self.known.remove(&oldest).unwrap_or_default());
        true
    }

    /// Sets for how many messages to the peer the transport has room: none when it drops one.
    pub(crate) fn set_room(&mut self, messages: usize) {
        self.room = messages;
    }

    /// Takes what is to be offered to the peer now, by topic, the topics with the most ids first. The peer is assumed to
    /// have our limits: within one heartbeat it gets at most `max_recv_ihave_per_heartbeat` IHAVEs, and
    /// `max_sent_iwant_per_heartbeat` ids, since it would ignore more. At most as many ids are taken at once as the transport
    /// has room for messages, and at most `max_ids`, since the peer may request all. The rest stays for later heartbeats.
    pub(crate) fn take(
        &mut self,
        max_ids: usize,
        network: &Hooks<N>,
        limits: &Limits<N::Topic>,
    ) -> IdsByTopic<N> {
        let messages = (limits.max_recv_ihave_per_heartbeat as usize).saturating_sub(self.offered.messages);
        let ids_left = (limits.max_sent_iwant_per_heartbeat as usize).saturating_sub(self.offered.ids);
        let mut ids_left = ids_left.min(self.room).min(max_ids);
        if self.order.is_empty() || messages == 0 || ids_left == 0 {
            return Vec::new();
        }
        let mut by_topic = BTreeMap::<_, Vec<_>>::new();
        for (topic, id) in std::mem::take(&mut self.order) {
            by_topic.entry(topic).or_default().push(id);
        }
        self.known = HashMap::default();
        self.share.clear();
        let mut by_topic: Vec<_> = by_topic.into_iter().collect();
        by_topic.sort_by_key(|(_, ids)| Reverse(ids.len()));
        let mut taken = Vec::new();
        for (topic, mut ids) in by_topic {
            let now = if taken.len() < messages { ids.len().min(ids_left) } else { 0 };
            // The oldest are offered first: they leave the history first.
            let rest = ids.split_off(now);
            self.insert(&topic, &rest, network, limits);
            if now > 0 {
                ids_left -= now;
                self.offered.ids += now;
                self.offered.messages += 1;
                taken.push((topic, ids));
            }
        }
        taken
    }

    /// Starts the next heartbeat.
    pub(crate) fn advance(&mut self) {
        self.offered = Offered::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.share.bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
