//! The dials that the engine requested and that are in progress. A failure becomes an event that names what the engine
//! asked for.

use std::{collections::HashMap, convert::Infallible};

use ::libp2p::{
    Multiaddr, PeerId,
    core::multiaddr::Protocol,
    swarm::{ConnectionId, DialError, DialFailure, ToSwarm, dial_opts::DialOpts},
};

use super::event::Event;

/// What the behaviour does next.
type Action = ToSwarm<Event, Infallible>;

const TOO_MANY: &str = "too many dials are in progress";

/// What the engine asked to dial.
enum Target {
    Point(Multiaddr),
    Peer,
}

pub(super) struct Dials {
    in_progress: HashMap<ConnectionId, Target>,
    max: usize,
}

impl Dials {
    /// At most `max` dials are in progress at a time, since peer exchange lets others ask for them.
    pub(super) fn new(max: usize) -> Self {
        Self { in_progress: HashMap::new(), max }
    }

    /// Dials a peer at its known addresses, or reports a failure if too many dials are in progress.
    pub(super) fn dial_peer(&mut self, peer: PeerId) -> Action {
        if self.is_full() {
            return Action::GenerateEvent(Event::DialFailed { peer, error: TOO_MANY.to_owned() });
        }
        self.begin(DialOpts::peer_id(peer).build(), Target::Peer)
    }

    /// Dials an address, or reports a failure if too many dials are in progress. The swarm does not dial an address
    /// that names a connected peer.
    pub(super) fn dial_point(&mut self, point: Multiaddr) -> Action {
        if self.is_full() {
            return Action::GenerateEvent(Event::Unreachable { point, error: TOO_MANY.to_owned() });
        }
        let opts = match point.iter().last() {
            Some(Protocol::P2p(peer)) => DialOpts::peer_id(peer).addresses(vec![point.clone()]).build(),
            _ => DialOpts::unknown_peer_id().address(point.clone()).build(),
        };
        self.begin(opts, Target::Point(point))
    }

    /// Whether a dial of `point` is in progress.
    pub(super) fn has_point(&self, point: &Multiaddr) -> bool {
        let mut targets = self.in_progress.values();
        targets.any(|target| matches!(target, Target::Point(dialled) if dialled == point))
    }

    fn is_full(&self) -> bool {
        self.in_progress.len() >= self.max
    }

    fn begin(&mut self, opts: DialOpts, target: Target) -> Action {
        self.in_progress.insert(opts.connection_id(), target);
        Action::Dial { opts }
    }

    pub(super) fn on_established(&mut self, connection: ConnectionId) {
        self.in_progress.remove(&connection);
    }

    /// The event for a failed dial; `None` if the engine did not request it or needs no report.
    pub(super) fn on_failure(&mut self, failure: &DialFailure<'_>) -> Option<Event> {
        let target = self.in_progress.remove(&failure.connection_id)?;
        // The peer is already connected, or another dial is in progress.
        if matches!(failure.error, DialError::DialPeerConditionFalse(_)) {
            return None;
        }
        let error = failure.error.to_string();
        match (target, failure.peer_id) {
            (Target::Point(point), _) => Some(Event::Unreachable { point, error }),
            (Target::Peer, peer) => peer.map(|peer| Event::DialFailed { peer, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_beyond_the_limit_fail_at_once() {
        let point: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let mut dials = Dials::new(2);
        let Action::Dial { opts } = dials.dial_point(point.clone()) else { panic!("there is room") };
        assert!(dials.has_point(&point));
        assert!(matches!(dials.dial_peer(PeerId::random()), Action::Dial { .. }));
        let full = dials.dial_peer(PeerId::random());
        assert!(matches!(full, Action::GenerateEvent(Event::DialFailed { .. })));
        let full = dials.dial_point(point.clone());
        assert!(matches!(full, Action::GenerateEvent(Event::Unreachable { .. })));
        dials.on_established(opts.connection_id());
        assert!(!dials.has_point(&point));
        assert!(matches!(dials.dial_peer(PeerId::random()), Action::Dial { .. }));
    }
}
