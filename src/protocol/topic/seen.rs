//! The ids of the messages that a topic has handled (v1.0 "seen cache"), to recognise duplicates. Bounded in ids and in bytes.

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::Network,
    protocol::{exchange::Context, time_cache::TimeCache},
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
}

/// The ids of the last `seen_history_length` heartbeats.
#[derive_where(Debug)]
pub(super) struct SeenIds<N: Network> {
    ids: TimeCache<N::MessageId, Seen<N>>,
    share: Share,
}

impl<N: Network> SeenIds<N> {
    /// The approximate bytes of an entry, besides the heap memory of its id.
    const ENTRY: usize = TimeCache::<N::MessageId, Seen<N>>::ENTRY;

    pub(super) fn new(limits: &Limits<N::Topic>, totals: &Totals) -> Self {
        Self { ids: TimeCache::new(limits.seen_history_length), share: totals.share(Remembered::Seen) }
    }

    pub(super) fn contains(&self, id: &N::MessageId) -> bool {
        self.ids.get(id).is_some()
    }

    /// Whether `peer` delivered the message.
    pub(super) fn has_sender(&self, id: &N::MessageId, peer: &N::Peer) -> bool {
        self.ids.get(id).is_some_and(|seen| seen.has_sender(peer))
    }

    /// Adds an id that was handled now and whose size is `id_bytes`. Removes the oldest ids if there is no room for it.
    pub(super) fn insert(
        &mut self,
        id: &N::MessageId,
        id_bytes: usize,
        first_sender: Option<N::Peer>,
        other_senders: Vec<N::Peer>,
        cx: &Context<'_, N>,
    ) {
        let bytes = Self::ENTRY + 2 * id_bytes + other_senders.capacity() * size_of::<N::Peer>();
        let mut fits = self.share.try_add(bytes);
        while !fits && self.evict_oldest() {
            fits = self.share.try_add(bytes);
        }
        if !fits {
            self.share.count_evicted(1);
            return;
        }
        let share = &mut self.share;
        self.ids.insert(id.clone(), |known| match known {
            Some(seen) => {
                share.remove(bytes);
                for peer in first_sender.into_iter().chain(other_senders) {
                    if !seen.has_sender(&peer) {
                        SeenEntry { seen: &mut *seen, share: &mut *share }.add_sender(&peer);
                    }
                }
                None
            }
            None => Some(Seen { first_seen: cx.now, first_sender, other_senders, bytes }),
        });
        while self.ids.insertions() > cx.limits.bounds.max_seen_per_topic {
            self.evict_oldest();
        }
    }

    /// Returns false if there was no id.
    fn evict_oldest(&mut self) -> bool {
        if self.ids.insertions() == 0 {
            return false;
        }
        if let Some((_, seen)) = self.ids.pop_oldest() {
            self.share.count_evicted(1);
            self.share.remove(seen.bytes);
        }
        true
    }

    /// The entry of a duplicate.
    #[inline]
    pub(super) fn get_mut(&mut self, id: &N::MessageId) -> Option<SeenEntry<'_, N>> {
        let seen = self.ids.get_mut(id)?;
        Some(SeenEntry { seen, share: &mut self.share })
    }

    /// Starts the next heartbeat and removes expired ids.
    pub(super) fn advance(&mut self) {
        let share = &mut self.share;
        self.ids.advance(|_, seen| share.remove(seen.bytes));
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

/// A seen id, to which senders may be added.
pub(super) struct SeenEntry<'a, N: Network> {
    seen: &'a mut Seen<N>,
    share: &'a mut Share,
}

impl<N: Network> SeenEntry<'_, N> {
    pub(super) fn first_seen(&self) -> Timestamp {
        self.seen.first_seen
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
