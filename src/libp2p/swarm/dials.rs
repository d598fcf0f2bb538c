//! The engine's dials that are under way, and what their failures mean to it. It dials nothing itself.

use std::{collections::HashMap, convert::Infallible};

use ::libp2p::{
    Multiaddr, PeerId,
    core::multiaddr::Protocol,
    swarm::{ConnectionId, DialError, DialFailure, ToSwarm, dial_opts::DialOpts},
};

use super::event::Event;

/// What the behaviour does.
type Act = ToSwarm<Event, Infallible>;

const TOO_MANY: &str = "too many dials are under way";

enum Dialled {
    Point(Multiaddr),
    Peer,
}

pub(in crate::libp2p) struct Dials {
    under_way: HashMap<ConnectionId, Dialled>,
    most: usize,
}

impl Dials {
    /// At most so many at a time: a peer that recommends others must not make us dial without end.
    pub(in crate::libp2p) fn new(most: usize) -> Self {
        Self { under_way: HashMap::new(), most }
    }

    /// What to dial, or to tell if too much is dialled already.
    pub(in crate::libp2p) fn peer(&mut self, peer: PeerId) -> Act {
        if self.is_full() {
            return Act::GenerateEvent(Event::DialFailed { peer, error: TOO_MANY.to_owned() });
        }
        self.begin(DialOpts::peer_id(peer).build(), Dialled::Peer)
    }

    /// The same. A point that names its peer is not dialled if the peer is connected already.
    pub(in crate::libp2p) fn point(&mut self, point: Multiaddr) -> Act {
        if self.is_full() {
            return Act::GenerateEvent(Event::Unreachable { point, error: TOO_MANY.to_owned() });
        }
        let opts = match point.iter().last() {
            Some(Protocol::P2p(peer)) => DialOpts::peer_id(peer).addresses(vec![point.clone()]).build(),
            _ => DialOpts::unknown_peer_id().address(point.clone()).build(),
        };
        self.begin(opts, Dialled::Point(point))
    }

    /// Whether a dial of `point` is under way.
    pub(in crate::libp2p) fn has_point(&self, point: &Multiaddr) -> bool {
        let mut pending = self.under_way.values();
        pending.any(|dialled| matches!(dialled, Dialled::Point(pending) if pending == point))
    }

    fn is_full(&self) -> bool {
        self.under_way.len() >= self.most
    }

    fn begin(&mut self, opts: DialOpts, what: Dialled) -> Act {
        self.under_way.insert(opts.connection_id(), what);
        Act::Dial { opts }
    }

    pub(in crate::libp2p) fn succeeded(&mut self, connection: ConnectionId) {
        self.under_way.remove(&connection);
    }

    /// What to tell of it, if the engine wanted that dial.
    pub(in crate::libp2p) fn failed(&mut self, failure: &DialFailure<'_>) -> Option<Event> {
        let what = self.under_way.remove(&failure.connection_id)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_not_dialled_but_told() {
        let point: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let mut dials = Dials::new(2);
        let Act::Dial { opts } = dials.point(point.clone()) else { panic!("there is room") };
        assert!(dials.has_point(&point));
        assert!(matches!(dials.peer(PeerId::random()), Act::Dial { .. }));
        let full = dials.peer(PeerId::random());
        assert!(matches!(full, Act::GenerateEvent(Event::DialFailed { .. })));
        let full = dials.point(point.clone());
        assert!(matches!(full, Act::GenerateEvent(Event::Unreachable { .. })));
        dials.succeeded(opts.connection_id());
        assert!(!dials.has_point(&point));
        assert!(matches!(dials.peer(PeerId::random()), Act::Dial { .. }));
    }
}
