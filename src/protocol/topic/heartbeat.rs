//! The heartbeat of one topic (v1.0 "mesh maintenance", v1.1 "heartbeat procedure"), in two phases. All topics change
//! their meshes in the first phase, before any sends prunes and gossip in the second, because a prune in one topic
//! changes the scores by which another topic chooses px and gossip.

use std::collections::{BTreeMap, BTreeSet};

use super::TopicState;
use crate::{
    limits::Degrees,
    network::{Network, P2pMessage},
    protocol::{
        connection::ConnectionId,
        exchange::{
            Context, Outbox,
            event::{GraftedPeer, Maintenance, PrunedPeer, TopicEvent},
        },
        outcome::{
            counters::{InputCounters, PromiseEvent},
            reason::{GraftReason, LeaveReason},
        },
        rng::{choose, shuffle},
    },
};

type Connections<P> = BTreeMap<P, ConnectionId>;

impl<N: Network> TopicState<N> {
    /// First phase: expires state and maintains the mesh and the fanout.
    pub(super) fn heartbeat_maintain_mesh(&mut self, tick: u64, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        self.backoffs.expire(tick, cx.limits, cx.now);
        self.flush_delivery_counts(outbox);
        let mut maintenance = self.maintain_mesh(tick, cx, &mut outbox.counters);
        self.graft_all_again(outbox);
        maintenance.broken = self.promises.take_expired(cx.now);
        outbox.counters.promise(PromiseEvent::Broken, maintenance.broken.len());
        for grafted in &maintenance.grafted {
            outbox.send(grafted.connection_id, P2pMessage::Graft { topic: self.topic.clone() });
        }
        self.maintain_fanout(cx);
        self.history.advance(cx.present, outbox);
        self.seen.advance();
        self.invalid_cache.advance();
        self.sent_idontwant.advance();
        self.answered_grafts.clear();
        self.answered_subscribes.clear();
        self.unserved.advance(cx.limits);
        self.flooded_bytes = 0;
        self.pruned.clone_from(&maintenance.pruned);
        outbox.events.push(TopicEvent::Maintained(maintenance));
    }

    /// Second phase: sends prunes and gossip.
    pub(super) fn heartbeat_emit(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        self.send_heartbeat_prunes(cx, outbox);
        self.request_again(cx, outbox);
        self.send_gossip(cx, outbox);
        outbox.events.push(TopicEvent::HeartbeatFinished);
    }

    fn maintain_mesh(
        &mut self,
        tick: u64,
        cx: &Context<'_, N>,
        counters: &mut InputCounters,
    ) -> Maintenance<N> {
        let Some(mesh) = self.mesh.take() else { return Maintenance::default() };
        let mut work = MeshUpdate { mesh, grafted: BTreeMap::new(), pruned: Vec::new(), counters };
        work.prune_negative(cx);
        self.graft_missing(&mut work, cx);
        self.prune_surplus(&mut work, cx);
        self.graft_outbound(&mut work, cx);
        if tick.is_multiple_of(cx.limits.opportunistic_graft_ticks) {
            self.graft_opportunistically(&mut work, cx);
        }
        self.commit(work, cx)
    }

    /// Grafts peers up to D if the mesh has fewer than D_lo. The steps that follow do not count these peers.
    fn graft_missing(&mut self, work: &mut MeshUpdate<'_, N>, cx: &Context<'_, N>) {
        let Degrees { degree_low, degree_optimal, .. } = self.parameters.degrees;
        if work.mesh.len() < degree_low {
            let missing = degree_optimal - work.mesh.len();
            let candidates = self.graft_candidates(cx, |_| true, |peer| !work.mesh.contains_key(peer));
            work.graft(choose(candidates, missing, &mut self.rng), GraftReason::BelowDegreeLow);
        }
    }

    /// Prunes the mesh to D if it has D_hi peers, or with the reference if it has more. The D_score best peers and D_out
    /// outbound peers are kept. A mesh of D_hi refuses inbound peers, so if it were not pruned it would never change.
    fn prune_surplus(&mut self, work: &mut MeshUpdate<'_, N>, cx: &Context<'_, N>) {
        let (size, high) = (work.mesh.len(), self.parameters.degrees.degree_high);
        if size > high || (size == high && cx.limits.extensions.prune_at_degree_high) {
            for peer in self.select_surplus(&work.mesh, cx) {
                work.prune(&peer, LeaveReason::AboveDegreeHigh);
            }
        }
    }

    fn select_surplus(&mut self, mesh: &Connections<N::Peer>, cx: &Context<'_, N>) -> Vec<N::Peer> {
        let mut peers: Vec<_> = mesh
            .iter()
            .map(|(peer, connection_id)| (peer, connection_id.is_outbound(), cx.peer_view.score(peer)))
            .collect();
        // The shuffle makes the order of peers with equal scores random.
        shuffle(&mut peers, &mut self.rng);
        peers.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
        let Degrees { degree_score, degree_optimal, degree_out, .. } = self.parameters.degrees;
        shuffle(&mut peers[degree_score..], &mut self.rng);
        let mut surplus = peers.split_off(degree_optimal);
        swap_in_outbound(&mut peers, &mut surplus, degree_out);
        surplus.into_iter().map(|(peer, ..)| peer.clone()).collect()
    }

    /// Grafts outbound peers if the mesh has at least D_lo peers, but fewer than D_out outbound ones.
    fn graft_outbound(&mut self, work: &mut MeshUpdate<'_, N>, cx: &Context<'_, N>) {
        let Degrees { degree_low, degree_out, .. } = self.parameters.degrees;
        if work.mesh.len() < degree_low {
            return;
        }
        let outbound = work.mesh.values().filter(|connection_id| connection_id.is_outbound()).count();
        let missing = degree_out.saturating_sub(outbound);
        if missing > 0 {
            let candidates =
                self.graft_candidates(cx, ConnectionId::is_outbound, |peer| !work.is_member_or_pruned(peer));
            let chosen = choose(candidates, missing, &mut self.rng);
            work.mesh.extend(chosen.iter().cloned());
            work.graft(chosen, GraftReason::OutboundQuota);
        }
    }

    /// Grafts a few better peers if the median score of the mesh is below a threshold (v1.1 "opportunistic grafting").
    fn graft_opportunistically(&mut self, work: &mut MeshUpdate<'_, N>, cx: &Context<'_, N>) {
        let mut scores: Vec<f64> = work.mesh.keys().map(|peer| cx.peer_view.score(peer)).collect();
        if scores.len() < 2 {
            return;
        }
        scores.sort_by(f64::total_cmp);
        let median = scores[scores.len() / 2];
        if median < cx.limits.opportunistic_graft_threshold {
            let better = self.subscriber_candidates(
                cx,
                median,
                |_| true,
                |peer| {
                    !self.backoffs.contains(peer)
                        && !work.is_member_or_pruned(peer)
                        && cx.peer_view.score(peer) > median
                },
            );
            let count = cx.limits.opportunistic_graft_peers;
            work.graft(choose(better, count, &mut self.rng), GraftReason::Opportunistic);
        }
    }

    fn commit(&mut self, work: MeshUpdate<'_, N>, cx: &Context<'_, N>) -> Maintenance<N> {
        let MeshUpdate { mut mesh, grafted, pruned, counters: _ } = work;
        for pruned in &pruned {
            self.backoffs.set(&pruned.peer, cx.limits.prune_backoff, cx.now);
        }
        mesh.extend(grafted.iter().map(|(peer, (connection_id, _))| (peer.clone(), *connection_id)));
        self.mesh = Some(mesh);
        let grafted = grafted.into_iter();
        let grafted = grafted
            .map(|(peer, (connection_id, reason))| GraftedPeer { peer, connection_id, reason })
            .collect();
        Maintenance { grafted, pruned, broken: Vec::new() }
    }
}

/// A mesh during maintenance.
struct MeshUpdate<'a, N: Network> {
    mesh: Connections<N::Peer>,
    grafted: BTreeMap<N::Peer, (ConnectionId, GraftReason)>,
    pruned: Vec<PrunedPeer<N>>,
    counters: &'a mut InputCounters,
}

impl<N: Network> MeshUpdate<'_, N> {
    /// Prunes peers with a negative score, without px.
    fn prune_negative(&mut self, cx: &Context<'_, N>) {
        if cx.peer_view.min_score_at_least(0.0) {
            return;
        }
        let negative = |peer: &&N::Peer| cx.peer_view.score(peer) < 0.0;
        let negative: BTreeSet<_> = self.mesh.keys().filter(negative).cloned().collect();
        for peer in &negative {
            self.prune(peer, LeaveReason::NegativeScore);
        }
    }

    /// Grafts the chosen peers, each once and with its first reason.
    fn graft(&mut self, chosen: Vec<(N::Peer, ConnectionId)>, reason: GraftReason) {
        let before = self.grafted.len();
        for (peer, connection_id) in chosen {
            self.grafted.entry(peer).or_insert((connection_id, reason));
        }
        self.counters.grafted(reason, self.grafted.len() - before);
    }

    fn prune(&mut self, peer: &N::Peer, reason: LeaveReason) {
        if let Some(connection_id) = self.mesh.remove(peer) {
            let no_px = reason == LeaveReason::NegativeScore;
            self.counters.removed(reason, 1);
            self.pruned.push(PrunedPeer { peer: peer.clone(), connection_id, reason, no_px });
        }
    }

    /// Whether a peer is in the mesh or was pruned from it in this heartbeat.
    fn is_member_or_pruned(&self, peer: &N::Peer) -> bool {
        self.mesh.contains_key(peer) || self.pruned.iter().any(|pruned| pruned.peer == *peer)
    }
}

/// If fewer than `degree_out` peers of `kept` are outbound, replaces the last inbound peers of `kept` with outbound
/// peers of `surplus`.
fn swap_in_outbound<P>(kept: &mut [(P, bool, f64)], surplus: &mut [(P, bool, f64)], degree_out: usize) {
    let outbound = kept.iter().filter(|(_, outbound, _)| *outbound).count();
    let swaps = degree_out.saturating_sub(outbound);
    let inbound = kept.iter_mut().rev().filter(|(_, outbound, _)| !outbound);
    let replacements = surplus.iter_mut().filter(|(_, outbound, _)| *outbound);
    for (inbound, replacement) in inbound.zip(replacements).take(swaps) {
        std::mem::swap(inbound, replacement);
    }
}
