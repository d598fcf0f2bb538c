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

    /// Ids with the bytes that each takes here. Asks the application, so it must be called without a lock.
    pub(crate) fn sized(ids: &[N::MessageId], network: &Hooks<N>) -> Vec<(N::MessageId, usize)> {
        ids.iter().map(|id| (id.clone(), Self::ENTRY + 2 * network.message_id_size(id))).collect()
    }

    /// Stores ids of one topic, each with its [bytes](Self::sized). Returns how many were dropped, the oldest first, because more than
    /// `max_missed_ids_per_peer` are stored or the peer's share of the bytes has no room.
    pub(crate) fn insert(
        &mut self,
        topic: &N::Topic,
        ids: &[(N::MessageId, usize)],
        limits: &Limits<N::Topic>,
    ) -> usize {
        let mut dropped = 0;
        for (id, bytes) in ids {
            let entry = (topic.clone(), id.clone());
            if self.known.contains_key(&entry) {
                continue;
            }
            let mut fits = self.share.try_add(*bytes);
            while !fits && self.remove_oldest() {
                dropped += 1;
                fits = self.share.try_add(*bytes);
            }
            if fits {
                self.known.insert(entry.clone(), *bytes);
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
    pub(crate) fn take(&mut self, max_ids: usize, limits: &Limits<N::Topic>) -> IdsByTopic<N> {
        let messages = (limits.max_recv_ihave_per_heartbeat as usize).saturating_sub(self.offered.messages);
        let ids_left = (limits.max_sent_iwant_per_heartbeat as usize).saturating_sub(self.offered.ids);
        let mut ids_left = ids_left.min(self.room).min(max_ids);
        if self.order.is_empty() || messages == 0 || ids_left == 0 {
            return Vec::new();
        }
        let mut of_topic = BTreeMap::<_, usize>::new();
        self.order.iter().for_each(|(topic, _)| *of_topic.entry(topic.clone()).or_default() += 1);
        let mut topics: Vec<_> = of_topic.into_iter().collect();
        topics.sort_by_key(|(_, ids)| Reverse(*ids));
        let mut chosen = Vec::new();
        for (topic, ids) in topics.into_iter().take(messages) {
            let now = ids.min(ids_left);
            ids_left -= now;
            if now > 0 {
                chosen.push((topic, Vec::with_capacity(now), now));
            }
        }
        let places: BTreeMap<_, _> =
            chosen.iter().enumerate().map(|(index, (topic, ..))| (topic.clone(), index)).collect();
        let Self { order, known, share, .. } = self;
        // The oldest are offered first: they leave the history first.
        order.retain(|entry| {
            let place = places.get(&entry.0).map(|index| &mut chosen[*index]);
            let Some((_, ids, _)) = place.filter(|(_, ids, most)| ids.len() < *most) else { return true };
            ids.push(entry.1.clone());
            share.remove(known.remove(entry).unwrap_or_default());
            false
        });
        if order.is_empty() {
            // A peer that misses nothing keeps no memory.
            (*order, *known) = Default::default();
        }
        self.offered.messages += chosen.len();
        self.offered.ids += chosen.iter().map(|(_, ids, _)| ids.len()).sum::<usize>();
        chosen.into_iter().map(|(topic, ids, _)| (topic, ids)).collect()
    }

    /// Starts the next heartbeat.
    pub(crate) fn advance(&mut self) {
        self.offered = Offered::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
