//! How a swarm drives the behaviour: received RPCs go to the engine, its outputs to the connections, its messages and events
//! to the application. A poll does a bounded amount of work.

use std::task::{Context, Poll};

use ::libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};

use super::{
    behaviour::{Behaviour, State},
    hooks::is_blacklisted,
    message::{Event, PeerKind, slow_peer},
};
use crate::{
    libp2p::{connection::handler::Handler, network::Libp2pNetwork, swarm::event::Event as TransportEvent},
    network::{AppOutput, Validity},
};

/// The number of rounds after which the behaviour lets the swarm continue.
const ROUNDS_PER_POLL: usize = 64;

type Action = ToSwarm<Event, THandlerInEvent<Behaviour>>;

impl Behaviour {
    /// Does one thing of each kind. `Pending` if there was nothing to do; an action if there is one for the swarm.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<Option<Action>> {
        // The engine gets no inputs before all of its events are returned: that bounds their number.
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(Some(ToSwarm::GenerateEvent(event)));
        }
        let mut idle = self.poll_engine(cx).is_pending();
        if !self.events.is_empty() {
            return Poll::Ready(None);
        }
        match self.transport.poll(cx) {
            Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                idle = false;
                self.on_transport_event(event);
            }
            Poll::Ready(action) => return Poll::Ready(Some(action.map_out(Event::Transport))),
            Poll::Pending => {}
        }
        if idle { Poll::Pending } else { Poll::Ready(None) }
    }

    fn poll_engine(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Running(running) = &mut self.state else { return Poll::Pending };
        self.peers.apply_all(running.take_peer_events(cx), &mut self.events);
        running.poll_reports(cx, &mut self.events);
        let transferred = running.poll_transfer(cx, &mut self.transport);
        if let Poll::Ready(Some((sender, message))) = running.poll_message(cx) {
            self.on_message(sender, &message);
            return Poll::Ready(());
        }
        if let Poll::Ready(false) = transferred {
            // All messages are read. What is left of the reports and events is there now too.
            self.peers.apply_all(running.take_peer_events(cx), &mut self.events);
            running.poll_reports(cx, &mut self.events);
            let reason = running.end_reason();
            self.state = State::Ended(reason.clone());
            self.peers.clear();
            self.events.push_back(Event::EngineEnded { reason });
        }
        transferred.map(drop)
    }

    fn on_message(&mut self, propagation_source: PeerId, full: &AppOutput<Libp2pNetwork>) {
        // The engine refuses messages that arrive later. One that awaits its verdict is refused when that is given.
        if self.validates && is_blacklisted(&full.message, &self.blacklist) {
            return self.report_verdict(propagation_source, full, Validity::Outdated);
        }
        // A message that can't be decoded is invalid, and does not get here.
        if let Ok(message) = self.network().decode(full) {
            let message_id = full.message_id.clone();
            self.events.push_back(Event::Message { propagation_source, message_id, message });
        }
    }

    /// Gives the verdict in place of the application. It may be late: then the message has been dropped already.
    fn report_verdict(&self, source: PeerId, full: &AppOutput<Libp2pNetwork>, verdict: Validity) {
        let _ = self.network().report_validation(&full.message_id, &source, verdict);
    }

    fn on_transport_event(&mut self, event: TransportEvent) {
        match &event {
            TransportEvent::Established { peer, protocol } => {
                self.peers.set_protocol(*peer, PeerKind::of_version(protocol.version));
            }
            TransportEvent::Unsupported { peer } => {
                self.peers.set_protocol(*peer, PeerKind::NotSupported);
                self.events.push_back(Event::GossipsubNotSupported { peer_id: *peer });
                return;
            }
            _ => {}
        }
        let State::Running(running) = &mut self.state else { return };
        let event = match event {
            TransportEvent::Inputs(inputs) => return running.inputs.add(inputs, &mut |_| {}),
            event => event,
        };
        self.events.extend(slow_peer(&event));
        running.inputs.report(&event);
        self.events.push_back(Event::Transport(event));
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.transport.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.transport.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.transport.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.transport.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, remaining_established: 0, .. }) = event
        {
            self.peers.remove_protocol(&peer_id);
        }
        self.transport.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.transport.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Action> {
        // An engine that can't start has reported that by an event.
        let _ = self.running();
        for _ in 0..ROUNDS_PER_POLL {
            match self.poll_round(cx) {
                Poll::Ready(Some(action)) => return Poll::Ready(action),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
