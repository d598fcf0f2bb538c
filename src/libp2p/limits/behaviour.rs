//! The behaviour that applies the limits to a swarm: it asks the table and refuses, and it closes what gives way.

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, multiaddr::Protocol, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialFailure, FromSwarm,
        ListenFailure, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::ConnectionEstablished, dummy,
    },
};

use super::{
    config::ConnectionLimits,
    table::{ConnectionTable, PeerPriority, Remote},
};
use crate::{
    libp2p::{
        bounded_map::BoundedMap,
        network::Libp2pNetwork,
        state::{TransportState, address_book::socket_address, refusals::RefusedConnections},
    },
    network::ConnectionRefusal,
};

/// Returns the current score of a peer, or the one that is remembered of it; `None` if it has none. Called when the node
/// has no room for a connection; must not block.
pub type ScoreSource = dyn Fn(&PeerId) -> Option<f64> + Send + Sync;
/// Whether a peer is a direct peer at this moment. Called when a peer is dialled, when one connects, and for each connected
/// peer when the node has no room for a connection; must not block.
pub type DirectSource = dyn Fn(&PeerId) -> bool + Send + Sync;

/// The limits on connections: in total, for each peer, for each address and subnet, pending and established. Compose it
/// into your own swarm as the first behaviour: most connections are refused before any cryptography.
///
/// A refused connection is counted in [`TransportStats`](crate::TransportStats), logged, and reported as
/// [`RefusedConnections`]. The swarm reports it too, by a [`ConnectionDenied`] that contains the
/// [`ConnectionRefusal`].
pub struct LimitsBehaviour {
    table: ConnectionTable,
    peers: Priorities,
    state: Arc<TransportState>,
    /// The connections that give way.
    closing: VecDeque<(PeerId, ConnectionId)>,
}

/// The sources of the priorities of peers.
struct Priorities {
    privileged: HashSet<PeerId>,
    direct: Option<Arc<DirectSource>>,
    scores: Option<Arc<ScoreSource>>,
    /// The scores above 0 of peers whose connections closed, and when they did: the engine forgets such scores.
    former: FormerScores,
}

/// Scores, each with the time at which the last connection of the peer closed.
type FormerScores = BoundedMap<PeerId, (f64, Instant)>;

/// Most peers whose scores are remembered after their connections closed.
const MAX_FORMER: usize = 4_096;
/// How long they are remembered: long enough for a restart.
const FORMER_TIME: Duration = Duration::from_secs(3_600);

impl LimitsBehaviour {
    /// Limits the connections of a swarm for `network`. The connections of `privileged` peers are admitted even if the
    /// node has no room: these are the trusted and bootstrap peers, and direct peers that
    /// [`set_direct`](Self::set_direct) does not report.
    pub fn new(
        network: &Libp2pNetwork,
        limits: ConnectionLimits,
        privileged: impl IntoIterator<Item = PeerId>,
    ) -> Self {
        Self {
            table: ConnectionTable::new(limits.effective()),
            peers: Priorities {
                privileged: privileged.into_iter().collect(),
                direct: None,
                scores: None,
                former: BoundedMap::new(MAX_FORMER),
            },
            state: Arc::clone(network.state()),
            closing: VecDeque::new(),
        }
    }

    /// Sets where scores come from. When the node has no room, the inbound connection whose peer has the lowest score
    /// gives way to a privileged peer, or to one with a score above 0. Without it each peer has the score 0.
    pub fn set_scores(&mut self, scores: Option<Arc<ScoreSource>>) {
        self.peers.scores = scores;
    }

    /// Sets where it is asked which peers are direct peers. They are privileged as long as they are that.
    pub fn set_direct(&mut self, direct: Option<Arc<DirectSource>>) {
        self.peers.direct = direct;
    }

    fn identify(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        let priority = self.peers.priority(&peer);
        let admitted = self.table.identify(id, peer, priority, |peer| self.peers.rank(peer));
        admitted
            .map(|()| dummy::ConnectionHandler)
            .map_err(|reason| self.refused(reason, address, Some(peer)))
    }

    fn refused(
        &self,
        reason: ConnectionRefusal,
        address: &Multiaddr,
        peer: Option<PeerId>,
    ) -> ConnectionDenied {
        self.state.refusals().add(reason, Some(address), peer);
        ConnectionDenied::new(reason)
    }

    fn on_established(&mut self, id: ConnectionId) {
        if let Some((peer, victim)) = self.table.on_established(id, |peer| self.peers.rank(peer)) {
            self.state.refusals().add(ConnectionRefusal::GaveWay, None, Some(peer));
            self.closing.push_back((peer, victim));
        }
    }
}

impl Priorities {
    fn priority(&self, peer: &PeerId) -> PeerPriority {
        let is_direct = || self.direct.as_deref().is_some_and(|is_direct| is_direct(peer));
        if self.privileged.contains(peer) || is_direct() {
            return PeerPriority::Privileged;
        }
        PeerPriority::Score(self.score(peer))
    }

    /// The score of a peer, infinity if it is privileged.
    fn rank(&self, peer: &PeerId) -> f64 {
        match self.priority(peer) {
            PeerPriority::Privileged => f64::INFINITY,
            PeerPriority::Score(score) => score,
        }
    }

    /// The score of a peer or, if the engine knows none, the one that it had when its last connection closed.
    fn score(&self, peer: &PeerId) -> f64 {
        let known = self.scores.as_deref().and_then(|score| score(peer));
        let former = || self.former.get(peer).filter(|(_, closed)| closed.elapsed() < FORMER_TIME);
        known.or_else(|| former().map(|(score, _)| *score)).unwrap_or(0.0)
    }
}

fn remote(address: &Multiaddr) -> Remote {
    Remote {
        ip: socket_address(address).map(|address| address.ip()),
        has_socket: address.iter().any(|protocol| matches!(protocol, Protocol::Tcp(_))),
    }
}

impl NetworkBehaviour for LimitsBehaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = RefusedConnections;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        address: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let admitted = self.table.add_inbound(id, remote(address), Instant::now());
        admitted.map_err(|reason| self.refused(reason, address, None))
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        address: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.identify(id, peer, address)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let priority = peer.map(|peer| self.peers.priority(&peer));
        let recommended = self.state.px_dials().contains(&id);
        self.table.add_outbound(id, priority, recommended).map(|()| Vec::new()).map_err(|reason| {
            self.state.refusals().add(reason, addresses.first(), peer);
            ConnectionDenied::new(reason)
        })
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.identify(id, peer, address)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. }) => {
                self.on_established(connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, peer_id, .. }) => {
                // This is the first behaviour, so that the engine still has the score.
                let score = self.peers.scores.as_deref().and_then(|score| score(&peer_id));
                if let Some(score) = score.filter(|score| *score > 0.0) {
                    self.peers.former.insert(peer_id, (score, Instant::now()));
                }
                self.table.remove(connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.table.remove(connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<RefusedConnections, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection)) = self.closing.pop_front() {
            let connection = CloseConnection::One(connection);
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
        }
        self.state.refusals().poll(cx).map(ToSwarm::<_, Infallible>::GenerateEvent)
    }
}
