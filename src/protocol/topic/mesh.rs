//! The mesh of a topic: GRAFT and PRUNE from peers, join and leave by the application. Grafts and prunes by the
//! heartbeat are in [`heartbeat`](super::heartbeat).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::TopicState;
use crate::{
    limits::{Degrees, Limits},
    network::{Network, P2pMessage, PeerAction, PxPeer},
    protocol::{
        connection::ConnectionId,
        exchange::{
            Context, Outbox,
            event::{PrunedPeer, TopicEvent},
            peer_view::PeerStatus,
        },
        outcome::{
            GraftOutcome, JoinOutcome, LeaveOutcome, PruneOutcome,
            reason::{GraftReason, LeaveReason},
        },
        output::pending::forget_all,
        rng::choose,
    },
    timestamp::Timestamp,
};

// === GRAFT and PRUNE ===

impl<N: Network> TopicState<N> {
    /// Handles a GRAFT: a peer has added this node to its mesh (v1.0 "graft", v1.1 "prune backoff"). A refused GRAFT
    /// sets a backoff and is answered by a PRUNE. While the topic is not joined, a GRAFT is ignored (v1.1 "spam
    /// protection measures"): the backoffs of the leave stay as they are, and UNSUBSCRIBE takes this node out of the
    /// mesh of the peer.
    ///
    /// `below_topic_limit`: whether the peer may subscribe to one more topic, because a GRAFT implies SUBSCRIBE.
    pub(crate) fn graft(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> GraftOutcome {
        if let Some(connection_id) = status.connection_id {
            self.drop_stale_connection(peer, connection_id, outbox);
        }
        if cx.limits.extensions.ignore_unknown_grafts && !self.is_joined() {
            return GraftOutcome::UnsubscribedTopic;
        }
        match self.check_graft(peer, status, below_topic_limit, cx, outbox) {
            Ok(connection_id) => {
                self.accept_graft(peer, connection_id, status, cx, outbox);
                GraftOutcome::Grafted
            }
            Err(refusal) => {
                self.refuse_graft(peer, status, refusal, cx, outbox);
                refusal
            }
        }
    }

    fn check_graft(
        &self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Result<ConnectionId, GraftOutcome> {
        let refuse_if = |refused: bool, outcome| if refused { Err(outcome) } else { Ok(()) };
        refuse_if(!cx.network.peer_filter(peer, PeerAction::Graft), GraftOutcome::PeerFiltered)?;
        let mesh = self.mesh.as_ref().ok_or(GraftOutcome::UnsubscribedTopic)?;
        refuse_if(mesh.contains_key(peer), GraftOutcome::AlreadyInMesh)?;
        let connection_id = status.connection_id.ok_or(GraftOutcome::UnexpectedPeer)?;
        refuse_if(status.direct, GraftOutcome::DirectPeer)?;
        self.check_backoff(peer, cx, outbox)?;
        refuse_if(status.score.is_some_and(|score| score < 0.0), GraftOutcome::NegativeScore)?;
        // v1.1 "outbound mesh quotas": a full mesh accepts outbound peers, because an attacker cannot make this
        // node dial it.
        let full = mesh.len() >= self.parameters.degrees.degree_high;
        let accepted = || connection_id.is_outbound() || self.is_among_the_best(status.score, cx);
        refuse_if(full && !accepted(), GraftOutcome::MeshFull)?;
        // A GRAFT implies SUBSCRIBE.
        let may_subscribe =
            || below_topic_limit && cx.network.peer_filter(peer, PeerAction::Subscribe(&self.topic));
        refuse_if(!self.is_subscriber(connection_id) && !may_subscribe(), GraftOutcome::PeerFiltered)?;
        Ok(connection_id)
    }

    /// Whether a full mesh accepts an inbound peer with this score: it is one of the D_score best, which the next heartbeat
    /// keeps. Up to D_score such peers are accepted before that.
    fn is_among_the_best(&self, score: Option<f64>, cx: &Context<'_, N>) -> bool {
        let Some(score) = score.filter(|score| *score > 0.0) else { return false };
        let mesh = self.mesh.iter().flat_map(BTreeMap::keys);
        let Degrees { degree_high, degree_score, .. } = self.parameters.degrees;
        let most = degree_high.saturating_add(degree_score);
        cx.limits.extensions.full_mesh_accepts_best
            && self.mesh_size() < most
            && mesh.filter(|peer| cx.peer_view.score(peer) >= score).count() < degree_score
    }

    /// Checks the backoff. A GRAFT before its end counts as one misbehaviour (P7), and as two within the flood
    /// threshold (v1.1 "graft flood").
    fn check_backoff(
        &self,
        peer: &N::Peer,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Result<(), GraftOutcome> {
        let Some(until) = self.backoffs.get(peer).filter(|until| cx.now < *until) else { return Ok(()) };
        // Means `until - prune_backoff + flood_threshold > now`, written without an underflow.
        let flood = until.after(cx.limits.graft_flood_threshold) > cx.now.after(cx.limits.prune_backoff);
        outbox.events.push(TopicEvent::Misbehaved(peer.clone(), if flood { 2 } else { 1 }));
        Err(GraftOutcome::BackedOff)
    }

    /// The remaining backoff of a peer, if any.
    pub(crate) fn backoff_left(&self, peer: &N::Peer, now: Timestamp) -> Option<Duration> {
        self.backoffs.get(peer).filter(|until| now < *until).map(|until| until.saturating_since(now))
    }

    /// The number of peers in the mesh, zero if the topic is not joined.
    pub(crate) fn mesh_size(&self) -> usize {
        self.mesh.as_ref().map_or(0, BTreeMap::len)
    }

    fn accept_graft(
        &mut self,
        peer: &N::Peer,
        connection_id: ConnectionId,
        status: PeerStatus,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        outbox.stats.count_recv_grafts += 1;
        self.flush_delivery_counts(outbox);
        outbox.events.push(TopicEvent::Grafted(peer.clone(), connection_id, GraftReason::RemoteGraft));
        // It may have been a direct peer before, and the command that ends this is on its way. It must not be both.
        self.direct.remove(peer);
        if let Some(mesh) = &mut self.mesh {
            mesh.insert(peer.clone(), connection_id);
            outbox.counters.grafted(GraftReason::RemoteGraft, 1);
        }
        if !self.is_subscriber(connection_id) {
            self.add_subscriber(peer, connection_id, false, outbox);
            self.offer_unserved(peer, status, cx, outbox);
        }
    }

    fn refuse_graft(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        refusal: GraftOutcome,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        if matches!(refusal, GraftOutcome::AlreadyInMesh | GraftOutcome::UnexpectedPeer) {
            return;
        }
        let in_mesh = self.mesh.as_ref().is_some_and(|mesh| mesh.contains_key(peer));
        if status.connection_id.is_some() && !in_mesh {
            self.backoffs.set(peer, cx.limits.prune_backoff, cx.now);
        }
        let is_full = refusal == GraftOutcome::MeshFull;
        // As in the reference, a GRAFT that is refused only because the mesh is full counts as received.
        outbox.stats.count_recv_grafts += u64::from(is_full);
        if cx.limits.extensions.one_prune_per_heartbeat && !self.answered_grafts.insert(status.connection_id)
        {
            return;
        }
        let px = if is_full {
            let candidates = self.px_candidates(cx);
            self.select_px(&candidates, peer, cx)
        } else {
            Vec::new()
        };
        let message = self.prune_message(px, cx.limits.prune_backoff);
        outbox.answer(peer, status.connection_id, message);
    }

    /// Handles a PRUNE: a peer has removed this node from its mesh. `None` means that the peer was removed from this
    /// mesh too; the peers' side then decides about the offered peers ([`TopicEvent::PxOffered`]).
    pub(crate) fn prune(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        px: Vec<PxPeer<N::Peer>>,
        backoff: Duration,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Option<PruneOutcome<N>> {
        let refusal = match &self.mesh {
            None => Some(PruneOutcome::TopicNotTracked),
            Some(mesh) if !mesh.contains_key(peer) => Some(PruneOutcome::NotInMesh),
            Some(_) => None,
        };
        let backoff = backoff.min(cx.limits.bounds.max_remote_backoff);
        if refusal.is_some() {
            // Some implementations send UNSUBSCRIBE before PRUNE when they leave, so the peer is out of the mesh
            // already. Its backoff still counts.
            if cx.limits.extensions.late_prune_sets_backoff
                && self.is_joined()
                && status.connection_id.is_some()
            {
                self.backoffs.set(peer, backoff, cx.now);
            }
            refuse_px(peer, px, cx.limits, outbox);
            return refusal;
        }
        self.remove_from_mesh(peer, LeaveReason::RemotePrune, outbox);
        self.backoffs.set(peer, backoff, cx.now);
        let mut px: Vec<_> = offered(px, cx.limits).collect();
        // The peers' side decides, by the score that it knows then. Nothing charges what it gets until it does.
        let accepted = |score| score >= cx.limits.accept_px_threshold;
        if !(cx.limits.extensions.accept_px && status.score.is_none_or(accepted)) {
            px.iter_mut().for_each(|px| px.record = None);
        }
        outbox.events.push(TopicEvent::PxOffered(peer.clone(), px));
        None
    }
}

/// The peers that a PRUNE offers, up to `max_px_per_prune`.
fn offered<P, T>(px: Vec<PxPeer<P>>, limits: &Limits<T>) -> impl Iterator<Item = PxPeer<P>> + use<P, T> {
    px.into_iter().take(limits.bounds.max_px_per_prune)
}

/// Refuses the peers that a PRUNE offers: it is not of a peer in the mesh.
pub(in crate::protocol) fn refuse_px<N: Network>(
    from: &N::Peer,
    px: Vec<PxPeer<N::Peer>>,
    limits: &Limits<N::Topic>,
    outbox: &mut Outbox<N>,
) {
    outbox.p2p.extend(forget_all(from, offered(px, limits).map(|px| px.peer)));
}

// === Join and leave ===

impl<N: Network> TopicState<N> {
    /// Joins the topic. Peers are notified when the peers' side replies with
    /// [`JoinConfirmed`](crate::protocol::exchange::command::TopicCommand).
    pub(super) fn join_mesh(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> JoinOutcome<N> {
        if self.is_joined() {
            return JoinOutcome::AlreadyJoined;
        }
        self.flush_delivery_counts(outbox);
        let fanout: BTreeSet<_> =
            self.fanout.iter().flat_map(|fanout| fanout.peers.keys().cloned()).collect();
        let mesh = self.initial_mesh(cx, outbox);
        for (peer, connection_id) in &mesh {
            let promoted = fanout.contains(peer);
            let reason = if promoted { GraftReason::FanoutPromoted } else { GraftReason::Join };
            outbox.events.push(TopicEvent::Grafted(peer.clone(), *connection_id, reason));
        }
        let to_graft = mesh.keys().cloned().collect();
        self.mesh = Some(mesh);
        outbox.events.push(TopicEvent::Joined);
        JoinOutcome::Joined { to_graft }
    }

    /// Chooses the first mesh. Peers of the fanout come first, because they receive messages from this node already.
    fn initial_mesh(
        &mut self,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> BTreeMap<N::Peer, ConnectionId> {
        let mut mesh = self.fanout.take().map(|fanout| fanout.peers).unwrap_or_default();
        mesh.retain(|peer, _| !self.backoffs.contains(peer) && cx.peer_view.score(peer) >= 0.0);
        let missing = self.parameters.degrees.degree_optimal.saturating_sub(mesh.len());
        let candidates = self.graft_candidates(cx, |_| true, |peer| !mesh.contains_key(peer));
        let chosen = choose(candidates, missing, &mut self.rng);
        outbox.counters.grafted(GraftReason::FanoutPromoted, mesh.len());
        outbox.counters.grafted(GraftReason::Join, chosen.len());
        mesh.extend(chosen);
        mesh
    }

    /// The subscribers that may be grafted: not direct, not backed off, and without a negative score.
    pub(super) fn graft_candidates(
        &self,
        cx: &Context<'_, N>,
        connection_fits: impl Fn(ConnectionId) -> bool,
        peer_fits: impl Fn(&N::Peer) -> bool,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.subscriber_candidates(cx, 0.0, connection_fits, |peer| {
            peer_fits(peer) && !self.backoffs.contains(peer)
        })
    }

    /// The subscribers that are not direct, do not speak floodsub, have at least the score `least`, and pass both filters.
    /// They are sorted, so that a seeded random choice among them does not depend on the order of connections.
    pub(super) fn subscriber_candidates(
        &self,
        cx: &Context<'_, N>,
        least: f64,
        connection_fits: impl Fn(ConnectionId) -> bool,
        peer_fits: impl Fn(&N::Peer) -> bool,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.candidates_among(self.subscribers.as_slice(), cx, least, connection_fits, peer_fits)
    }

    /// Like [`subscriber_candidates`](Self::subscriber_candidates), among some of the subscribers.
    pub(super) fn candidates_among(
        &self,
        connection_ids: &[ConnectionId],
        cx: &Context<'_, N>,
        least: f64,
        connection_fits: impl Fn(ConnectionId) -> bool,
        peer_fits: impl Fn(&N::Peer) -> bool,
    ) -> Vec<(N::Peer, ConnectionId)> {
        // There may be many subscribers. Ids are resolved after the cheap filters, and scores are looked up only if
        // some peer has a score below `least`.
        let all_above = cx.peer_view.min_score_at_least(least);
        let fits =
            |connection_id: &ConnectionId| !connection_id.is_floodsub() && connection_fits(*connection_id);
        let fitting = connection_ids.iter().copied().filter(fits);
        let mut candidates = cx.peer_view.resolve(&mut { fitting });
        let is_direct = |peer: &N::Peer| !self.direct.is_empty() && self.direct.contains_key(peer);
        candidates.retain(|(peer, _)| {
            !is_direct(peer) && peer_fits(peer) && (all_above || cx.peer_view.score(peer) >= least)
        });
        candidates.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        candidates
    }

    /// Announces the topic and grafts the mesh. SUBSCRIBE goes first, because a peer ignores a GRAFT on a topic to
    /// which this node is not subscribed.
    pub(super) fn announce_join(&mut self, outbox: &mut Outbox<N>) {
        outbox.announce(self.topic.clone(), true);
        for connection_id in self.mesh.iter().flat_map(BTreeMap::values) {
            outbox.send(*connection_id, P2pMessage::Graft { topic: self.topic.clone() });
        }
    }

    /// Leaves the topic. Peers are notified when the peers' side replies with
    /// [`LeaveConfirmed`](crate::protocol::exchange::command::TopicCommand).
    pub(super) fn leave_mesh(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> LeaveOutcome<N> {
        let Some(mesh) = self.mesh.take() else { return LeaveOutcome::NotJoined };
        self.flush_delivery_counts(outbox);
        for (peer, connection_id) in &mesh {
            self.backoffs.set(peer, cx.limits.unsubscribe_backoff, cx.now);
            let no_px = cx.peer_view.score(peer) < 0.0;
            self.leave_prunes.push(PrunedPeer {
                peer: peer.clone(),
                connection_id: *connection_id,
                reason: LeaveReason::Leave,
                no_px,
            });
            outbox.events.push(TopicEvent::Pruned(peer.clone(), *connection_id, LeaveReason::Leave));
        }
        outbox.counters.removed(LeaveReason::Leave, mesh.len());
        outbox.events.push(TopicEvent::Left);
        self.clear_pending(outbox);
        let no_px = self.leave_prunes.iter().filter(|pruned| pruned.no_px).map(|pruned| pruned.peer.clone());
        LeaveOutcome::Left { no_px: no_px.collect(), to_prune: mesh.into_keys().collect() }
    }

    /// Prunes the former mesh and announces the leave. PRUNE goes first, because a peer that handles UNSUBSCRIBE first
    /// has already removed this node from its mesh and ignores the PRUNE.
    pub(super) fn announce_leave(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        self.send_heartbeat_prunes(cx, outbox);
        let leave_prunes = std::mem::take(&mut self.leave_prunes);
        self.send_prunes(leave_prunes, cx.limits.unsubscribe_backoff, cx, outbox);
        outbox.announce(self.topic.clone(), false);
    }

    /// Sends the PRUNEs of the last heartbeat.
    pub(super) fn send_heartbeat_prunes(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let pruned = std::mem::take(&mut self.pruned);
        self.send_prunes(pruned, cx.limits.prune_backoff, cx, outbox);
    }

    fn send_prunes(
        &mut self,
        pruned: Vec<PrunedPeer<N>>,
        backoff: Duration,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let has_px = pruned.iter().any(|pruned| !pruned.no_px);
        let candidates = if has_px { self.px_candidates(cx) } else { Vec::new() };
        for PrunedPeer { peer, connection_id, no_px, .. } in pruned {
            let px = if no_px { Vec::new() } else { self.select_px(&candidates, &peer, cx) };
            outbox.send(connection_id, self.prune_message(px, backoff));
        }
    }

    pub(super) fn prune_message(&self, px: Vec<N::Peer>, backoff: Duration) -> P2pMessage<N> {
        let px = px.into_iter().map(PxPeer::new).collect();
        P2pMessage::Prune { topic: self.topic.clone(), px, backoff }
    }
}
