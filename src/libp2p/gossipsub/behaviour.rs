//! The behaviour and what the application calls. How it is polled is in `poll.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::libp2p::PeerId;
use arc_swap::ArcSwap;

use super::{
    config::Config,
    error::{BehaviourError, PublishError, SubscriptionError},
    hooks::{Blacklist, network},
    message::{Event, MessageAcceptance, PeerKind},
    peers::Peers,
    running::Running,
    score::{self, SetScore},
    topic::{Hasher, Topic, TopicHash},
};
use crate::{
    libp2p::{
        ids::MessageId,
        limits::{
            behaviour::{DirectSource, LimitsBehaviour, ScoreSource},
            config::ConnectionLimits,
        },
        network::{Libp2pNetwork, SubscriptionFilter},
        node::engine::Engine as _,
        signature::{authenticity::MessageAuthenticity, policy::SignaturePolicy},
        swarm::behaviour::Behaviour as Transport,
        transform::{DataTransform, Transform},
    },
    limits::Limits,
    network::{AppInput, PeerRecordOutcome},
    worker::Worker,
};

/// Gossipsub for your swarm: a behaviour that owns an engine and ties it to the connections of the swarm. Its methods are
/// those of rust-libp2p's gossipsub, by name and meaning; the [module](super) lists the differences.
///
/// The engine starts when the swarm is polled for the first time, or at the first publication, and runs on threads of its
/// own. It ends when the behaviour is dropped. Peers learn of that by
/// [`Worker::shutdown`](crate::Worker::shutdown), while the swarm is polled.
pub struct Behaviour {
    pub(super) transport: Transport,
    pub(super) state: State,
    /// The engine, for those who ask for scores.
    pub(super) worker: Arc<OnceLock<Worker<Libp2pNetwork>>>,
    pub(super) peers: Peers,
    /// The topics that are subscribed to. The engine joins them when it starts.
    topics: BTreeSet<TopicHash>,
    /// The topics that are relayed, likewise.
    pub(super) relayed: BTreeSet<TopicHash>,
    pub(super) score: SetScore,
    pub(super) heartbeat_interval: Duration,
    pub(super) blacklist: Blacklist,
    /// The application validates messages.
    pub(super) validates: bool,
    pub(super) events: VecDeque<Event>,
}

/// The engine.
pub(super) enum State {
    /// Not started yet.
    Configured(Box<Settings>),
    Running(Box<Running>),
    /// It has ended, or could not start, for this reason.
    Ended(String),
}

/// The arguments with which the engine is started.
pub(super) struct Settings {
    pub(super) config: Config,
    network: Libp2pNetwork,
    self_peer: Option<PeerId>,
    /// The explicit peers of the configuration, and what the application decided about others.
    pub(super) explicit: BTreeMap<PeerId, bool>,
}

impl Behaviour {
    /// A behaviour whose messages are authored as `authenticity` says.
    ///
    /// # Errors
    /// The validation mode of `config` refuses such messages.
    pub fn new(authenticity: MessageAuthenticity, config: Config) -> Result<Self, BehaviourError> {
        Self::create(authenticity, config, None, None)
    }

    /// As [`new`](Self::new), with an encoding of the application between its messages and those on the wire.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_with_transform(
        authenticity: MessageAuthenticity,
        config: Config,
        transform: impl DataTransform + Send + Sync + 'static,
    ) -> Result<Self, BehaviourError> {
        Self::create(authenticity, config, Some(Arc::new(transform)), None)
    }

    /// As [`new`](Self::new), with the topics that this node and its peers may subscribe to.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_with_subscription_filter(
        authenticity: MessageAuthenticity,
        config: Config,
        filter: SubscriptionFilter,
    ) -> Result<Self, BehaviourError> {
        Self::create(authenticity, config, None, Some(filter))
    }

    /// As [`new`](Self::new), with both.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_with_subscription_filter_and_transform(
        authenticity: MessageAuthenticity,
        config: Config,
        filter: SubscriptionFilter,
        transform: impl DataTransform + Send + Sync + 'static,
    ) -> Result<Self, BehaviourError> {
        Self::create(authenticity, config, Some(Arc::new(transform)), Some(filter))
    }

    fn create(
        authenticity: MessageAuthenticity,
        config: Config,
        transform: Option<Transform>,
        filter: Option<SubscriptionFilter>,
    ) -> Result<Self, BehaviourError> {
        Limits::try_from(config.limits.clone())?;
        let self_peer = match &authenticity {
            MessageAuthenticity::Signed(key) => Some(key.public().to_peer_id()),
            _ => None,
        };
        let policy = SignaturePolicy::new(authenticity, config.validation_mode)?;
        let blacklist = Blacklist::new(ArcSwap::default());
        let network = network(policy, &config, transform, Arc::clone(&blacklist), filter);
        let explicit = config.transport.direct.iter().map(|peer| (*peer, true)).collect();
        Ok(Self {
            transport: Transport::new(network.clone(), config.transport.clone()),
            validates: config.validate_messages,
            heartbeat_interval: config.limits.heartbeat_interval,
            state: State::Configured(Box::new(Settings { config, network, self_peer, explicit })),
            worker: Arc::default(),
            peers: Peers::default(),
            topics: BTreeSet::new(),
            relayed: BTreeSet::new(),
            score: SetScore::default(),
            blacklist,
            events: VecDeque::new(),
        })
    }

    /// Starts the engine if it is not started yet, and passes on what was decided before.
    ///
    /// # Errors
    /// The engine can't start, or it has ended.
    pub(super) fn running(&mut self) -> Result<&mut Running, String> {
        if let State::Configured(settings) = &self.state {
            let Settings { config, network, self_peer, explicit } = &**settings;
            self.state = match Running::start(network.clone(), config, *self_peer) {
                Ok(running) => {
                    let worker = running.worker();
                    // An engine that has just started refuses nothing. If it has ended since, an event reports that.
                    for topic in &self.topics {
                        let _ = worker.app_input(AppInput::Join(topic.clone()));
                    }
                    for topic in &self.relayed {
                        let _ = worker.app_input(AppInput::Relay(topic.clone()));
                    }
                    for (peer, is_explicit) in explicit {
                        let _ = worker.set_direct(peer, *is_explicit);
                    }
                    self.transport.set_delivery_listener(worker.delivery_listener());
                    self.transport.set_graylist(worker.graylist());
                    // It is set once, since this state is never entered again.
                    let _ = self.worker.set(worker.clone());
                    State::Running(Box::new(running))
                }
                Err(error) => {
                    let reason = error.to_string();
                    self.topics.clear();
                    self.relayed.clear();
                    self.events.push_back(Event::EngineEnded { reason: reason.clone() });
                    State::Ended(reason)
                }
            };
        }
        match &mut self.state {
            State::Running(running) => Ok(running),
            State::Ended(reason) => Err(reason.clone()),
            State::Configured(_) => Err("it is not started".to_owned()),
        }
    }

    // === Topics and messages ===

    /// Subscribes to a topic, when the engine starts if it does not run yet. Returns false if it was subscribed to before.
    ///
    /// # Errors
    /// The name is empty or too long, the subscription filter does not allow it, or the engine has ended.
    pub fn subscribe<H: Hasher>(&mut self, topic: &Topic<H>) -> Result<bool, SubscriptionError> {
        let topic = self.check_topic(topic)?;
        if matches!(self.state, State::Configured(_)) {
            return Ok(self.topics.insert(topic));
        }
        let running = self.running().map_err(SubscriptionError::Engine)?;
        if running.worker().is_subscribed(&topic) {
            return Ok(false);
        }
        running.worker().app_input(AppInput::Join(topic.clone()))?;
        self.topics.insert(topic);
        Ok(true)
    }

    /// Unsubscribes from a topic. Returns false if it was not subscribed to.
    pub fn unsubscribe<H: Hasher>(&mut self, topic: &Topic<H>) -> bool {
        let topic = topic.hash();
        let was_there = self.topics.remove(&topic);
        let running = match &self.state {
            State::Configured(_) => return was_there,
            State::Running(running) => running,
            // An engine that has ended has no topics.
            State::Ended(_) => return false,
        };
        running.worker().is_subscribed(&topic) && running.worker().app_input(AppInput::Leave(topic)).is_ok()
    }

    /// Publishes a message. The topic need not be subscribed to. What becomes of the message, an [`Event::Published`]
    /// reports: also that it is a duplicate, or that no peer is subscribed.
    ///
    /// # Errors
    /// The message is too large for peers or for its topic, the topic has no valid name, the key can't sign, the transform fails, or the engine does
    /// not take the message.
    pub fn publish(
        &mut self,
        topic: impl Into<TopicHash>,
        data: impl Into<Vec<u8>>,
    ) -> Result<MessageId, PublishError> {
        let message = self.message(topic.into(), data.into())?;
        let message_id = message.message_id.clone();
        let running = self.running().map_err(PublishError::Engine)?;
        running.check_size(&message)?;
        let ticket = running.worker().publish(message)?;
        running.follow(message_id.clone(), ticket);
        Ok(message_id)
    }

    /// Gives the verdict on a message of [`Event::Message`], with
    /// [`validate_messages`](super::ConfigBuilder::validate_messages). Returns false if the verdict is not used: it is too late
    /// (`bounds.validation_timeout`), the message has one already, or no such message of this peer waits for one.
    /// [`Libp2pNetwork::report_validation`] says which.
    pub fn report_message_validation_result(
        &mut self,
        message_id: &MessageId,
        propagation_source: &PeerId,
        acceptance: MessageAcceptance,
    ) -> bool {
        self.network().report_validation(message_id, propagation_source, acceptance.into()).is_ok()
    }

    // === Queries: answered at once, from what the behaviour knows ===

    /// The topics that are subscribed to by [`subscribe`](Self::subscribe). Up to date. Those that were joined by
    /// [`worker`](Self::worker) are among [`Worker::topics`](crate::Worker::topics).
    pub fn topics(&self) -> impl Iterator<Item = &TopicHash> {
        let worker = self.worker.get();
        self.topics.iter().filter(move |topic| worker.is_none_or(|worker| worker.is_subscribed(topic)))
    }

    /// The peers in our mesh of a topic, as of the events that were returned so far.
    pub fn mesh_peers(&self, topic: &TopicHash) -> impl Iterator<Item = &PeerId> {
        self.peers.mesh(topic)
    }

    /// The peers that are in at least one of our meshes, as of the events that were returned so far.
    pub fn all_mesh_peers(&self) -> impl Iterator<Item = &PeerId> {
        self.peers.all_in_meshes()
    }

    /// The connected peers that speak gossipsub, each with the topics that it is subscribed to, as of the events that were
    /// returned so far.
    pub fn all_peers(&self) -> impl Iterator<Item = (&PeerId, Vec<&TopicHash>)> {
        self.peers.with_topics()
    }

    /// The connected peers, each with the version that it speaks with us. Up to date with the swarm.
    pub fn peer_protocol(&self) -> impl Iterator<Item = (&PeerId, &PeerKind)> {
        self.peers.protocols()
    }

    /// The score of a peer, which may be disconnected; `None` if no score is known, or if neither
    /// [`with_peer_score`](Self::with_peer_score) nor [`limits`](super::ConfigBuilder::limits) has turned the score on. As
    /// topics see it: deliveries since the last heartbeat are not included.
    pub fn peer_score(&self, peer: &PeerId) -> Option<f64> {
        self.worker.get().filter(|_| self.has_score())?.score(peer)
    }

    /// Whether peers have scores, by the limits in force.
    pub(super) fn has_score(&self) -> bool {
        match &self.state {
            State::Configured(settings) => score::is_on(&settings.config.limits.score),
            State::Running(_) | State::Ended(_) => {
                self.worker.get().is_some_and(|worker| score::is_on(&worker.limits().score))
            }
        }
    }

    // === Beyond rust-libp2p's gossipsub ===

    /// The engine: statistics, metrics, queries of its whole state, and its shutdown. `None` before it is started.
    pub fn worker(&self) -> Option<&Worker<Libp2pNetwork>> {
        self.worker.get()
    }

    /// The network: signature policy, message ids, limits.
    pub fn network(&self) -> &Libp2pNetwork {
        self.transport.network()
    }

    /// Takes the signed record that `peer` sent of itself by identify, as protobuf: `info.signed_peer_record` with
    /// `into_protobuf_encoding`. PRUNEs that recommend the peer carry it ([`do_px`](super::ConfigBuilder::do_px)), so that
    /// others can dial it. Returns what became of it.
    pub fn add_peer_record(&self, peer: &PeerId, record: &[u8]) -> PeerRecordOutcome {
        self.transport.add_peer_record(*peer, record)
    }

    /// Limits on the connections of the swarm, which know the scores of this behaviour's peers. They admit the direct, trusted
    /// and bootstrap peers of [`transport`](super::ConfigBuilder::transport) even if there is no room. Put them in front of all
    /// other behaviours.
    pub fn limits_behaviour(&self, limits: ConnectionLimits) -> LimitsBehaviour {
        let mut behaviour = LimitsBehaviour::new(self.network(), limits, self.transport.config.privileged());
        behaviour.set_scores(Some(self.score_source()));
        behaviour.set_direct(Some(self.direct_source()));
        behaviour
    }

    /// The direct peers: those of the configuration until the engine is started.
    fn direct_source(&self) -> Arc<DirectSource> {
        let (worker, configured) = (Arc::clone(&self.worker), self.transport.config.direct.clone());
        Arc::new(move |peer| match worker.get() {
            Some(worker) => worker.is_direct(peer),
            None => configured.contains(peer),
        })
    }

    /// The scores of peers, also before the engine is started.
    fn score_source(&self) -> Arc<ScoreSource> {
        let worker = Arc::clone(&self.worker);
        Arc::new(move |peer| worker.get()?.score(peer))
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Configured(_) => "configured",
            State::Running(_) => "running",
            State::Ended(_) => "ended",
        };
        f.debug_struct("Behaviour")
            .field("engine", &state)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
