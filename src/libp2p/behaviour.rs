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
    core::{Endpoint, multiaddr::Protocol, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm,
        NetworkBehaviour, THandler, THandlerInEvent, ToSwarm, behaviour::ConnectionEstablished,
        dial_opts::DialOpts,
    },
};

use super::{
    BehaviourConfig, EncodeError, Event, Handler, HandlerEvent, InboundError, Libp2pNetwork,
    addresses::without_peer,
    encode::{self, Fragment},
    handler::{Protocols, Up},
    peers::{Change, Peers},
    queue::{Push, SendQueue},
    recent::Recent,
};
use crate::network::{FullMessage, P2pInput, P2pMessage, P2pOutput};

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} was kicked")]
pub struct Blocked(pub PeerId);

enum Dialled {
    Point(Multiaddr),
    Peer,
}

/// Gossipsub's streams on a libp2p swarm. Compose it into your own swarm, hand its
/// [`Event::Inputs`] to an engine, and the engine's outputs to [`apply`](Self::apply).
pub struct Behaviour {
    network: Libp2pNetwork,
    config: BehaviourConfig,
    protocols: Protocols,
    peers: Peers,
    blocked: Recent<PeerId, ()>,
    /// The engine's dials that are under way.
    dials: HashMap<ConnectionId, Dialled>,
    dropped: HashMap<PeerId, u64>,
    /// The last message, encoded: it usually goes to several peers in a row.
    last: Option<(Arc<FullMessage<Libp2pNetwork>>, Vec<Fragment>)>,
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
            dials: HashMap::new(),
            dropped: HashMap::new(),
            last: None,
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

    /// Does what the engine wants. Never blocks; what is not for a reachable peer is forgotten.
    pub fn apply(&mut self, output: P2pOutput<Libp2pNetwork>) {
        match output {
            P2pOutput::OutMessage { to_peer, message } => self.send(to_peer, message),
            P2pOutput::Disconnect { peer } => self.close(peer, CloseConnection::All),
            P2pOutput::Kick { peer } => {
                self.blocked.insert(peer, ());
                self.close(peer, CloseConnection::All);
            }
            P2pOutput::Connect { peer, .. } => self.dial(DialOpts::peer_id(peer).build(), Dialled::Peer),
            P2pOutput::ConnectPoint { point } => {
                if !self.is_reached(&point) {
                    self.dial(to_point(&point), Dialled::Point(point));
                }
            }
            // We keep no list of advertised peers beyond the address book, which ages by itself.
            P2pOutput::Forget { .. } => {}
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
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

    fn send(&mut self, peer: PeerId, message: P2pMessage<Libp2pNetwork>) {
        if !self.peers.is_up(&peer) {
            return;
        }
        match self.encode(&message) {
            Ok(fragments) => fragments.into_iter().for_each(|fragment| self.queue(peer, fragment)),
            Err(error) => self.tell(Event::NotSent { peer, error }),
        }
    }

    fn encode(&mut self, message: &P2pMessage<Libp2pNetwork>) -> Result<Vec<Fragment>, EncodeError> {
        let P2pMessage::FullMessage(full) = message else {
            return encode::fragments(message, self.network.limits());
        };
        if let Some((last, fragments)) = &self.last
            && Arc::ptr_eq(last, full)
        {
            return Ok(fragments.clone());
        }
        let fragments = encode::fragments(message, self.network.limits())?;
        self.last = Some((full.clone(), fragments.clone()));
        Ok(fragments)
    }

    fn queue(&mut self, peer: PeerId, fragment: Fragment) {
        match self.peers.send(&peer, fragment) {
            Some(Push::Queued) | None => {}
            Some(Push::Dropped) => {
                let count = self.dropped.entry(peer).or_default();
                *count = count.saturating_add(1);
            }
            Some(Push::Stalled) => {
                self.tell(Event::Stalled { peer });
                self.close(peer, CloseConnection::All);
            }
        }
    }

    fn close(&mut self, peer_id: PeerId, connection: CloseConnection) {
        self.events.push_back(ToSwarm::CloseConnection { peer_id, connection });
    }

    fn dial(&mut self, opts: DialOpts, what: Dialled) {
        self.dials.insert(opts.connection_id(), what);
        self.events.push_back(ToSwarm::Dial { opts });
    }

    /// Whether we dialled the point and are connected, or are about to be. The engine asks for persistent
    /// points again and again, and one that names no peer would be dialled each time.
    fn is_reached(&self, point: &Multiaddr) -> bool {
        let address = Some(without_peer(point.clone()));
        let mut pending = self.dials.values();
        pending.any(|dialled| matches!(dialled, Dialled::Point(pending) if pending == point)) || {
            let book = self.network.addresses();
            self.peers.connected().any(|peer| book.point(peer) == address)
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn input(&mut self, input: P2pInput<Libp2pNetwork>) {
        self.tell(Event::Inputs(vec![input]));
    }

    fn changed(&mut self, peer: PeerId, change: Change) {
        match change {
            Change::Appeared { dialled: outbound } => {
                let has = |peers: &BTreeSet<PeerId>| peers.contains(&peer);
                let (direct, trusted) = (has(&self.config.direct), has(&self.config.trusted));
                let bootstrap = has(&self.config.bootstrap);
                self.input(P2pInput::NewConnection { peer, direct, outbound, trusted, bootstrap });
            }
            Change::Vanished => {
                self.dropped.remove(&peer);
                self.input(P2pInput::Disconnection { peer });
            }
            Change::None => {}
        }
    }

    fn established(&mut self, event: ConnectionEstablished<'_>) {
        let ConnectionEstablished { peer_id, connection_id, endpoint, .. } = event;
        self.dials.remove(&connection_id);
        if endpoint.is_dialer() {
            self.network.addresses().dialled(peer_id, endpoint.get_remote_address().clone());
        }
        self.peers.established(peer_id, connection_id, endpoint.is_dialer());
    }

    fn dial_failed(&mut self, failure: DialFailure<'_>) {
        let Some(what) = self.dials.remove(&failure.connection_id) else { return };
        // Already connected, or about to be: no failure.
        if matches!(failure.error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        let error = failure.error.to_string();
        match (what, failure.peer_id) {
            (Dialled::Point(point), _) => self.tell(Event::Unreachable { point, error }),
            (Dialled::Peer, Some(peer)) => self.tell(Event::DialFailed { peer, error }),
            (Dialled::Peer, None) => {}
        }
    }

    fn received(&mut self, peer: PeerId, connection: ConnectionId, said: Vec<P2pMessage<Libp2pNetwork>>) {
        if self.peers.carries(&peer, connection) {
            let input = |message| P2pInput::InMessage { from_peer: peer, message };
            self.tell(Event::Inputs(said.into_iter().map(input).collect()));
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
        Ok(Handler::new(self.network.clone(), self.protocols.clone(), queue))
    }

    fn take_dropped(&mut self) -> Option<Event> {
        let peer = *self.dropped.keys().next()?;
        let count = self.dropped.remove(&peer)?;
        Some(Event::Dropped { peer, count })
    }
}

/// A dial of `point`. One that names its peer is not dialled if the peer is connected already.
fn to_point(point: &Multiaddr) -> DialOpts {
    match point.iter().last() {
        Some(Protocol::P2p(peer)) => DialOpts::peer_id(peer).addresses(vec![point.clone()]).build(),
        _ => DialOpts::unknown_peer_id().address(point.clone()).build(),
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
            FromSwarm::DialFailure(failure) => self.dial_failed(failure),
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
            HandlerEvent::Received(said) => self.received(peer, connection, said),
            HandlerEvent::InboundFailed(error) => self.inbound_failed(peer, connection, error),
            HandlerEvent::GaveUp { unsupported } => self.gave_up(peer, connection, unsupported),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        if let Some(event) = self.take_dropped() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
