//! The peers whose connections are refused, each until a time or for ever. A full list forgets the block that ends first,
//! so that peers that are blocked for a short time cannot displace one that the operator blocked for ever.

use std::{
    collections::{BTreeSet, HashMap},
    task::Waker,
    time::{Duration, Instant},
};

use ::libp2p::{
    PeerId,
    swarm::{CloseConnection, ConnectionDenied},
};

use super::behaviour::Behaviour;
use crate::{libp2p::connection::capabilities::ProtocolId, network::ConnectionRefusal};

/// When a block ends. The order is that of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    At(Instant),
    Never,
}

/// The blocked peers, at most `capacity`.
#[derive(Debug)]
pub(super) struct BlockList {
    ends: HashMap<PeerId, End>,
    /// The same entries, the one that ends first at the front.
    by_end: BTreeSet<(End, PeerId)>,
    capacity: usize,
}

impl BlockList {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ends: HashMap::new(), by_end: BTreeSet::new(), capacity }
    }

    /// Blocks a peer for a time, for ever if the clock has no such time. A block that ends later stays.
    pub(super) fn insert(&mut self, peer: PeerId, duration: Duration, now: Instant) {
        let end = now.checked_add(duration).map_or(End::Never, End::At);
        if self.ends.get(&peer).is_some_and(|known| *known >= end) {
            return;
        }
        self.remove(&peer, now);
        self.ends.insert(peer, end);
        self.by_end.insert((end, peer));
        while self.ends.len() > self.capacity
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.ends.remove(&first);
        }
    }

    /// Whether a peer is blocked. Forgets a block that has ended.
    pub(super) fn is_blocked(&mut self, peer: &PeerId, now: Instant) -> bool {
        match self.ends.get(peer) {
            Some(End::At(end)) if *end <= now => {
                self.remove(peer, now);
                false
            }
            end => end.is_some(),
        }
    }

    /// The time until the block of a peer ends, [`Duration::MAX`] if it never does; `None` if the peer is not blocked.
    pub(super) fn remaining(&self, peer: &PeerId, now: Instant) -> Option<Duration> {
        match self.ends.get(peer)? {
            End::Never => Some(Duration::MAX),
            End::At(end) => end.checked_duration_since(now).filter(|remaining| !remaining.is_zero()),
        }
    }

    /// Lifts the block of a peer. Returns whether it was blocked.
    pub(super) fn remove(&mut self, peer: &PeerId, now: Instant) -> bool {
        self.ends.remove(peer).is_some_and(|end| {
            self.by_end.remove(&(end, *peer));
            end > End::At(now)
        })
    }

    /// The blocked peers, the one whose block ends first at the front.
    pub(super) fn peers(&self, now: Instant) -> impl Iterator<Item = &PeerId> {
        self.by_end.iter().filter(move |(end, _)| *end > End::At(now)).map(|(_, peer)| peer)
    }
}

impl Behaviour {
    /// Closes the connections of a peer, and refuses new ones for `duration`: for ever if that is [`Duration::MAX`]. A block
    /// of the peer that lasts longer stays.
    pub fn block(&mut self, peer: PeerId, duration: Duration) {
        self.blocked.insert(peer, duration, Instant::now());
        // The peer may not read, so that closing takes long.
        self.change(peer, |connections| connections.drop_peer(&peer));
        self.close(peer, CloseConnection::All);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    /// The blocked peers, the one whose block ends first at the front.
    pub fn blocked(&self) -> impl Iterator<Item = &PeerId> {
        self.blocked.peers(Instant::now())
    }

    /// The time for which a peer is still blocked, [`Duration::MAX`] if for ever; `None` if it is not blocked.
    pub fn blocked_for(&self, peer: &PeerId) -> Option<Duration> {
        self.blocked.remaining(peer, Instant::now())
    }

    /// The protocol of the connection that messages to a peer go through; `None` if it is not connected.
    pub fn protocol_of(&self, peer: &PeerId) -> Option<&ProtocolId> {
        self.connections.protocol(peer)
    }

    /// Admits a blocked peer again. Returns `false` if the peer was not blocked.
    pub fn unblock(&mut self, peer: &PeerId) -> bool {
        self.blocked.remove(peer, Instant::now())
    }

    /// # Errors
    /// The peer is blocked. This is counted.
    pub(super) fn check_blocked(&mut self, peer: PeerId) -> Result<(), ConnectionDenied> {
        if self.blocked.is_blocked(&peer, Instant::now()) {
            self.state.refusals().add(ConnectionRefusal::Banned, None, Some(peer));
            return Err(ConnectionDenied::new(ConnectionRefusal::Banned));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_block_lasts_for_its_time_and_a_shorter_one_does_not_end_it() {
        let (mut list, peer, now) = (BlockList::new(2), PeerId::random(), Instant::now());
        list.insert(peer, 10 * SECOND, now);
        list.insert(peer, SECOND, now + SECOND);
        assert!(list.is_blocked(&peer, now + 9 * SECOND));
        assert_eq!(list.peers(now + 9 * SECOND).collect::<Vec<_>>(), [&peer]);
        assert_eq!(list.peers(now + 10 * SECOND).count(), 0);
        assert!(!list.is_blocked(&peer, now + 10 * SECOND));
        assert!(list.ends.is_empty() && list.by_end.is_empty());

        list.insert(peer, Duration::MAX, now);
        list.insert(peer, SECOND, now);
        assert!(list.is_blocked(&peer, now + 1_000_000 * SECOND));
        assert!(list.remove(&peer, now) && !list.remove(&peer, now));
        assert!(!list.is_blocked(&peer, now));
    }

    #[test]
    fn short_blocks_do_not_displace_one_for_ever() {
        let (mut list, now) = (BlockList::new(2), Instant::now());
        let [forever, short, longer, shortest] = [(); 4].map(|()| PeerId::random());
        list.insert(forever, Duration::MAX, now);
        list.insert(short, SECOND, now);
        list.insert(longer, 2 * SECOND, now);
        list.insert(shortest, SECOND / 2, now);
        assert_eq!(list.peers(now).collect::<Vec<_>>(), [&longer, &forever]);
        assert_eq!((list.ends.len(), list.by_end.len()), (2, 2));

        let mut none = BlockList::new(0);
        none.insert(forever, Duration::MAX, now);
        assert!(!none.is_blocked(&forever, now));
    }
}
