//! The message history of a topic (v1.0 "message cache"): the messages that peers can request by IWANT. Bounded in messages
//! and in bytes, for the topic and for all topics together.

use std::{collections::BTreeMap, sync::Arc};

use derive_where::derive_where;

use crate::{
    admission::totals::{Remembered, Share, Totals},
    limits::Limits,
    network::{FullMessage, MessageSize, Network},
    protocol::{
        exchange::{Context, Outbox},
        time_cache::TimeCache,
    },
    timestamp::Timestamp,
};

/// A message in the history.
#[derive_where(Clone, Debug)]
pub(super) struct Cached<N: Network> {
    pub(super) message: Arc<FullMessage<N>>,
    bytes: usize,
    /// The bytes that the share counts for it, without its requests.
    cost: usize,
    /// From then on the message is as one that is not here; the largest timestamp if it does not expire.
    expires_at: Timestamp,
    /// Its entry into the history was reported, because its id does not name the topic. So its eviction is reported too.
    reported: bool,
    /// The number of IWANT requests of each peer.
    pub(super) accesses: BTreeMap<N::Peer, u32>,
}

/// The messages of the last `history_length` heartbeats.
#[derive_where(Debug)]
pub(super) struct History<N: Network> {
    messages: TimeCache<N::MessageId, Cached<N>>,
    /// The bytes of the messages.
    bytes: usize,
    /// The bytes of the messages and of their entries.
    share: Share,
    /// No message expires before.
    next_expiry: Timestamp,
}

impl<N: Network> History<N> {
    /// The approximate bytes of an entry, with the index of topics by message id, without what its id owns on the heap.
    const ENTRY: usize =
        TimeCache::<N::MessageId, Cached<N>>::ENTRY + 2 * size_of::<(N::MessageId, N::Topic)>();
    /// The approximate bytes of the request count of one peer.
    const ACCESS: usize = 2 * size_of::<(N::Peer, u32)>();

    pub(super) fn new(limits: &Limits<N::Topic>, totals: &Totals) -> Self {
        let share = totals.share(Remembered::History);
        let messages = TimeCache::new(limits.history_length);
        Self { messages, bytes: 0, share, next_expiry: Timestamp::MAX }
    }

    /// Adds a message that expires at `expires_at`. Removes the oldest messages if there is no room for it, and leaves it out if that is not enough.
    pub(super) fn insert(
        &mut self,
        message: &Arc<FullMessage<N>>,
        size: MessageSize,
        expires_at: Timestamp,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let cost = size.total + Self::ENTRY + 2 * size.id;
        if !self.make_room(size.total, cost, cx, outbox) {
            self.share.count_evicted(1);
            return;
        }
        let (id, Self { messages, bytes, share, next_expiry }) = (&message.message_id, &mut *self);
        messages.insert(id.clone(), |known| match known {
            Some(cached) => {
                share.remove(cost);
                if cached.reported {
                    outbox.history_changes.push((id.clone(), true));
                }
                None
            }
            None => {
                *bytes += size.total;
                // Asked once, so that entry and eviction agree even if the hook panics.
                let reported = cx.network.topic_of(id).is_none();
                if reported {
                    outbox.history_changes.push((id.clone(), true));
                }
                *next_expiry = expires_at.min(*next_expiry);
                let (message, bytes, accesses) = (Arc::clone(message), size.total, BTreeMap::new());
                Some(Cached { message, bytes, cost, expires_at, reported, accesses })
            }
        });
        while self.messages.insertions() > cx.limits.bounds.max_history_per_topic {
            self.evict_oldest(outbox);
        }
    }

    /// Reserves the bytes of a message. Returns false if they are not to be had.
    fn make_room(&mut self, bytes: usize, cost: usize, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> bool {
        let max = cx.limits.bounds.max_history_bytes_per_topic;
        // A message larger than the whole history would evict all others, and then itself.
        let mut fits = bytes <= max;
        while fits && (self.bytes + bytes > max || !self.share.try_add(cost)) {
            fits = self.evict_oldest(outbox);
        }
        fits
    }

    /// Returns false if there was no message.
    fn evict_oldest(&mut self, outbox: &mut Outbox<N>) -> bool {
        if self.messages.insertions() == 0 {
            return false;
        }
        if let Some((id, cached)) = self.messages.pop_oldest() {
            self.share.count_evicted(1);
            removed(id, &cached, &mut self.bytes, &mut self.share, outbox);
        }
        true
    }

    /// Whether a message is here that has not expired.
    pub(super) fn contains(&self, id: &N::MessageId, now: Timestamp) -> bool {
        self.messages.get(id).is_some_and(|cached| now < cached.expires_at)
    }

    /// Counts a request of a message by a peer. `None` if the message is not in the history or has expired, and no count if
    /// the counts of peers are full. Removes the oldest messages if there is no room for a count.
    pub(super) fn count_request(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Option<(&Arc<FullMessage<N>>, Option<u32>)> {
        let cached = self.messages.get(id).filter(|cached| cx.present < cached.expires_at)?;
        if !cached.accesses.contains_key(peer) {
            if cached.accesses.len() >= cx.limits.bounds.max_iwant_peers_per_message {
                return Some((&self.messages.get(id)?.message, None));
            }
            while !self.share.try_add(Self::ACCESS) {
                self.evict_oldest(outbox);
                // The requested message was the oldest.
                self.messages.get(id)?;
            }
            self.messages.get_mut(id)?.accesses.insert(peer.clone(), 0);
        }
        let cached = self.messages.get_mut(id)?;
        let requests = cached.accesses.get_mut(peer)?;
        *requests = requests.saturating_add(1);
        Some((&cached.message, Some(*requests)))
    }

    /// Takes back the count of a request that was not answered for want of quota, so that the peer may repeat it.
    pub(super) fn uncount_request(&mut self, peer: &N::Peer, id: &N::MessageId) {
        let Some(cached) = self.messages.get_mut(id) else { return };
        match cached.accesses.get_mut(peer) {
            Some(requests) if *requests > 1 => *requests -= 1,
            Some(_) => {
                cached.accesses.remove(peer);
                self.share.remove(Self::ACCESS);
            }
            None => {}
        }
    }

    /// Starts the next heartbeat and removes the messages that are too old or have expired.
    pub(super) fn advance(&mut self, now: Timestamp, outbox: &mut Outbox<N>) {
        if self.next_expiry <= now {
            self.remove_expired(now, outbox);
        }
        let Self { messages, bytes, share, .. } = self;
        messages.advance(|id, cached| removed(id, &cached, bytes, share, outbox));
    }

    #[cold]
    fn remove_expired(&mut self, now: Timestamp, outbox: &mut Outbox<N>) {
        let Self { messages, bytes, share, next_expiry } = self;
        messages.remove_where(
            |cached| cached.expires_at <= now,
            |id, cached| removed(id, &cached, bytes, share, outbox),
        );
        let expiries = messages.iter().map(|(_, cached)| cached.expires_at);
        *next_expiry = expiries.min().unwrap_or(Timestamp::MAX);
    }

    /// Removes all messages.
    pub(super) fn clear(&mut self, outbox: &mut Outbox<N>) {
        let Self { messages, bytes, share, .. } = self;
        while messages.insertions() > 0 {
            if let Some((id, cached)) = messages.pop_oldest() {
                removed(id, &cached, bytes, share, outbox);
            }
        }
    }

    /// The ids of the last `heartbeats` heartbeats, the current one included, oldest first, without those that have expired.
    pub(super) fn recent(&self, heartbeats: usize, now: Timestamp) -> impl Iterator<Item = &N::MessageId> {
        let some_expired = self.next_expiry <= now;
        self.messages.recent(heartbeats).filter(move |id| !some_expired || self.contains(id, now))
    }

    /// The number of messages by age in heartbeats, oldest first.
    pub(super) fn entries_per_tick(&self) -> Vec<(u64, usize)> {
        self.messages.entries_per_tick()
    }

    /// All messages, in arbitrary order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&N::MessageId, &Cached<N>)> {
        self.messages.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Accounts for a message that leaves the history.
fn removed<N: Network>(
    id: N::MessageId,
    cached: &Cached<N>,
    bytes: &mut usize,
    share: &mut Share,
    outbox: &mut Outbox<N>,
) {
    *bytes -= cached.bytes;
    share.remove(cached.cost + cached.accesses.len() * History::<N>::ACCESS);
    if cached.reported {
        outbox.history_changes.push((id, false));
    }
}
