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

/// The effect of a change of connections on the engine.
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
        let before = self.written_kind(peer);
        let queue = self.connection(peer, id).and_then(|connection| connection.queue.take());
        self.after_loss(peer, before, queue.map(|queue| (id, queue)))
    }

    /// A connection was closed.
    pub(super) fn remove(&mut self, peer: &PeerId, id: ConnectionId) -> Change {
        let before = self.written_kind(peer);
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
            // These items were queued before the peer was sent everything over a newer connection. Subscriptions and GRAFTs
            // were sent there anew. The ends of former ones, such as an UNSUBSCRIBE, were not: if the process at the other
            // end is the same and has not read such an end, it does not learn it.
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

    /// The connection that is written, and whether it carries floodsub.
    fn written_kind(&self, peer: &PeerId) -> Option<(ConnectionId, bool)> {
        self.written(peer).map(|(connection, _)| (connection.id, connection.is_floodsub()))
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
mod tests;
