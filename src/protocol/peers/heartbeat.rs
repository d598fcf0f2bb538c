//! The heartbeat on the peers' side, in phases: refresh scores; all topics maintain their meshes; their changes go into
//! the scores; all topics send prunes and gossip; disconnect peers with a low score; dial lost ones. A budget limits the topics handled at once, so that
//! other inputs are handled between them.

use std::{
    collections::{BTreeSet, HashSet},
    vec,
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::{Connection, Peers};
use crate::{
    network::{Network, Origin, P2pMessage, P2pOutput},
    protocol::{
        exchange::{command::TopicCommand, event::Maintenance},
        outcome::reason::Penalty,
        output::pending::PendingOutput,
    },
    timestamp::Timestamp,
};

/// How much of a heartbeat is done at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatBudget {
    /// The number of topics whose scores are refreshed in one step.
    pub(crate) refresh_step: usize,
    /// The maximum number of topics that have a heartbeat command and have not finished it.
    pub(crate) max_in_flight: usize,
}

impl HeartbeatBudget {
    /// No limit: the heartbeat is done in one step.
    pub(crate) const UNLIMITED: Self = Self { refresh_step: usize::MAX, max_in_flight: usize::MAX };
}

/// A heartbeat in progress.
#[derive_where(Debug)]
pub(in crate::protocol) struct HeartbeatRound<N: Network> {
    phase: Phase,
    /// The topics that have not been sent the command of this phase.
    pending: vec::IntoIter<N::Topic>,
    /// The topics that have the command and have not finished it.
    in_flight: HashSet<N::Topic, RandomState>,
    /// The topics that finished the first phase.
    maintained: Vec<N::Topic>,
    /// The results of the first phase that are not empty.
    reports: Vec<(N::Topic, Maintenance<N>)>,
    /// Broken promises are not penalised, because this node refused inputs while it was overloaded.
    overloaded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Scores are refreshed.
    Refresh,
    /// Topics maintain their meshes.
    Maintain,
    /// Topics send prunes and gossip.
    Emit,
}

impl<N: Network> Peers<N> {
    /// Sets the budget of the heartbeats that begin from now on.
    pub(crate) fn set_heartbeat_budget(&mut self, budget: HeartbeatBudget) {
        self.heartbeat_budget = budget;
    }

    /// Starts a heartbeat over `topics`, the active ones. The caller, who owns the quotas of peers, resets them. If the node is
    /// `overloaded`, broken promises are not penalised.
    pub(crate) fn begin_heartbeat(&mut self, topics: Vec<N::Topic>, overloaded: bool, now: Timestamp) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(self.limits.score_cleanup_ticks) {
            self.scores.begin_refresh(now);
        }
        if self.ticks.is_multiple_of(self.limits.heartbeat_ping_interval) {
            self.ping_all();
        }
        if self.ticks.is_multiple_of(self.limits.backoff_cleanup_ticks) {
            self.passive_backoffs.cleanup(&self.limits, now);
        }
        self.round = Some(HeartbeatRound {
            phase: Phase::Refresh,
            pending: topics.into_iter(),
            in_flight: HashSet::default(),
            maintained: Vec::new(),
            reports: Vec::new(),
            overloaded,
        });
        self.advance(now);
    }

    /// The number of the current heartbeat.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks
    }

    /// Whether a heartbeat is in progress.
    pub(crate) fn in_heartbeat(&self) -> bool {
        self.round.is_some()
    }

    /// Whether more of the heartbeat can be done now. The caller yields to other tasks and then calls
    /// [`advance`](Self::advance).
    pub(crate) fn has_more(&self) -> bool {
        let pending = |round: &HeartbeatRound<N>| {
            round.pending.len() > 0 && round.in_flight.len() < self.heartbeat_budget.max_in_flight
        };
        self.round.as_ref().is_some_and(|round| round.phase == Phase::Refresh || pending(round))
    }

    /// Continues the heartbeat as far as the budget allows.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let Some(mut round) = self.round.take() else { return };
        if round.phase == Phase::Refresh {
            if !self.scores.refresh(self.heartbeat_budget.refresh_step) {
                self.round = Some(round);
                return;
            }
            round.phase = Phase::Maintain;
        }
        self.dispatch_heartbeat(&mut round);
        if round.is_done() && round.phase == Phase::Maintain {
            self.begin_second_phase(&mut round, now);
            self.dispatch_heartbeat(&mut round);
            self.disconnect_low_scores();
            self.reconnect();
        }
        self.round = Some(round).filter(|round| !round.is_done());
    }

    /// Sends the command of the phase to topics, as many as the budget allows.
    fn dispatch_heartbeat(&mut self, round: &mut HeartbeatRound<N>) {
        while round.in_flight.len() < self.heartbeat_budget.max_in_flight
            && let Some(topic) = round.pending.next()
        {
            let command = match round.phase {
                Phase::Emit => TopicCommand::FinishHeartbeat,
                _ => TopicCommand::StartHeartbeat(self.ticks),
            };
            self.outbox.commands.push((topic.clone(), command));
            round.in_flight.insert(topic);
        }
    }

    /// Applies the results of the first phase to the scores, and starts the second phase.
    fn begin_second_phase(&mut self, round: &mut HeartbeatRound<N>, now: Timestamp) {
        for (topic, maintenance) in round.reports.drain(..) {
            for pruned in &maintenance.pruned {
                self.pruned(&pruned.peer, pruned.connection_id, &topic);
            }
            for grafted in &maintenance.grafted {
                self.grafted(&grafted.peer, grafted.connection_id, &topic, now);
            }
            for peer in maintenance.broken.iter().filter(|_| !round.overloaded) {
                self.scores.penalise(peer, 1.0);
                self.count_penalty(Penalty::BrokenPromise, true);
            }
        }
        round.phase = Phase::Emit;
        round.pending = std::mem::take(&mut round.maintained).into_iter();
    }

    /// A topic finished the first phase.
    pub(super) fn on_mesh_maintained(
        &mut self,
        topic: &N::Topic,
        maintenance: Maintenance<N>,
        now: Timestamp,
    ) {
        let Some(round) = self.round.as_mut().filter(|round| round.phase == Phase::Maintain) else { return };
        if round.in_flight.remove(topic) {
            round.maintained.push(topic.clone());
            if !maintenance.is_empty() {
                round.reports.push((topic.clone(), maintenance));
            }
            self.advance_if_done(now);
        }
    }

    /// A topic finished the second phase.
    pub(super) fn on_finished(&mut self, topic: &N::Topic, now: Timestamp) {
        let Some(round) = self.round.as_mut().filter(|round| round.phase == Phase::Emit) else { return };
        if round.in_flight.remove(topic) {
            self.advance_if_done(now);
        }
    }

    fn advance_if_done(&mut self, now: Timestamp) {
        if self.round.as_ref().is_some_and(HeartbeatRound::is_done) {
            self.advance(now);
        }
    }

    /// A topic lost its state. Commands in flight to it get no reply.
    pub(crate) fn topic_lost(&mut self, topic: &N::Topic, now: Timestamp) {
        self.scores.clear_mesh(topic);
        self.cancel_dispatch(topic);
        if self.round.as_mut().is_some_and(|round| round.in_flight.remove(topic)) {
            self.advance_if_done(now);
        }
    }

    fn ping_all(&mut self) {
        let ping = |connection: &Connection<N>| PendingOutput::Message {
            to: connection.connection_id,
            message: P2pMessage::Ping,
        };
        self.outbox.p2p.extend(self.connections.values().map(ping));
    }

    /// Dials lost trusted peers and persistent points whose delay has passed.
    fn reconnect(&mut self) {
        let bounds = &self.limits.bounds;
        if self.ticks.is_multiple_of(bounds.reconnect_interval_ticks) {
            let is_lost = |peer: &&N::Peer| !self.connections.contains_key(*peer) && self.may_contact(peer);
            let trusted = self.trusted.iter().map(|peer| (peer, Origin::Trusted));
            let lost = trusted.chain(self.kept_direct().map(|peer| (peer, Origin::Direct)));
            let dial = |(peer, origin): (&N::Peer, _)| {
                PendingOutput::from(P2pOutput::Connect { peer: peer.clone(), origin, record: None })
            };
            let mut dials: Vec<_> = lost.filter(|(peer, _)| is_lost(peer)).map(dial).collect();
            let points: BTreeSet<_> = self.network.persistent_points().into_iter().collect();
            let points = points.into_iter().filter(|point| self.unreachable.is_due(point, self.ticks));
            dials.extend(points.map(|point| PendingOutput::from(P2pOutput::ConnectPoint { point })));
            self.outbox.p2p.extend(dials);
        }
        if self.ticks.is_multiple_of(bounds.unreachable_reset_ticks) {
            self.unreachable.clear();
        }
    }

    /// Whether the point of a peer may be dialled.
    pub(super) fn may_contact(&self, peer: &N::Peer) -> bool {
        let point = self.network.reachable_point(peer);
        point.is_none_or(|point| self.unreachable.is_due(&point, self.ticks))
    }
}

impl<N: Network> HeartbeatRound<N> {
    /// Whether all topics finished the current phase.
    fn is_done(&self) -> bool {
        self.in_flight.is_empty() && self.pending.len() == 0
    }
}
