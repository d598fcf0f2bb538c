//! The gossipsub behaviour: connections and received RPCs become inputs of the engine; outputs of the engine become
//! queued items, dials and closed connections. The rules of gossipsub are the engine's.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour,
        NewExternalAddrOfPeer, THandler, THandlerInEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};

use super::{
    block_list::BlockList,
    config::BehaviourConfig,
    connections::{Change, Connections, Written},
    dials::Dials,
    event::{Event, Inputs, Slowness, UnreportedDrops},
};
use crate::{
    libp2p::{
        codec::encode::Encoder,
        connection::{
            capabilities::Protocols,
            delivery_report::{DeliveryListener, MissedReports},
            graylist::{Graylist, GraylistCheck},
            handler::{Established, Handler, HandlerEvent},
            inbound_stream::{InboundError, InboundRpc},
            send_queue::SendQueue,
            stall_detector::StallDetector,
        },
        network::Libp2pNetwork,
        state::{TransportState, address_book::socket_address},
    },
    network::{ConnectionInfo, Direction, P2pInput, PeerKind, PeerRecordOutcome},
    worker::DropReason,
};

/// Gossipsub on a libp2p swarm. Compose it into your own swarm, pass each [`Event::Inputs`] to an engine and each
/// output of the engine to [`apply`](Self::apply) or [`emit`](Self::emit).
pub struct Behaviour {
    pub(super) network: Libp2pNetwork,
    pub(super) state: Arc<TransportState>,
    pub(in crate::libp2p) config: BehaviourConfig,
    protocols: Protocols,
    pub(super) connections: Connections,
    pub(super) blocked: BlockList,
    pub(super) dials: Dials,
    /// Dropped items that are not reported yet.
    pub(super) dropped: UnreportedDrops,
    pub(super) encoder: Encoder<Libp2pNetwork>,
    pub(super) delivery_listener: Option<Arc<dyn DeliveryListener>>,
    graylist: Option<Arc<dyn Graylist>>,
    pub(super) events: VecDeque<ToSwarm<Event, Infallible>>,
    pub(super) waker: Option<Waker>,
}

impl Behaviour {
    /// Creates a behaviour for `network`. The engine must have been started with a clone of the same network.
    pub fn new(network: Libp2pNetwork, config: BehaviourConfig) -> Self {
        let known = config.direct.union(&config.trusted).chain(&config.bootstrap);
        network.state().addresses().keep(known.copied());
        let memory = network.state().memory();
        memory.set_limit(config.max_memory);
        Self {
            protocols: Protocols(config.offered().collect()),
            state: Arc::clone(network.state()),
            connections: Connections::default(),
            blocked: BlockList::new(config.max_blocked),
            dials: Dials::new(&config, network.state()),
            dropped: UnreportedDrops::default(),
            encoder: Encoder::new(memory),
            delivery_listener: None,
            graylist: None,
            events: VecDeque::new(),
            waker: None,
            network,
            config,
        }
    }

    /// The network of this behaviour.
    pub fn network(&self) -> &Libp2pNetwork {
        &self.network
    }

    /// Sets the receiver of [delivery reports](DeliveryListener). Later connections report to it what their peers miss.
    pub fn set_delivery_listener(&mut self, listener: Option<Arc<dyn DeliveryListener>>) {
        self.delivery_listener = listener;
    }

    /// Sets the graylist. RPCs of graylisted peers are dropped before they are decoded, on later connections.
    pub fn set_graylist(&mut self, graylist: Option<Arc<dyn Graylist>>) {
        self.graylist = graylist;
    }

    /// Stores the listen addresses that `peer` reported, in place of those that are known. Addresses that other behaviours of
    /// the swarm report, such as identify, are stored without this. They are tried when the engine asks
    /// to dial the peer. At most 8 addresses of a peer are stored, of those that
    /// [`BehaviourConfig::addresses`] allows, and those of at most 4,096 peers.
    pub fn add_addresses(&self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        self.state.add_listen(peer, addresses, self.config.addresses);
    }

    /// Verifies and stores the signed record that `peer` sent of itself by identify, as protobuf
    /// (`info.signed_peer_record` with `into_protobuf_encoding`, in rust-libp2p). Our PRUNEs that recommend the peer carry
    /// it, as long as the peer is connected. The records of at most 4,096 peers are stored, of at most 2 KiB each. Returns
    /// what became of it.
    ///
    /// The ready-made swarm ([`swarm()`](crate::libp2p::swarm())) calls this by itself.
    pub fn add_peer_record(&self, peer: PeerId, record: &[u8]) -> PeerRecordOutcome {
        self.state.add_own_record(peer, record)
    }

    pub(super) fn add_event(&mut self, event: Event) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn add_input(&mut self, peer: PeerId, input: P2pInput<Libp2pNetwork>) {
        self.add_event(Event::Inputs(Inputs::new(peer, [input], None)));
    }

    /// Changes the connections of a peer. If the peer stays connected, the engine learns its addresses when they change.
    pub(super) fn change(&mut self, peer: PeerId, change: impl FnOnce(&mut Connections) -> Change) {
        let (before, versions) = (self.connections.addresses(&peer), self.connections.versions(&peer));
        let change = change(&mut self.connections);
        self.state.connections().on_versions_changed(&versions, &self.connections.versions(&peer));
        // The addresses that the engine knows after the change.
        let known = match change {
            Change::None | Change::Requeued(_) | Change::Moved(_) => Some(before),
            Change::Replaced(written, _) => Some(written.remote_address.iter().map(SocketAddr::ip).collect()),
            Change::Connected(_) | Change::Disconnected { .. } => None,
        };
        self.on_change(peer, change);
        let addresses = self.connections.addresses(&peer);
        if known.is_some_and(|known| known != addresses) && self.connections.is_connected(&peer) {
            self.add_input(peer, P2pInput::RemoteAddresses { peer, addresses });
        }
    }

    fn on_change(&mut self, peer: PeerId, change: Change) {
        match change {
            Change::Connected(written) => self.add_connection(peer, written),
            Change::Disconnected { lost } => {
                self.dropped.add(peer, DropReason::Disconnected, lost);
                self.add_input(peer, P2pInput::Disconnection { peer });
            }
            Change::Requeued(push) => self.on_pushed(peer, push),
            Change::Moved(push) => {
                self.on_pushed(peer, push);
                self.add_input(peer, P2pInput::FurtherConnection { peer });
            }
            Change::Replaced(written, push) => {
                // Whether a peer speaks floodsub never changes while it is connected.
                self.add_input(peer, P2pInput::Disconnection { peer });
                self.add_connection(peer, written);
                // It may disconnect the peer.
                self.on_pushed(peer, push);
            }
            Change::None => {}
        }
    }

    fn add_connection(&mut self, peer: PeerId, written: Written) {
        let Written { dialled, remote_address, floodsub } = written;
        let has = |peers: &BTreeSet<PeerId>| peers.contains(&peer);
        let (direct, trusted) = (has(&self.config.direct), has(&self.config.trusted));
        let kind = PeerKind { direct, trusted, bootstrap: has(&self.config.bootstrap) };
        let mut info = ConnectionInfo::new(Direction::outbound_if(dialled)).kind(kind);
        // Identify reports the peer's agent later than this.
        (info.remote_address, info.floodsub) = (remote_address, floodsub);
        self.add_input(peer, P2pInput::NewConnection { peer, info });
    }

    fn on_connection_established(&mut self, event: ConnectionEstablished<'_>) {
        let ConnectionEstablished { peer_id, connection_id, endpoint, .. } = event;
        self.dials.on_established(connection_id);
        self.state.connections().on_established(endpoint);
        if endpoint.is_dialer() {
            self.state.addresses().add_dialled(peer_id, endpoint.get_remote_address().clone());
        }
        let remote_address = socket_address(endpoint.get_remote_address());
        self.connections.add(peer_id, connection_id, endpoint.is_dialer(), remote_address);
    }

    fn on_rpc(&mut self, peer: PeerId, connection: ConnectionId, rpc: InboundRpc) {
        self.dropped.add(peer, DropReason::IDontWant, rpc.suppressed);
        if self.connections.carries_gossipsub(&peer, connection) {
            // Messages may be queued on another connection, or were queued since the handler applied the IDONTWANT.
            let suppressed = self.connections.apply_idontwant(&peer, &rpc);
            self.dropped.add(peer, DropReason::IDontWant, suppressed);
            let inputs = rpc.messages.into_iter().map(|message| P2pInput::message(peer, message));
            self.add_event(Event::Inputs(Inputs::new(peer, inputs, Some(rpc.permit))));
        }
    }

    fn on_inbound_failed(&mut self, peer: PeerId, connection: ConnectionId, error: InboundError) {
        // The network breaks streams, and makes frames late; only the peer sends garbage.
        let garbage = error.is_violation();
        self.add_event(Event::InboundFailed { peer, error });
        if garbage && self.connections.add_bad_stream(&peer, connection) >= self.config.max_bad_streams {
            self.close(peer, CloseConnection::One(connection));
        }
    }

    fn on_inbound_reopened(&mut self, peer: PeerId, connection: ConnectionId) {
        if self.connections.add_reopened_stream(&peer, connection) >= self.config.max_reopened_streams {
            self.close(peer, CloseConnection::One(connection));
        }
    }

    fn on_gave_up(&mut self, peer: PeerId, connection: ConnectionId, unsupported: bool) {
        let event = if unsupported { Event::Unsupported { peer } } else { Event::OutboundFailed { peer } };
        self.add_event(event);
        self.change(peer, |connections| connections.gossipsub_lost(&peer, connection));
    }

    fn handler(&mut self, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        self.check_blocked(peer)?;
        let missed = self.delivery_listener.as_ref().map(|listener| MissedReports::new(peer, listener));
        let queue = SendQueue::new(self.config.queue.clone(), self.state.memory(), missed);
        let stall_detector = StallDetector::new(self.config.write_timeout, self.config.min_written);
        let graylist = GraylistCheck::new(peer, self.graylist.as_ref());
        let (network, protocols) = (self.network.clone(), self.protocols.clone());
        Ok(Handler::new(network, protocols, queue, stall_detector, graylist, self.config.frame_timeout))
    }

    /// How many events are queued until the swarm is polled. Apply no outputs while there are thousands.
    pub fn queued_events(&self) -> usize {
        self.events.len() + self.dropped.len()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let Some(peer) = peer else { return Ok(Vec::new()) };
        self.check_blocked(peer)?;
        Ok(self.state.addresses_of(&peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.on_connection_established(event),
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                remaining_established,
                endpoint,
                ..
            }) => {
                self.state.connections().on_closed(endpoint);
                if remaining_established == 0 {
                    self.state.records().remove(&peer_id);
                }
                self.change(peer_id, |connections| connections.remove(&peer_id, connection_id));
            }
            FromSwarm::ListenFailure(failure) => self.state.connections().on_listen_failed(failure.error),
            FromSwarm::DialFailure(failure) => {
                self.state.connections().on_dial_failed(failure.error);
                if let Some(event) = self.dials.on_failure(&failure) {
                    self.add_event(event);
                }
            }
            // Identify reports what it learned, for instance.
            FromSwarm::NewExternalAddrOfPeer(NewExternalAddrOfPeer { peer_id, addr }) => {
                self.state.add_listen_address(peer_id, addr.clone(), self.config.addresses);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: HandlerEvent) {
        match event {
            HandlerEvent::Established(Established { protocol, queue }) => {
                self.add_event(Event::Established { peer, protocol: protocol.clone() });
                self.change(peer, |connections| {
                    connections.gossipsub_established(&peer, connection, protocol, queue)
                });
            }
            HandlerEvent::Received(rpc) => self.on_rpc(peer, connection, rpc),
            HandlerEvent::InboundFailed(error) => self.on_inbound_failed(peer, connection, error),
            HandlerEvent::InboundReopened => self.on_inbound_reopened(peer, connection),
            HandlerEvent::Slow(dropped) => {
                self.dropped.add(peer, DropReason::PeerQueueFull, dropped);
                if self.connections.is_written(&peer, connection) {
                    self.on_slow_peer(peer, Slowness::WriteTimeout);
                } else if self.connections.carries_gossipsub(&peer, connection) {
                    // The peer has a newer one: this is that of a process that has ended. A connection that is to be closed
                    // was reported before.
                    self.close(peer, CloseConnection::One(connection));
                }
            }
            HandlerEvent::GaveUp { unsupported } => self.on_gave_up(peer, connection, unsupported),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        if let Some(event) = self.dropped.poll(cx) {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
