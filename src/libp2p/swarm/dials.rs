//! The dials that the engine requested and that are in progress. A failure becomes an event that names what the engine
//! asked for. Recommended peers (px) have a budget of their own, in number and in time: others ask for these dials.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use ::libp2p::{
    Multiaddr, PeerId,
    core::multiaddr::Protocol,
    swarm::{ConnectionId, DialError, DialFailure, ToSwarm, dial_opts::DialOpts},
};

use super::{config::BehaviourConfig, event::Event};
use crate::{
    libp2p::{
        network::Libp2pNetwork,
        state::{TransportState, address_filter::AddressFilter},
    },
    network::{ConnectionRefusal, Origin, PeerRecordOutcome, PxDialOutcome},
};

/// The next action of the behaviour.
type Action = ToSwarm<Event, Infallible>;

/// The kind of a dial that the engine requested.
enum Target {
    Point(Multiaddr),
    Trusted,
    Recommended,
}

pub(super) struct Dials {
    in_progress: HashMap<ConnectionId, Target>,
    max: usize,
    max_px: usize,
    px_rate: PxRate,
    addresses: AddressFilter,
    state: Arc<TransportState>,
}

/// The recommended peers that may still be dialled in this minute.
struct PxRate {
    max: usize,
    left: usize,
    /// When the minute began.
    since: Instant,
}

const MINUTE: Duration = Duration::from_secs(60);

impl PxRate {
    fn try_take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            (self.left, self.since) = (self.max, now);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Dials {
    pub(super) fn new(config: &BehaviourConfig, state: &Arc<TransportState>) -> Self {
        let (max, max_px, a_minute) = (config.max_dials, config.max_px_dials, config.max_px_dials_per_minute);
        let px_rate = PxRate { max: a_minute, left: a_minute, since: Instant::now() };
        let (addresses, state) = (config.addresses, Arc::clone(state));
        Self { in_progress: HashMap::new(), max, max_px, px_rate, addresses, state }
    }

    /// Dials a peer at its known addresses, unless too many dials are in progress. `record`: what came with a recommended
    /// peer.
    pub(super) fn dial_peer(
        &mut self,
        peer: PeerId,
        origin: &Origin<Libp2pNetwork>,
        record: Option<&[u8]>,
        now: Instant,
    ) -> Option<Action> {
        match origin {
            Origin::Px(_) => return self.dial_recommended(peer, record, now),
            Origin::Trusted | Origin::Direct if self.is_full() => {
                return Some(self.refused(ConnectionRefusal::DialBudget, Some(peer), None));
            }
            Origin::Trusted => {}
            // As those of the direct peers of the configuration.
            Origin::Direct => self.state.addresses().keep([peer]),
        }
        Some(self.begin(DialOpts::peer_id(peer).build(), Target::Trusted))
    }

    /// Dials a recommended peer. The budget is checked before the record is verified, so that a PRUNE makes this node verify
    /// only the records of peers that it dials.
    fn dial_recommended(&mut self, peer: PeerId, record: Option<&[u8]>, now: Instant) -> Option<Action> {
        if self.px() >= self.max_px {
            return Some(self.refuse_recommended(ConnectionRefusal::PxBudget, peer));
        }
        if !self.px_rate.try_take(now) {
            return Some(self.refuse_recommended(ConnectionRefusal::PxRate, peer));
        }
        let stored = record.map(|record| self.state.add_px_record(peer, record, self.addresses));
        if !matches!(stored, None | Some(PeerRecordOutcome::Stored | PeerRecordOutcome::NotNewer)) {
            self.state.count_px_dial(PxDialOutcome::BadRecord);
            return None;
        }
        Some(self.begin(DialOpts::peer_id(peer).build(), Target::Recommended))
    }

    fn refuse_recommended(&self, reason: ConnectionRefusal, peer: PeerId) -> Action {
        self.state.count_px_dial(PxDialOutcome::Refused);
        self.refused(reason, Some(peer), None)
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
        if let Some(Target::Recommended) = self.remove(connection) {
            self.state.count_px_dial(PxDialOutcome::Connected);
        }
    }

    /// The event for a failed dial; `None` if the engine did not request it or needs no report.
    pub(super) fn on_failure(&mut self, failure: &DialFailure<'_>) -> Option<Event> {
        let target = self.remove(failure.connection_id)?;
        if matches!(target, Target::Recommended) {
            self.state.count_px_dial(outcome_of(failure.error));
        }
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

/// The outcome of a failed dial for a recommended peer.
fn outcome_of(error: &DialError) -> PxDialOutcome {
    match error {
        DialError::DialPeerConditionFalse(_) => PxDialOutcome::Redundant,
        DialError::NoAddresses => PxDialOutcome::NoAddress,
        DialError::Denied { .. } => PxDialOutcome::Refused,
        _ => PxDialOutcome::Failed,
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
            c.max_px_dials_per_minute = 3;
        });
        Dials::new(&config, &Arc::new(TransportState::new(false)))
    }

    fn dial(dials: &mut Dials, origin: &Origin<Libp2pNetwork>) -> Action {
        dials.dial_peer(PeerId::random(), origin, None, Instant::now()).unwrap()
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
        assert_eq!(refusal(dial(&mut dials, &Origin::Trusted)), None);
        let full = dial(&mut dials, &Origin::Trusted);
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
        let Action::Dial { opts } = dial(&mut dials, &from) else { panic!("there is room") };
        for _ in 0..100 {
            let full = dial(&mut dials, &from);
            assert_eq!(refusal(full), Some(ConnectionRefusal::PxBudget));
        }
        for _ in 0..2 {
            assert_eq!(refusal(dial(&mut dials, &Origin::Trusted)), None);
        }
        dials.on_established(opts.connection_id());
        assert_eq!(refusal(dial(&mut dials, &from)), None);
        let count = |outcome| dials.state.stats().px_dials(outcome);
        assert_eq!((count(PxDialOutcome::Connected), count(PxDialOutcome::Refused)), (1, 100));
    }

    #[test]
    fn recommended_peers_are_dialled_at_most_so_many_times_in_a_minute() {
        let (mut dials, from, start) = (dials(), Origin::Px(PeerId::random()), Instant::now());
        for (seconds, dialled) in [(0, 3), (59, 0), (61, 3), (62, 0), (500, 3)] {
            let now = start + Duration::from_secs(seconds);
            for nth in 0..5 {
                let action = dials.dial_peer(PeerId::random(), &from, None, now).unwrap();
                assert_eq!(matches!(action, Action::Dial { .. }), nth < dialled, "{seconds} s, {nth}");
                match action {
                    Action::Dial { opts } => dials.on_established(opts.connection_id()),
                    action => assert_eq!(refusal(action), Some(ConnectionRefusal::PxRate)),
                }
            }
        }
        // 25 attempts, 9 dials.
        assert_eq!(dials.state.stats().px_dials(PxDialOutcome::Connected), 9);
        assert_eq!(dials.state.stats().refused(ConnectionRefusal::PxRate), 16);
    }

    #[test]
    fn a_recommended_peer_with_a_record_of_another_peer_is_not_dialled() {
        let (mut dials, from) = (dials(), Origin::Px(PeerId::random()));
        let key = ::libp2p::identity::Keypair::generate_ed25519();
        let address = "/ip4/8.8.8.8/tcp/4001".parse().unwrap();
        let record = ::libp2p::core::PeerRecord::new_interop(&key, vec![address]).unwrap();
        let record = record.into_signed_envelope().into_protobuf_encoding();
        let other = dials.dial_peer(PeerId::random(), &from, Some(&record), Instant::now());
        assert!(other.is_none());
        let signer = key.public().to_peer_id();
        let own = dials.dial_peer(signer, &from, Some(&record), Instant::now());
        assert!(matches!(own, Some(Action::Dial { .. })));
        let stats = dials.state.stats();
        assert_eq!(stats.px_dials(PxDialOutcome::BadRecord), 1);
        assert_eq!(stats.peer_records(PeerRecordOutcome::OtherPeer), 1);
        assert_eq!(stats.peer_records(PeerRecordOutcome::Stored), 1);
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
