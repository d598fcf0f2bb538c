//! The connected peers and their connections. All messages to a peer go through one connection, so that they keep their order:
//! the newest that carries gossipsub. At its other end is the process that runs now, while an older connection may be that of a
//! former process, whose end is not noticed yet.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ::libp2p::{PeerId, swarm::ConnectionId};

use crate::{
    libp2p::connection::{
        capabilities::{ProtocolId, Version},
        inbound_stream::InboundRpc,
        lanes::{Item, LaneCounts},
        push::Push,
        send_queue::{SendQueue, drop_all},
    },
    protocol::Lane,
    worker::DropReason,
};

/// One connection to a peer.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    /// Whether we dialled it.
    dialled: bool,
    /// The address of the peer, if it has an IP and a port.
    remote_address: Option<SocketAddr>,
    /// Set while the connection carries gossipsub.
    queue: Option<Arc<SendQueue>>,
    /// The protocol that was negotiated first.
    protocol: Option<ProtocolId>,
    /// Streams that were dropped because of the bytes that the peer sent.
    bad_streams: u32,
    /// Streams that the peer opened after its first one.
    reopened_streams: u32,
}

/// What a change of connections means for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The peer is now connected. `dialled`: we dialled the connection. `floodsub`: it carries floodsub.
    Connected { dialled: bool, remote_address: Option<SocketAddr>, floodsub: bool },
    /// The peer is no longer connected; `lost` counts the items that were queued for it.
    Disconnected { lost: LaneCounts },
    /// The items of a lost connection moved to another one of the peer. The result covers all of them.
    Requeued(Push),
    /// From now on what is sent to the peer goes over a newer connection. The result covers the items that moved to it.
    Moved(Push),
    /// The engine need not know.
    None,
}

/// The connections of all peers. A peer is connected for the engine while one of its connections carries gossipsub.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<PeerId, Vec<Connection>>);

impl Connections {
    /// A connection was established. It does not carry gossipsub yet.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        dialled: bool,
        remote_address: Option<SocketAddr>,
    ) {
        let connection = Connection {
            id,
            dialled,
            remote_address,
            queue: None,
            protocol: None,
            bad_streams: 0,
            reopened_streams: 0,
        };
        self.0.entry(peer).or_default().push(connection);
    }

    /// A connection began to carry gossipsub, or floodsub.
    pub(super) fn gossipsub_established(
        &mut self,
        peer: &PeerId,
        id: ConnectionId,
        version: Version,
        queue: Arc<SendQueue>,
    ) -> Change {
        let former = self.queue(peer).cloned();
        let Some(connection) = self.connection(peer, id) else { return Change::None };
        connection.queue = Some(Arc::clone(&queue));
        let Connection { dialled, remote_address, .. } = *connection;
        let floodsub = version == Version::Floodsub;
        let Some(former) = former else { return Change::Connected { dialled, remote_address, floodsub } };
        if !self.queue(peer).is_some_and(|current| Arc::ptr_eq(current, &queue)) {
            return Change::None;
        }
        queue.take_over_missed(&former);
        Change::Moved(push_all(&queue, former.take_pending()))
    }

    /// A connection no longer carries gossipsub, but stays open.
    pub(super) fn gossipsub_lost(&mut self, peer: &PeerId, id: ConnectionId) -> Change {
        let before = self.queue(peer).cloned();
        let queue = self.connection(peer, id).and_then(|connection| connection.queue.take());
        self.after_loss(peer, before, queue)
    }

    /// A connection was closed.
    pub(super) fn remove(&mut self, peer: &PeerId, id: ConnectionId) -> Change {
        let before = self.queue(peer).cloned();
        let Some(connections) = self.0.get_mut(peer) else { return Change::None };
        let index = connections.iter().position(|connection| connection.id == id);
        let queue = index.and_then(|index| connections.remove(index).queue);
        let empty = connections.is_empty();
        let change = self.after_loss(peer, before, queue);
        if empty {
            self.0.remove(peer);
        }
        change
    }

    /// Drops a peer whose connections are all to be closed. Closing may take long if the peer reads nothing at all; for
    /// the engine the peer is disconnected at once.
    pub(super) fn drop_peer(&mut self, peer: &PeerId) -> Change {
        let before = self.is_connected(peer);
        let connections = self.0.get_mut(peer).into_iter().flatten();
        let queues = connections.filter_map(|connection| connection.queue.take());
        let items = queues.flat_map(|queue| queue.take_all()).collect();
        disconnected(before, items)
    }

    /// Moves the items of a lost connection to another one of the peer, or drops them if there is none. The handler of
    /// the lost connection may own its queue for longer. `before`: the queue for the peer before the loss.
    fn after_loss(
        &mut self,
        peer: &PeerId,
        before: Option<Arc<SendQueue>>,
        lost: Option<Arc<SendQueue>>,
    ) -> Change {
        let Some(other) = self.queue(peer) else {
            let items = lost.iter().flat_map(|queue| queue.take_all());
            return disconnected(before.is_some(), items.collect());
        };
        let Some(lost) = lost else { return Change::None };
        other.take_over_missed(&lost);
        let mut items = lost.take_all();
        let mut superseded = Vec::new();
        if before.is_some_and(|before| !Arc::ptr_eq(&before, &lost)) {
            // What was written before the peer was sent everything over a newer connection. Subscriptions, GRAFTs and PRUNEs
            // were sent there anew.
            superseded.extend(items.extract_if(.., |item| item.lane == Lane::Control));
        }
        let mut total = push_all(other, items);
        total.merge(Push { superseded: drop_all(superseded, DropReason::Superseded), ..Push::default() });
        if total == Push::default() { Change::None } else { Change::Requeued(total) }
    }

    /// The protocol of a connection was negotiated.
    pub(super) fn set_protocol(&mut self, peer: &PeerId, id: ConnectionId, protocol: ProtocolId) {
        if let Some(connection) = self.connection(peer, id) {
            connection.protocol = Some(protocol);
        }
    }

    /// The protocol of the connection that messages to a peer go through.
    pub(super) fn protocol(&self, peer: &PeerId) -> Option<&ProtocolId> {
        self.written(peer)?.0.protocol.as_ref()
    }

    /// Counts a stream that was dropped because of the bytes that the peer sent. Returns the number for the connection.
    pub(super) fn add_bad_stream(&mut self, peer: &PeerId, id: ConnectionId) -> u32 {
        self.connection(peer, id).map_or(0, |connection| {
            connection.bad_streams += 1;
            connection.bad_streams
        })
    }

    /// Counts a stream that the peer opened after its first one. Returns the number for the connection.
    pub(super) fn add_reopened_stream(&mut self, peer: &PeerId, id: ConnectionId) -> u32 {
        self.connection(peer, id).map_or(0, |connection| {
            connection.reopened_streams += 1;
            connection.reopened_streams
        })
    }

    /// Queues an item for the newest connection that carries gossipsub; `None` when the peer is not connected.
    pub(super) fn send(&self, peer: &PeerId, item: Item) -> Option<Push> {
        self.queue(peer).map(|queue| queue.push(item))
    }

    /// Removes the messages that the IDONTWANTs of an RPC of the peer name from its queue.
    pub(super) fn apply_idontwant(&self, peer: &PeerId, rpc: &InboundRpc) -> LaneCounts {
        self.queue(peer).map_or(LaneCounts::NONE, |queue| queue.apply_idontwant(rpc))
    }

    /// Whether the peer is connected for the engine.
    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.queue(peer).is_some()
    }

    /// The addresses of the connections of a peer that carry gossipsub, each once.
    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<IpAddr> {
        let connections = self.0.get(peer).into_iter().flatten().filter(|it| it.queue.is_some());
        let mut addresses = Vec::new();
        for address in connections.filter_map(|connection| Some(connection.remote_address?.ip())) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The peers that have a connection, whether it carries gossipsub or not.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.0.keys()
    }

    /// Whether this connection carries gossipsub.
    pub(super) fn carries_gossipsub(&self, peer: &PeerId, id: ConnectionId) -> bool {
        let mut connections = self.0.get(peer).into_iter().flatten();
        connections.any(|connection| connection.id == id && connection.queue.is_some())
    }

    /// Whether what is sent to the peer goes over this connection.
    pub(super) fn is_written(&self, peer: &PeerId, id: ConnectionId) -> bool {
        self.written(peer).is_some_and(|(written, _)| written.id == id)
    }

    fn queue(&self, peer: &PeerId) -> Option<&Arc<SendQueue>> {
        self.written(peer).map(|(_, queue)| queue)
    }

    /// The connection over which everything is sent to the peer: the newest that carries gossipsub.
    fn written(&self, peer: &PeerId) -> Option<(&Connection, &Arc<SendQueue>)> {
        let mut connections = self.0.get(peer)?.iter().rev();
        connections.find_map(|connection| Some((connection, connection.queue.as_ref()?)))
    }

    fn connection(&mut self, peer: &PeerId, id: ConnectionId) -> Option<&mut Connection> {
        self.0.get_mut(peer)?.iter_mut().find(|connection| connection.id == id)
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Queues items of another connection.
fn push_all(queue: &SendQueue, items: Vec<Item>) -> Push {
    let mut total = Push::default();
    for item in items {
        // `unsupported` is left out: a late IDONTWANT is of no use anyway.
        total.merge(queue.push(item));
    }
    total
}

fn disconnected(before: bool, items: Vec<Item>) -> Change {
    let lost = drop_all(items, DropReason::Disconnected);
    if before { Change::Disconnected { lost } } else { Change::None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::{
        codec::{encode::Kind, limits::WireLimits},
        connection::{lanes::tests::item, queue_limits::QueueLimits},
    };

    const V1_2: Version = Version::V1_2;
    const CONNECTED: Change = Change::Connected { dialled: true, remote_address: None, floodsub: false };
    const DISCONNECTED: Change = Change::Disconnected { lost: LaneCounts::NONE };
    const MOVED: Change = Change::Moved(NOTHING);
    const NOTHING: Push = Push {
        dropped: LaneCounts::NONE,
        over_memory: LaneCounts::NONE,
        superseded: LaneCounts::NONE,
        unsupported: LaneCounts::NONE,
        overflowed: false,
    };

    fn queue() -> Arc<SendQueue> {
        Arc::new(SendQueue::new(QueueLimits::default(), &Arc::default(), None))
    }

    #[test]
    fn a_peer_connects_once_and_disconnects_with_its_last_connection() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        connections.add(peer, one, true, None);
        assert!(!connections.is_connected(&peer));
        let change = connections.gossipsub_established(&peer, one, V1_2, queue());
        assert_eq!(change, CONNECTED);
        connections.add(peer, two, false, None);
        assert_eq!(connections.gossipsub_established(&peer, two, V1_2, queue()), MOVED);
        assert_eq!(connections.remove(&peer, one), Change::None);
        assert_eq!(connections.remove(&peer, two), DISCONNECTED);
        assert!(connections.is_empty());
    }

    #[test]
    fn a_peer_without_gossipsub_is_not_connected() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let one = ConnectionId::new_unchecked(1);
        connections.add(peer, one, true, None);
        assert_eq!(connections.gossipsub_lost(&peer, one), Change::None);
        let change = connections.gossipsub_established(&peer, one, V1_2, queue());
        assert_eq!(change, CONNECTED);
        assert_eq!(connections.gossipsub_lost(&peer, one), DISCONNECTED);
        assert_eq!(connections.remove(&peer, one), Change::None);
        assert!(connections.is_empty());
    }

    /// Two connections to a peer, and their queues.
    fn two() -> (Connections, PeerId, [ConnectionId; 2], [Arc<SendQueue>; 2]) {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let ids = [1, 2].map(ConnectionId::new_unchecked);
        ids.iter().for_each(|id| connections.add(peer, *id, true, None));
        (connections, peer, ids, [queue(), queue()])
    }

    fn tags(queue: &SendQueue) -> Vec<u8> {
        queue.take_all().iter().map(|item| item.fragment.bytes[0]).collect()
    }

    #[test]
    fn the_first_connection_decides_whether_a_peer_speaks_floodsub() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        connections.add(peer, one, true, None);
        connections.add(peer, two, true, None);
        let change = connections.gossipsub_established(&peer, one, Version::Floodsub, queue());
        assert_eq!(change, Change::Connected { dialled: true, remote_address: None, floodsub: true });
        assert_eq!(connections.gossipsub_established(&peer, two, V1_2, queue()), MOVED);
    }

    #[test]
    fn the_protocol_of_a_peer_is_that_of_the_connection_that_is_written() {
        let (mut connections, peer, ids, queues) = two();
        let v1_0 = ProtocolId::new("/meshsub/1.0.0", Version::V1_0).unwrap();
        for ((id, queue), protocol) in ids.iter().zip(queues).zip([v1_0.clone(), ProtocolId::FLOODSUB]) {
            connections.set_protocol(&peer, *id, protocol.clone());
            connections.gossipsub_established(&peer, *id, protocol.version, queue);
            assert_eq!(connections.protocol(&peer), Some(&protocol));
        }
        connections.remove(&peer, ids[1]);
        assert_eq!(connections.protocol(&peer), Some(&v1_0));
    }

    #[test]
    fn the_items_of_a_lost_connection_move_to_another() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, one, V1_2, first.clone());
        connections.gossipsub_established(&peer, two, V1_2, second);
        assert_eq!(connections.send(&peer, item(Kind::Graft, Lane::Control, 1)), Some(NOTHING));
        assert_eq!(connections.remove(&peer, two), Change::None);
        assert_eq!(tags(&first), [1]);
    }

    #[test]
    fn what_is_queued_moves_to_a_newer_connection_and_all_that_follows_goes_there() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, one, V1_2, first.clone());
        connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
        assert_eq!(connections.gossipsub_established(&peer, two, V1_2, second.clone()), MOVED);
        connections.send(&peer, item(Kind::Prune, Lane::Control, 2));
        assert_eq!((tags(&first), tags(&second)), (vec![], vec![1, 2]));
    }

    #[test]
    fn an_older_connection_that_carries_gossipsub_later_changes_nothing() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, two, V1_2, second.clone());
        assert_eq!(connections.gossipsub_established(&peer, one, V1_2, first.clone()), Change::None);
        connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
        assert_eq!((tags(&first), tags(&second)), (vec![], vec![1]));
    }

    /// A PRUNE of minutes ago would remove the peer from a mesh that it has entered since.
    #[test]
    fn control_that_an_older_connection_has_lost_is_not_sent_again() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, one, V1_2, first.clone());
        connections.send(&peer, item(Kind::Prune, Lane::Control, 1));
        connections.send(&peer, item(Kind::Message, Lane::Publish, 2));
        let (mut out, cx) = (Vec::new(), std::task::Context::from_waker(std::task::Waker::noop()));
        first.fill(&mut out, 1_000, &WireLimits::default(), &cx);
        connections.gossipsub_established(&peer, two, V1_2, second.clone());
        let mut superseded = LaneCounts::NONE;
        superseded.add(Lane::Control, 1);
        let expected = Change::Requeued(Push { superseded, ..NOTHING });
        assert_eq!(connections.remove(&peer, one), expected);
        assert_eq!(tags(&second), [2]);
    }

    #[test]
    fn a_dropped_peer_disconnects_before_its_connections_close() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        let [one, two] = [1, 2].map(ConnectionId::new_unchecked);
        for connection in [one, two] {
            connections.add(peer, connection, true, None);
            connections.gossipsub_established(&peer, connection, V1_2, queue());
        }
        connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
        let Change::Disconnected { lost } = connections.drop_peer(&peer) else { panic!("it was connected") };
        assert_eq!((lost.total(), lost.of(Lane::Control)), (1, 1));
        assert!(!connections.is_connected(&peer) && !connections.carries_gossipsub(&peer, one));
        assert_eq!(connections.remove(&peer, one), Change::None);
        assert_eq!(connections.remove(&peer, two), Change::None);
        assert!(connections.is_empty());
    }
}
