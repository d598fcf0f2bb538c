//! The behaviour of identify: it asks the peer of each connection, answers, and pushes to all connected peers when the addresses of this
//! node change. What a peer says goes to the state that the connections share.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
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
    message::LocalInfo,
    upgrade::{Answer, Exchanged, IDENTIFY, PUSH, Request},
};
use crate::libp2p::{
    network::Libp2pNetwork,
    state::{TransportState, address_filter::AddressFilter},
};

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);

type Handler = OneShotHandler<Answer, Request, Exchanged>;

/// Identify, with signed peer records that all implementations can verify. See [`TransportBehaviour`].
///
/// What peers report is stored where the gossipsub behaviour of the same network finds it. There are no events.
///
/// [`TransportBehaviour`]: crate::libp2p::TransportBehaviour
pub struct IdentifyBehaviour {
    local: Arc<Mutex<LocalInfo>>,
    state: Arc<TransportState>,
    filter: AddressFilter,
    listen: ListenAddresses,
    external: ExternalAddresses,
    /// The connections of each peer, with the peer's end of each, the oldest first.
    connections: HashMap<PeerId, Vec<(ConnectionId, Multiaddr)>>,
    actions: VecDeque<ToSwarm<Infallible, Request>>,
}

impl IdentifyBehaviour {
    /// `protocols`: those of the other behaviours of the swarm.
    pub(in crate::libp2p) fn new(
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
            connections: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    fn local(&self) -> MutexGuard<'_, LocalInfo> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handler(&self, observed: &Multiaddr) -> Handler {
        let answer = Answer { local: Arc::clone(&self.local), observed: observed.clone() };
        let listen = SubstreamProtocol::new(answer, ()).with_timeout(TIMEOUT);
        OneShotHandler::new(listen, Default::default())
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
        let oldest = self.connections.iter().filter_map(|(peer, connections)| {
            let (connection, observed) = connections.first()?;
            Some((*peer, *connection, observed.clone()))
        });
        for (peer, connection, observed) in oldest.collect::<Vec<_>>() {
            let message = self.local().message(&observed);
            self.add_action(peer, connection, Request::Push(message));
        }
    }
}

impl fmt::Debug for IdentifyBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifyBehaviour").field("peers", &self.connections.len()).finish_non_exhaustive()
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
                self.connections.entry(event.peer_id).or_default().push((event.connection_id, remote));
                self.add_action(event.peer_id, event.connection_id, Request::Ask);
            }
            FromSwarm::ConnectionClosed(event) => {
                let Some(connections) = self.connections.get_mut(&event.peer_id) else { return };
                connections.retain(|(connection, _)| *connection != event.connection_id);
                if connections.is_empty() {
                    self.connections.remove(&event.peer_id);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        // A peer that has no identify, or breaks the stream, is one of which nothing is known.
        let Some(report) = event.ok().and_then(|exchanged| exchanged.report()) else { return };
        if !report.addresses.is_empty() {
            self.state.add_listen(peer, report.addresses, self.filter);
        }
        // The peer may have disconnected meanwhile.
        if let Some(record) = report.record.filter(|_| self.connections.contains_key(&peer)) {
            self.state.add_own_record(peer, &record);
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
