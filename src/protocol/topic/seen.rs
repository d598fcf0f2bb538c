//! The ids of the messages that a topic has handled (v1.0 "seen cache"), to recognise duplicates: those that were accepted or
//! published, and those that their validation ignored. Bounded in ids and in bytes, of which each peer that delivers messages
//! has a fair share.

use std::collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::Network,
    protocol::exchange::Context,
    timestamp::Timestamp,
};

/// A seen id.
#[derive_where(Clone, Debug)]
pub(super) struct Seen<N: Network> {
    pub(super) first_seen: Timestamp,
    /// The first peer that delivered the message; `None` if this node published it.
    first_sender: Option<N::Peer>,
    /// Other peers that delivered it before it was accepted, or were credited for a duplicate since. The list is short.
    other_senders: Vec<N::Peer>,
    /// The bytes that the topic's share counts for it.
    bytes: usize,
    /// The number of times that it is in a queue. An id that is inserted again is known until its last insertion expires.
    insertions: u32,
    /// The validation ignored the message.
    ignored: bool,
}

/// The insertions of one deliverer, oldest first, each with its epoch.
type Queue<N> = VecDeque<(u64, <N as Network>::MessageId)>;

/// The ids of the last `seen_history_length` heartbeats.
#[derive_where(Debug)]
pub(super) struct SeenIds<N: Network> {
    /// Used only for lookups, so the hash map's order reaches no output.
    ids: HashMap<N::MessageId, Seen<N>, RandomState>,
    /// An id is in the queue of the first peer that delivered it; those that this node published are in that of `None`. No
    /// queue is empty.
    queues: BTreeMap<Option<N::Peer>, Queue<N>>,
    /// The number of ids in all queues.
    insertions: usize,
    /// The number of calls of `advance`, and the number of them for which an id is known.
    epoch: u64,
    length: u64,
    share: Share,
}

impl<N: Network> SeenIds<N> {
    /// The approximate bytes of an entry, besides the heap memory of its id: about as much again is unused capacity.
    const ENTRY: usize = 2 * (size_of::<(u64, N::MessageId)>() + size_of::<(N::MessageId, Seen<N>)>());
    /// The approximate bytes of a queue, besides those of its entries.
    const QUEUE: usize = 2 * (size_of::<(Option<N::Peer>, Queue<N>)>() + size_of::<(u64, N::MessageId)>());

    pub(super) fn new(limits: &Limits<N::Topic>, totals: &Totals) -> Self {
        Self {
            ids: HashMap::default(),
            queues: BTreeMap::new(),
            insertions: 0,
            epoch: 0,
            length: limits.seen_history_length as u64,
            share: totals.share(Remembered::Seen),
        }
    }

    /// Whether the message was accepted or published.
    pub(super) fn contains(&self, id: &N::MessageId) -> bool {
        self.ids.get(id).is_some_and(|seen| !seen.ignored)
    }

    /// Whether the message was accepted, published or ignored.
    pub(super) fn has_verdict(&self, id: &N::MessageId) -> bool {
        self.ids.contains_key(id)
    }

    /// Whether `peer` delivered the message.
    pub(super) fn has_sender(&self, id: &N::MessageId, peer: &N::Peer) -> bool {
        self.ids.get(id).is_some_and(|seen| seen.has_sender(peer))
    }

    /// Adds an id that was accepted or published now and whose size is `id_bytes`. If there is no room for it, it removes ids
    /// of a deliverer that has many.
    pub(super) fn insert(
        &mut self,
        id: &N::MessageId,
        id_bytes: usize,
        first_sender: Option<N::Peer>,
        other_senders: Vec<N::Peer>,
        cx: &Context<'_, N>,
    ) {
        self.add(id, id_bytes, (first_sender, other_senders), false, cx);
    }

    /// Adds the id of a message that its validation ignored, unless it is known. As [`insert`](Self::insert), the peer that
    /// delivered it pays for it.
    #[cold]
    pub(super) fn insert_ignored(
        &mut self,
        id: &N::MessageId,
        id_bytes: usize,
        sender: &N::Peer,
        cx: &Context<'_, N>,
    ) {
        if !self.has_verdict(id) {
            self.add(id, id_bytes, (Some(sender.clone()), Vec::new()), true, cx);
        }
    }

    #[inline]
    fn add(
        &mut self,
        id: &N::MessageId,
        id_bytes: usize,
        (first_sender, other_senders): (Option<N::Peer>, Vec<N::Peer>),
        ignored: bool,
        cx: &Context<'_, N>,
    ) {
        let bytes = Self::ENTRY + 2 * id_bytes + other_senders.capacity() * size_of::<N::Peer>();
        if !self.make_room(&first_sender, bytes, cx.limits.bounds.max_seen_per_topic) {
            self.share.count_evicted(1);
            return;
        }
        let insertion = (self.epoch, id.clone());
        match self.queues.get_mut(&first_sender) {
            Some(queue) => queue.push_back(insertion),
            None => drop(self.queues.insert(first_sender.clone(), VecDeque::from([insertion]))),
        }
        self.insertions += 1;
        match self.ids.entry(id.clone()) {
            Entry::Vacant(entry) => {
                let first_seen = cx.now;
                entry.insert(Seen { first_seen, first_sender, other_senders, bytes, insertions: 1, ignored });
            }
            Entry::Occupied(mut entry) => {
                let (seen, share) = (entry.get_mut(), &mut self.share);
                seen.insertions += 1;
                if std::mem::take(&mut seen.ignored) {
                    // The application published it after all.
                    seen.first_seen = cx.now;
                }
                share.remove(bytes);
                for peer in first_sender.into_iter().chain(other_senders) {
                    if !seen.has_sender(&peer) {
                        SeenEntry { seen: &mut *seen, share: &mut *share }.add_sender(&peer);
                    }
                }
            }
        }
    }

    /// Reserves the bytes of an entry, with those of its queue if there is none. Returns false if they are not to be had.
    fn make_room(&mut self, deliverer: &Option<N::Peer>, bytes: usize, max: usize) -> bool {
        loop {
            let queue = if self.queues.contains_key(deliverer) { 0 } else { Self::QUEUE };
            if self.insertions < max && self.share.try_add(bytes + queue) {
                return true;
            }
            if !self.evict(deliverer) {
                return false;
            }
        }
    }

    /// Removes the oldest ids of a deliverer with more than its fair share: those of `deliverer`, for which room is needed, or
    /// else of the one with the most. So a peer that delivers very many messages makes no id of another peer unknown.
    /// Returns false if there was no id.
    #[cold]
    fn evict(&mut self, deliverer: &Option<N::Peer>) -> bool {
        let deliverers = self.queues.len();
        let own = self.queues.get(deliverer).map_or(0, VecDeque::len);
        // A part of the average, so that the one with the most exceeds it by many ids, unless there are many deliverers.
        let fair = self.insertions * 7 / 8 / deliverers.max(1);
        if own > fair {
            self.evict_from(deliverer, 1);
            return true;
        }
        let Some((most, queue)) = self.queues.iter().max_by_key(|(_, queue)| queue.len()) else {
            return false;
        };
        // The search takes time for each deliverer, so it removes as many ids.
        let count = queue.len().saturating_sub(fair).clamp(1, deliverers);
        self.evict_from(&most.clone(), count);
        true
    }

    fn evict_from(&mut self, deliverer: &Option<N::Peer>, count: usize) {
        let Self { ids, queues, insertions, share, .. } = self;
        let Some(queue) = queues.get_mut(deliverer) else { return };
        let count = count.min(queue.len());
        for (_, id) in queue.drain(..count) {
            if remove_insertion(ids, share, &id) {
                share.count_evicted(1);
            }
        }
        *insertions -= count;
        if !shrink::<N>(queue, share) {
            queues.remove(deliverer);
        }
    }

    /// The entry of a duplicate.
    #[inline]
    pub(super) fn get_mut(&mut self, id: &N::MessageId) -> Option<SeenEntry<'_, N>> {
        let seen = self.ids.get_mut(id)?;
        Some(SeenEntry { seen, share: &mut self.share })
    }

    /// Starts the next heartbeat and removes expired ids. Takes time for each deliverer and each expired id.
    pub(super) fn advance(&mut self) {
        self.epoch += 1;
        let Self { ids, queues, insertions, epoch, length, share } = self;
        queues.retain(|_, queue| {
            let before = queue.len();
            while let Some((_, id)) = queue.pop_front_if(|(inserted, _)| *epoch - *inserted >= *length) {
                remove_insertion(ids, share, &id);
            }
            *insertions -= before - queue.len();
            before == queue.len() || shrink::<N>(queue, share)
        });
        if queues.is_empty() {
            // The ids of an idle topic use no heap memory.
            *ids = HashMap::default();
        }
    }

    /// All ids, in arbitrary order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&N::MessageId, &Seen<N>)> {
        self.ids.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.share.bytes()
    }
}

/// Removes an id that left a queue. Returns false if it is in a queue once more.
fn remove_insertion<N: Network>(
    ids: &mut HashMap<N::MessageId, Seen<N>, RandomState>,
    share: &mut Share,
    id: &N::MessageId,
) -> bool {
    let Some(seen) = ids.get_mut(id) else { return false };
    seen.insertions -= 1;
    let is_last = seen.insertions == 0;
    if is_last && let Some(seen) = ids.remove(id) {
        share.remove(seen.bytes);
    }
    is_last
}

/// Gives back the memory of a queue from which ids were removed. Returns false if it is empty: the caller removes it.
fn shrink<N: Network>(queue: &mut Queue<N>, share: &mut Share) -> bool {
    if queue.is_empty() {
        share.remove(SeenIds::<N>::QUEUE);
    } else if queue.capacity() > 2 * queue.len() + 8 {
        queue.shrink_to_fit();
    }
    !queue.is_empty()
}

/// A seen id, to which senders may be added.
pub(super) struct SeenEntry<'a, N: Network> {
    seen: &'a mut Seen<N>,
    share: &'a mut Share,
}

impl<N: Network> SeenEntry<'_, N> {
    pub(super) fn first_seen(&self) -> Timestamp {
        self.seen.first_seen
    }

    /// Whether the validation ignored the message.
    pub(super) fn is_ignored(&self) -> bool {
        self.seen.ignored
    }

    /// Whether a duplicate from `peer` is credited (P3).
    #[inline]
    pub(super) fn credit_duplicate(&mut self, peer: &N::Peer, limits: &Limits<N::Topic>) -> bool {
        if self.seen.has_sender(peer) {
            return false;
        }
        if !limits.extensions.credit_duplicates_once {
            return true;
        }
        self.seen.other_senders.len() < limits.bounds.max_co_senders && self.add_sender(peer)
    }

    /// Adds a sender that is not known yet. Returns false if there is no room for it. The room is reserved for several senders
    /// at once.
    fn add_sender(&mut self, peer: &N::Peer) -> bool {
        let senders = &mut self.seen.other_senders;
        if senders.len() == senders.capacity() {
            let more = senders.capacity().max(4);
            let bytes = more * size_of::<N::Peer>();
            if !self.share.try_add(bytes) {
                return false;
            }
            self.seen.bytes += bytes;
            senders.reserve_exact(more);
        }
        senders.push(peer.clone());
        true
    }
}

impl<N: Network> Seen<N> {
    /// The peers that delivered the message.
    pub(in crate::protocol) fn senders(&self) -> impl Iterator<Item = &N::Peer> {
        self.first_sender.iter().chain(&self.other_senders)
    }

    #[inline]
    fn has_sender(&self, peer: &N::Peer) -> bool {
        self.senders().any(|known| known == peer)
    }
}
