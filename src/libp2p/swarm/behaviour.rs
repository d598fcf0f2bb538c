//! The behaviour: turns connections and what peers say into the engine's inputs, and the engine's
//! outputs into writes, dials and closed connections. It decides nothing about gossipsub itself.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour,
        THandler, THandlerInEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};

use super::{
    address_book::without_peer,
    bounded_map::Recent,
    connections::{Change, Peers},
    dials::Dials,
    event::{BehaviourConfig, Event, LaneCounts, SlowPeerAction, Slowness},
    inputs::Inputs,
};
use crate::{
    libp2p::{
        codec::encoder::Encoder,
        connection::{
            delivery_report::{Receipts, Reports},
            handler::{Handler, HandlerEvent, Protocols, Up},
            inbound_stream::{Heard, InboundError},
            lanes::Item,
            send_queue::{Push, SendQueue},
            stall_detector::Patience,
        },
        network::Libp2pNetwork,
    },
    network::{P2pInput, P2pMessage, P2pOutput},
    protocol::{Emission, Lane},
    worker::NotSent,
};

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} was kicked")]
pub struct Blocked(pub PeerId);

/// Gossipsub's streams on a libp2p swarm. Compose it into your own swarm, hand its
/// [`Event::Inputs`] to an engine, and the engine's outputs to [`apply`](Self::apply).
pub struct Behaviour {
    network: Libp2pNetwork,
    config: BehaviourConfig,
    protocols: Protocols,
    peers: Peers,
    blocked: Recent<PeerId, ()>,
    dials: Dials,
    /// Not told yet.
    dropped: HashMap<(PeerId, NotSent), LaneCounts>,
    /// Whether the last thing told was of these.
    told_dropped: bool,
    encoder: Encoder,
    reports: Option<Arc<dyn Reports>>,
    events: VecDeque<ToSwarm<Event, Infallible>>,
    waker: Option<Waker>,
}

impl Behaviour {
    /// A behaviour for `network`, which the engine must have been given too.
    pub fn new(network: Libp2pNetwork, config: BehaviourConfig) -> Self {
        Self {
            protocols: Protocols(config.protocols.clone().into()),
            peers: Peers::default(),
            blocked: Recent::new(config.max_blocked),
            dials: Dials::new(config.max_dials),
            dropped: HashMap::new(),
            told_dropped: false,
            encoder: Encoder::default(),
            reports: None,
            events: VecDeque::new(),
            waker: None,
            network,
            config,
        }
    }

    /// The network it serves.
    pub fn network(&self) -> &Libp2pNetwork {
        &self.network
    }

    /// Tells `reports` what becomes of the messages that it wants to hear of.
    pub fn set_reports(&mut self, reports: Option<Arc<dyn Reports>>) {
        self.reports = reports;
    }

    /// Does what the engine wants. Never blocks. What is not sent is told by [`Event::Dropped`]. Poll the
    /// swarm between calls: its events wait meanwhile.
    pub fn apply(&mut self, output: P2pOutput<Libp2pNetwork>) {
        self.emit(Emission::Output(output));
    }

    /// As [`apply`](Self::apply), of an engine that tells how urgent messages are. Reports are made of
    /// those that the application publishes, and of those of which the engine does not tell.
    pub fn emit(&mut self, emission: Emission<Libp2pNetwork>) {
        let lane = emission.lane();
        match emission {
            Emission::Broadcast { to, message, .. } => {
                self.say(&to, &P2pMessage::FullMessage(message), lane, lane == Lane::Publish);
            }
            Emission::Gossip { to, message } => self.say(&to, &message, lane, false),
            Emission::Output(P2pOutput::OutMessage { to_peer, message }) => {
                self.say(&[to_peer], &message, lane, true);
            }
            Emission::Output(output) => self.act(output),
        }
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn act(&mut self, output: P2pOutput<Libp2pNetwork>) {
        match output {
            P2pOutput::Disconnect { peer } => self.close(peer, CloseConnection::All),
            P2pOutput::Kick { peer } => {
                self.blocked.insert(peer, ());
                self.close(peer, CloseConnection::All);
            }
            P2pOutput::Connect { peer, .. } => {
                let act = self.dials.peer(peer);
                self.events.push_back(act);
            }
            P2pOutput::ConnectPoint { point } if self.is_reached(&point) => {}
            P2pOutput::ConnectPoint { point } => {
                let act = self.dials.point(point);
                self.events.push_back(act);
            }
            // We keep no list of advertised peers beyond the address book, which ages by itself.
            P2pOutput::Forget { .. } | P2pOutput::OutMessage { .. } => {}
        }
    }

    /// The peers that are refused, the longest refused first.
    pub fn blocked(&self) -> impl Iterator<Item = &PeerId> {
        self.blocked.keys()
    }

    /// Lets a kicked peer in again; `false` if it was not refused.
    pub fn unblock(&mut self, peer: &PeerId) -> bool {
        self.blocked.remove(peer).is_some()
    }

    fn say(&mut self, to: &[PeerId], message: &P2pMessage<Libp2pNetwork>, lane: Lane, reported: bool) {
        let encoded = self.encoder.encode(message, self.network.limits());
        let receipts = self.reports.as_ref().filter(|_| reported);
        let receipts = receipts.and_then(|reports| Receipts::of(message, reports));
        for peer in to {
            let mut receipt = receipts.as_ref().map(Receipts::receipt);
            match &encoded {
                // A message is one fragment: it is written when that is.
                Ok(fragments) => fragments.iter().for_each(|fragment| {
                    self.queue(*peer, Item::of(message, fragment, lane, receipt.take()));
                }),
                Err(_) => {
                    self.lost(*peer, NotSent::TooLarge, lane, 1);
                    receipt.into_iter().for_each(|receipt| receipt.not_sent(NotSent::TooLarge));
                }
            }
        }
        if let Err(error) = encoded {
            self.tell(Event::NotSent { error });
        }
    }

    fn queue(&mut self, peer: PeerId, item: Item) {
        let lane = item.lane;
        match self.peers.send(&peer, item) {
            Some(push) => self.pushed(peer, push),
            // The receipt, dropped, says so.
            None => self.lost(peer, NotSent::Disconnected, lane, 1),
        }
    }

    fn pushed(&mut self, peer: PeerId, push: Push) {
        self.all_lost(peer, NotSent::PeerSlow, push.dropped);
        if push.unsupported {
            self.lost(peer, NotSent::Unsupported, Lane::Gossip, 1);
        }
        if push.overflowed {
            self.slow(peer, Slowness::Overflow);
        }
    }

    fn slow(&mut self, peer: PeerId, slowness: Slowness) {
        self.tell(Event::SlowPeer { peer, slowness });
        if slowness == Slowness::Overflow || self.config.slow_peer == SlowPeerAction::Disconnect {
            let change = self.peers.give_up(&peer);
            self.changed(peer, change);
            self.close(peer, CloseConnection::All);
        }
    }

    fn lost(&mut self, peer: PeerId, reason: NotSent, lane: Lane, count: u64) {
        self.dropped.entry((peer, reason)).or_default().add(lane, count);
    }

    fn all_lost(&mut self, peer: PeerId, reason: NotSent, lanes: LaneCounts) {
        if lanes != LaneCounts::NONE {
            *self.dropped.entry((peer, reason)).or_default() += lanes;
        }
    }

    fn close(&mut self, peer_id: PeerId, connection: CloseConnection) {
        self.events.push_back(ToSwarm::CloseConnection { peer_id, connection });
    }

    /// Whether we dialled the point and are connected, or are about to be. The engine asks for persistent
    /// points again and again, and one that names no peer would be dialled each time.
    fn is_reached(&self, point: &Multiaddr) -> bool {
        let address = Some(without_peer(point.clone()));
        self.dials.has_point(point) || {
            let book = self.network.addresses();
            self.peers.connected().any(|peer| book.point(peer) == address)
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn input(&mut self, peer: PeerId, input: P2pInput<Libp2pNetwork>) {
        self.tell(Event::Inputs(Inputs::new(peer, [input], None)));
    }

    fn changed(&mut self, peer: PeerId, change: Change) {
        match change {
            Change::Appeared { dialled: outbound } => {
                let has = |peers: &BTreeSet<PeerId>| peers.contains(&peer);
                let (direct, trusted) = (has(&self.config.direct), has(&self.config.trusted));
                let bootstrap = has(&self.config.bootstrap);
                self.input(peer, P2pInput::NewConnection { peer, direct, outbound, trusted, bootstrap });
            }
            Change::Vanished { lost } => {
                self.all_lost(peer, NotSent::Disconnected, lost);
                self.input(peer, P2pInput::Disconnection { peer });
            }
            Change::Moved(push) => self.pushed(peer, push),
            Change::None => {}
        }
    }

    fn established(&mut self, event: ConnectionEstablished<'_>) {
        let ConnectionEstablished { peer_id, connection_id, endpoint, .. } = event;
        self.dials.succeeded(connection_id);
        if endpoint.is_dialer() {
            self.network.addresses().dialled(peer_id, endpoint.get_remote_address().clone());
        }
        self.peers.established(peer_id, connection_id, endpoint.is_dialer());
    }

    fn received(&mut self, peer: PeerId, connection: ConnectionId, heard: Heard) {
        self.all_lost(peer, NotSent::Unwanted, heard.spared);
        if self.peers.carries(&peer, connection) {
            // Another connection may be the one that is written to.
            for ids in heard.unwanted() {
                let spared = self.peers.withdraw(&peer, ids);
                self.all_lost(peer, NotSent::Unwanted, spared);
            }
            let inputs = heard.said.into_iter().map(|message| P2pInput::said(peer, message));
            self.tell(Event::Inputs(Inputs::new(peer, inputs, Some(heard.debt))));
        }
    }

    fn inbound_failed(&mut self, peer: PeerId, connection: ConnectionId, error: InboundError) {
        // A stream that breaks is the network's doing; garbage is the peer's.
        let garbage = !matches!(error, InboundError::Io(_));
        self.tell(Event::InboundFailed { peer, error });
        if garbage && self.peers.bad_stream(&peer, connection) >= self.config.max_bad_streams {
            self.close(peer, CloseConnection::One(connection));
        }
    }

    fn gave_up(&mut self, peer: PeerId, connection: ConnectionId, unsupported: bool) {
        let change = self.peers.down(&peer, connection);
        self.tell(if unsupported { Event::Unsupported { peer } } else { Event::OutboundFailed { peer } });
        self.changed(peer, change);
    }

    fn handler(&self, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        if self.blocked.get(&peer).is_some() {
            return Err(ConnectionDenied::new(Blocked(peer)));
        }
        let queue = SendQueue::new(self.config.queue.clone());
        let patience = Patience::new(self.config.write_timeout, self.config.min_written);
        Ok(Handler::new(self.network.clone(), self.protocols.clone(), queue, patience))
    }

    fn take_dropped(&mut self) -> Option<Event> {
        let next = self.dropped.keys().next().copied()?;
        let ((peer, reason), lanes) = self.dropped.remove_entry(&next)?;
        Some(Event::Dropped { peer, reason, lanes })
    }

    /// How many events wait for the swarm to be polled.
    pub(in crate::libp2p) fn backlog(&self) -> usize {
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
        match peer {
            Some(peer) if self.blocked.get(&peer).is_some() => Err(ConnectionDenied::new(Blocked(peer))),
            Some(peer) => Ok(self.network.addresses().addresses(&peer)),
            None => Ok(Vec::new()),
        }
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
            FromSwarm::ConnectionEstablished(event) => self.established(event),
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                let change = self.peers.closed(&peer_id, connection_id);
                self.changed(peer_id, change);
            }
            FromSwarm::DialFailure(failure) => {
                if let Some(event) = self.dials.failed(&failure) {
                    self.tell(event);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: HandlerEvent) {
        match event {
            HandlerEvent::Up(Up { protocol, queue }) => {
                let change = self.peers.up(&peer, connection, queue);
                self.tell(Event::Up { peer, protocol });
                self.changed(peer, change);
            }
            HandlerEvent::Received(heard) => self.received(peer, connection, heard),
            HandlerEvent::InboundFailed(error) => self.inbound_failed(peer, connection, error),
            HandlerEvent::Slow(dropped) => {
                self.all_lost(peer, NotSent::PeerSlow, dropped);
                // One that is to be closed already was told of.
                if self.peers.carries(&peer, connection) {
                    self.slow(peer, Slowness::Unread);
                }
            }
            HandlerEvent::GaveUp { unsupported } => self.gave_up(peer, connection, unsupported),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        // The swarm looks at its connections only while we have nothing to tell: an engine that speaks to
        // those who are gone must not keep it from hearing those who are there.
        if !std::mem::replace(&mut self.told_dropped, false)
            && let Some(event) = self.take_dropped()
        {
            self.told_dropped = true;
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        if !self.dropped.is_empty() {
            cx.waker().wake_by_ref();
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
