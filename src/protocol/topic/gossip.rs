//! Gossip: IHAVE and IWANT, received and sent (v1.0 "gossip emission").

use std::{collections::BTreeMap, slice, sync::Arc, time::Duration};

use super::{TopicState, history::History, seen::SeenIds, subscribers::Subscribers};
use crate::{
    admission::charge::Charge,
    limits::Limits,
    network::{Network, P2pMessage, PeerAction, Validity},
    protocol::{
        connection::ConnectionId,
        exchange::{
            Context, Outbox,
            event::TopicEvent,
            peer_view::{LowScore, PeerStatus, check_score},
        },
        outcome::{IHaveOutcome, IWantAnswer, IWantOutcome, counters::PromiseEvent},
        output::Lane,
        quota::Quota,
        rng::{ProtocolRng, choose, pick, shuffle},
    },
    timestamp::Timestamp,
};

impl<N: Network> TopicState<N> {
    /// Handles an IHAVE. `quota` is that of the peer over all topics.
    pub(crate) fn ihave(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        ids: Vec<N::MessageId>,
        quota: &mut Quota,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> IHaveOutcome<N> {
        if let Err(refused) = accept_ihave(status, quota, cx.limits) {
            return refused;
        }
        if !self.is_joined() {
            return IHaveOutcome::TopicNotTracked;
        }
        let most = quota.iwants_left(cx.limits);
        let Some(mut ids) = self.missing_ids(peer, ids, most, cx) else {
            outbox.events.push(TopicEvent::InvalidMessage(peer.clone()));
            return IHaveOutcome::InvalidId;
        };
        // A random order prevents that all nodes request the same ids from an attacker.
        shuffle(&mut ids, &mut self.rng);
        ids.truncate(most);
        quota.iwant_ids += ids.len() as u32;
        outbox.stats.count_recv_ihaves += ids.len() as u64;
        if !ids.is_empty() {
            // A bootstrap peer is sent no IWANT, and a disconnected peer has no score to lose.
            if status.connection_id.is_some_and(ConnectionId::takes_gossip) {
                self.track_promise(peer, &ids, cx, outbox);
                self.record_requests(peer, &ids, cx);
            }
            let message = P2pMessage::IWant { message_ids: ids.clone() };
            outbox.answer(peer, status.connection_id, message);
        }
        IHaveOutcome::Requested { ids }
    }

    /// Tracks one of the requested ids, chosen at random, as a promise.
    pub(super) fn track_promise(
        &mut self,
        peer: &N::Peer,
        ids: &[N::MessageId],
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let followup = cx.limits.extensions.iwant_followup_time;
        if followup > Duration::ZERO
            && let Some(id) = pick(ids, &mut self.rng)
        {
            let max = cx.limits.bounds.max_promises_per_topic;
            let tracked = self.promises.track(peer, id, cx.now.after(followup), max);
            outbox.counters.promise(PromiseEvent::Started, usize::from(tracked));
        }
    }

    /// The ids to request: valid, without a verdict, not [undecided](Self::is_undecided), not filtered, and not requested from
    /// another peer. `None` if one of the ids is invalid. At most `most` of them will be requested: with
    /// `ihave_stops_at_quota` the ids are judged in a random order until this number is reached.
    fn missing_ids(
        &mut self,
        peer: &N::Peer,
        mut ids: Vec<N::MessageId>,
        most: usize,
        cx: &Context<'_, N>,
    ) -> Option<Vec<N::MessageId>> {
        let stops = cx.limits.extensions.ihave_stops_at_quota && ids.len() > most;
        if stops {
            shuffle(&mut ids, &mut self.rng);
        }
        let mut missing = Vec::new();
        for id in ids {
            if stops && missing.len() == most {
                break;
            }
            match self.validate_id(&id, cx) {
                Validity::Invalid => return None,
                Validity::Outdated => {}
                Validity::Valid | Validity::Unknown => {
                    let has_verdict = self.seen.has_verdict(&id) || self.invalid_cache.contains_id(&id);
                    if !has_verdict
                        && !self.is_undecided(&id)
                        && cx.network.peer_filter(peer, PeerAction::IHave(&id))
                        && !self.requests.is_requested(&id, peer, cx.now)
                    {
                        missing.push(id);
                    }
                }
            }
        }
        Some(missing)
    }

    /// Whether a message with this id awaits a verdict: under asynchronous validation, in a batch, or parked. False without
    /// `iwant_skips_undecided`.
    fn is_undecided(&self, id: &N::MessageId) -> bool {
        self.pending_validations.contains_id(id)
            || self.batched.contains_id(id)
            || self.parked_ids.contains(id)
    }

    /// Validates an id by the application. An id of another topic is invalid.
    pub(super) fn validate_id(&self, id: &N::MessageId, cx: &Context<'_, N>) -> Validity {
        let of_this_topic = cx.network.topic_of(id).is_none_or(|topic| topic == self.topic);
        if of_this_topic { cx.network.validate_id(id) } else { Validity::Invalid }
    }

    /// Handles an IWANT. Each message is sent to a peer at most `max_gossip_retransmission` times. `take_answer` counts the
    /// bytes of a message in the [quota](Quota::take_answer) of the peer over all topics, up to a maximum.
    pub(crate) fn iwant(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        ids: Vec<N::MessageId>,
        take_answer: &mut dyn FnMut(usize, usize) -> bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> IWantOutcome<N> {
        if let Err(LowScore { score, threshold }) = check_score(status, cx.limits) {
            return IWantOutcome::LowScore { score, threshold };
        }
        let mut answers = BTreeMap::new();
        for id in ids {
            let answer = self.answer(peer, &id, take_answer, cx, outbox);
            answers.insert(id, answer);
        }
        let bootstrap = status.connection_id.is_some_and(ConnectionId::is_bootstrap);
        for answer in answers.values() {
            if let IWantAnswer::Message(message) = answer {
                outbox.stats.count_recv_iwants += 1;
                // The history has the message; the p2p stream bounds the answers.
                let to = if bootstrap { Vec::new() } else { vec![peer.clone()] };
                let bytes = message.size(cx.network);
                outbox.broadcast(
                    to,
                    message,
                    bytes,
                    (Lane::Answer, self.parameters.sent_first),
                    &mut Charge::default(),
                );
            }
        }
        IWantOutcome::Answered { ids: answers }
    }

    /// Answers the request of one id. Every request counts, unless the peer was sent as many bytes as it may be sent now.
    fn answer(
        &mut self,
        peer: &N::Peer,
        id: &N::MessageId,
        take_answer: &mut dyn FnMut(usize, usize) -> bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> IWantAnswer<N> {
        let Some((message, requests)) = self.history.count_request(peer, id, cx, outbox) else {
            return IWantAnswer::NotFound;
        };
        if requests.is_none_or(|requests| requests > cx.limits.max_gossip_retransmission) {
            IWantAnswer::TooManyRequests
        } else if cx.peer_view.received_idontwant(peer, id) {
            IWantAnswer::Declined
        } else if !cx.network.peer_filter(peer, PeerAction::IWant(id)) {
            IWantAnswer::Ignored
        } else {
            let max = cx.limits.extensions.max_iwant_bytes_per_heartbeat;
            if max > 0 && !take_answer(message.size(cx.network), max) {
                self.history.uncount_request(peer, id);
                IWantAnswer::TooManyBytes
            } else {
                IWantAnswer::Message(Arc::clone(message))
            }
        }
    }

    /// The ids that an IHAVE would offer at this time.
    pub(crate) fn gossip_ids(&self, limits: &Limits<N::Topic>, now: Timestamp) -> Vec<N::MessageId> {
        self.history.recent(limits.history_gossip_length, now).cloned().collect()
    }

    /// The ids to offer and the candidates to offer them to. `None` if there is nothing to offer.
    pub(crate) fn gossip_plan<'a>(&'a self, cx: &'a Context<'_, N>) -> Option<GossipPlan<'a, N>> {
        let served = self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers));
        let ids = || self.gossip_ids(cx.limits, cx.present);
        GossipPlan::new(&self.subscribers, self.unmeshed(), served, ids, cx)
    }

    /// Sends IHAVE to randomly chosen subscribers that receive no full messages from this node.
    pub(super) fn send_gossip(&mut self, cx: &Context<'_, N>, outbox: &mut Outbox<N>) {
        let served = self.mesh.as_ref().or(self.fanout.as_ref().map(|fanout| &fanout.peers));
        let ids = || self.gossip_ids(cx.limits, cx.present);
        let Some(plan) = GossipPlan::new(&self.subscribers, self.unmeshed(), served, ids, cx) else { return };
        if plan.ids.len() <= cx.limits.max_sent_iwant_per_heartbeat as usize {
            let (to, message_ids) = plan.select_all(&mut self.rng);
            outbox.gossip(to, P2pMessage::IHave { topic: self.topic.clone(), message_ids });
            return;
        }
        for (_, connection_id, message_ids) in plan.select(&mut self.rng) {
            let message = P2pMessage::IHave { topic: self.topic.clone(), message_ids };
            outbox.send(connection_id, message);
        }
    }

    /// Sends an IHAVE of messages that a subscriber was not sent because a queue was full: those that it can still request
    /// by IWANT, and has neither sent nor declined itself.
    pub(super) fn offer_missed(
        &self,
        peer: N::Peer,
        mut message_ids: Vec<N::MessageId>,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) {
        let status = cx.peer_view.status(&peer);
        let may_request =
            |connection_id: &ConnectionId| connection_id.takes_gossip() && self.is_subscriber(*connection_id);
        let Some(connection_id) = status.connection_id.filter(may_request) else { return };
        if check_score(status, cx.limits).is_err() {
            return;
        }
        message_ids.retain(|id| lacks(&peer, id, &self.seen, &self.history, cx));
        if !message_ids.is_empty() {
            outbox.send(connection_id, P2pMessage::IHave { topic: self.topic.clone(), message_ids });
        }
    }
}

/// Whether a peer may lack a message that it can request: it has neither sent nor declined it.
pub(super) fn lacks<N: Network>(
    peer: &N::Peer,
    id: &N::MessageId,
    seen: &SeenIds<N>,
    history: &History<N>,
    cx: &Context<'_, N>,
) -> bool {
    history.contains(id, cx.present)
        && !seen.has_sender(id, peer)
        && !cx.peer_view.received_idontwant(peer, id)
}

/// Counts an IHAVE that passes the gossip threshold.
///
/// # Errors
/// The outcome to report if the score is too low or a quota of the peer is used up.
pub(in crate::protocol) fn accept_ihave<N: Network>(
    status: PeerStatus,
    quota: &mut Quota,
    limits: &Limits<N::Topic>,
) -> Result<(), IHaveOutcome<N>> {
    if let Err(LowScore { score, threshold }) = check_score(status, limits) {
        return Err(IHaveOutcome::LowScore { score, threshold });
    }
    quota.take_ihave(limits)
}

type Connections<P> = BTreeMap<P, ConnectionId>;

/// The ids to offer and the candidates, before the random choice.
pub(crate) struct GossipPlan<'a, N: Network> {
    ids: Vec<N::MessageId>,
    subscribers: &'a [ConnectionId],
    /// The subscribers that receive full messages from this node, and those that speak floodsub. Both lists are ascending.
    served: Vec<ConnectionId>,
    /// The gossip threshold, if some peer may be below it.
    threshold: Option<f64>,
    cx: &'a Context<'a, N>,
}

impl<'a, N: Network> GossipPlan<'a, N> {
    /// Returns `None` for a topic without mesh and fanout, or without messages.
    fn new(
        subscribers: &'a Subscribers,
        unmeshed: impl Iterator<Item = ConnectionId>,
        served: Option<&'a Connections<N::Peer>>,
        ids: impl FnOnce() -> Vec<N::MessageId>,
        cx: &'a Context<'_, N>,
    ) -> Option<Self> {
        let (served, ids) = (served?, ids());
        if ids.is_empty() {
            return None;
        }
        let mut served: Vec<_> = served.values().copied().collect();
        served.extend(unmeshed);
        served.sort_unstable();
        let threshold = cx.limits.gossip_threshold;
        let threshold = (!cx.peer_view.min_score_at_least(threshold)).then_some(threshold);
        Some(Self { ids, subscribers: subscribers.as_slice(), served, threshold, cx })
    }

    /// The subscribers that receive no full messages from this node, take gossip, and are not below the gossip threshold.
    fn gossip_candidates(&self) -> Vec<ConnectionId> {
        let mut candidates = Vec::with_capacity(self.subscribers.len());
        let mut rest = self.subscribers;
        for served in &self.served {
            let (before, from) = rest.split_at(rest.partition_point(|connection_id| connection_id < served));
            candidates.extend_from_slice(before);
            rest = from.strip_prefix(slice::from_ref(served)).unwrap_or(from);
        }
        candidates.extend_from_slice(rest);
        if let Some(threshold) = self.threshold {
            let resolved = self.cx.peer_view.resolve(&mut candidates.into_iter()).into_iter();
            let good = resolved.filter(|(peer, _)| self.cx.peer_view.score(peer) >= threshold);
            candidates = good.map(|(_, connection_id)| connection_id).collect();
        }
        candidates
    }

    /// Chooses max(D_lazy, gossip_factor x candidates) peers. Each gets its own random selection of ids, so that
    /// together they learn of all.
    pub(crate) fn select(self, rng: &mut ProtocolRng) -> Vec<(N::Peer, ConnectionId, Vec<N::MessageId>)> {
        let most = self.cx.limits.max_sent_iwant_per_heartbeat as usize;
        let chosen = self.choose_peers(rng);
        let mut offer = |(peer, connection_id)| {
            let mut ids = self.ids.clone();
            shuffle(&mut ids, rng);
            ids.truncate(most);
            (peer, connection_id, ids)
        };
        self.cx.peer_view.resolve(&mut chosen.into_iter()).into_iter().map(&mut offer).collect()
    }

    /// Like [`select`](Self::select), for a list of ids that fits into one IHAVE: all peers get the same message.
    fn select_all(mut self, rng: &mut ProtocolRng) -> (Vec<ConnectionId>, Vec<N::MessageId>) {
        let mut to = self.choose_peers(rng);
        to.retain(|connection_id| !connection_id.is_bootstrap());
        shuffle(&mut self.ids, rng);
        (to, self.ids)
    }

    fn choose_peers(&self, rng: &mut ProtocolRng) -> Vec<ConnectionId> {
        let candidates = self.gossip_candidates();
        let by_factor = (self.cx.limits.gossip_factor * candidates.len() as f64) as usize;
        choose(candidates, by_factor.max(self.cx.limits.degree_lazy), rng)
    }
}
