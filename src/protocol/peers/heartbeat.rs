//! A heartbeat on the peers' side: scores are refreshed, topics maintain their meshes, their changes
//! go into the scores, topics tell their peers, lost peers are dialled. Goes on by a few topics at a time, so that
//! what comes meanwhile need not wait for all of it. Starts no timer.

use std::{
    collections::{BTreeSet, HashSet},
    vec,
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use super::Peers;
use crate::{
    network::{Network, Origin, P2pMessage, P2pOutput},
    protocol::{
        exchange::{command::TopicCommand, event::Maintenance},
        outcome::counters::Penalty,
        output::pending::PendingOutput,
    },
    timestamp::Timestamp,
};

/// How much of a heartbeat is done in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatBudget {
    /// Topics whose scores are refreshed at once.
    pub(crate) refreshed: usize,
    /// Topics that are told to do their part and have not done it.
    pub(crate) told: usize,
}

impl HeartbeatBudget {
    /// All of it.
    pub(crate) const WHOLE: Self = Self { refreshed: usize::MAX, told: usize::MAX };
}

/// A heartbeat under way.
#[derive_where(Debug)]
pub(in crate::protocol) struct HeartbeatRound<N: Network> {
    half: Phase,
    /// The topics that are not told yet to do this half.
    untold: vec::IntoIter<N::Topic>,
    /// Those that are told, and have not done it.
    awaited: HashSet<N::Topic, RandomState>,
    /// Those that did the first half.
    maintained: Vec<N::Topic>,
    /// What the first half changed, where it changed something.
    reports: Vec<(N::Topic, Maintenance<N>)>,
    /// What we were promised may have come, and found no room.
    overloaded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Before both: scores are refreshed.
    Refresh,
    Maintain,
    Conclude,
}

impl<N: Network> Peers<N> {
    /// Begins a heartbeat over `topics`. The peers' quotas are to be reset by the caller, who keeps
    /// them. While we are `overloaded`, and refuse what we asked for, nobody is to blame for what did not come.
    pub(crate) fn begin_heartbeat(&mut self, topics: Vec<N::Topic>, overloaded: bool, now: Timestamp) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(self.limits.score_cleanup_ticks) {
            self.scores.begin_refresh(now);
        }
        if self.ticks.is_multiple_of(self.limits.heartbeat_ping_interval) {
            self.ping_all();
        }
        self.round = Some(HeartbeatRound {
            half: Phase::Refresh,
            untold: topics.into_iter(),
            awaited: HashSet::default(),
            maintained: Vec::new(),
            reports: Vec::new(),
            overloaded,
        });
        self.go_on(now);
    }

    /// The number of the present heartbeat.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks
    }

    /// Whether a heartbeat is under way.
    pub(crate) fn in_heartbeat(&self) -> bool {
        self.round.is_some()
    }

    /// Whether more of the heartbeat can be done now: whoever runs this calls [`go_on`](Self::go_on) when it has
    /// let others run.
    pub(crate) fn can_go_on(&self) -> bool {
        let untold =
            |round: &HeartbeatRound<N>| round.untold.len() > 0 && round.awaited.len() < self.pace.told;
        self.round.as_ref().is_some_and(|round| round.half == Phase::Refresh || untold(round))
    }

    /// Goes on with the heartbeat as far as the pace allows.
    pub(crate) fn go_on(&mut self, now: Timestamp) {
        let Some(mut round) = self.round.take() else { return };
        if round.half == Phase::Refresh {
            if !self.scores.refresh(self.pace.refreshed) {
                self.round = Some(round);
                return;
            }
            round.half = Phase::Maintain;
        }
        self.tell(&mut round);
        if round.is_done() && round.half == Phase::Maintain {
            self.enter(&mut round, now);
            self.tell(&mut round);
            self.reconnect();
        }
        self.round = Some(round).filter(|round| !round.is_done());
    }

    /// Tells topics to do their part, as many as the pace allows.
    fn tell(&mut self, round: &mut HeartbeatRound<N>) {
        while round.awaited.len() < self.pace.told
            && let Some(topic) = round.untold.next()
        {
            let order = match round.half {
                Phase::Conclude => TopicCommand::FinishHeartbeat,
                _ => TopicCommand::StartHeartbeat(self.ticks),
            };
            self.outbox.orders.push((topic.clone(), order));
            round.awaited.insert(topic);
        }
    }

    /// All did their first half: what it changed goes into the scores, and the second half begins.
    fn enter(&mut self, round: &mut HeartbeatRound<N>, now: Timestamp) {
        for (topic, maintenance) in round.reports.drain(..) {
            for pruned in &maintenance.pruned {
                self.pruned(&pruned.peer, pruned.connection_id, &topic);
            }
            for (peer, connection_id) in &maintenance.grafted {
                self.grafted(peer, *connection_id, &topic, now);
            }
            for peer in maintenance.broken.iter().filter(|_| !round.overloaded) {
                self.scores.penalise(peer, 1.0);
                self.count_penalty(Penalty::BrokenPromise, true);
            }
        }
        round.half = Phase::Conclude;
        round.untold = std::mem::take(&mut round.maintained).into_iter();
    }

    /// A topic did its first half.
    pub(super) fn maintained(&mut self, topic: &N::Topic, maintenance: Maintenance<N>, now: Timestamp) {
        let Some(round) = self.round.as_mut().filter(|round| round.half == Phase::Maintain) else { return };
        if round.awaited.remove(topic) {
            round.maintained.push(topic.clone());
            if !maintenance.is_empty() {
                round.reports.push((topic.clone(), maintenance));
            }
            self.go_on_if_done(now);
        }
    }

    /// A topic did its second half.
    pub(super) fn concluded(&mut self, topic: &N::Topic, now: Timestamp) {
        let Some(round) = self.round.as_mut().filter(|round| round.half == Phase::Conclude) else { return };
        if round.awaited.remove(topic) {
            self.go_on_if_done(now);
        }
    }

    fn go_on_if_done(&mut self, now: Timestamp) {
        if self.round.as_ref().is_some_and(HeartbeatRound::is_done) {
            self.go_on(now);
        }
    }

    /// A topic lost its state: nobody waits for what it was doing.
    pub(crate) fn topic_lost(&mut self, topic: &N::Topic, now: Timestamp) {
        self.scores.clear_mesh(topic);
        self.abandon_dispatch(topic);
        if self.round.as_mut().is_some_and(|round| round.awaited.remove(topic)) {
            self.go_on_if_done(now);
        }
    }

    fn ping_all(&mut self) {
        let ping =
            |peer: &N::Peer| P2pOutput::OutMessage { to_peer: peer.clone(), message: P2pMessage::Ping };
        self.outbox.p2p.extend(self.connections.keys().map(ping).map(PendingOutput::from));
    }

    /// Dials lost trusted peers and persistent points that may be tried.
    fn reconnect(&mut self) {
        let bounds = &self.limits.bounds;
        if self.ticks.is_multiple_of(bounds.reconnect_interval_ticks) {
            let lost = self.trusted.iter().filter(|peer| !self.connections.contains_key(peer));
            let peers = lost.filter(|peer| self.may_contact(peer)).cloned();
            let dial = |peer| PendingOutput::from(P2pOutput::Connect { peer, origin: Origin::Trusted });
            let mut dials: Vec<_> = peers.map(dial).collect();
            let points: BTreeSet<_> = self.network.persistent_points().into_iter().collect();
            let points = points.into_iter().filter(|point| self.unreachable.may_try(point, self.ticks));
            dials.extend(points.map(|point| PendingOutput::from(P2pOutput::ConnectPoint { point })));
            self.outbox.p2p.extend(dials);
        }
        if self.ticks.is_multiple_of(bounds.unreachable_reset_ticks) {
            self.unreachable.clear();
        }
    }

    /// Whether a peer's point may be tried.
    pub(super) fn may_contact(&self, peer: &N::Peer) -> bool {
        let point = self.network.reachable_point(peer);
        point.is_none_or(|point| self.unreachable.may_try(&point, self.ticks))
    }
}

impl<N: Network> HeartbeatRound<N> {
    /// Whether all did the present half.
    fn is_done(&self) -> bool {
        self.awaited.is_empty() && self.untold.len() == 0
    }
}
