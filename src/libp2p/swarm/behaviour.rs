//! The gossipsub behaviour: connections and received RPCs become inputs of the engine; outputs of the engine become
//! queued items, dials and closed connections. The rules of gossipsub are the engine's.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
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
    config::{BehaviourConfig, SlowPeerAction},
    connections::{Change, Connections},
    dials::Dials,
    event::{Event, Inputs, Slowness, UnreportedDrops},
};
use crate::{
    libp2p::{
        codec::encode::Encoder,
        connection::{
            capabilities::Protocols,
            delivery_report::{DeliveryListener, DeliveryReports, MissedReports},
            graylist::{Graylist, GraylistCheck},
            handler::{Established, Handler, HandlerEvent},
            inbound_stream::{InboundError, InboundRpc},
            lanes::{Item, Offer},
            push::Push,
            send_queue::SendQueue,
            stall_detector::StallDetector,
        },
        network::Libp2pNetwork,
        state::{TransportState, address_book::socket_address},
    },
    network::{ConnectionInfo, Direction, P2pInput, P2pMessage, P2pOutput, PeerKind},
    protocol::{Lane, OutputBatch},
    worker::DropReason,
};

/// Gossipsub on a libp2p swarm. Compose it into your own swarm, pass each [`Event::Inputs`] to an engine and each
/// output of the engine to [`apply`](Self::apply) or [`emit`](Self::emit).
pub struct Behaviour {
    network: Libp2pNetwork,
    pub(super) state: Arc<TransportState>,
    config: BehaviourConfig,
    protocols: Protocols,
    pub(super) connections: Connections,
    pub(super) blocked: BlockList,
    pub(super) dials: Dials,
    /// Dropped items that are not reported yet.
    dropped: UnreportedDrops,
    encoder: Encoder<Libp2pNetwork>,
    delivery_listener: Option<Arc<dyn DeliveryListener>>,
    graylist: Option<Arc<dyn Graylist>>,
    events: VecDeque<ToSwarm<Event, Infallible>>,
    pub(super) waker: Option<Waker>,
}

impl Behaviour {
    /// Creates a behaviour for `network`. The engine must have been started with a clone of the same network.
    pub fn new(network: Libp2pNetwork, config: BehaviourConfig) -> Self {
        let known = config.direct.union(&config.trusted).chain(&config.bootstrap);
        network.state().addresses().keep(known.copied());
        network.state().direct().clone_from(&config.direct);
        let memory = network.state().memory();
        memory.set_limit(config.max_memory);
        Self {
            protocols: Protocols(config.protocols.clone().into()),
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

    /// Carries out an output of the engine. Never blocks. Messages that are not sent are reported by
    /// [`Event::Dropped`]. Poll the swarm between calls, since each may add events.
    pub fn apply(&mut self, output: P2pOutput<Libp2pNetwork>) {
        self.emit(OutputBatch::Output(output));
    }

    /// Carries out an output that comes with its lane; see
    /// [`P2pOutputs::recv_batch`](crate::P2pOutputs::recv_batch). A message to many peers is encoded once.
    /// Delivery reports are made for the lane [`Publish`](Lane::Publish) and for outputs without a lane.
    pub fn emit(&mut self, emission: OutputBatch<Libp2pNetwork>) {
        let lane = emission.lane();
        match emission {
            OutputBatch::Broadcast { to, message, .. } => {
                self.send(&to, &P2pMessage::FullMessage(message), lane, lane == Lane::Publish);
            }
            OutputBatch::Gossip { to, message } => self.send(&to, &message, lane, false),
            OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }) => {
                self.send(&[to_peer], &message, lane, true);
            }
            OutputBatch::Output(output) => self.apply_output(output),
        }
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn apply_output(&mut self, output: P2pOutput<Libp2pNetwork>) {
        match output {
            P2pOutput::Disconnect { peer } => self.close(peer, CloseConnection::All),
            P2pOutput::Kick { peer, duration } => self.block(peer, duration),
            P2pOutput::Unblock { peer } => _ = self.unblock(&peer),
            P2pOutput::Connect { peer, origin } => {
                let action = self.dials.dial_peer(peer, &origin);
                self.events.push_back(action);
            }
            P2pOutput::ConnectPoint { point } if self.is_reached(&point) => {}
            P2pOutput::ConnectPoint { point } => {
                let action = self.dials.dial_point(point);
                self.events.push_back(action);
            }
            // Advertised peers are stored in the address book alone, which evicts them by itself.
            P2pOutput::Forget { .. } | P2pOutput::OutMessage { .. } => {}
        }
    }

    fn send(&mut self, to: &[PeerId], message: &P2pMessage<Libp2pNetwork>, lane: Lane, reported: bool) {
        let encoded = self.encoder.encode(message, lane == Lane::Answer, self.network.limits());
        let listener = self.delivery_listener.as_ref().filter(|_| reported);
        let reports = listener.and_then(|listener| DeliveryReports::new(message, listener));
        let offer = Offer::of(message, self.state.memory());
        for peer in to {
            let mut report = reports.as_ref().map(DeliveryReports::report);
            match &encoded {
                // A full message is a single fragment, so that the report of the first fragment is that of the message.
                Ok(fragments) => fragments.iter().for_each(|fragment| {
                    self.queue(*peer, Item::new(message, fragment, lane, &offer, report.take()));
                }),
                Err(_) => {
                    self.dropped.add_one(*peer, DropReason::TooLarge, lane);
                    report.into_iter().for_each(|report| report.not_sent(DropReason::TooLarge));
                }
            }
        }
        if let Err(error) = encoded {
            self.add_event(Event::EncodeFailed { error });
        }
    }

    fn queue(&mut self, peer: PeerId, item: Item) {
        let lane = item.lane;
        match self.connections.send(&peer, item) {
            Some(push) => self.on_pushed(peer, push),
            // The item's delivery report completes by its drop.
            None => self.dropped.add_one(peer, DropReason::Disconnected, lane),
        }
    }

    fn on_pushed(&mut self, peer: PeerId, push: Push) {
        self.dropped.add(peer, DropReason::PeerQueueFull, push.dropped);
        self.dropped.add(peer, DropReason::TransportMemory, push.over_memory);
        self.dropped.add(peer, DropReason::Superseded, push.superseded);
        if push.unsupported {
            self.dropped.add_one(peer, DropReason::Unsupported, Lane::Gossip);
        }
        if push.overflowed {
            let memory = push.over_memory.of(Lane::Control) > 0;
            self.on_slow_peer(peer, if memory { Slowness::Memory } else { Slowness::Overflow });
        }
    }

    fn on_slow_peer(&mut self, peer: PeerId, slowness: Slowness) {
        self.add_event(Event::SlowPeer { peer, slowness });
        if slowness != Slowness::WriteTimeout || self.config.slow_peer == SlowPeerAction::Disconnect {
            let change = self.connections.drop_peer(&peer);
            self.on_change(peer, change);
            self.close(peer, CloseConnection::All);
        }
    }

    pub(super) fn close(&mut self, peer_id: PeerId, connection: CloseConnection) {
        self.events.push_back(ToSwarm::CloseConnection { peer_id, connection });
    }

    fn add_event(&mut self, event: Event) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn add_input(&mut self, peer: PeerId, input: P2pInput<Libp2pNetwork>) {
        self.add_event(Event::Inputs(Inputs::new(peer, [input], None)));
    }

    pub(super) fn on_change(&mut self, peer: PeerId, change: Change) {
        match change {
            Change::Connected { dialled, remote_address } => {
                let has = |peers: &BTreeSet<PeerId>| peers.contains(&peer);
                let (direct, trusted) = (has(&self.config.direct), has(&self.config.trusted));
                let kind = PeerKind { direct, trusted, bootstrap: has(&self.config.bootstrap) };
                let mut info = ConnectionInfo::new(Direction::outbound_if(dialled)).kind(kind);
                // Identify reports the peer's agent later than this.
                info.remote_address = remote_address;
                self.add_input(peer, P2pInput::NewConnection { peer, info });
            }
            Change::Disconnected { lost } => {
                self.dropped.add(peer, DropReason::Disconnected, lost);
                self.add_input(peer, P2pInput::Disconnection { peer });
            }
            Change::Requeued(push) => self.on_pushed(peer, push),
            Change::None => {}
        }
    }

    fn on_connection_established(&mut self, event: ConnectionEstablished<'_>) {
        let ConnectionEstablished { peer_id, connection_id, endpoint, .. } = event;
        self.dials.on_established(connection_id);
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
        let change = self.connections.gossipsub_lost(&peer, connection);
        let event = if unsupported { Event::Unsupported { peer } } else { Event::OutboundFailed { peer } };
        self.add_event(event);
        self.on_change(peer, change);
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
        Ok(self.state.addresses_of(&peer, self.config.addresses))
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
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                let change = self.connections.remove(&peer_id, connection_id);
                self.on_change(peer_id, change);
            }
            FromSwarm::DialFailure(failure) => {
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
                let change = self.connections.gossipsub_established(&peer, connection, queue);
                self.add_event(Event::Established { peer, protocol });
                self.on_change(peer, change);
            }
            HandlerEvent::Received(rpc) => self.on_rpc(peer, connection, rpc),
            HandlerEvent::InboundFailed(error) => self.on_inbound_failed(peer, connection, error),
            HandlerEvent::InboundReopened => self.on_inbound_reopened(peer, connection),
            HandlerEvent::Slow(dropped) => {
                self.dropped.add(peer, DropReason::PeerQueueFull, dropped);
                // A connection that is to be closed was reported before.
                if self.connections.carries_gossipsub(&peer, connection) {
                    self.on_slow_peer(peer, Slowness::WriteTimeout);
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
