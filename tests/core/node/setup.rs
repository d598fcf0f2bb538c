//! Builds the node of each test: a [`Setup`] starts a [`Fixture`], which is a node with its clock. Its methods use
//! [`TOPIC`] unless another topic is named.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_gossipsub::{
    ConnectionInfo, Delivery, FullMessage,
    limits::{InvalidLimits, LimitsConfig, RuntimeLimits, ScoreLimits, TopicScoreLimits, TopicScores},
    protocol::{
        GraftOutcome, HeartbeatOutcome, IDontWantOutcome, IHaveOutcome, IWantAnswer, IWantOutcome,
        JoinOutcome, Node, NodeOptions, PublishOutcome, ReceiveOutcome, Timestamp, ValidationMode, View,
    },
};

pub use super::network::Plain;

/// The topic of all methods without a topic argument.
pub const TOPIC: u32 = 0;
/// The peers: 4 * D + 1, so that every selection of peers leaves some out.
pub const MANY: Range<u32> = 0..25;
/// The node itself.
pub const SELF: u32 = 1_000_000;
pub const SECOND: Duration = Duration::from_secs(1);
pub const BOTH: [ValidationMode; 2] = [ValidationMode::Sequential, ValidationMode::Batched];

/// The initial state of a node.
pub struct Setup {
    limits: LimitsConfig<u32>,
    validation_mode: ValidationMode,
    connected: Vec<(u32, ConnectionInfo)>,
    subscribed: Vec<u32>,
    joined: bool,
}

impl Setup {
    /// The default limits of the reference, no connections, and no joined topic.
    pub fn new() -> Self {
        let (connected, subscribed) = (Vec::new(), Vec::new());
        Self {
            limits: reference_limits(),
            validation_mode: ValidationMode::Sequential,
            connected,
            subscribed,
            joined: false,
        }
    }

    pub fn limits(mut self, change: impl FnOnce(&mut LimitsConfig<u32>)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes the score parameters of every topic.
    pub fn topic_score(mut self, change: impl FnOnce(&mut TopicScoreLimits)) -> Self {
        if let TopicScores::Single { parameters } = &mut self.limits.score.topics {
            change(parameters);
        }
        self
    }

    pub fn validation_mode(self, validation_mode: ValidationMode) -> Self {
        Self { validation_mode, ..self }
    }

    pub fn connected(mut self, peers: Range<u32>) -> Self {
        self.connected.extend(peers.map(|peer| (peer, ConnectionInfo::inbound())));
        self
    }

    pub fn outbound(mut self, peers: Range<u32>) -> Self {
        self.connected.extend(peers.map(|peer| (peer, ConnectionInfo::outbound())));
        self
    }

    /// All peers connected so far subscribe.
    pub fn subscribed(mut self) -> Self {
        self.subscribed = self.connected.iter().map(|(peer, _)| *peer).collect();
        self
    }

    /// The topic is joined after the peers subscribed.
    pub fn joined(self) -> Self {
        Self { joined: true, ..self }
    }

    pub fn start(self) -> Fixture {
        let network = Arc::new(Plain::default());
        let limits = self.limits.clone().try_into().expect("valid limits");
        let options = NodeOptions::default().with(|o| (o.seed, o.self_peer) = (1, Some(SELF)));
        let node = Node::new(Arc::clone(&network), limits, options);
        let mut fixture = Fixture {
            node,
            network,
            limits: self.limits,
            validation_mode: self.validation_mode,
            now: Timestamp::ZERO,
        };
        self.connected.iter().for_each(|(peer, info)| fixture.connect(*peer, info.clone()));
        self.subscribed.iter().for_each(|peer| fixture.subscribe(*peer));
        if self.joined {
            fixture.join();
        }
        fixture
    }
}

/// The limits of `default_limits.ml` in Octez. Which peers a publication or a GRAFT reaches outside of a heartbeat is the
/// subject of `first_messages.rs`; here it is as in the reference.
fn reference_limits() -> LimitsConfig<u32> {
    let parameters = TopicScoreLimits::default().with(|t| {
        t.time_in_mesh_weight = 1.0;
        t.time_in_mesh_cap = 3600.0;
        t.time_in_mesh_quantum = SECOND;
        t.first_message_deliveries_weight = 1.0;
        t.first_message_deliveries_cap = 2000.0;
        t.first_message_deliveries_decay = 0.5;
        t.mesh_message_deliveries_weight = -1.0;
        t.mesh_message_deliveries_window = Duration::from_millis(10);
        t.mesh_message_deliveries_activation = 5 * SECOND;
        t.mesh_message_deliveries_cap = 100.0;
        t.mesh_message_deliveries_threshold = 20.0;
        t.mesh_message_deliveries_decay = 0.5;
        t.mesh_failure_penalty_weight = -1.0;
        t.mesh_failure_penalty_decay = 0.5;
        t.invalid_message_deliveries_weight = -1.0;
        t.invalid_message_deliveries_decay = 0.3;
    });
    let score = ScoreLimits::default().with(|s| {
        s.topics = TopicScores::Single { parameters };
        s.topic_score_cap = Some(3600.0);
        s.behaviour_penalty_weight = -10.0;
        s.behaviour_penalty_threshold = 0.0;
        s.behaviour_penalty_decay = 0.2;
        s.app_specific_weight = 10.0;
        s.decay_zero = 0.1;
    });
    LimitsConfig::default().with(|c| {
        c.heartbeat_interval = SECOND;
        c.do_px = true;
        c.gossip_threshold = 0.0;
        c.publish_threshold = 0.0;
        c.accept_px_threshold = 0.0;
        c.retain_duration = 10 * SECOND;
        c.score_cleanup_ticks = 1;
        c.backoff_cleanup_ticks = 15;
        c.score = score;
        c.extensions.graft_on_subscribe = false;
        c.extensions.publish_reaches_degree_optimal = false;
        c.extensions.flood_publish_bytes_per_second = 0;
    })
}

/// A node with its network and its clock.
pub struct Fixture {
    pub node: Node<Plain>,
    pub limits: LimitsConfig<u32>,
    network: Arc<Plain>,
    validation_mode: ValidationMode,
    now: Timestamp,
}

pub fn full(message_id: u32) -> FullMessage<Plain> {
    FullMessage { topic: TOPIC, message_id, message: () }
}

impl Fixture {
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    pub fn connect(&mut self, peer: u32, info: ConnectionInfo) {
        self.node.add_peer(&peer, &info, self.now);
    }

    pub fn subscribe(&mut self, peer: u32) {
        self.node.subscribe(&peer, &TOPIC, self.now);
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn graft(&mut self, peer: u32) -> GraftOutcome {
        self.node.graft(&peer, &TOPIC, self.now)
    }

    pub fn graft_all(&mut self, peers: Range<u32>) {
        for peer in peers {
            self.graft(peer);
        }
    }

    pub fn prune(&mut self, peer: u32, backoff: Duration) {
        self.node.prune(&peer, &TOPIC, Vec::new(), backoff, self.now);
    }

    /// Joins the topic. Returns the grafted peers.
    pub fn join(&mut self) -> BTreeSet<u32> {
        match self.node.join(&TOPIC, self.now) {
            JoinOutcome::Joined { to_graft } => to_graft.into_iter().collect(),
            JoinOutcome::AlreadyJoined => panic!("the topic is joined already"),
        }
    }

    pub fn leave(&mut self) {
        self.node.leave(&TOPIC, self.now);
    }

    /// Publishes a message. Returns its receivers.
    pub fn publish(&mut self, id: u32) -> Vec<u32> {
        match self.node.publish(full(id), self.now) {
            PublishOutcome::Published { to } => to,
            refused => panic!("{id} was not published: {refused:?}"),
        }
    }

    /// Receives a message and, if it is batched, the verdict on its batch.
    pub fn deliver(&mut self, sender: u32, id: u32) -> ReceiveOutcome<Plain> {
        let message = Arc::new(full(id));
        let outcome =
            self.node.receive_message(&sender, Arc::clone(&message), self.validation_mode, self.now);
        if outcome != ReceiveOutcome::Batched {
            return outcome;
        }
        let batch = vec![Delivery::new(sender, message)];
        let (_, outcome) = self.node.apply_batch(batch, self.now).remove(0);
        outcome
    }

    /// From now on the validator finds every message invalid.
    pub fn make_all_messages_invalid(&self) {
        self.network.all_invalid.store(true, Ordering::Relaxed);
    }

    /// From now on every message breaks the network's rules.
    pub fn make_all_messages_violations(&self) {
        self.make_all_messages_invalid();
        self.network.all_violations.store(true, Ordering::Relaxed);
    }

    /// From now on the validator finds every message outdated.
    pub fn make_all_messages_outdated(&self) {
        self.network.all_outdated.store(true, Ordering::Relaxed);
    }

    /// From now on the validator finds every message of unknown validity, or not.
    pub fn make_all_messages_unknown(&self, unknown: bool) {
        self.network.all_unknown.store(unknown, Ordering::Relaxed);
    }

    /// The number of messages that were validated.
    pub fn validations(&self) -> usize {
        self.network.validations.load(Ordering::Relaxed)
    }

    /// From now on peers may not subscribe.
    pub fn refuse_subscriptions(&self) {
        self.network.no_subscriptions.store(true, Ordering::Relaxed);
    }

    /// Changes limits of the running node.
    pub fn change_limits(
        &mut self,
        change: impl FnOnce(&mut RuntimeLimits<u32>),
    ) -> Result<(), InvalidLimits> {
        self.node.set_limits(self.node.limits().runtime().with(change), self.now)
    }

    /// From now on this peer is the source of all messages.
    pub fn set_source(&self, source: u32) {
        self.network.source.store(source, Ordering::Relaxed);
    }

    /// From now on the messages of this source are refused.
    pub fn refuse_source(&self, source: u32) {
        self.network.refused_source.store(source, Ordering::Relaxed);
    }

    /// From now on the message with this id expires then.
    pub fn set_expiry(&self, id: u32, expires_at: Timestamp) {
        self.network.expiries.lock().expect("the lock is not poisoned").insert(id, expires_at);
    }

    /// How often the engine asked when a message expires.
    pub fn expiry_calls(&self) -> usize {
        self.network.expiry_calls.load(Ordering::Relaxed)
    }

    /// Sets the size of all messages in bytes.
    pub fn set_message_size(&self, bytes: usize) {
        self.network.size.store(bytes, Ordering::Relaxed);
    }

    pub fn ihave(&mut self, peer: u32, ids: Range<u32>) -> IHaveOutcome<Plain> {
        self.node.ihave(&peer, &TOPIC, ids.collect(), self.now)
    }

    /// A peer sends IWANT for one message.
    pub fn iwant(&mut self, peer: u32, id: u32) -> IWantAnswer<Plain> {
        match self.node.iwant(&peer, vec![id], self.now) {
            IWantOutcome::Answered { mut ids } => ids.remove(&id).expect("each id has an answer"),
            refused => panic!("the IWANT of {peer} was refused: {refused:?}"),
        }
    }

    pub fn idontwant(&mut self, peer: u32, ids: Range<u32>) -> IDontWantOutcome {
        self.node.idontwant(&peer, ids.collect(), self.now)
    }

    pub fn heartbeat(&mut self) -> HeartbeatOutcome<Plain> {
        self.node.heartbeat(self.now)
    }

    /// Runs a heartbeat after its interval. Returns the number of grafts.
    pub fn next_heartbeat(&mut self) -> usize {
        self.advance(self.limits.heartbeat_interval);
        self.heartbeat().to_graft.len()
    }

    pub fn set_application_score(&mut self, peer: u32, score: f64) {
        self.node.set_application_score(&peer, score);
    }

    pub fn view(&self) -> View<Plain> {
        self.node.view(self.now)
    }

    /// The mesh; empty if the topic is not joined.
    pub fn mesh(&self) -> BTreeSet<u32> {
        self.view().mesh.remove(&TOPIC).unwrap_or_default()
    }

    /// The fanout; empty if there is none.
    pub fn fanout(&self) -> BTreeSet<u32> {
        self.view().fanout.remove(&TOPIC).map(|fanout| fanout.peers).unwrap_or_default()
    }

    pub fn topics_of(&self, peer: u32) -> BTreeSet<u32> {
        self.view().connections.remove(&peer).map(|connection| connection.topics).unwrap_or_default()
    }

    pub fn is_cached(&self, id: u32) -> bool {
        self.view().cached.iter().any(|cached| cached.id == id)
    }

    pub fn score(&self, peer: u32) -> f64 {
        self.view().scores[&peer].score
    }
}

/// Asserts a score with the tolerance of the reference.
#[track_caller]
pub fn assert_score(fixture: &Fixture, peer: u32, expected: f64) {
    let score = fixture.score(peer);
    assert!((score - expected).abs() < 1e-9, "the score of {peer} is {score}, not {expected}");
}
