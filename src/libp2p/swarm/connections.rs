//! The peers that are connected, and over which connections. One of them, the oldest that carries
//! gossipsub, is written to, so that what we say to a peer keeps its order. It decides nothing else.

use std::{collections::HashMap, sync::Arc};

use ::libp2p::{PeerId, swarm::ConnectionId};

use super::event::LaneCounts;
use crate::{
    libp2p::{
        connection::{
            lanes::Item,
            send_queue::{Push, SendQueue, drop_all},
        },
        ids::MessageId,
    },
    worker::NotSent,
};

/// A connection to a peer.
#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    dialled: bool,
    /// Set while the connection carries gossipsub.
    queue: Option<Arc<SendQueue>>,
    /// Streams that had to be dropped because of what the peer sent.
    bad_streams: u32,
}

/// What a change of links means for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::libp2p) enum Change {
    /// The peer is now reachable; `dialled` by us or not.
    Appeared { dialled: bool },
    /// The peer is no longer reachable, and what waited for it is lost.
    Vanished { lost: LaneCounts },
    /// What waited for a lost connection went to another one, but for what found no room.
    Moved(Push),
    /// Nothing that the engine should know.
    None,
}

#[derive(Debug, Default)]
pub(in crate::libp2p) struct Peers(HashMap<PeerId, Vec<Link>>);

impl Peers {
    pub(in crate::libp2p) fn established(&mut self, peer: PeerId, connection: ConnectionId, dialled: bool) {
        self.0.entry(peer).or_default().push(Link { connection, dialled, queue: None, bad_streams: 0 });
    }

    /// A connection began to carry gossipsub.
    pub(in crate::libp2p) fn up(
        &mut self,
        peer: &PeerId,
        connection: ConnectionId,
        queue: Arc<SendQueue>,
    ) -> Change {
        let before = self.is_up(peer);
        let Some(link) = self.link(peer, connection) else { return Change::None };
        link.queue = Some(queue);
        if before { Change::None } else { Change::Appeared { dialled: link.dialled } }
    }

    /// A connection no longer carries gossipsub, but stays.
    pub(in crate::libp2p) fn down(&mut self, peer: &PeerId, connection: ConnectionId) -> Change {
        let before = self.is_up(peer);
        let queue = self.link(peer, connection).and_then(|link| link.queue.take());
        self.after_loss(peer, before, queue)
    }

    pub(in crate::libp2p) fn closed(&mut self, peer: &PeerId, connection: ConnectionId) -> Change {
        let before = self.is_up(peer);
        let Some(links) = self.0.get_mut(peer) else { return Change::None };
        let queue = links
            .iter()
            .position(|link| link.connection == connection)
            .and_then(|index| links.remove(index).queue);
        let empty = links.is_empty();
        let change = self.after_loss(peer, before, queue);
        if empty {
            self.0.remove(peer);
        }
        change
    }

    /// Nothing more is said to the peer: all its connections are to be closed. They may take their time,
    /// if the peer reads nothing at all; for the engine it is gone at once.
    pub(in crate::libp2p) fn give_up(&mut self, peer: &PeerId) -> Change {
        let before = self.is_up(peer);
        let links = self.0.get_mut(peer).into_iter().flatten();
        let items = links.filter_map(|link| link.queue.take()).flat_map(|queue| queue.take()).collect();
        gone(before, items)
    }

    /// What the lost connection had not written goes to another one; if there is none, it goes nowhere.
    fn after_loss(&mut self, peer: &PeerId, before: bool, lost: Option<Arc<SendQueue>>) -> Change {
        match self.queue(peer) {
            Some(other) => {
                let mut moved = Push::default();
                for item in lost.iter().flat_map(|queue| queue.take()) {
                    // An idontwant for which the other one has no word is worth nothing by now.
                    let Push { dropped, overflowed, .. } = other.push(item);
                    moved.dropped += dropped;
                    moved.overflowed |= overflowed;
                }
                if moved == Push::default() { Change::None } else { Change::Moved(moved) }
            }
            // Its handler may hold the queue for longer.
            None => gone(before, lost.iter().flat_map(|queue| queue.take()).collect()),
        }
    }

    /// Counts a dropped stream; returns how many the connection has had.
    pub(in crate::libp2p) fn bad_stream(&mut self, peer: &PeerId, connection: ConnectionId) -> u32 {
        self.link(peer, connection).map_or(0, |link| {
            link.bad_streams += 1;
            link.bad_streams
        })
    }

    /// Queues an item; `None` when the peer is not reachable.
    pub(in crate::libp2p) fn send(&self, peer: &PeerId, item: Item) -> Option<Push> {
        self.queue(peer).map(|queue| queue.push(item))
    }

    /// The peer does not want these messages.
    pub(in crate::libp2p) fn withdraw(&self, peer: &PeerId, ids: &[MessageId]) -> LaneCounts {
        self.queue(peer).map_or(LaneCounts::NONE, |queue| queue.withdraw(ids))
    }

    /// Whether the engine knows the peer.
    pub(in crate::libp2p) fn is_up(&self, peer: &PeerId) -> bool {
        self.queue(peer).is_some()
    }

    /// The peers with a connection, whether it carries gossipsub or not.
    pub(in crate::libp2p) fn connected(&self) -> impl Iterator<Item = &PeerId> {
        self.0.keys()
    }

    /// Whether this very connection carries gossipsub.
    pub(in crate::libp2p) fn carries(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        let mut links = self.0.get(peer).into_iter().flatten();
        links.any(|link| link.connection == connection && link.queue.is_some())
    }

    fn queue(&self, peer: &PeerId) -> Option<&Arc<SendQueue>> {
        self.0.get(peer)?.iter().find_map(|link| link.queue.as_ref())
    }

    fn link(&mut self, peer: &PeerId, connection: ConnectionId) -> Option<&mut Link> {
        self.0.get_mut(peer)?.iter_mut().find(|link| link.connection == connection)
    }

    #[cfg(test)]
    pub(in crate::libp2p) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn gone(before: bool, items: Vec<Item>) -> Change {
    let lost = drop_all(items, NotSent::Disconnected);
    if before { Change::Vanished { lost } } else { Change::None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        libp2p::{
            codec::encode::Kind,
            connection::{lanes::tests::item, send_queue::QueueLimits},
        },
        protocol::Lane,
    };

    const VANISHED: Change = Change::Vanished { lost: LaneCounts::NONE };

    fn queue() -> Arc<SendQueue> {
        Arc::new(SendQueue::new(QueueLimits::default()))
    }

    #[test]
    fn a_peer_appears_once_and_vanishes_with_its_last_connection() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        peers.established(peer, one, true);
        assert!(!peers.is_up(&peer));
        assert_eq!(peers.up(&peer, one, queue()), Change::Appeared { dialled: true });
        peers.established(peer, two, false);
        assert_eq!(peers.up(&peer, two, queue()), Change::None);
        assert_eq!(peers.closed(&peer, one), Change::None);
        assert_eq!(peers.closed(&peer, two), VANISHED);
        assert!(peers.is_empty());
    }

    #[test]
    fn a_connection_without_gossipsub_is_no_peer() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let one = ConnectionId::new_unchecked(1);
        peers.established(peer, one, true);
        assert_eq!(peers.down(&peer, one), Change::None);
        assert_eq!(peers.up(&peer, one, queue()), Change::Appeared { dialled: true });
        assert_eq!(peers.down(&peer, one), VANISHED);
        assert_eq!(peers.closed(&peer, one), Change::None);
        assert!(peers.is_empty());
    }

    #[test]
    fn what_a_lost_connection_had_not_written_goes_to_another() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        let second = queue();
        peers.established(peer, one, true);
        peers.established(peer, two, true);
        peers.up(&peer, one, queue());
        peers.up(&peer, two, second.clone());
        let item = item(Kind::Graft, Lane::Control, 1);
        let fragment = item.fragment.clone();
        assert_eq!(peers.send(&peer, item), Some(Push::default()));
        assert_eq!(peers.closed(&peer, one), Change::None);
        let moved: Vec<_> = second.take().into_iter().map(|item| item.fragment).collect();
        assert_eq!(moved, [fragment]);
    }

    #[test]
    fn a_peer_that_is_given_up_is_gone_before_its_connections() {
        let (mut peers, peer) = (Peers::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        for connection in [one, two] {
            peers.established(peer, connection, true);
            peers.up(&peer, connection, queue());
        }
        peers.send(&peer, item(Kind::Graft, Lane::Control, 1));
        let Change::Vanished { lost } = peers.give_up(&peer) else { panic!("it was there") };
        assert_eq!((lost.total(), lost.of(Lane::Control)), (1, 1));
        assert!(!peers.is_up(&peer) && !peers.carries(&peer, one));
        assert_eq!(peers.closed(&peer, one), Change::None);
        assert_eq!(peers.closed(&peer, two), Change::None);
        assert!(peers.is_empty());
    }
}
