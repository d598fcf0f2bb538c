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
        capabilities::{ProtocolId, ProtocolVersion, knows},
        inbound_stream::InboundRpc,
        lanes::{Item, LaneCounts},
        push::Push,
        send_queue::{SendQueue, drop_all},
    },
    libp2p::state::connection_counts::Versions,
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

impl Connection {
    fn is_floodsub(&self) -> bool {
        self.protocol.as_ref().is_some_and(|protocol| protocol.version == ProtocolVersion::Floodsub)
    }
}

/// A connection over which what is sent to a peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Whether we dialled it.
    pub(super) dialled: bool,
    pub(super) remote_address: Option<SocketAddr>,
    /// Whether it carries floodsub.
    pub(super) floodsub: bool,
}

impl From<&Connection> for Written {
    fn from(connection: &Connection) -> Self {
        let Connection { dialled, remote_address, .. } = *connection;
        Self { dialled, remote_address, floodsub: connection.is_floodsub() }
    }
}

/// What a change of connections means for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The peer is now connected.
    Connected(Written),
    /// The peer is no longer connected; `lost` counts the items that were queued for it.
    Disconnected { lost: LaneCounts },
    /// The items of a lost connection moved to another one of the peer. The result covers all of them.
    Requeued(Push),
    /// From now on what is sent to the peer goes over a newer connection. The result covers the items that moved to it.
    Moved(Push),
    /// The same, but one of the two connections carries floodsub and the other gossipsub: the peer runs another program now.
    Replaced(Written, Push),
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
        protocol: ProtocolId,
        queue: Arc<SendQueue>,
    ) -> Change {
        let former = self.written(peer).map(|(former, queue)| (former.is_floodsub(), Arc::clone(queue)));
        let Some(connection) = self.connection(peer, id) else { return Change::None };
        (connection.protocol, connection.queue) = (Some(protocol), Some(Arc::clone(&queue)));
        let written = Written::from(&*connection);
        let Some((floodsub, former)) = former else { return Change::Connected(written) };
        if !self.is_written(peer, id) {
            return Change::None;
        }
        queue.take_over_missed(&former);
        let push = push_all(&queue, written.floodsub, former.take_pending());
        if written.floodsub == floodsub { Change::Moved(push) } else { Change::Replaced(written, push) }
    }

    /// A connection no longer carries gossipsub, but stays open.
    pub(super) fn gossipsub_lost(&mut self, peer: &PeerId, id: ConnectionId) -> Change {
        let before = self.written(peer).map(|(connection, _)| (connection.id, connection.is_floodsub()));
        let queue = self.connection(peer, id).and_then(|connection| connection.queue.take());
        self.after_loss(peer, before, queue.map(|queue| (id, queue)))
    }

    /// A connection was closed.
    pub(super) fn remove(&mut self, peer: &PeerId, id: ConnectionId) -> Change {
        let before = self.written(peer).map(|(connection, _)| (connection.id, connection.is_floodsub()));
        let Some(connections) = self.0.get_mut(peer) else { return Change::None };
        let index = connections.iter().position(|connection| connection.id == id);
        let queue = index.and_then(|index| connections.remove(index).queue);
        let empty = connections.is_empty();
        let change = self.after_loss(peer, before, queue.map(|queue| (id, queue)));
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
    /// the lost connection may own its queue for longer. `before`: the connection that was written before the loss, and whether
    /// it carries floodsub.
    fn after_loss(
        &self,
        peer: &PeerId,
        before: Option<(ConnectionId, bool)>,
        lost: Option<(ConnectionId, Arc<SendQueue>)>,
    ) -> Change {
        let Some((connection, other)) = self.written(peer) else {
            let items = lost.iter().flat_map(|(_, queue)| queue.take_all());
            return disconnected(before.is_some(), items.collect());
        };
        let Some((id, lost)) = lost else { return Change::None };
        let written = Written::from(connection);
        other.take_over_missed(&lost);
        let mut items = lost.take_all();
        let mut superseded = Vec::new();
        if before.is_some_and(|(before, _)| before != id) {
            // What was written before the peer was sent everything over a newer connection. Subscriptions and GRAFTs were sent
            // there anew. What ended before that, such as a subscription, was not: if the process at the other end is the same
            // and has not read its end, it does not learn it.
            superseded.extend(items.extract_if(.., |item| item.lane == Lane::Control));
        }
        let mut total = push_all(other, written.floodsub, items);
        total.merge(Push { superseded: drop_all(superseded, DropReason::Superseded), ..Push::default() });
        if before.is_some_and(|(_, floodsub)| floodsub != written.floodsub) {
            return Change::Replaced(written, total);
        }
        if total == Push::default() { Change::None } else { Change::Requeued(total) }
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

    /// How many connections of a peer carry each version of gossipsub.
    pub(super) fn versions(&self, peer: &PeerId) -> Versions {
        let mut versions = Versions::default();
        let carrying = self.0.get(peer).into_iter().flatten().filter(|it| it.queue.is_some());
        carrying.filter_map(|it| it.protocol.as_ref()).for_each(|protocol| versions[protocol.version] += 1);
        versions
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

/// Queues items of another connection. `floodsub`: the queue is that of a connection with floodsub, which may not know it yet.
fn push_all(queue: &SendQueue, floodsub: bool, mut items: Vec<Item>) -> Push {
    let unknown = |item: &mut Item| floodsub && !knows(Some(ProtocolVersion::Floodsub), item.fragment.kind);
    let unsupported = items.extract_if(.., unknown).collect();
    let unsupported = drop_all(unsupported, DropReason::Unsupported);
    let mut total = Push { unsupported, ..Push::default() };
    items.into_iter().for_each(|item| total.merge(queue.push(item)));
    total
}

fn disconnected(before: bool, items: Vec<Item>) -> Change {
    let lost = drop_all(items, DropReason::Disconnected);
    if before { Change::Disconnected { lost } } else { Change::None }
}

#[cfg(test)]
mod tests {
    use ::libp2p::StreamProtocol;

    use super::*;
    use crate::libp2p::{
        codec::{encode::Kind, limits::WireLimits},
        connection::{lanes::tests::item, queue_limits::QueueLimits},
    };

    const V1_2: ProtocolId =
        ProtocolId { protocol: StreamProtocol::new("/meshsub/1.2.0"), version: ProtocolVersion::V1_2 };
    const CONNECTED: Change = Change::Connected(GOSSIPSUB);
    const GOSSIPSUB: Written = Written { dialled: true, remote_address: None, floodsub: false };
    const FLOODSUB: Written = Written { floodsub: true, ..GOSSIPSUB };
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
    fn the_connection_that_is_written_decides_whether_a_peer_speaks_floodsub() {
        for (first, second) in [(FLOODSUB, GOSSIPSUB), (GOSSIPSUB, FLOODSUB)] {
            let (mut connections, peer, ids, queues) = two();
            let protocol = |written: Written| if written.floodsub { ProtocolId::FLOODSUB } else { V1_2 };
            let [one, two] = queues.clone();
            let change = connections.gossipsub_established(&peer, ids[0], protocol(first), one);
            assert_eq!(change, Change::Connected(first));
            connections.send(&peer, item(Kind::Message, Lane::Publish, 1));
            let change = connections.gossipsub_established(&peer, ids[1], protocol(second), two);
            assert_eq!(change, Change::Replaced(second, NOTHING));
            connections.send(&peer, item(Kind::Message, Lane::Publish, 2));
            assert_eq!(connections.remove(&peer, ids[1]), Change::Replaced(first, NOTHING));
            assert_eq!(tags(&queues[0]), [1, 2]);
            assert_eq!(connections.remove(&peer, ids[0]), DISCONNECTED);
        }
    }

    #[test]
    fn the_end_of_an_older_connection_with_the_other_protocol_changes_nothing() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, two, V1_2, second);
        assert_eq!(connections.gossipsub_established(&peer, one, ProtocolId::FLOODSUB, first), Change::None);
        assert_eq!(connections.remove(&peer, one), Change::None);
    }

    #[test]
    fn control_that_floodsub_does_not_know_is_counted_when_items_move() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        connections.gossipsub_established(&peer, one, V1_2, first);
        connections.send(&peer, item(Kind::Graft, Lane::Control, 1));
        connections.send(&peer, item(Kind::Subscription, Lane::Control, 2));
        let change = connections.gossipsub_established(&peer, two, ProtocolId::FLOODSUB, second.clone());
        let mut unsupported = LaneCounts::NONE;
        unsupported.add(Lane::Control, 1);
        assert_eq!(change, Change::Replaced(FLOODSUB, Push { unsupported, ..NOTHING }));
        assert_eq!(tags(&second), [2]);
    }

    #[test]
    fn an_idontwant_that_the_newer_connection_does_not_know_is_counted() {
        let (mut connections, peer, [one, two], [first, second]) = two();
        first.set_version(ProtocolVersion::V1_2);
        connections.gossipsub_established(&peer, one, V1_2, first);
        connections.send(&peer, item(Kind::IDontWant, Lane::Control, 1));
        second.set_version(ProtocolVersion::V1_1);
        let change = connections.gossipsub_established(&peer, two, V1_2, second);
        let mut unsupported = LaneCounts::NONE;
        unsupported.add(Lane::Control, 1);
        assert_eq!(change, Change::Moved(Push { unsupported, ..NOTHING }));
    }

    #[test]
    fn the_protocol_of_a_peer_is_that_of_the_connection_that_is_written() {
        let (mut connections, peer, ids, queues) = two();
        let v1_0 = ProtocolId::new("/meshsub/1.0.0", ProtocolVersion::V1_0).unwrap();
        for ((id, queue), protocol) in ids.iter().zip(queues).zip([v1_0.clone(), ProtocolId::FLOODSUB]) {
            connections.gossipsub_established(&peer, *id, protocol.clone(), queue);
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
