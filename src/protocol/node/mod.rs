//! A whole gossipsub node as one pure value: the peers' side and its topics, composed synchronously.
//! What the actors run on many threads runs here in one call; the simulator, the benches and the
//! conformance tests drive it. Never asks a clock, never sends anything.

mod peer_view;
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
    peer_view::SettledPeerView,
    settle::note_maintenance,
    topics::{TopicIndex, Topics},
};
use super::{
    connection::{ConnectionId, ConnectionIndex},
    event::Event,
    exchange::{
        Context, Outbox,
        command::ValidationMode,
        peer_view::{LowScore, check_score},
    },
    inspect::{footprint::Footprint, stats::Stats, view::View},
    options::NodeOptions,
    outcome::*,
    output::{OutputBatch, pending::PendingOutput},
    peers::{
        Peers,
        dispatch::one_each,
        idontwant::{PeerIDontWant, check_idontwant},
    },
    quota::Quota,
    rng::{choose, rng_for},
    topic::TopicState,
};
use crate::{
    limits::Limits,
    network::{
        AppInput, AppOutput, ConnectionInfo, Delivery, FullMessage, Network, P2pInput, P2pMessage, P2pOutput,
        PxPeer,
    },
    timestamp::Timestamp,
};

/// A gossipsub node. Every input takes the present time and answers what became of it; what must be
/// sent gathers until [`drain`](Self::drain).
#[derive_where(Debug)]
pub struct Node<N: Network> {
    #[derive_where(skip)]
    network: Arc<N>,
    limits: Arc<Limits<N::Topic>>,
    seed: u64,
    peers: Peers<N>,
    topics: Topics<N>,
    /// The topics that have something to tell of who delivered what.
    credited: Vec<TopicIndex>,
    quotas: BTreeMap<N::Peer, Quota>,
    /// What connected peers said by IDONTWANT.
    unwanted: BTreeMap<N::Peer, PeerIDontWant<N>>,
    /// Where messages are whose ids don't name their topic.
    homes: HashMap<N::MessageId, N::Topic, RandomState>,
    next_generation: u64,
    /// Who is connected.
    connected: ConnectionIndex<N::Peer>,
    outbox: Outbox<N>,
    /// For the p2p layer; peer by peer when it is drained.
    emitted: Vec<PendingOutput<N>>,
    drained: NodeOutputs<N>,
}

/// What a node wants done, in order.
#[derive_where(Clone, Debug, Default)]
pub struct NodeOutputs<N: Network> {
    /// For the p2p layer.
    pub p2p: Vec<P2pOutput<N>>,
    /// For the application.
    pub app: Vec<AppOutput<N>>,
    /// For the operator.
    pub events: Vec<Event<N>>,
    /// How many messages were dropped because too many waited for a verdict already.
    pub throttled: usize,
}

// === Inputs of the worker: what the p2p layer and the application say ===

impl<N: Network> Node<N> {
    /// A node without peers and topics.
    pub fn new(network: Arc<N>, limits: Limits<N::Topic>, options: NodeOptions<N>) -> Self {
        let limits = Arc::new(limits);
        Self {
            peers: Peers::new(Arc::clone(&network), Arc::clone(&limits), &options),
            network,
            limits,
            seed: options.seed,
            topics: Topics::default(),
            credited: Vec::new(),
            quotas: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            homes: HashMap::default(),
            next_generation: 0,
            connected: ConnectionIndex::default(),
            outbox: Outbox::default(),
            emitted: Vec::new(),
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
        }
    }

    /// Handles an input of the application.
    pub fn app_input(&mut self, input: AppInput<N>, now: Timestamp) {
        match input {
            AppInput::Publish(message) => drop(self.publish(message, now)),
            AppInput::Join(topic) => drop(self.join(&topic, now)),
            AppInput::Leave(topic) => drop(self.leave(&topic, now)),
            AppInput::SetApplicationScore { peer, score } => self.set_application_score(&peer, score),
        }
    }

    // A full message is most of what comes: a call of its own is a fiftieth of what it costs.
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

    /// Takes what the p2p layer is to do, what is said to many peers in one, for transports that encode once. Gossip to
    /// a peer whose connection has ended meanwhile is left out. What is not read before the iterator is dropped is lost.
    pub fn drain_batches(&mut self) -> impl Iterator<Item = OutputBatch<N>> + '_ {
        let Self { emitted, connected, .. } = self;
        let read =
            |output: PendingOutput<N>| output.resolve(|connection_ids| connected.resolve(connection_ids));
        emitted.drain(..).map(read).filter(|batch| batch.count() > 0)
    }

    /// Takes what is to be done, one item a peer, as [`drain_batches`](Self::drain_batches) does.
    pub fn drain(&mut self) -> NodeOutputs<N> {
        let mut drained = std::mem::take(&mut self.drained);
        drained.p2p.reserve_exact(self.emitted.iter().map(PendingOutput::count).sum());
        for batch in self.drain_batches() {
            batch.into_iter().for_each(|output| drained.p2p.push(output));
        }
        // With room for as much again: what is drained often is about as much each time.
        self.drained.app.reserve(drained.app.len());
        drained
    }
}

// === Inputs of the automaton, each with its outcome ===

impl<N: Network> Node<N> {
    /// A connection is up.
    pub fn add_peer(&mut self, peer: &N::Peer, info: &ConnectionInfo, now: Timestamp) -> AddPeer {
        self.settle_credits(now);
        self.next_generation += 1;
        let connection_id = ConnectionId::new(self.next_generation, info.direction, info.kind);
        let outcome = self.peers.connect(peer, connection_id, info.kind.trusted);
        if outcome == AddPeer::Added {
            self.connected.insert(connection_id, peer.clone());
        }
        self.settle(now);
        outcome
    }

    /// A connection is gone.
    pub fn remove_peer(&mut self, peer: &N::Peer, now: Timestamp) -> RemovePeer {
        self.settle_credits(now);
        self.unwanted.remove(peer);
        if let Some(connection_id) = self.peers.connection_id(peer) {
            self.connected.remove(connection_id);
        }
        let outcome = self.peers.disconnect(peer, now);
        self.settle(now);
        outcome
    }

    /// A peer subscribes.
    pub fn subscribe(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> SubscribeOutcome {
        let room = self.peers.has_room(peer);
        let status = self.status(peer, now);
        self.on_topic(topic, now, |state, _, outbox| state.subscribe(peer, status, room, outbox))
    }

    /// A peer unsubscribes.
    pub fn unsubscribe(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> UnsubscribeOutcome {
        let status = self.status(peer, now);
        self.on_topic(topic, now, |state, _, outbox| state.unsubscribe(peer, status, outbox))
    }

    /// A peer sends GRAFT.
    pub fn graft(&mut self, peer: &N::Peer, topic: &N::Topic, now: Timestamp) -> GraftOutcome {
        let room = self.peers.has_room(peer);
        let status = self.status(peer, now);
        self.on_topic(topic, now, |state, cx, outbox| state.graft(peer, status, room, cx, outbox))
    }

    /// A peer sends PRUNE, with peers to try in its place and for how long not to come back.
    pub fn prune(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        px: Vec<PxPeer<N::Peer>>,
        backoff: Duration,
        now: Timestamp,
    ) -> PruneOutcome<N> {
        let mut verdict = None;
        let status = self.status(peer, now);
        let refusal = self.on_topic_with(topic, now, &mut verdict, |state, cx, outbox| {
            state.prune(peer, status, px, backoff, cx, outbox)
        });
        refusal.or(verdict).unwrap_or(PruneOutcome::NoPx)
    }

    /// A peer offers messages.
    pub fn ihave(
        &mut self,
        peer: &N::Peer,
        topic: &N::Topic,
        ids: Vec<N::MessageId>,
        now: Timestamp,
    ) -> IHaveOutcome<N> {
        let status = self.status(peer, now);
        let mut quota = self.quota(peer);
        let outcome = self
            .on_topic(topic, now, |state, cx, outbox| state.ihave(peer, status, ids, &mut quota, cx, outbox));
        self.keep_quota(peer, quota);
        outcome
    }

    /// A peer asks for messages, of any topics.
    pub fn iwant(&mut self, peer: &N::Peer, ids: Vec<N::MessageId>, now: Timestamp) -> IWantOutcome<N> {
        let status = self.status(peer, now);
        if let Err(LowScore { score, threshold }) = check_score(status, &self.limits) {
            return IWantOutcome::LowScore { score, threshold };
        }
        let mut by_topic: BTreeMap<N::Topic, Vec<N::MessageId>> = BTreeMap::new();
        let mut answers = BTreeMap::new();
        for id in ids {
            match self.network.topic_of(&id).or_else(|| self.homes.get(&id).cloned()) {
                Some(topic) if self.topics.find(&topic).is_some() => {
                    by_topic.entry(topic).or_default().push(id)
                }
                _ => drop(answers.insert(id, IWantAnswer::NotFound)),
            }
        }
        for (topic, ids) in by_topic {
            let outcome =
                self.on_topic(&topic, now, |state, cx, outbox| state.iwant(peer, status, ids, cx, outbox));
            if let IWantOutcome::Answered { ids } = outcome {
                answers.extend(ids);
            }
        }
        IWantOutcome::Answered { ids: answers }
    }

    /// A peer says which messages it does not want, of any topics.
    pub fn idontwant(&mut self, peer: &N::Peer, ids: Vec<N::MessageId>, now: Timestamp) -> IDontWantOutcome {
        let status = self.status(peer, now);
        if let Err(refused) = check_idontwant(status, &self.limits) {
            return refused;
        }
        let fresh = || PeerIDontWant::new(&self.limits);
        self.unwanted.entry(peer.clone()).or_insert_with(fresh).note(ids, &self.limits)
    }

    /// A peer sends a full message.
    pub fn receive_message(
        &mut self,
        sender: &N::Peer,
        message: Arc<FullMessage<N>>,
        validation_mode: ValidationMode,
        now: Timestamp,
    ) -> ReceiveOutcome<N> {
        let Some(slot) = self.topics.find(&message.topic) else { return ReceiveOutcome::NotSubscribed };
        let delivery = Delivery::new(sender.clone(), message);
        self.on_message(slot, now, |state, cx, outbox| state.receive(delivery, validation_mode, cx, outbox))
    }

    /// Judges these messages now, in this order.
    pub fn apply_batch(
        &mut self,
        batch: Vec<Delivery<N>>,
        now: Timestamp,
    ) -> Vec<(Delivery<N>, ReceiveOutcome<N>)> {
        let verdicts = one_each(&batch, self.network.validate_batch(&batch));
        let mut apply = |(delivery, verdict): (Delivery<N>, _)| {
            let topic = delivery.message.topic.clone();
            let judged = delivery.clone();
            let outcome = self.on_topic(&topic, now, |state, cx, outbox| {
                state.apply_batch_verdict(judged, verdict, cx, outbox)
            });
            (delivery, outcome)
        };
        batch.into_iter().zip(verdicts).map(&mut apply).collect()
    }

    /// The application publishes.
    pub fn publish(&mut self, message: FullMessage<N>, now: Timestamp) -> PublishOutcome<N> {
        let topic = message.topic.clone();
        self.on_topic(&topic, now, |state, cx, outbox| state.publish(Arc::new(message), cx, outbox))
    }

    /// The application joins a topic.
    pub fn join(&mut self, topic: &N::Topic, now: Timestamp) -> JoinOutcome<N> {
        self.on_topic(topic, now, TopicState::join)
    }

    /// The application leaves a topic.
    pub fn leave(&mut self, topic: &N::Topic, now: Timestamp) -> LeaveOutcome<N> {
        self.on_topic(topic, now, TopicState::leave)
    }

    /// The application sets its part of a peer's score (P5).
    pub fn set_application_score(&mut self, peer: &N::Peer, score: f64) {
        self.peers.set_application_score(peer, score);
    }

    /// The p2p layer finds a peer too slow to be told what it must be told.
    pub fn report_slow_peer(&mut self, peer: &N::Peer) {
        self.peers.slow_peer(peer.clone());
        self.settle(Timestamp::ZERO);
    }

    /// A heartbeat. Parked messages are tried apart from it, by [`check_parked`](Self::check_parked).
    pub fn heartbeat(&mut self, now: Timestamp) -> HeartbeatOutcome<N> {
        self.settle_credits(now);
        self.quotas.clear();
        self.unwanted.retain(|_, unwanted| {
            unwanted.shift();
            !unwanted.is_empty()
        });
        self.peers.begin_heartbeat(self.topics.names().cloned().collect(), false, now);
        let mut outcome = HeartbeatOutcome::default();
        self.settle_with(now, &mut |topic, fact| note_maintenance(topic, fact, &mut outcome), &mut None);
        self.topics.retain(|state| !state.is_empty());
        outcome
    }

    /// Tries the parked messages.
    pub fn check_parked(&mut self, now: Timestamp) {
        let network = Arc::clone(&self.network);
        self.peers.check_parked(|id| network.validate_id(id));
        self.settle(now);
    }

    /// When the pending batch is due, if there is one.
    pub fn batch_deadline(&self) -> Option<Timestamp> {
        self.peers.batch_deadline()
    }

    /// Judges the pending batch.
    pub fn process_batch(&mut self, now: Timestamp) {
        let batch = self.peers.take_batch();
        self.peers.judge_batch(batch);
        self.settle(now);
    }

    /// An attempt to reach a point failed.
    pub fn set_unreachable_point(&mut self, point: N::Point) {
        self.peers.set_unreachable_point(point);
    }
}

// === Looking in ===

impl<N: Network> Node<N> {
    /// Each unreachable point with the ticks until it may be tried; negative when that tick is past.
    pub fn reconnection_delays(&self) -> Vec<(N::Point, i64)> {
        self.peers.reconnection_delays()
    }

    /// Whether the topic is joined.
    pub fn is_subscribed(&self, topic: &N::Topic) -> bool {
        self.peers.is_joined(topic)
    }

    /// The sixteen counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.peers.stats();
        stats += self.outbox.stats;
        stats
    }

    /// How much every map holds.
    pub fn footprint(&self) -> Footprint {
        let mut footprint = Footprint {
            heartbeat_quotas: self.quotas.len(),
            topic_by_message_id: self.homes.len(),
            peers_by_connection: self.connected.len(),
            ..self.peers.footprint()
        };
        footprint.peer_idontwant = self.unwanted.values().map(PeerIDontWant::len).sum();
        self.topics.iter().for_each(|state| footprint += state.footprint());
        footprint
    }

    /// The whole state.
    pub fn view(&self, now: Timestamp) -> View<N> {
        let mut view = View { time: now, ..View::default() };
        self.up_to_date().view(&mut view);
        for state in self.topics.iter() {
            state.view(&self.limits, &mut view);
        }
        for (peer, quota) in &self.quotas {
            view.count_quota(peer, *quota);
        }
        view
    }

    /// Whom a PRUNE to `pruned` would offer now. Changes nothing.
    pub fn select_px_peers(&self, pruned: &N::Peer, topic: &N::Topic, no_px: &[N::Peer]) -> Vec<N::Peer> {
        let Some(state) = self.topics.get(topic) else { return Vec::new() };
        let peers = self.up_to_date();
        let offers = state.px_offers(pruned, no_px.contains(pruned), &self.context(&peers));
        choose(offers, self.limits.peers_to_px, &mut rng_for(self.seed, "look", pruned))
    }

    /// What gossip would offer to whom now, by peer and topic. Changes nothing.
    pub fn select_gossip(&self) -> Vec<(N::Peer, N::Topic, Vec<N::MessageId>)> {
        let peers = self.up_to_date();
        let cx = self.context(&peers);
        let of_topic = |state: &TopicState<N>| {
            let topic = state.topic.clone();
            let mut rng = rng_for(self.seed, "look", &topic);
            let selected = state.gossip_plan(&cx).map(|plan| plan.select(&mut rng)).unwrap_or_default();
            selected.into_iter().map(move |(peer, _, ids)| (peer, topic.clone(), ids))
        };
        let mut gossip: Vec<_> = self.topics.iter().flat_map(of_topic).collect();
        gossip.sort_unstable();
        gossip
    }

    /// For looking only: at no time.
    fn context<'a>(&'a self, peer_view: &'a SettledPeerView<'_, N>) -> Context<'a, N> {
        Context { network: &self.network, limits: &self.limits, peer_view, now: Timestamp::ZERO }
    }
}
