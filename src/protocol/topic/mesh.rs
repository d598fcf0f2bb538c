//! Entering and leaving a mesh: GRAFT and PRUNE from peers, join and leave by the application. The
//! same place that refuses a graft also sets the backoff and answers; the heartbeat's grafts and
//! prunes are [`maintenance`](super::heartbeat).

use std::{collections::BTreeMap, time::Duration};

use super::TopicState;
use crate::{
    network::{Network, P2pMessage, PeerAction, PxPeer},
    protocol::{
        connection::ConnectionId,
        exchange::{
            Context, Outbox,
            event::{Pruned, TopicEvent},
            peer_view::PeerStatus,
        },
        outcome::{
            GraftOutcome, JoinOutcome, LeaveOutcome, PruneOutcome,
            counters::{Grafted, Removed},
        },
        output::pending::forget_all,
        rng::choose,
    },
    timestamp::Timestamp,
};

// === GRAFT and PRUNE ===

impl<N: Network> TopicState<N> {
    /// A peer put us in its mesh and wants to be in ours (v1.0 "graft", v1.1 "prune backoff").
    ///
    /// `room` tells whether the peer's cap allows one more topic: a graft subscribes.
    pub(crate) fn graft(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        room: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> GraftOutcome {
        if let Some(connection_id) = status.connection_id {
            self.drop_older(peer, connection_id, outbox);
        }
        match self.check_graft(peer, status, room, cx, outbox) {
            Ok(connection_id) => {
                self.accept_graft(peer, connection_id, outbox);
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
        room: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Result<ConnectionId, GraftOutcome> {
        let refuse_if = |refused: bool, outcome| if refused { Err(outcome) } else { Ok(()) };
        refuse_if(!cx.network.peer_filter(peer, PeerAction::Graft), GraftOutcome::PeerFiltered)?;
        let mesh = self.mesh.as_ref().ok_or(GraftOutcome::UnsubscribedTopic)?;
        refuse_if(mesh.contains_key(peer), GraftOutcome::AlreadyInMesh)?;
        let connection_id = status.connection_id.ok_or(GraftOutcome::UnexpectedPeer)?;
        refuse_if(connection_id.is_direct(), GraftOutcome::DirectPeer)?;
        self.check_backoff(peer, cx, outbox)?;
        refuse_if(status.score.is_some_and(|score| score < 0.0), GraftOutcome::NegativeScore)?;
        // v1.1 "outbound mesh quotas": a full mesh is open to those whom we dialled, whom an
        // attacker can't choose to be.
        let full = mesh.len() >= cx.limits.degree_high;
        refuse_if(full && !connection_id.is_outbound(), GraftOutcome::MeshFull)?;
        refuse_if(!room && !self.is_subscriber(connection_id), GraftOutcome::PeerFiltered)?;
        Ok(connection_id)
    }

    /// Coming back too early is a fault; coming back at once is two (v1.1 "graft flood").
    fn check_backoff(
        &self,
        peer: &N::Peer,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Result<(), GraftOutcome> {
        let Some(until) = self.backoffs.get(peer).filter(|until| cx.now < *until) else { return Ok(()) };
        // `until - prune_backoff + flood > now`, without going below zero.
        let flood = until.after(cx.limits.graft_flood_threshold) > cx.now.after(cx.limits.prune_backoff);
        outbox.facts.push(TopicEvent::Misbehaved(peer.clone(), if flood { 2 } else { 1 }));
        Err(GraftOutcome::BackedOff)
    }

    /// How long a peer is backed off still, if it is.
    pub(crate) fn backoff_left(&self, peer: &N::Peer, now: Timestamp) -> Option<Duration> {
        self.backoffs.get(peer).filter(|until| now < *until).map(|until| until.saturating_since(now))
    }

    /// How many peers the mesh has; none if there is no mesh.
    pub(crate) fn mesh_size(&self) -> usize {
        self.mesh.as_ref().map_or(0, BTreeMap::len)
    }

    fn accept_graft(&mut self, peer: &N::Peer, connection_id: ConnectionId, outbox: &mut Outbox<N>) {
        outbox.stats.count_recv_grafts += 1;
        self.tell_credits(outbox);
        outbox.facts.push(TopicEvent::Grafted(peer.clone(), connection_id));
        if let Some(mesh) = &mut self.mesh {
            mesh.insert(peer.clone(), connection_id);
            outbox.tally.grafted(Grafted::RemoteGraft, 1);
        }
        if !self.is_subscriber(connection_id) {
            self.add_subscriber(peer, connection_id, outbox);
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
        let px = if refusal == GraftOutcome::MeshFull {
            // As in the reference, a graft that only the full mesh refused counts as received.
            outbox.stats.count_recv_grafts += 1;
            self.select_px(peer, false, cx)
        } else {
            Vec::new()
        };
        self.send_prune(peer, status.connection_id, px, cx.limits.prune_backoff, outbox);
    }

    /// A peer took us out of its mesh. `None`: we did the same, and what it offers in exchange is
    /// for the peers' side to judge ([`TopicEvent::PxOffered`]).
    pub(crate) fn prune(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        px: Vec<PxPeer<N::Peer>>,
        backoff: Duration,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Option<PruneOutcome<N>> {
        let px: Vec<_> = px.into_iter().take(cx.limits.bounds.max_px_per_prune).map(|px| px.peer).collect();
        let refusal = match &self.mesh {
            None => Some(PruneOutcome::TopicNotTracked),
            Some(mesh) if !mesh.contains_key(peer) => Some(PruneOutcome::NotInMesh),
            Some(_) => None,
        };
        let backoff = backoff.min(cx.limits.bounds.max_remote_backoff);
        if refusal.is_some() {
            // Peers that leave say UNSUBSCRIBE first, which took them out of the mesh: they mean their
            // backoff all the same.
            if cx.limits.extensions.late_prune_sets_backoff
                && self.is_joined()
                && status.connection_id.is_some()
            {
                self.backoffs.set(peer, backoff, cx.now);
            }
            outbox.p2p.extend(forget_all(peer, px));
            return refusal;
        }
        self.remove_from_mesh(peer, Removed::RemotePrune, outbox);
        self.backoffs.set(peer, backoff, cx.now);
        outbox.facts.push(TopicEvent::PxOffered(peer.clone(), px));
        None
    }
}

// === Join and leave ===

impl<N: Network> TopicState<N> {
    /// The application takes part. Peers are told at the [`TopicCommand::JoinConfirmed`](crate::protocol::exchange::command::TopicCommand).
    pub(crate) fn join(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> JoinOutcome<N> {
        if self.is_joined() {
            return JoinOutcome::AlreadyJoined;
        }
        self.tell_credits(outbox);
        let mesh = self.first_mesh(cx, outbox);
        for (peer, connection_id) in &mesh {
            outbox.facts.push(TopicEvent::Grafted(peer.clone(), *connection_id));
        }
        let to_graft = mesh.keys().cloned().collect();
        self.mesh = Some(mesh);
        outbox.facts.push(TopicEvent::Joined);
        JoinOutcome::Joined { to_graft }
    }

    /// The fanout's peers come first: they know us as a source already.
    fn first_mesh(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> BTreeMap<N::Peer, ConnectionId> {
        let mut mesh = self.fanout.take().map(|fanout| fanout.peers).unwrap_or_default();
        mesh.retain(|peer, _| !self.backoffs.contains(peer) && cx.peer_view.score(peer) >= 0.0);
        let missing = cx.limits.degree_optimal.saturating_sub(mesh.len());
        let candidates = self.graftable(cx, |_| true, |peer| !mesh.contains_key(peer));
        let chosen = choose(candidates, missing, &mut self.rng);
        outbox.tally.grafted(Grafted::FanoutPromoted, mesh.len());
        outbox.tally.grafted(Grafted::Join, chosen.len());
        mesh.extend(chosen);
        mesh
    }

    /// The subscribers that may be grafted: not direct, not backed off, of no negative score.
    pub(super) fn graftable(
        &self,
        cx: &Context<'_, N>,
        link_fits: impl Fn(ConnectionId) -> bool,
        peer_fits: impl Fn(&N::Peer) -> bool,
    ) -> Vec<(N::Peer, ConnectionId)> {
        self.candidates(cx, 0.0, link_fits, |peer| peer_fits(peer) && !self.backoffs.contains(peer))
    }

    /// The subscribers that are not direct, of no lower score than this, and that fit; ascending, whatever the order
    /// in which they connected: chance chooses among them.
    pub(super) fn candidates(
        &self,
        cx: &Context<'_, N>,
        least: f64,
        link_fits: impl Fn(ConnectionId) -> bool,
        peer_fits: impl Fn(&N::Peer) -> bool,
    ) -> Vec<(N::Peer, ConnectionId)> {
        // Names are looked up late, and scores last, and not at all if nobody's is so low: there are many
        // subscribers.
        let good = cx.peer_view.min_score_at_least(least);
        let fitting = self
            .subscribers
            .as_slice()
            .iter()
            .copied()
            .filter(|connection_id| !connection_id.is_direct() && link_fits(*connection_id));
        let mut candidates = cx.peer_view.resolve(&mut { fitting });
        candidates.retain(|(peer, _)| peer_fits(peer) && (good || cx.peer_view.score(peer) >= least));
        candidates.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        candidates
    }

    /// SUBSCRIBE before GRAFT: a peer ignores a graft on a topic that we are not in.
    pub(super) fn welcome(&mut self, connected: &[N::Peer], outbox: &mut Outbox<N>) {
        for peer in connected {
            outbox.send(peer.clone(), None, P2pMessage::subscribe(self.topic.clone()));
        }
        for peer in self.mesh.iter().flat_map(BTreeMap::keys) {
            outbox.send(peer.clone(), None, P2pMessage::Graft { topic: self.topic.clone() });
        }
    }

    /// The application leaves. Peers are told at the [`TopicCommand::LeaveConfirmed`](crate::protocol::exchange::command::TopicCommand).
    pub(crate) fn leave(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) -> LeaveOutcome<N> {
        let Some(mesh) = self.mesh.take() else { return LeaveOutcome::NotJoined };
        self.tell_credits(outbox);
        for (peer, connection_id) in &mesh {
            self.backoffs.set(peer, cx.limits.unsubscribe_backoff, cx.now);
            let no_px = cx.peer_view.score(peer) < 0.0;
            self.parting.push(Pruned { peer: peer.clone(), connection_id: *connection_id, no_px });
            outbox.facts.push(TopicEvent::Pruned(peer.clone(), *connection_id));
        }
        outbox.tally.removed(Removed::Leave, mesh.len());
        outbox.facts.push(TopicEvent::Left);
        self.forget_messages_in_doubt(cx.limits, outbox);
        let no_px = self.parting.iter().filter(|pruned| pruned.no_px).map(|pruned| pruned.peer.clone());
        LeaveOutcome::Left { no_px: no_px.collect(), to_prune: mesh.into_keys().collect() }
    }

    /// PRUNE before UNSUBSCRIBE: a peer that hears the latter first has nothing left to prune.
    pub(super) fn farewell(&mut self, connected: &[N::Peer], cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        self.send_heartbeat_prunes(cx, outbox);
        let parting = std::mem::take(&mut self.parting);
        self.send_prunes(parting, cx.limits.unsubscribe_backoff, cx, outbox);
        for peer in connected {
            outbox.send(peer.clone(), None, P2pMessage::Unsubscribe { topic: self.topic.clone() });
        }
    }

    /// Tells those whom the heartbeat pruned.
    pub(super) fn send_heartbeat_prunes(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let pruned = std::mem::take(&mut self.pruned);
        self.send_prunes(pruned, cx.limits.prune_backoff, cx, outbox);
    }

    fn send_prunes(
        &mut self,
        pruned: Vec<Pruned<N>>,
        backoff: Duration,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        for Pruned { peer, no_px, .. } in pruned {
            let px = self.select_px(&peer, no_px, cx);
            self.send_prune(&peer, None, px, backoff, outbox);
        }
    }

    fn send_prune(
        &self,
        peer: &N::Peer,
        connection_id: Option<ConnectionId>,
        px: Vec<N::Peer>,
        backoff: Duration,
        outbox: &mut Outbox<N>,
    ) {
        let px = px.into_iter().map(PxPeer::new).collect();
        let message = P2pMessage::Prune { topic: self.topic.clone(), px, backoff };
        outbox.send(peer.clone(), connection_id, message);
    }

    /// Whom to offer a pruned peer in exchange for us (v1.1 "peer exchange").
    fn select_px(&mut self, pruned: &N::Peer, no_px: bool, cx: &Context<'_, N>) -> Vec<N::Peer> {
        choose(self.px_offers(pruned, no_px, cx), cx.limits.peers_to_px, &mut self.rng)
    }

    /// All that could be offered.
    pub(in crate::protocol) fn px_offers(
        &self,
        pruned: &N::Peer,
        no_px: bool,
        cx: &Context<'_, N>,
    ) -> Vec<N::Peer> {
        if no_px || !cx.limits.do_px {
            return Vec::new();
        }
        let offered = |peer: &N::Peer| peer != pruned && cx.peer_view.score(peer) >= 0.0;
        let named = cx.peer_view.resolve(&mut self.subscribers.as_slice().iter().copied()).into_iter();
        let mut offers: Vec<_> = named.map(|(peer, _)| peer).filter(offered).collect();
        offers.sort_unstable();
        offers
    }
}
