//! The parameters of known networks, for programs that do not read a file. The files in `config/` have the same values
//! with the reasons for them; a test compares both.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Bounds, Extensions, LimitsConfig, ScoreLimits, TopicFamily, TopicLimits, TopicScoreLimits, TopicScores,
};

/// The fork digest of the mainnet since epoch 419072 (Fulu, second change of the blob schedule).
const ETHEREUM_FORK_DIGEST: &str = "8c9f62fe";
const ETHEREUM_SUBNETS: usize = 64;

impl<T> Default for LimitsConfig<T> {
    /// The defaults of the specification (gossipsub v1.1) with a mild peer score: `config/default.toml`.
    fn default() -> Self {
        Self {
            degree_optimal: 6,
            degree_low: 5,
            degree_high: 12,
            degree_score: 4,
            degree_out: 2,
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_ping_interval: 45,
            backoff_cleanup_ticks: 5,
            score_cleanup_ticks: 1,
            degree_lazy: 6,
            gossip_factor: 0.25,
            history_length: 5,
            history_gossip_length: 3,
            seen_history_length: 120,
            max_recv_ihave_per_heartbeat: 10,
            max_sent_iwant_per_heartbeat: 5000,
            max_gossip_retransmission: 3,
            fanout_ttl: Duration::from_secs(60),
            prune_backoff: Duration::from_secs(60),
            unsubscribe_backoff: Duration::from_secs(10),
            graft_flood_threshold: Duration::from_secs(10),
            do_px: false,
            peers_to_px: 16,
            gossip_threshold: -100.0,
            publish_threshold: -200.0,
            accept_px_threshold: 100.0,
            retain_duration: Duration::from_secs(3600),
            opportunistic_graft_ticks: 60,
            opportunistic_graft_peers: 2,
            opportunistic_graft_threshold: 10.0,
            max_topics_per_peer: 1024,
            topics: TopicLimits::default(),
            score: ScoreLimits::default(),
            extensions: Extensions::default(),
            bounds: Bounds::default(),
        }
    }
}

impl<T> Default for ScoreLimits<T> {
    /// One invalid message costs more than all topics can add: `config/default.toml`.
    fn default() -> Self {
        Self {
            topics: TopicScores::default(),
            topic_score_cap: Some(50.0),
            behaviour_penalty_weight: -10.0,
            behaviour_penalty_threshold: 6.0,
            behaviour_penalty_decay: 0.998722,
            app_specific_weight: 1.0,
            decay_zero: 0.01,
        }
    }
}

impl<T> Default for TopicScores<T> {
    fn default() -> Self {
        Self::Single { parameters: TopicScoreLimits::default() }
    }
}

impl Default for TopicScoreLimits {
    /// Rewards of at most 50 and no penalty for missing deliveries (P3): `config/default.toml`.
    fn default() -> Self {
        Self {
            time_in_mesh_weight: 0.0027,
            time_in_mesh_cap: 3600.0,
            time_in_mesh_quantum: Duration::from_secs(1),
            first_message_deliveries_weight: 1.0,
            first_message_deliveries_cap: 40,
            first_message_deliveries_decay: 0.992354,
            mesh_message_deliveries_weight: 0.0,
            mesh_message_deliveries_window: Duration::from_millis(10),
            mesh_message_deliveries_activation: Duration::from_secs(5),
            mesh_message_deliveries_cap: 100,
            mesh_message_deliveries_threshold: 20,
            mesh_message_deliveries_decay: 0.5,
            mesh_failure_penalty_weight: 0.0,
            mesh_failure_penalty_decay: 0.5,
            invalid_message_deliveries_weight: -100.0,
            invalid_message_deliveries_decay: 0.998722,
        }
    }
}

impl<T> LimitsConfig<T> {
    /// The data availability layer of Tezos with the parameters of the Octez DAL node: `config/tezos-dal.toml`.
    pub fn tezos_dal() -> Self {
        Self {
            backoff_cleanup_ticks: 15,
            do_px: true,
            gossip_threshold: 0.0,
            publish_threshold: 0.0,
            accept_px_threshold: 0.0,
            retain_duration: Duration::from_secs(10),
            opportunistic_graft_threshold: 1.0,
            max_topics_per_peer: 65_536,
            // A peer is subscribed to tens of thousands of topics.
            bounds: Bounds::default().with(|bounds| bounds.max_topic_name_bytes = 1024 * 1024 * 1024),
            extensions: Extensions::none(),
            score: ScoreLimits {
                topics: TopicScores::Single { parameters: tezos_dal_topic() },
                topic_score_cap: Some(3600.0),
                behaviour_penalty_weight: -10.0,
                behaviour_penalty_threshold: 0.0,
                behaviour_penalty_decay: 0.2,
                app_specific_weight: 10.0,
                decay_zero: 0.1,
            },
            ..Self::default()
        }
    }
}

fn tezos_dal_topic() -> TopicScoreLimits {
    TopicScoreLimits {
        time_in_mesh_weight: 1.0,
        time_in_mesh_cap: 3600.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_cap: 2000,
        first_message_deliveries_decay: 0.5,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: 0.3,
        ..TopicScoreLimits::default()
    }
}

impl LimitsConfig<String> {
    /// The consensus layer of the Ethereum mainnet with the score parameters of Lighthouse: `config/ethereum.toml`.
    /// Topic names change at each fork; see [`ethereum_at`](Self::ethereum_at).
    pub fn ethereum() -> Self {
        Self::ethereum_at(ETHEREUM_FORK_DIGEST)
    }

    /// The parameters of [`ethereum`](Self::ethereum) for the topics of another fork. `fork_digest` has eight
    /// hexadecimal digits.
    pub fn ethereum_at(fork_digest: &str) -> Self {
        Self {
            degree_optimal: 8,
            degree_low: 6,
            degree_high: 12,
            heartbeat_interval: Duration::from_millis(700),
            heartbeat_ping_interval: 64,
            backoff_cleanup_ticks: 15,
            score_cleanup_ticks: 17,
            history_length: 6,
            seen_history_length: 550,
            gossip_threshold: -4000.0,
            publish_threshold: -8000.0,
            accept_px_threshold: 100.0,
            retain_duration: Duration::from_secs(38_400),
            opportunistic_graft_threshold: 5.0,
            extensions: Extensions::default().with(|extensions| {
                extensions.accept_px = false;
                extensions.graylist_threshold = Some(-16_000.0);
                extensions.disconnect_threshold = Some(-16_000.0);
            }),
            // Attestations of two epochs.
            bounds: Bounds::default().with(|bounds| bounds.max_seen_bytes = 256 * 1024 * 1024),
            score: ScoreLimits {
                topics: ethereum_topics(fork_digest),
                topic_score_cap: Some(53.75),
                behaviour_penalty_weight: -15.88,
                behaviour_penalty_threshold: 6.0,
                behaviour_penalty_decay: 0.985712,
                app_specific_weight: 1.0,
                decay_zero: 0.01,
            },
            ..Self::default()
        }
    }

    /// The Filecoin mainnet with the parameters of Lotus: `config/filecoin.toml`.
    pub fn filecoin() -> Self {
        Self {
            degree_optimal: 8,
            degree_low: 6,
            degree_high: 12,
            degree_score: 6,
            degree_out: 2,
            backoff_cleanup_ticks: 15,
            degree_lazy: 12,
            gossip_factor: 0.1,
            history_length: 10,
            gossip_threshold: -500.0,
            publish_threshold: -1000.0,
            accept_px_threshold: 1000.0,
            retain_duration: Duration::from_secs(6 * 3600),
            opportunistic_graft_threshold: 3.5,
            extensions: Extensions::default()
                .with(|extensions| extensions.flood_publish_bytes_per_second = 1024 * 1024),
            score: ScoreLimits { topics: filecoin_topics(), topic_score_cap: None, ..ScoreLimits::default() },
            ..Self::default()
        }
    }
}

fn ethereum_topics(fork_digest: &str) -> TopicScores<String> {
    let named = |name: &str| format!("/eth2/{fork_digest}/{name}/ssz_snappy");
    let rare =
        [("voluntary_exit", 22, 1.81818), ("proposer_slashing", 1, 40.0), ("attester_slashing", 1, 40.0)];
    let mut parameters = BTreeMap::from([
        (named("beacon_block"), ethereum_block()),
        (named("beacon_aggregate_and_proof"), ethereum_aggregate()),
    ]);
    let mut weights =
        BTreeMap::from([(named("beacon_block"), 0.5), (named("beacon_aggregate_and_proof"), 0.5)]);
    for (name, cap, weight) in rare {
        parameters.insert(named(name), ethereum_rare(cap, weight));
        weights.insert(named(name), 0.05);
    }
    for subnet in 0..ETHEREUM_SUBNETS {
        weights.insert(named(&format!("beacon_attestation_{subnet}")), 0.015625);
    }
    TopicScores::Family(TopicFamily {
        all_topics: Vec::new(),
        parameters,
        weights,
        patterns: Vec::new(),
        default_parameters: ethereum_subnet(),
        default_weight: 0.0,
    })
}

/// The common parameters of all Ethereum topics: P1 of at most 10, P4 with a decay over 50 epochs, and no P3.
fn ethereum_topic() -> TopicScoreLimits {
    TopicScoreLimits {
        time_in_mesh_weight: 0.033333,
        time_in_mesh_cap: 300.0,
        time_in_mesh_quantum: Duration::from_secs(12),
        mesh_message_deliveries_window: Duration::from_secs(2),
        invalid_message_deliveries_decay: 0.997126,
        ..TopicScoreLimits::default()
    }
}

fn ethereum_block() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 1.14286,
        first_message_deliveries_cap: 35,
        first_message_deliveries_decay: 0.99283,
        mesh_message_deliveries_weight: -0.5,
        mesh_message_deliveries_activation: Duration::from_secs(384),
        mesh_message_deliveries_cap: 2,
        mesh_message_deliveries_threshold: 1,
        mesh_message_deliveries_decay: 0.971628,
        mesh_failure_penalty_weight: -0.5,
        mesh_failure_penalty_decay: 0.971628,
        invalid_message_deliveries_weight: -215.0,
        ..ethereum_topic()
    }
}

fn ethereum_aggregate() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 0.0205867,
        first_message_deliveries_cap: 1943,
        first_message_deliveries_decay: 0.865964,
        mesh_message_deliveries_weight: -0.5,
        mesh_message_deliveries_activation: Duration::from_secs(384),
        mesh_message_deliveries_cap: 1117,
        mesh_message_deliveries_threshold: 279,
        mesh_message_deliveries_decay: 0.930572,
        mesh_failure_penalty_weight: -0.5,
        mesh_failure_penalty_decay: 0.930572,
        invalid_message_deliveries_weight: -215.0,
        ..ethereum_topic()
    }
}

fn ethereum_subnet() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 0.0439078,
        first_message_deliveries_cap: 911,
        first_message_deliveries_decay: 0.865964,
        mesh_message_deliveries_weight: -0.015625,
        mesh_message_deliveries_activation: Duration::from_secs(204),
        mesh_message_deliveries_cap: 4265,
        mesh_message_deliveries_threshold: 267,
        mesh_message_deliveries_decay: 0.964662,
        mesh_failure_penalty_weight: -0.015625,
        mesh_failure_penalty_decay: 0.964662,
        invalid_message_deliveries_weight: -6880.0,
        ..ethereum_topic()
    }
}

fn ethereum_rare(
    first_message_deliveries_cap: u32,
    first_message_deliveries_weight: f64,
) -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight,
        first_message_deliveries_cap,
        first_message_deliveries_decay: 0.998562,
        invalid_message_deliveries_weight: -2150.0,
        ..ethereum_topic()
    }
}

fn filecoin_topics() -> TopicScores<String> {
    let blocks = filecoin_topic(0.00027, 5.0, 100, 0.998722);
    let messages = filecoin_topic(0.0002778, 0.5, 100, 0.992354);
    let beacon = filecoin_topic(0.00027, 5.0, 25, 0.998722);
    let topics = [
        ("/fil/blocks/testnetnet", 0.1, blocks),
        ("/fil/msgs/testnetnet", 0.1, messages),
        (
            "/drand/pubsub/v0.0.0/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
            0.5,
            beacon,
        ),
    ];
    TopicScores::Family(TopicFamily {
        all_topics: Vec::new(),
        weights: topics.iter().map(|(name, weight, _)| (name.to_string(), *weight)).collect(),
        parameters: topics.into_iter().map(|(name, _, parameters)| (name.to_string(), parameters)).collect(),
        patterns: Vec::new(),
        default_parameters: TopicScoreLimits::default(),
        default_weight: 0.0,
    })
}

fn filecoin_topic(time_weight: f64, first_weight: f64, first_cap: u32, first_decay: f64) -> TopicScoreLimits {
    TopicScoreLimits {
        time_in_mesh_weight: time_weight,
        time_in_mesh_cap: 1.0,
        first_message_deliveries_weight: first_weight,
        first_message_deliveries_cap: first_cap,
        first_message_deliveries_decay: first_decay,
        invalid_message_deliveries_weight: -1000.0,
        ..TopicScoreLimits::default()
    }
}
