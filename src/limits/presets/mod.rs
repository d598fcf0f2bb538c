//! The parameters of known networks, for programs that do not read a file. The files in `config/` have the same values
//! with the reasons for them; a test compares both. Another compares them with the figures of the networks.

mod ethereum;
mod filecoin;

use std::time::Duration;

use super::{
    Bounds, Extensions, LimitsConfig, PatternScore, ScoreLimits, Subnet, TopicFamily, TopicLimits,
    TopicScoreLimits, TopicScores,
};

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
            ip_colocation_weight: -5.0,
            ip_colocation_threshold: 10.0,
            ip_colocation_whitelist: loopback(),
        }
    }
}

/// The addresses of this machine: many nodes run on one in tests. go-libp2p-pubsub leaves them out too.
fn loopback() -> Vec<Subnet> {
    ["127.0.0.0/8", "::1"].map(|text| text.parse().expect("a subnet")).to_vec()
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
            first_message_deliveries_cap: 40.0,
            first_message_deliveries_decay: 0.992354,
            mesh_message_deliveries_weight: 0.0,
            mesh_message_deliveries_window: Duration::from_millis(10),
            mesh_message_deliveries_activation: Duration::from_secs(5),
            mesh_message_deliveries_cap: 100.0,
            mesh_message_deliveries_threshold: 20.0,
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
                ip_colocation_weight: 0.0,
                ..ScoreLimits::default()
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
        first_message_deliveries_cap: 2000.0,
        first_message_deliveries_decay: 0.5,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: 0.3,
        ..TopicScoreLimits::default()
    }
}

/// The scores of topics that match these patterns, with their weights. Other topics do not count.
fn by_pattern<T>(entries: impl IntoIterator<Item = (&'static str, f64, TopicScoreLimits)>) -> TopicScores<T> {
    let entries = entries.into_iter();
    let patterns = entries.map(|(pattern, weight, parameters)| PatternScore {
        pattern: pattern.into(),
        weight,
        parameters,
    });
    TopicScores::Family(TopicFamily {
        patterns: patterns.collect(),
        default_weight: 0.0,
        ..TopicFamily::default()
    })
}
