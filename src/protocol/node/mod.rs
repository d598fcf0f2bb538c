//! A complete gossipsub node as one pure value: the peers' side and its topics, composed synchronously. Simulations,
//! benches and conformance tests run it; the actors run the same state machines on several threads.

mod batch;
mod join;
mod outputs;
mod peer_view;
mod publish;
mod queries;
mod reports;
mod settings;
mod settle;
mod topics;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use derive_where::derive_where;
use foldhash::fast::RandomState;

use self::{
    settle::add_maintenance,
    topics::{TopicIndex, Topics},
};
use super::{
    connection::{ConnectionId, ConnectionIndex},
    event::Event,
    exchange::{
        Outbox,
        command::ValidationMode,
        peer_view::{LowScore, check_score, is_graylisted},
    },
    iwant::IWantByTopic,
    options::NodeOptions,
    outcome::*,
    output::{announcements::Announcements, pending::PendingOutput},
    peers::{
        Peers,
        idontwant::{PeerIDontWant, check_idontwant},
        missed::MissedMessages,
    },
    quota::Quota,
    topic::receive::receive_not_joined,
};
use crate::{
    admission::totals::Totals,
    limits::Limits,
    network::{
        AppInput, AppOutput, ConnectionInfo, Delivery, FullMessage, Network, P2pInput, P2pMessage, P2pOutput,
        PxPeer, hooks::Hooks,
    },
    timestamp::Timestamp,
};

/// A gossipsub node. Each input takes the current time and returns its outcome. Outputs are collected until
/// [`drain`](Self::drain).
#[derive_where(Debug)]
pub struct Node<N: Network> {
    #[derive_where(skip)]
    network: Hooks<N>,
    limits: Arc<Limits<N::Topic>>,
    totals: Totals,
    seed: u64,
    peers: Peers<N>,
    topics: Topics<N>,
    /// The topics with unflushed delivery counts.
    unflushed: Vec<TopicIndex>,
    quotas: BTreeMap<N::Peer, Quota>,
    /// The ids in the IDONTWANTs of connected peers.
    idontwant: BTreeMap<N::Peer, PeerIDontWant<N>>,
    /// The messages that connected peers were not sent because a queue was full.
    missed: BTreeMap<N::Peer, MissedMessages<N>>,
    /// The topic of each message in the history whose id does not name its topic.
    topic_by_message_id: HashMap<N::MessageId, N::Topic, RandomState>,
    next_generation: u64,
    /// The connected peers by connection id.
    connected: ConnectionIndex<N::Peer>,
    outbox: Outbox<N>,
    /// Outputs for the p2p layer, resolved to peers when they are drained.
    emitted: Vec<PendingOutput<N>>,
    announcements: Announcements<N>,
    drained: NodeOutputs<N>,
}

/// The outputs of a node, in order.
#[derive_where(Clone, Debug, Default)]
pub struct NodeOutputs<N: Network> {
    /// Outputs for the p2p layer.
    pub p2p: Vec<P2pOutput<N>>,
    /// Messages for the application.
    pub app: Vec<AppOutput<N>>,
    /// Events for the observer.
    pub events: Vec<Event<N>>,
    /// The number of messages dropped because too many were waiting for a verdict.
    pub throttled: usize,
    /// The number of messages dropped because they were parked for too long (`extensions.parked_ticks`).
    pub expired: usize,
}

// === Inputs of the worker ===

impl<N: Network> Node<N> {
    /// Makes a node without peers and topics.
    pub fn new(network: Arc<N>, limits: Limits<N::Topic>, options: NodeOptions<N>) -> Self {
        let limits = Arc::new(limits);
        let network = Hooks::new(network, |_| {});
        let totals = Totals::new(&limits.bounds);
        Self {
            peers: Peers::new(network.clone(), Arc::clone(&limits), totals.clone(), &options),
            network,
            totals,
            limits,
            seed: options.seed,
            topics: Topics::default(),
            unflushed: Vec::new(),
            quotas: BTreeMap::new(),
            idontwant: BTreeMap::new(),
            missed: BTreeMap::new(),
            topic_by_message_id: HashMap::default(),
            next_generation: 0,
            connected: ConnectionIndex::default(),
            outbox: Outbox::default(),
            emitted: Vec::new(),
            announcements: Announcements::default(),
            drained: NodeOutputs::default(),
        }
    }

    /// Handles an input of the p2p layer.
    pub fn p2p_input(&mut self, input: P2pInput<N>, now: Timestamp) {
        match input {
            P2pInput::InMessage { from_peer, message } => self.in_message(&from_peer, message, now),
            P2pInput::NewConnection { peer, info } => {
                self.add_peer(&peer, &info, now);
            }
            P2pInput::Disconnection { peer } => {
                self.remove_peer(&peer, now);
            }
            P2pInput::RemoteAddresses { peer, addresses } => self.set_addresses(&peer, &addresses, now),
            P2pInput::FurtherConnection { peer } => self.further_connection(&peer, now),
        }
    }

    /// Handles an input of the application.
    pub fn app_input(&mut self, input: AppInput<N>, now: Timestamp) {
        match input {
            AppInput::Publish(message) => drop(self.publish(message, now)),
            AppInput::Join(topic) => drop(self.join(&topic, now)),
            AppInput::Leave(topic) => drop(self.leave(&topic, now)),
            AppInput::Relay(topic) => drop(self.relay(&topic, now)),
            AppInput::StopRelay(topic) => drop(self.stop_relay(&topic, now)),
            AppInput::SetApplicationScore { peer, score } => self.set_application_score(&peer, score),
        }
    }

    // Most inputs are full messages, and a separate call costs 2 % of one.
    #[inline(always)]
    fn in_message(&mut self, from: &N::Peer, message: P2pMessage<N>, now: Timestamp) {
        match message {
            P2pMessage::Graft { topic } => drop(self.graft(from, &topic, now)),
            P2pMessage::Prune { topic, px, backoff } => drop(self.prune(from, &topic, px, backoff, now)),
            P2pMessage::IHave { topic, message_ids } => drop(self.ihave(from, &topic, message_ids, now)),
            P2pMessage::IWant { message_ids } => drop(self.iwant(from, message_ids, now)),
            P2pMessage::IDontWant { message_ids } => {
                self.idontwant(from, message_ids, now);
            }
            P2pMessage::Subscribe { topic, .. } => drop(self.subscribe(from, &topic, now)),
            P2pMessage::Unsubscribe { topic } => drop(self.unsubscribe(from, &topic, now)),
            P2pMessage::FullMessage(message) => {
                drop(self.receive_message(from, message, self.peers.validation_mode(), now));
            }
            P2pMessage::Ping => {}
        }
    }
}

// === Inputs of the automaton, with their outcomes ===

impl<N: Network> Node<N> {
    /// Handles a new connection.
    pub fn add_peer(&mut self, peer: &N::Peer, info: &ConnectionInfo, now: Timestamp) -> AddPeer {
        self.flush_delivery_counts(now);
        self.next_generation += 1;
        let connection_id = ConnectionId::new(self.next_generation, info);
        let outcome = self.peers.connect(peer, connection_id, info.kind);
        if outcome == AddPeer::Added {
            self.peers.set_addresses(peer, info.remote_ip().as_slice());
            self.connected.insert(connection_id, peer.clone());
            self.emitted.push(PendingOutput::Connected(connection_id));
        }
        self.settle(now);
        outcome
    }

    /// Handles a closed connection.
    pub fn remove_peer(&mut self, peer: &N::Peer, now: Timestamp) -> RemovePeer {
        self.flush_delivery_counts(now);
        self.idontwant.remove(peer);
        self.missed.remove(peer);
        if let Some(connection_id) = self.peers.connection_id(peer) {
            self.connected.remove(connection_id);
        }
        let outcome = self.peers.disconnect(peer, now);
        self.settle(now);
        outcome
    }

    /// Handles a SUBSCRIBE.
    pub fn subscribe(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> SubscribeOutcome {
        let below_topic_limit = self.peers.below_topic_limit(peer, topic);
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return SubscribeOutcome::Graylisted;
        }
        self.on_topic(topic, now, |topic, cx, outbox| {
            topic.subscribe(peer, status, below_topic_limit, cx, outbox)
        })
    }

    /// Handles an UNSUBSCRIBE.
    pub fn unsubscribe(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> UnsubscribeOutcome {
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return UnsubscribeOutcome::Graylisted;
        }
        self.on_topic(topic, now, |topic, _, outbox| topic.unsubscribe(peer, status, outbox))
    }

    /// Handles a GRAFT.
    pub fn graft(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> GraftOutcome {
        let below_topic_limit = self.peers.below_topic_limit(peer, topic);
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return GraftOutcome::Graylisted;
        }
        self.on_topic(topic, now, |topic, cx, outbox| {
            topic.graft(peer, status, below_topic_limit, cx, outbox)
        })
    }

    /// Handles a PRUNE with the offered peers and the backoff.
    pub fn prune(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        px: Vec<PxPeer<N::Peer>>,
        backoff: Duration,
        now: Timestamp,
    ) -> PruneOutcome<N> {
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return PruneOutcome::Graylisted;
        }
        let mut px_outcome = None;
        let refusal = self.on_topic_with(topic, now, &mut px_outcome, |topic, cx, outbox| {
            topic.prune(peer, status, px, backoff, cx, outbox)
        });
        refusal.or(px_outcome).unwrap_or(PruneOutcome::NoPx)
    }

    /// Handles an IHAVE.
    pub fn ihave(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        ids: Vec<N::MessageId>,
        now: Timestamp,
    ) -> IHaveOutcome<N> {
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return IHaveOutcome::Graylisted;
        }
        let mut quota = self.quota(peer);
        let outcome = self
            .on_topic(topic, now, |topic, cx, outbox| topic.ihave(peer, status, ids, &mut quota, cx, outbox));
        self.store_quota(peer, quota);
        outcome
    }

    /// Handles an IWANT, whose ids may belong to several topics.
    pub fn iwant(&mut self, peer: &N::Peer, ids: Vec<N::MessageId>, now: Timestamp) -> IWantOutcome<N> {
        let status = self.status(peer, now);
        if is_graylisted(status, &self.limits) {
            return IWantOutcome::Graylisted;
        }
        if let Err(LowScore { score, threshold }) = check_score(status, &self.limits) {
            return IWantOutcome::LowScore { score, threshold };
        }
        let by_message_id = |id: &N::MessageId| self.topic_by_message_id.get(id).cloned();
        let can_answer = |topic: &N::Topic| self.topics.find(topic).is_some();
        let IWantByTopic { topics, unknown } =
            IWantByTopic::split(ids, &self.network, by_message_id, can_answer);
        let mut answers: BTreeMap<_, _> = unknown.into_iter().map(|id| (id, IWantAnswer::NotFound)).collect();
        let mut quota = self.quota(peer);
        let mut take_answer = |bytes, max| quota.take_answer(bytes, max);
        for (topic, ids) in topics {
            let outcome = self.on_topic(&topic, now, |topic, cx, outbox| {
                topic.iwant(peer, status, ids, &mut take_answer, cx, outbox)
            });
            if let IWantOutcome::Answered { ids } = outcome {
                answers.extend(ids);
            }
        }
        self.store_quota(peer, quota);
        IWantOutcome::Answered { ids: answers }
    }

    /// Handles an IDONTWANT, whose ids may belong to several topics.
    pub fn idontwant(&mut self, peer: &N::Peer, ids: Vec<N::MessageId>, now: Timestamp) -> IDontWantOutcome {
        let status = self.status(peer, now);
        if let Err(refused) = check_idontwant(status, &self.limits) {
            return refused;
        }
        let make = || PeerIDontWant::new(&self.limits, &self.totals);
        let idontwant = self.idontwant.entry(peer.clone()).or_insert_with(make);
        idontwant.insert(PeerIDontWant::sized(ids, &self.network), &self.limits)
    }

    /// Handles a full message of a peer.
    pub fn receive_message(
        &mut self,
        sender: &N::Peer,
        message: Arc<FullMessage<N>>,
        validation_mode: ValidationMode,
        now: Timestamp,
    ) -> ReceiveOutcome<N> {
        if self.sends_graylisted(sender, now) {
            return ReceiveOutcome::Graylisted;
        }
        let delivery = Delivery::new(sender.clone(), message);
        let Some(index) = self.topics.find(&delivery.message.topic) else {
            let topic = delivery.message.topic.clone();
            let outcome = self
                .call_passive_topic(&topic, now, |_, cx, outbox| receive_not_joined(&delivery, cx, outbox));
            self.settle_with(now, &mut |_, _| {}, &mut None);
            return outcome;
        };
        self.on_message(index, now, |state, cx, outbox| state.receive(delivery, validation_mode, cx, outbox))
    }

    /// Sets the application score (P5) of a peer.
    pub fn set_application_score(&mut self, peer: &N::Peer, score: f64) {
        self.peers.set_application_score(peer, score);
    }

    /// Runs a heartbeat. It does not retry parked messages; see [`check_parked`](Self::check_parked).
    pub fn heartbeat(&mut self, now: Timestamp) -> HeartbeatOutcome<N> {
        self.flush_delivery_counts(now);
        self.quotas.clear();
        self.idontwant.retain(|_, idontwant| {
            idontwant.advance();
            !idontwant.is_empty()
        });
        self.offer_all_missed(now);
        self.peers.begin_heartbeat(self.topics.names().cloned().collect(), false, now);
        let mut outcome = HeartbeatOutcome::default();
        self.settle_with(now, &mut |topic, event| add_maintenance(topic, event, &mut outcome), &mut None);
        self.retire_inactive_topics();
        outcome
    }

    /// Tries the parked messages again.
    pub fn check_parked(&mut self, now: Timestamp) {
        let network = self.network.clone();
        self.peers.check_parked(|id| network.validate_id(id));
        self.settle(now);
    }
}
