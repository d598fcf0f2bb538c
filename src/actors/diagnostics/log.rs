//! The outcomes of inputs as `tracing` events: one line each, with topic, peer, outcome, reason and score. Outcomes that an
//! operator looks for are at `debug`, actions on peers with low scores at `info`, all others at `trace`. Lines are formatted
//! only for a subscriber.

use std::time::Duration;

use tracing::{debug, field, info, trace, warn};

use crate::{
    network::{Direction, Network, PeerKind},
    protocol::{
        exchange::{
            event::{GraftedPeer, PrunedPeer, TopicEvent},
            peer_view::PeerStatus,
        },
        outcome::{
            GraftOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, JoinOutcome,
            LeaveOutcome, PruneOutcome, PublishOutcome, ReceiveOutcome, SubscribeOutcome, UnsubscribeOutcome,
            reason::{GraftReason, Penalty, ScoreAction},
        },
        topic::TopicState,
    },
    timestamp::Timestamp,
};

/// Logs the inputs of a peer, with its status.
pub(in crate::actors) struct PeerLog<'a, N: Network> {
    pub(in crate::actors) peer: &'a N::Peer,
    pub(in crate::actors) status: PeerStatus,
}

/// The backoff and the mesh size on which the outcome of a GRAFT depends, read before they change.
#[derive(Clone, Copy, Default)]
pub(in crate::actors) struct BeforeGraft {
    backoff_left: Option<Duration>,
    mesh: usize,
}

impl BeforeGraft {
    /// Empty without a subscriber at `debug`, and for a passive topic.
    pub(in crate::actors) fn of<N: Network>(
        state: Option<&TopicState<N>>,
        peer: &N::Peer,
        now: Timestamp,
    ) -> Self {
        match state.filter(|_| tracing::enabled!(tracing::Level::DEBUG)) {
            Some(state) => Self { backoff_left: state.backoff_left(peer, now), mesh: state.mesh_size() },
            None => Self::default(),
        }
    }
}

impl<N: Network> PeerLog<'_, N> {
    /// Logs a GRAFT. The line of a refused one has the reason, the value that was checked and its bound.
    pub(in crate::actors) fn graft(
        &self,
        topic: &N::Topic,
        outcome: GraftOutcome,
        before: BeforeGraft,
        degree_high: usize,
    ) {
        let (peer, score) = (self.peer, self.status.score);
        let outcome_name = outcome.name();
        if outcome == GraftOutcome::Grafted {
            debug!(?peer, ?topic, outcome = outcome_name, score, "graft accepted");
            return;
        }
        let when = |that: GraftOutcome| outcome == that;
        debug!(
            ?peer,
            ?topic,
            outcome = outcome_name,
            reason = outcome.explanation(),
            score,
            threshold = when(GraftOutcome::NegativeScore).then_some(0.0),
            backoff_left = before.backoff_left.filter(|_| when(GraftOutcome::BackedOff)).map(field::debug),
            mesh = when(GraftOutcome::MeshFull).then_some(before.mesh),
            degree_high = when(GraftOutcome::MeshFull).then_some(degree_high),
            "graft refused"
        );
    }

    /// Logs a PRUNE. The outcome is `None` if the supervisor decides about its px.
    pub(in crate::actors) fn prune(&self, topic: &N::Topic, outcome: Option<&PruneOutcome<N>>) {
        let (peer, score) = (self.peer, self.status.score);
        let outcome = outcome.map_or("pruned", PruneOutcome::name);
        debug!(?peer, ?topic, outcome, score, "prune received");
    }

    pub(in crate::actors) fn subscribe(&self, topic: &N::Topic, outcome: SubscribeOutcome) {
        let (peer, name) = (self.peer, outcome.name());
        match outcome {
            SubscribeOutcome::Subscribed => trace!(?peer, ?topic, outcome = name, "subscription"),
            SubscribeOutcome::Grafted => {
                let reason = GraftReason::RemoteSubscribe.name();
                debug!(?peer, ?topic, reason, score = self.status.score, "grafted");
            }
            SubscribeOutcome::UnknownPeer
            | SubscribeOutcome::TopicLimitExceeded
            | SubscribeOutcome::Filtered
            | SubscribeOutcome::Graylisted => {
                debug!(?peer, ?topic, outcome = name, "subscription refused");
            }
        }
    }

    pub(in crate::actors) fn unsubscribe(&self, topic: &N::Topic, outcome: UnsubscribeOutcome) {
        trace!(peer = ?self.peer, ?topic, outcome = outcome.name(), "unsubscription");
    }

    pub(in crate::actors) fn ihave(&self, topic: &N::Topic, outcome: &IHaveOutcome<N>) {
        let (peer, score, name) = (self.peer, self.status.score, outcome.name());
        match outcome {
            IHaveOutcome::Requested { ids } => {
                trace!(?peer, ?topic, outcome = name, requested = ids.len(), "ihave");
            }
            IHaveOutcome::LowScore { threshold, .. } => {
                debug!(?peer, ?topic, outcome = name, score, threshold, "ihave ignored");
            }
            IHaveOutcome::TooManyIHaves { count, max } | IHaveOutcome::TooManyIWants { count, max } => {
                debug!(?peer, ?topic, outcome = name, score, count, max, "ihave ignored");
            }
            IHaveOutcome::TopicNotTracked
            | IHaveOutcome::FloodsubPeer
            | IHaveOutcome::InvalidId
            | IHaveOutcome::Graylisted => {
                debug!(?peer, ?topic, outcome = name, score, "ihave ignored");
            }
        }
    }

    pub(in crate::actors) fn iwant(&self, topic: &N::Topic, outcome: &IWantOutcome<N>) {
        let (peer, score, name) = (self.peer, self.status.score, outcome.name());
        match outcome {
            IWantOutcome::Answered { ids } => {
                let sent = || ids.values().filter(|answer| matches!(answer, IWantAnswer::Message(_))).count();
                trace!(?peer, ?topic, outcome = name, requested = ids.len(), sent = sent(), "iwant");
            }
            IWantOutcome::LowScore { threshold, .. } => {
                debug!(?peer, ?topic, outcome = name, score, threshold, "iwant ignored");
            }
            IWantOutcome::Graylisted => debug!(?peer, ?topic, outcome = name, score, "iwant ignored"),
        }
    }

    pub(in crate::actors) fn idontwant(&self, ids: usize, outcome: IDontWantOutcome) {
        let (peer, score, name) = (self.peer, self.status.score, outcome.name());
        match outcome {
            IDontWantOutcome::Recorded { .. } => trace!(?peer, outcome = name, ids, "idontwant"),
            IDontWantOutcome::LowScore { threshold, .. } => {
                debug!(?peer, outcome = name, score, threshold, "idontwant ignored");
            }
            IDontWantOutcome::TooMany { ignored, max } => {
                debug!(?peer, outcome = name, score, ids, ignored, max, "idontwant ignored");
            }
            IDontWantOutcome::SwitchedOff | IDontWantOutcome::UnknownPeer | IDontWantOutcome::Graylisted => {
                trace!(?peer, outcome = name, ids, "idontwant ignored");
            }
        }
    }
}

/// Logs a full message, at `trace` because they are many. The penalties that they cause have lines of their own.
#[inline]
pub(in crate::actors) fn wants_messages() -> bool {
    tracing::enabled!(tracing::Level::TRACE)
}

pub(in crate::actors) fn message<N: Network>(peer: &N::Peer, topic: &N::Topic, outcome: &ReceiveOutcome<N>) {
    trace!(?peer, ?topic, outcome = outcome.name(), "message");
}

// === Inputs of the application ===

pub(in crate::actors) fn join<N: Network>(topic: &N::Topic, outcome: &JoinOutcome<N>) {
    let grafted = match outcome {
        JoinOutcome::Joined { to_graft } => to_graft.len(),
        JoinOutcome::AlreadyJoined => 0,
    };
    debug!(?topic, outcome = outcome.name(), grafted, "join");
}

/// Warns of a joined topic that has only the default parameters of the score, while others have their own: the parameters
/// may belong to a name that is misspelt or old.
pub(in crate::actors) fn unscored_topic(topic: &impl std::fmt::Debug) {
    warn!(?topic, "the topic has no score parameters of its own, while others have some");
}

pub(in crate::actors) fn leave<N: Network>(topic: &N::Topic, outcome: &LeaveOutcome<N>) {
    let pruned = match outcome {
        LeaveOutcome::Left { to_prune, .. } => to_prune.len(),
        LeaveOutcome::NotJoined => 0,
    };
    debug!(?topic, outcome = outcome.name(), pruned, "leave");
}

pub(in crate::actors) fn publish<N: Network>(topic: &N::Topic, outcome: &PublishOutcome<N>) {
    match outcome {
        PublishOutcome::Published { to } => {
            trace!(?topic, outcome = outcome.name(), peers = to.len(), "publish");
        }
        PublishOutcome::AlreadyPublished | PublishOutcome::TooLarge | PublishOutcome::Outdated => {
            debug!(?topic, outcome = outcome.name(), "publish refused")
        }
        PublishOutcome::TooFewPeers { peers } => {
            debug!(?topic, outcome = outcome.name(), peers, "publish refused");
        }
    }
}

// === The supervisor ===

/// Logs a connection of this kind, and whether it carries floodsub, or a disconnection.
pub(in crate::actors) fn connection(
    peer: &impl std::fmt::Debug,
    outcome: &'static str,
    kind: Option<(Direction, PeerKind, bool)>,
) {
    match kind {
        Some((direction, PeerKind { direct, trusted, bootstrap }, floodsub)) => {
            let outbound = direction.is_outbound();
            debug!(?peer, outcome, direct, outbound, trusted, bootstrap, floodsub, "connection");
        }
        None => debug!(?peer, outcome, "disconnection"),
    }
}

/// Logs that the application has changed the limits.
pub(in crate::actors) fn limits_changed() {
    info!("the limits have changed");
}

/// Logs that the application decided whether a peer is a direct peer.
pub(in crate::actors) fn direct_decided(peer: &impl std::fmt::Debug, direct: bool) {
    debug!(?peer, direct, "direct peer decided");
}

/// Logs a violation of the protocol. `score` is that before the penalty.
pub(in crate::actors) fn protocol_violation(peer: &impl std::fmt::Debug, score: Option<f64>) {
    debug!(?peer, reason = Penalty::ProtocolViolation.name(), score, "penalised (P7)");
}

/// Logs what was done about a peer because of its score.
pub(in crate::actors) fn score_action(peer: &impl std::fmt::Debug, action: ScoreAction, score: Option<f64>) {
    info!(?peer, action = action.name(), score, "action on a score");
}

/// Logs the mesh changes of a heartbeat, and penalties. `score` returns the score of a peer before the event.
pub(in crate::actors) fn topic_event<N: Network>(
    topic: &N::Topic,
    event: &TopicEvent<N>,
    score: impl Fn(&N::Peer) -> Option<f64>,
) {
    match event {
        TopicEvent::Maintained(maintenance) => {
            for GraftedPeer { peer, reason, .. } in &maintenance.grafted {
                debug!(?peer, ?topic, reason = reason.name(), score = score(peer), "grafted");
            }
            for PrunedPeer { peer, reason, .. } in &maintenance.pruned {
                debug!(?peer, ?topic, reason = reason.name(), score = score(peer), "pruned");
            }
            for peer in &maintenance.broken {
                let reason = Penalty::BrokenPromise.name();
                debug!(?peer, ?topic, reason, score = score(peer), "penalised (P7)");
            }
        }
        TopicEvent::Misbehaved(peer, count) => {
            let reason = Penalty::GraftBackoff.name();
            debug!(?peer, ?topic, reason, count, score = score(peer), "penalised (P7)");
        }
        TopicEvent::ProtocolViolation(peer) => protocol_violation(peer, score(peer)),
        TopicEvent::InvalidMessage(peer) => {
            let reason = Penalty::InvalidMessage.name();
            debug!(?peer, ?topic, reason, score = score(peer), "penalised (P4)");
        }
        _ => {}
    }
}
