//! The engine's dials that are under way, and what their failures mean to it. It dials nothing itself.

use std::collections::HashMap;

use ::libp2p::{
    Multiaddr, PeerId,
    core::multiaddr::Protocol,
    swarm::{ConnectionId, DialError, DialFailure, dial_opts::DialOpts},
};

use super::Event;

enum Dialled {
    Point(Multiaddr),
    Peer,
}

#[derive(Default)]
pub(super) struct Dials(HashMap<ConnectionId, Dialled>);

impl Dials {
    pub(super) fn peer(&mut self, peer: PeerId) -> DialOpts {
        self.begin(DialOpts::peer_id(peer).build(), Dialled::Peer)
    }

    /// A point that names its peer is not dialled if the peer is connected already.
    pub(super) fn point(&mut self, point: Multiaddr) -> DialOpts {
        let opts = match point.iter().last() {
            Some(Protocol::P2p(peer)) => DialOpts::peer_id(peer).addresses(vec![point.clone()]).build(),
            _ => DialOpts::unknown_peer_id().address(point.clone()).build(),
        };
        self.begin(opts, Dialled::Point(point))
    }

    /// Whether a dial of `point` is under way.
    pub(super) fn has_point(&self, point: &Multiaddr) -> bool {
        let mut pending = self.0.values();
        pending.any(|dialled| matches!(dialled, Dialled::Point(pending) if pending == point))
    }

    fn begin(&mut self, opts: DialOpts, what: Dialled) -> DialOpts {
        self.0.insert(opts.connection_id(), what);
        opts
    }

    pub(super) fn succeeded(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }

    /// What to tell of it, if the engine wanted that dial.
    pub(super) fn failed(&mut self, failure: &DialFailure<'_>) -> Option<Event> {
        let what = self.0.remove(&failure.connection_id)?;
        // Already connected, or about to be: no failure.
        if matches!(failure.error, DialError::DialPeerConditionFalse(_)) {
            return None;
        }
        let error = failure.error.to_string();
        match (what, failure.peer_id) {
            (Dialled::Point(point), _) => Some(Event::Unreachable { point, error }),
            (Dialled::Peer, peer) => peer.map(|peer| Event::DialFailed { peer, error }),
        }
    }
}
