//! The dials that the engine requested and that are in progress. A failure becomes an event that names what the engine
//! asked for. Recommended peers (px) have a budget of their own: others ask for these dials.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use ::libp2p::{
    Multiaddr, PeerId,
    core::multiaddr::Protocol,
    swarm::{ConnectionId, DialError, DialFailure, ToSwarm, dial_opts::DialOpts},
};

use super::{config::BehaviourConfig, event::Event};
use crate::{
    libp2p::{network::Libp2pNetwork, state::TransportState},
    network::{ConnectionRefusal, Origin},
};

/// What the behaviour does next.
type Action = ToSwarm<Event, Infallible>;

/// What the engine asked to dial.
enum Target {
    Point(Multiaddr),
    Trusted,
    Recommended,
}

pub(super) struct Dials {
    in_progress: HashMap<ConnectionId, Target>,
    max: usize,
    max_px: usize,
    state: Arc<TransportState>,
}

impl Dials {
    pub(super) fn new(config: &BehaviourConfig, state: &Arc<TransportState>) -> Self {
        let (max, max_px) = (config.max_dials, config.max_px_dials);
        Self { in_progress: HashMap::new(), max, max_px, state: Arc::clone(state) }
    }

    /// Dials a peer at its known addresses, unless too many dials are in progress.
    pub(super) fn dial_peer(&mut self, peer: PeerId, origin: &Origin<Libp2pNetwork>) -> Action {
        let target = match origin {
            Origin::Px(_) if self.px() >= self.max_px => {
                return self.refused(ConnectionRefusal::PxBudget, Some(peer), None);
            }
            Origin::Px(_) => Target::Recommended,
            Origin::Trusted | Origin::Direct if self.is_full() => {
                return self.refused(ConnectionRefusal::DialBudget, Some(peer), None);
            }
            Origin::Trusted => Target::Trusted,
            Origin::Direct => {
                // As those of the direct peers of the configuration.
                self.state.addresses().keep([peer]);
                Target::Trusted
            }
        };
        self.begin(DialOpts::peer_id(peer).build(), target)
    }

    /// Dials an address, unless too many dials are in progress. The swarm does not dial an address that names a
    /// connected peer.
    pub(super) fn dial_point(&mut self, point: Multiaddr) -> Action {
        if self.is_full() {
            return self.refused(ConnectionRefusal::DialBudget, None, Some(point));
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
        self.in_progress.len() - self.px() >= self.max
    }

    /// The dials of recommended peers. The limits on connections know them too.
    fn px(&self) -> usize {
        self.state.px_dials().len()
    }

    fn refused(&self, reason: ConnectionRefusal, peer: Option<PeerId>, point: Option<Multiaddr>) -> Action {
        self.state.refusals().add(reason, point.as_ref(), peer);
        Action::GenerateEvent(Event::DialRefused { peer, point, reason })
    }

    fn begin(&mut self, opts: DialOpts, target: Target) -> Action {
        if matches!(target, Target::Recommended) {
            self.state.px_dials().insert(opts.connection_id());
        }
        self.in_progress.insert(opts.connection_id(), target);
        Action::Dial { opts }
    }

    fn remove(&mut self, connection: ConnectionId) -> Option<Target> {
        self.state.px_dials().remove(&connection);
        self.in_progress.remove(&connection)
    }

    pub(super) fn on_established(&mut self, connection: ConnectionId) {
        self.remove(connection);
    }

    /// The event for a failed dial; `None` if the engine did not request it or needs no report.
    pub(super) fn on_failure(&mut self, failure: &DialFailure<'_>) -> Option<Event> {
        let target = self.remove(failure.connection_id)?;
        let peer = failure.peer_id;
        let refused = match failure.error {
            // The peer is already connected, or another dial is in progress.
            DialError::DialPeerConditionFalse(_) => return None,
            DialError::Denied { cause } => cause.downcast_ref::<ConnectionRefusal>().copied(),
            _ => None,
        };
        let error = failure.error.to_string();
        match (target, refused) {
            (Target::Point(point), Some(reason)) => {
                Some(Event::DialRefused { peer, point: Some(point), reason })
            }
            (_, Some(reason)) => Some(Event::DialRefused { peer, point: None, reason }),
            (Target::Point(point), None) => Some(Event::Unreachable { point, error }),
            (_, None) => peer.map(|peer| Event::DialFailed { peer, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ::libp2p::swarm::ConnectionDenied;

    use super::*;

    fn dials() -> Dials {
        let config = BehaviourConfig::default().with(|c| {
            c.max_dials = 2;
            c.max_px_dials = 1;
        });
        Dials::new(&config, &Arc::new(TransportState::new(false)))
    }

    fn refusal(action: Action) -> Option<ConnectionRefusal> {
        match action {
            Action::GenerateEvent(Event::DialRefused { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn dials_beyond_the_budget_are_refused_and_nothing_is_reported_as_unreachable() {
        let point: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let mut dials = dials();
        let Action::Dial { opts } = dials.dial_point(point.clone()) else { panic!("there is room") };
        assert!(dials.has_point(&point));
        assert_eq!(refusal(dials.dial_peer(PeerId::random(), &Origin::Trusted)), None);
        let full = dials.dial_peer(PeerId::random(), &Origin::Trusted);
        assert_eq!(refusal(full), Some(ConnectionRefusal::DialBudget));
        assert_eq!(refusal(dials.dial_point(point.clone())), Some(ConnectionRefusal::DialBudget));
        assert_eq!(dials.state.stats().refused(ConnectionRefusal::DialBudget), 2);
        dials.on_established(opts.connection_id());
        assert!(!dials.has_point(&point));
        assert_eq!(refusal(dials.dial_point(point)), None);
    }

    #[test]
    fn recommended_peers_use_a_budget_of_their_own() {
        let (mut dials, from) = (dials(), Origin::Px(PeerId::random()));
        let Action::Dial { opts } = dials.dial_peer(PeerId::random(), &from) else { panic!("there is room") };
        for _ in 0..100 {
            let full = dials.dial_peer(PeerId::random(), &from);
            assert_eq!(refusal(full), Some(ConnectionRefusal::PxBudget));
        }
        for _ in 0..2 {
            assert_eq!(refusal(dials.dial_peer(PeerId::random(), &Origin::Trusted)), None);
        }
        dials.on_established(opts.connection_id());
        assert_eq!(refusal(dials.dial_peer(PeerId::random(), &from)), None);
    }

    #[test]
    fn a_point_that_a_limit_keeps_us_from_dialling_is_not_unreachable() {
        let point: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        for (error, unreachable) in [
            (DialError::Denied { cause: ConnectionDenied::new(ConnectionRefusal::Connections) }, false),
            (DialError::NoAddresses, true),
        ] {
            let mut dials = dials();
            let Action::Dial { opts } = dials.dial_point(point.clone()) else { panic!("there is room") };
            let failure = DialFailure { peer_id: None, error: &error, connection_id: opts.connection_id() };
            let event = dials.on_failure(&failure).unwrap();
            assert_eq!(matches!(event, Event::Unreachable { .. }), unreachable, "{event:?}");
        }
    }
}
