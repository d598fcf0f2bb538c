//! The configuration of a behaviour. Its setters have the names of rust-libp2p's gossipsub and set this crate's limits.

use std::{fmt, sync::Arc, time::Duration};

use actix::ArbiterHandle;

use super::{
    error::ConfigBuilderError, message_ids::MessageIds, message_life::ExpiryFn, room::make_room, score,
    topic::TopicHash,
};
use crate::{
    libp2p::{
        codec::limits::WireLimits,
        connection::capabilities::{ProtocolId, ProtocolVersion},
        ids::TopicName,
        signature::validation::ValidationMode,
        swarm::config::BehaviourConfig,
    },
    limits::{Limits, LimitsConfig, TopicOverrides, TopicPattern},
};

/// The configuration of a [`Behaviour`](super::Behaviour). The default is that of [`ConfigBuilder`].
#[derive(Clone)]
pub struct Config {
    pub(super) limits: LimitsConfig<TopicName>,
    pub(super) transport: BehaviourConfig,
    pub(super) wire: WireLimits,
    pub(super) validation_mode: ValidationMode,
    pub(super) validate_messages: bool,
    /// `None`: the default ids.
    pub(super) message_id: Option<MessageIds>,
    /// The functions for the topics that match a pattern. The first that matches applies.
    pub(super) topic_message_ids: Vec<(TopicPattern, MessageIds)>,
    pub(super) expires_at: Option<Arc<ExpiryFn>>,
    pub(super) threads: Threads,
}

/// The threads of the engine.
#[derive(Clone)]
pub(super) enum Threads {
    /// One for each core.
    Cores,
    Own(usize),
    Arbiters(Vec<ArbiterHandle>),
}

impl Config {
    /// The parameters of the engine.
    pub fn limits(&self) -> &LimitsConfig<TopicName> {
        &self.limits
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("limits", &self.limits)
            .field("transport", &self.transport)
            .field("wire", &self.wire)
            .field("validation_mode", &self.validation_mode)
            .field("validate_messages", &self.validate_messages)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        ConfigBuilder::default().config
    }
}

/// Makes a [`Config`].
///
/// The defaults are those of [`LimitsConfig`] without a peer score, and those of the transport; the default message id
/// of a signed message is that of rust-libp2p's gossipsub: source and sequence number as text. That of an anonymous one is
/// the SHA-256 of its payload, and that of one whose source nobody signed a SHA-256 of its content. What has no setter here
/// is set by [`limits`](Self::limits), [`transport`](Self::transport) and [`wire`](Self::wire).
///
/// ```
/// use std::time::Duration;
/// use actix_gossipsub::libp2p::gossipsub::{ConfigBuilder, ValidationMode};
///
/// let config = ConfigBuilder::default()
///     .heartbeat_interval(Duration::from_secs(10))
///     .validation_mode(ValidationMode::Strict)
///     .limits(|limits| limits.bounds.max_input_bytes = 1 << 28)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ConfigBuilder {
    pub(super) config: Config,
    /// As long as a message is recognised as a duplicate, if that was set.
    duplicate_cache_time: Option<Duration>,
    invalid_protocol: bool,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        let mut limits = LimitsConfig::default();
        score::disable(&mut limits);
        let config = Config {
            limits,
            transport: BehaviourConfig::default(),
            wire: WireLimits::default(),
            validation_mode: ValidationMode::Strict,
            validate_messages: false,
            message_id: None,
            topic_message_ids: Vec::new(),
            expires_at: None,
            threads: Threads::Cores,
        };
        Self { config, duplicate_cache_time: None, invalid_protocol: false }
    }
}

impl From<Config> for ConfigBuilder {
    fn from(config: Config) -> Self {
        Self { config, duplicate_cache_time: None, invalid_protocol: false }
    }
}

/// Bytes of own messages that are flooded in a second, in one topic.
const FLOOD_PUBLISH: usize = 1 << 20;

/// Setters that only assign a field.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $($field:ident).+;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(&mut self, $name: $type) -> &mut Self {
                self.config.$($field).+ = $name;
                self
            }
        )*
    };
}

/// Setters of rust-libp2p's gossipsub.
impl ConfigBuilder {
    setters! {
        /// mcache_len: the heartbeats for which a message answers requests.
        history_length: usize => limits.history_length;
        /// mcache_gossip: the heartbeats for which a message is offered.
        history_gossip: usize => limits.history_gossip_length;
        /// D.
        mesh_n: usize => limits.degree_optimal;
        /// D_lo.
        mesh_n_low: usize => limits.degree_low;
        /// D_hi.
        mesh_n_high: usize => limits.degree_high;
        /// D_out.
        mesh_outbound_min: usize => limits.degree_out;
        /// D_score: the best peers that a prune keeps.
        retain_scores: usize => limits.degree_score;
        /// D_lazy.
        gossip_lazy: usize => limits.degree_lazy;
        /// GossipFactor.
        gossip_factor: f64 => limits.gossip_factor;
        /// The time between two heartbeats.
        heartbeat_interval: Duration => limits.heartbeat_interval;
        /// How much later than the following ones the first heartbeat comes.
        heartbeat_initial_delay: Duration => limits.extensions.heartbeat_initial_delay;
        /// The heartbeats by which we wait longer than a backoff before we graft.
        backoff_slack: u32 => limits.extensions.backoff_slack_ticks;
        /// The heartbeats between two dials of explicit peers that are not connected, and of all others to stay connected to.
        check_explicit_peers_ticks: u64 => limits.bounds.reconnect_interval_ticks;
        /// fanout_ttl.
        fanout_ttl: Duration => limits.fanout_ttl;
        /// PrunePeers: how many peers a PRUNE of ours recommends, and how many are accepted of one.
        prune_peers: usize => limits.peers_to_px;
        /// PruneBackoff.
        prune_backoff: Duration => limits.prune_backoff;
        /// UnsubscribeBackoff.
        unsubscribe_backoff: Duration => limits.unsubscribe_backoff;
        /// GraftFloodThreshold.
        graft_flood_threshold: Duration => limits.graft_flood_threshold;
        /// OpportunisticGraftTicks.
        opportunistic_graft_ticks: u64 => limits.opportunistic_graft_ticks;
        /// OpportunisticGraftPeers.
        opportunistic_graft_peers: usize => limits.opportunistic_graft_peers;
        /// GossipRetransmission. (The name has the spelling of rust-libp2p.)
        gossip_retransimission: u32 => limits.max_gossip_retransmission;
        /// IWantFollowupTime: the time in which a requested message must arrive.
        iwant_followup_time: Duration => limits.extensions.iwant_followup_time;
        /// The size from which on IDONTWANT is sent, in bytes of memory, a little more than those on the wire. 0 disables
        /// it.
        idontwant_message_size_threshold: usize => limits.extensions.idontwant_message_size;
        /// Whether IDONTWANT is sent for large messages of our own too, before the messages.
        idontwant_on_publish: bool => limits.extensions.idontwant_on_publish;
        /// Most items of the send queue of one connection.
        connection_handler_queue_len: usize => transport.queue.max_items;
        /// Most messages that are read of one RPC.
        max_publish_messages: usize => wire.max_messages_in;
        /// Most bytes of subscriptions and control in an RPC that is written. What is read is limited by entries
        /// ([`WireLimits`]).
        max_control_message_size: usize => wire.max_control_bytes_out;
        /// Which messages are accepted.
        validation_mode: ValidationMode => validation_mode;
    }

    /// Most IHAVEs that are accepted from one peer within a heartbeat.
    pub fn max_ihave_messages_heartbeat(&mut self, messages: usize) -> &mut Self {
        self.config.limits.max_recv_ihave_per_heartbeat = u32::try_from(messages).unwrap_or(u32::MAX);
        self
    }

    /// Most ids that are requested from one peer within a heartbeat.
    pub fn max_control_messages_sent(&mut self, ids: usize) -> &mut Self {
        self.config.limits.max_sent_iwant_per_heartbeat = u32::try_from(ids).unwrap_or(u32::MAX);
        self
    }

    /// The largest frame that is read and written. A payload may have about 1,280 bytes less, for the signature. Above 4 MiB
    /// [`build`](Self::build) raises the bounds of the send queues and of the transport's memory, unless
    /// [`transport`](Self::transport) has set them.
    pub fn max_transmit_size(&mut self, bytes: usize) -> &mut Self {
        let wire = &mut self.config.wire;
        (wire.max_frame_in, wire.max_frame_out) = (bytes, bytes);
        wire.frame_target = wire.frame_target.min(bytes - bytes / 8);
        self
    }

    /// The time for which copies of a message are recognised, rounded up to heartbeats.
    pub fn duplicate_cache_time(&mut self, time: Duration) -> &mut Self {
        self.duplicate_cache_time = Some(time);
        self
    }

    /// Messages wait for [`report_message_validation_result`](super::Behaviour::report_message_validation_result), and are
    /// not forwarded before.
    pub fn validate_messages(&mut self) -> &mut Self {
        self.config.validate_messages = true;
        self
    }

    /// Whether messages of ours that come back are accepted, after the seen cache has forgotten them.
    pub fn allow_self_origin(&mut self, allow: bool) -> &mut Self {
        self.config.limits.extensions.refuse_own_messages = !allow;
        self
    }

    /// Whether own messages go to all subscribers above the publish threshold, as far as 1 MiB a second and topic allow.
    /// Another rate: [`limits`](Self::limits), `extensions.flood_publish_bytes_per_second`.
    pub fn flood_publish(&mut self, flood: bool) -> &mut Self {
        self.config.limits.extensions.flood_publish_bytes_per_second = if flood { FLOOD_PUBLISH } else { 0 };
        self
    }

    /// Floodsub is offered after the other protocols: a peer that speaks nothing else is sent every message, as long as its score
    /// is not below the publish threshold, and no control messages.
    pub fn support_floodsub(&mut self) -> &mut Self {
        self.config.transport.floodsub = true;
        self
    }

    /// PRUNEs recommend other peers, [`prune_peers`](Self::prune_peers) of them.
    pub fn do_px(&mut self) -> &mut Self {
        self.config.limits.do_px = true;
        self
    }

    /// The protocols `PREFIX/1.2.0`, `PREFIX/1.1.0` and `PREFIX/1.0.0` in place of `/meshsub/…`.
    pub fn protocol_id_prefix(&mut self, prefix: impl AsRef<str>) -> &mut Self {
        match ProtocolId::with_prefix(prefix.as_ref()) {
            Ok(ids) => self.config.transport.protocols = ids,
            Err(_) => self.invalid_protocol = true,
        }
        self
    }

    /// A single protocol with this id, over which this version is spoken.
    pub fn protocol_id(&mut self, id: impl Into<String>, version: ProtocolVersion) -> &mut Self {
        match ProtocolId::new(id, version) {
            Ok(id) => self.config.transport.protocols = vec![id],
            Err(_) => self.invalid_protocol = true,
        }
        self
    }

    /// D of a topic.
    pub fn mesh_n_for_topic(&mut self, mesh_n: usize, topic: TopicHash) -> &mut Self {
        self.for_topic(topic, |limits| limits.degree_optimal = Some(mesh_n))
    }

    /// D_lo of a topic.
    pub fn mesh_n_low_for_topic(&mut self, mesh_n_low: usize, topic: TopicHash) -> &mut Self {
        self.for_topic(topic, |limits| limits.degree_low = Some(mesh_n_low))
    }

    /// D_hi of a topic.
    pub fn mesh_n_high_for_topic(&mut self, mesh_n_high: usize, topic: TopicHash) -> &mut Self {
        self.for_topic(topic, |limits| limits.degree_high = Some(mesh_n_high))
    }

    /// D_out of a topic.
    pub fn mesh_outbound_min_for_topic(&mut self, mesh_outbound_min: usize, topic: TopicHash) -> &mut Self {
        self.for_topic(topic, |limits| limits.degree_out = Some(mesh_outbound_min))
    }

    /// The bytes above which a message of a topic is invalid, and a publication is refused: of the encoded message with its
    /// topic and signature, as rust-libp2p measures what it receives. (It refuses publications by their payload only, so that
    /// its peers find those invalid which are smaller by less than the rest.)
    pub fn max_transmit_size_for_topic(&mut self, bytes: usize, topic: TopicHash) -> &mut Self {
        self.for_topic(topic, |limits| limits.max_message_size = Some(bytes))
    }

    fn for_topic(&mut self, topic: TopicHash, change: impl FnOnce(&mut TopicOverrides)) -> &mut Self {
        change(self.config.limits.topics.named.entry(topic).or_default());
        self
    }
}

/// Setters that rust-libp2p's gossipsub does not have.
impl ConfigBuilder {
    /// Changes parameters of the engine.
    ///
    /// Weights in `score` turn the peer score on, also for patterns of topics. `peer_score`, `set_application_score` and
    /// `set_topic_params` of the behaviour work then; [`with_peer_score`](super::Behaviour::with_peer_score), which takes topics
    /// by name only, would replace these parameters.
    pub fn limits(&mut self, change: impl FnOnce(&mut LimitsConfig<TopicName>)) -> &mut Self {
        change(&mut self.config.limits);
        self
    }

    /// Changes settings of the transport: queues, time limits, memory, bounds of dials, trusted peers.
    pub fn transport(&mut self, change: impl FnOnce(&mut BehaviourConfig)) -> &mut Self {
        change(&mut self.config.transport);
        self
    }

    /// Changes the limits on what is read and written.
    pub fn wire(&mut self, change: impl FnOnce(&mut WireLimits)) -> &mut Self {
        change(&mut self.config.wire);
        self
    }

    /// Runs the engine on this number of own threads; see
    /// [`WorkerBuilder::arbiters`](crate::WorkerBuilder::arbiters). By default one for each core.
    pub fn arbiters(&mut self, threads: usize) -> &mut Self {
        self.config.threads = Threads::Own(threads);
        self
    }

    /// Runs the engine on these arbiters; see
    /// [`WorkerBuilder::on_arbiters`](crate::WorkerBuilder::on_arbiters).
    pub fn on_arbiters(&mut self, arbiters: impl IntoIterator<Item = ArbiterHandle>) -> &mut Self {
        self.config.threads = Threads::Arbiters(arbiters.into_iter().collect());
        self
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Parameters violate rules, a protocol id is no protocol id, or a bound of the transport that is not the default has no
    /// room for the largest frame.
    pub fn build(&self) -> Result<Config, ConfigBuilderError> {
        if self.invalid_protocol {
            return Err(ConfigBuilderError::InvalidProtocol);
        }
        let mut config = self.config.clone();
        if let Some(time) = self.duplicate_cache_time {
            config.limits.seen_history_length = ticks(time, config.limits.heartbeat_interval);
        }
        Limits::try_from(config.limits.clone())?;
        make_room(&mut config.transport, &config.wire)?;
        Ok(config)
    }
}

/// The number of heartbeats in this time, at least 1.
pub(super) fn ticks(time: Duration, heartbeat_interval: Duration) -> usize {
    let ticks = time.as_nanos().div_ceil(heartbeat_interval.as_nanos().max(1));
    usize::try_from(ticks).unwrap_or(usize::MAX).max(1)
}
