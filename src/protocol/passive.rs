//! Passive topics: the node has not joined them, does not publish to them and remembers no message of them. Such a topic
//! has no state machine. Its subscribers are in the connections of the peers' side, and its backoffs (of a leave, or of
//! refused GRAFTs if those are not ignored) are there too. A message of a peer about it changes nothing else, so it is
//! handled here without building a state.

use std::time::Duration;

use super::{
    backoff::Backoffs,
    connection::ConnectionId,
    exchange::{
        Context, Outbox,
        command::TopicCommand,
        event::{Maintenance, TopicEvent},
        peer_view::{LowScore, PeerStatus, check_score},
    },
    outcome::{
        GraftOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, LeaveOutcome, PruneOutcome, ReceiveOutcome,
        SubscribeOutcome, UnsubscribeOutcome, labels::Input,
    },
    peers::Peers,
    quota::Quota,
    topic::{TopicState, gossip::accept_ihave, interest::Interest, mesh::refuse_px},
};
use crate::{
    admission::totals::Totals,
    limits::Limits,
    network::{Network, P2pMessage, PeerAction, PxPeer},
};

/// A topic without a state machine. It reads the peers' side, and reports every change as an event.
pub(crate) struct PassiveTopic<'a, N: Network> {
    pub(crate) name: &'a N::Topic,
    pub(crate) peers: &'a Peers<N>,
}

impl<N: Network> PassiveTopic<'_, N> {
    fn subscribe(
        &self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> SubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return SubscribeOutcome::UnknownPeer };
        if !self.peers.is_subscriber(peer, connection_id, self.name) {
            if !below_topic_limit {
                outbox.events.push(TopicEvent::TopicLimitExceeded(peer.clone()));
                return SubscribeOutcome::TopicLimitExceeded;
            }
            if !cx.network.peer_filter(peer, PeerAction::Subscribe(self.name)) {
                return SubscribeOutcome::Filtered;
            }
            if !self.peers.has_room_for_name(peer, self.name) {
                return SubscribeOutcome::TopicLimitExceeded;
            }
            outbox.events.push(TopicEvent::Subscribed(peer.clone(), connection_id));
        }
        SubscribeOutcome::Subscribed
    }

    fn unsubscribe(&self, peer: &N::Peer, status: PeerStatus, outbox: &mut Outbox<N>) -> UnsubscribeOutcome {
        let Some(connection_id) = status.connection_id else { return UnsubscribeOutcome::UnknownPeer };
        outbox.events.push(TopicEvent::Unsubscribed(peer.clone(), connection_id));
        UnsubscribeOutcome::Unsubscribed
    }

    /// Handles a GRAFT, which is ignored (v1.1 "spam protection measures") or refused as in the reference.
    fn graft(
        &self,
        peer: &N::Peer,
        status: PeerStatus,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> GraftOutcome {
        if cx.limits.extensions.ignore_unknown_grafts {
            return GraftOutcome::UnsubscribedTopic;
        }
        let accepted = cx.network.peer_filter(peer, PeerAction::Graft);
        if status.connection_id.is_some() {
            outbox.events.push(TopicEvent::BackedOff(peer.clone()));
        }
        let (topic, backoff) = (self.name.clone(), cx.limits.prune_backoff);
        let prune = P2pMessage::Prune { topic, px: Vec::new(), backoff };
        outbox.answer(peer, status.connection_id, prune);
        if accepted { GraftOutcome::UnsubscribedTopic } else { GraftOutcome::PeerFiltered }
    }

    /// Handles a command of the peers' side. Those that are not listed concern state that a passive topic does not have.
    pub(crate) fn handle_command(&self, command: TopicCommand<N>, outbox: &mut Outbox<N>) {
        let not_subscribed = |input, outbox: &mut Outbox<N>| {
            outbox.counters.input(input, &ReceiveOutcome::<N>::NotSubscribed);
        };
        match command {
            // A panic lost the state of a topic that was left.
            TopicCommand::LeaveConfirmed => outbox.announce(self.name.clone(), false),
            TopicCommand::Retry(..) => {
                not_subscribed(Input::RetryMessage, outbox);
                outbox.events.push(TopicEvent::Dispatched);
            }
            TopicCommand::Verdicts(verdicts) => {
                verdicts.iter().for_each(|_| not_subscribed(Input::ValidationResult, outbox));
                outbox.events.push(TopicEvent::Dispatched);
            }
            // The topic became passive after the heartbeat had begun.
            TopicCommand::StartHeartbeat(_) => {
                outbox.events.push(TopicEvent::Maintained(Maintenance::default()));
            }
            TopicCommand::FinishHeartbeat => outbox.events.push(TopicEvent::HeartbeatFinished),
            TopicCommand::JoinConfirmed
            | TopicCommand::PeerDisconnected(..)
            | TopicCommand::SetDirect(..)
            | TopicCommand::LimitsChanged
            | TopicCommand::ForgetBatched(_)
            | TopicCommand::ForgetParked(_)
            | TopicCommand::GraftAgain(..)
            | TopicCommand::OfferMissed(..) => {}
        }
    }

    /// The state machine that the topic would have, for a query.
    pub(crate) fn to_state(&self, limits: &Limits<N::Topic>, totals: &Totals, seed: u64) -> TopicState<N> {
        let backoffs = self.peers.passive_backoffs().get(self.name).map(Backoffs::snapshot);
        let subscribers = self.peers.subscribers(self.name);
        let parameters = self.peers.parameters_of(self.name);
        TopicState::restored(self.name.clone(), parameters, limits, totals, seed, subscribers, backoffs)
    }
}

/// Makes the state machine of a passive topic that becomes active.
pub(crate) fn activate<N: Network>(
    topic: N::Topic,
    peers: &mut Peers<N>,
    limits: &Limits<N::Topic>,
    totals: &Totals,
    seed: u64,
) -> TopicState<N> {
    let backoffs = peers.activate_topic(&topic);
    let (subscribers, parameters) = (peers.subscribers(&topic), peers.parameters_of(&topic));
    TopicState::restored(topic.clone(), parameters, limits, totals, seed, subscribers, backoffs)
}

/// The topic that a message of a peer is about.
pub(crate) enum TopicRef<'a, N: Network> {
    Active(&'a mut TopicState<N>),
    Passive(PassiveTopic<'a, N>),
}

impl<N: Network> TopicRef<'_, N> {
    pub(crate) fn name(&self) -> &N::Topic {
        match self {
            Self::Active(state) => state.name(),
            Self::Passive(topic) => topic.name,
        }
    }

    /// The state machine, if the topic has one.
    pub(crate) fn state(&self) -> Option<&TopicState<N>> {
        match self {
            Self::Active(state) => Some(state),
            Self::Passive(_) => None,
        }
    }

    /// Whether `peer` is subscribed over this connection.
    pub(crate) fn is_subscriber(&self, peer: &N::Peer, connection_id: ConnectionId) -> bool {
        match self {
            Self::Active(state) => state.is_subscriber(connection_id),
            Self::Passive(topic) => topic.peers.is_subscriber(peer, connection_id, topic.name),
        }
    }

    /// Leaves the topic.
    pub(crate) fn leave(
        &mut self,
        interest: Interest,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> LeaveOutcome<N> {
        match self {
            Self::Active(state) => state.leave(interest, cx, outbox),
            Self::Passive(_) => LeaveOutcome::NotJoined,
        }
    }

    /// Handles a SUBSCRIBE. `below_topic_limit`: whether the peer may subscribe to one more topic.
    pub(crate) fn subscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> SubscribeOutcome {
        match self {
            Self::Active(state) => state.subscribe(peer, status, below_topic_limit, cx, outbox),
            Self::Passive(topic) => topic.subscribe(peer, status, below_topic_limit, cx, outbox),
        }
    }

    /// Handles an UNSUBSCRIBE.
    pub(crate) fn unsubscribe(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        outbox: &mut Outbox<N>,
    ) -> UnsubscribeOutcome {
        match self {
            Self::Active(state) => state.unsubscribe(peer, status, outbox),
            Self::Passive(topic) => topic.unsubscribe(peer, status, outbox),
        }
    }

    /// Handles a GRAFT. `below_topic_limit`: whether the peer may subscribe to one more topic.
    pub(crate) fn graft(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        below_topic_limit: bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> GraftOutcome {
        if status.is_floodsub() {
            return GraftOutcome::FloodsubPeer;
        }
        match self {
            Self::Active(state) => state.graft(peer, status, below_topic_limit, cx, outbox),
            Self::Passive(topic) => topic.graft(peer, status, cx, outbox),
        }
    }

    /// Handles a PRUNE. `None`: the peers' side decides about the offered peers.
    pub(crate) fn prune(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        px: Vec<PxPeer<N::Peer>>,
        backoff: Duration,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> Option<PruneOutcome<N>> {
        match self {
            Self::Active(state) => state.prune(peer, status, px, backoff, cx, outbox),
            Self::Passive(_) => {
                refuse_px(peer, px, cx.limits, outbox);
                Some(PruneOutcome::TopicNotTracked)
            }
        }
    }

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
        if status.is_floodsub() {
            return IHaveOutcome::FloodsubPeer;
        }
        match self {
            Self::Active(state) => state.ihave(peer, status, ids, quota, cx, outbox),
            Self::Passive(_) => match accept_ihave(status, quota, cx.limits) {
                Ok(()) => IHaveOutcome::TopicNotTracked,
                Err(refused) => refused,
            },
        }
    }

    /// Handles an IWANT of messages of this topic.
    pub(crate) fn iwant(
        &mut self,
        peer: &N::Peer,
        status: PeerStatus,
        ids: Vec<N::MessageId>,
        take_answer: &mut dyn FnMut(usize, usize) -> bool,
        cx: &Context<'_, N>,
        outbox: &mut Outbox<N>,
    ) -> IWantOutcome<N> {
        match (self, check_score(status, cx.limits)) {
            (Self::Active(state), _) => state.iwant(peer, status, ids, take_answer, cx, outbox),
            (Self::Passive(_), Err(LowScore { score, threshold })) => {
                IWantOutcome::LowScore { score, threshold }
            }
            (Self::Passive(_), Ok(())) => {
                let ids = ids.into_iter().map(|id| (id, IWantAnswer::NotFound)).collect();
                IWantOutcome::Answered { ids }
            }
        }
    }
}
