//! A heartbeat on the peers' side: scores are refreshed, topics maintain their meshes, their changes
//! go into the scores, topics tell their peers, lost peers are dialled. Starts no timer.

use std::collections::BTreeSet;

use derive_where::derive_where;

use super::{
    Timestamp,
    outbox::{Emission, Maintenance, Order},
    peers::Peers,
};
use crate::network::{Network, Origin, P2pMessage, P2pOutput};

/// A heartbeat under way.
#[derive_where(Debug)]
pub(super) struct Round<N: Network> {
    /// The topics whose first half is not done.
    awaited: BTreeSet<N::Topic>,
    reports: Vec<(N::Topic, Maintenance<N>)>,
    /// What we were promised may have come, and found no room.
    overloaded: bool,
}

impl<N: Network> Peers<N> {
    /// Begins a heartbeat over `topics`. The peers' quotas are to be reset by the caller, who keeps
    /// them. While we are `overloaded`, and refuse what we asked for, nobody is to blame for what did not come.
    pub(crate) fn begin_heartbeat(
        &mut self,
        topics: impl IntoIterator<Item = N::Topic>,
        overloaded: bool,
        now: Timestamp,
    ) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(self.limits.score_cleanup_ticks) {
            self.scores.refresh(now);
        }
        if self.ticks.is_multiple_of(self.limits.heartbeat_ping_interval) {
            self.ping_all();
        }
        let awaited: BTreeSet<_> = topics.into_iter().collect();
        let maintain = |topic: &N::Topic| (topic.clone(), Order::Maintain(self.ticks));
        self.outbox.orders.extend(awaited.iter().map(maintain));
        self.round = Some(Round { awaited, reports: Vec::new(), overloaded });
        self.conclude_if_complete(now);
    }

    /// The number of the present heartbeat.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks
    }

    /// Whether a heartbeat is under way.
    pub(crate) fn in_heartbeat(&self) -> bool {
        self.round.is_some()
    }

    /// A topic did its first half.
    pub(super) fn maintained(&mut self, topic: &N::Topic, maintenance: Maintenance<N>, now: Timestamp) {
        if let Some(round) = &mut self.round
            && round.awaited.remove(topic)
        {
            round.reports.push((topic.clone(), maintenance));
            self.conclude_if_complete(now);
        }
    }

    /// A topic lost its state: nobody waits for what it was doing.
    pub(crate) fn topic_lost(&mut self, topic: &N::Topic, now: Timestamp) {
        self.scores.clear_mesh(topic);
        self.abandon_dispatch(topic);
        if let Some(round) = &mut self.round {
            round.awaited.remove(topic);
            self.conclude_if_complete(now);
        }
    }

    fn conclude_if_complete(&mut self, now: Timestamp) {
        let Some(round) = self.round.take_if(|round| round.awaited.is_empty()) else { return };
        for (topic, maintenance) in &round.reports {
            for pruned in &maintenance.pruned {
                self.pruned(&pruned.peer, pruned.generation, topic);
            }
            for (peer, generation) in &maintenance.grafted {
                self.grafted(peer, *generation, topic, now);
            }
            for peer in maintenance.broken.iter().filter(|_| !round.overloaded) {
                self.scores.penalise(peer, 1.0);
            }
        }
        let conclude = round.reports.into_iter().map(|(topic, _)| (topic, Order::Conclude));
        self.outbox.orders.extend(conclude);
        self.reconnect();
    }

    fn ping_all(&mut self) {
        let ping =
            |peer: &N::Peer| P2pOutput::OutMessage { to_peer: peer.clone(), message: P2pMessage::Ping };
        self.outbox.p2p.extend(self.connections.keys().map(ping).map(Emission::Output));
    }

    /// Dials lost trusted peers and persistent points that may be tried.
    fn reconnect(&mut self) {
        let bounds = &self.limits.bounds;
        if self.ticks.is_multiple_of(bounds.reconnect_interval_ticks) {
            let lost = self.trusted.iter().filter(|peer| !self.connections.contains_key(peer));
            let peers = lost.filter(|peer| self.may_contact(peer)).cloned();
            let dial = |peer| Emission::Output(P2pOutput::Connect { peer, origin: Origin::Trusted });
            let mut dials: Vec<_> = peers.map(dial).collect();
            let points: BTreeSet<_> = self.network.persistent_points().into_iter().collect();
            let points = points.into_iter().filter(|point| self.unreachable.may_try(point, self.ticks));
            dials.extend(points.map(|point| Emission::Output(P2pOutput::ConnectPoint { point })));
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
