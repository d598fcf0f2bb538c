//! The behaviour of identify: it asks the peer of each connection, answers, and pushes to all connected peers when the addresses of this
//! node change. What a peer says goes to the state that the connections share.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    identity::Keypair,
    swarm::{
        ConnectionDenied, ConnectionId, ExternalAddresses, FromSwarm, ListenAddresses, NetworkBehaviour,
        NotifyHandler, OneShotHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
    },
};

use super::{
    message::{LocalInfo, PeerReport},
    upgrade::{Answer, Exchanged, IDENTIFY, PUSH, Request},
};
use crate::{
    libp2p::{
        network::Libp2pNetwork,
        state::{TransportState, address_filter::AddressFilter},
    },
    network::PeerRecordOutcome,
};

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most reports of one peer within a minute that are used: a peer may push as often as it likes, and each new record is a
/// signature to verify. go-libp2p pushes at each change of its protocols and addresses.
const MAX_REPORTS: u32 = 32;
const MINUTE: Duration = Duration::from_secs(60);

/// A connected peer.
struct Peer {
    /// The connections, with the peer's end of each, the oldest first.
    connections: Vec<(ConnectionId, Multiaddr)>,
    /// The reports since the begin of the minute.
    reports: u32,
    since: Instant,
    /// The software that the peer reports to run.
    agent: Option<String>,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self { connections: Vec::new(), reports: 0, since: now, agent: None }
    }

    /// Counts a report. Returns false if it is one too many.
    fn may_report(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            (self.reports, self.since) = (0, now);
        }
        self.reports = self.reports.saturating_add(1);
        self.reports <= MAX_REPORTS
    }
}

type Handler = OneShotHandler<Answer, Request, Exchanged>;

/// Identify, with signed peer records that all implementations can verify. See [`TransportBehaviour`].
///
/// The reports of peers are stored where the gossipsub behaviour of the same network finds them. There are no events.
///
/// [`TransportBehaviour`]: crate::libp2p::TransportBehaviour
pub struct IdentifyBehaviour {
    local: Arc<Mutex<LocalInfo>>,
    state: Arc<TransportState>,
    filter: AddressFilter,
    listen: ListenAddresses,
    external: ExternalAddresses,
    peers: HashMap<PeerId, Peer>,
    actions: VecDeque<ToSwarm<Infallible, Request>>,
}

impl IdentifyBehaviour {
    /// A behaviour that reports this key, agent version and `protocols`, those of the other behaviours of the swarm. `network` is
    /// that of the gossipsub behaviour; of the addresses that peers report, those are stored that `filter` allows.
    pub fn new(
        key: Keypair,
        network: &Libp2pNetwork,
        agent: String,
        protocols: impl IntoIterator<Item = String>,
        filter: AddressFilter,
    ) -> Self {
        let own = [IDENTIFY, PUSH].map(|protocol| protocol.to_string());
        let local = LocalInfo::new(key, agent, own.into_iter().chain(protocols).collect());
        Self {
            local: Arc::new(Mutex::new(local)),
            state: Arc::clone(network.state()),
            filter,
            listen: ListenAddresses::default(),
            external: ExternalAddresses::default(),
            peers: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// The peer's end of its oldest connection, and the software that it reports to run; `None` if it is not connected.
    pub fn describe(&self, peer: &PeerId) -> Option<(Multiaddr, Option<String>)> {
        let peer = self.peers.get(peer)?;
        let (_, address) = peer.connections.first()?;
        Some((address.clone(), peer.agent.clone()))
    }

    fn local(&self) -> MutexGuard<'_, LocalInfo> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handler(&self, observed: &Multiaddr) -> Handler {
        let answer = Answer { local: Arc::clone(&self.local), observed: observed.clone() };
        let listen = SubstreamProtocol::new(answer, ()).with_timeout(TIMEOUT);
        OneShotHandler::new(listen, Default::default())
    }

    fn on_report(&mut self, id: PeerId, report: PeerReport, now: Instant) {
        // The peer may have disconnected meanwhile.
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.may_report(now) {
            return self.state.count_record(PeerRecordOutcome::TooMany);
        }
        if report.agent.is_some() {
            peer.agent = report.agent;
        }
        if !report.addresses.is_empty() {
            self.state.add_listen(id, report.addresses, self.filter);
        }
        if let Some(record) = report.record {
            self.state.add_own_record(id, &record);
        }
    }

    fn add_action(&mut self, peer_id: PeerId, connection: ConnectionId, event: Request) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler, event });
    }

    /// Pushes the addresses to all connected peers, if they have changed.
    fn on_addresses(&mut self) {
        let addresses: Vec<_> = self.external.iter().chain(self.listen.iter()).cloned().collect();
        if !self.local().set_addresses(addresses) {
            return;
        }
        let oldest = self.peers.iter().filter_map(|(id, peer)| {
            let (connection, observed) = peer.connections.first()?;
            Some((*id, *connection, observed.clone()))
        });
        for (peer, connection, observed) in oldest.collect::<Vec<_>>() {
            let message = self.local().message(&observed);
            self.add_action(peer, connection, Request::Push(message));
        }
    }
}

impl fmt::Debug for IdentifyBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifyBehaviour").field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}

impl NetworkBehaviour for IdentifyBehaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(remote))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let changed = self.listen.on_swarm_event(&event) | self.external.on_swarm_event(&event);
        if changed {
            self.on_addresses();
        }
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                let remote = event.endpoint.get_remote_address().clone();
                let peer = self.peers.entry(event.peer_id).or_insert_with(|| Peer::new(Instant::now()));
                peer.connections.push((event.connection_id, remote));
                self.add_action(event.peer_id, event.connection_id, Request::Ask);
            }
            FromSwarm::ConnectionClosed(event) => {
                let Some(peer) = self.peers.get_mut(&event.peer_id) else { return };
                peer.connections.retain(|(connection, _)| *connection != event.connection_id);
                if peer.connections.is_empty() {
                    self.peers.remove(&event.peer_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        // A peer that has no identify, or breaks the stream, is one of which nothing is known.
        if let Some(report) = event.ok().and_then(|exchanged| exchanged.report()) {
            self.on_report(peer, report, Instant::now());
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libp2p::signature::policy::SignaturePolicy;

    #[test]
    fn a_peer_that_pushes_without_a_pause_makes_this_node_verify_few_records() {
        let network = Libp2pNetwork::builder(SignaturePolicy::StrictNoSign).build();
        let (own, key) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
        let filter = AddressFilter::Any;
        let mut identify = IdentifyBehaviour::new(own, &network, String::new(), [], filter);
        let (peer, start) = (key.public().to_peer_id(), Instant::now());
        identify.peers.insert(peer, Peer::new(start));
        let mut local = LocalInfo::new(key, String::new(), Vec::new());
        let mut report = |port: u16| {
            let address: Multiaddr = format!("/ip4/8.8.8.8/tcp/{port}").parse().unwrap();
            local.set_addresses([address.clone()]);
            PeerReport::read(&local.message(&address)).unwrap()
        };
        for port in 1..=100 {
            identify.on_report(peer, report(port), start);
        }
        let count = |outcome| network.state().stats().peer_records(outcome);
        let verified = u64::from(MAX_REPORTS);
        assert_eq!(count(PeerRecordOutcome::Stored), verified);
        assert_eq!(count(PeerRecordOutcome::TooMany), 100 - verified);
        identify.on_report(peer, report(101), start + MINUTE);
        assert_eq!(count(PeerRecordOutcome::Stored), verified + 1);
        let addresses = network.state().addresses_of(&peer);
        assert_eq!(addresses, ["/ip4/8.8.8.8/tcp/101".parse::<Multiaddr>().unwrap()]);
        // Nothing is stored of a peer that has disconnected.
        identify.on_report(PeerId::random(), report(102), start);
        assert_eq!(count(PeerRecordOutcome::Stored), verified + 1);
    }
}
