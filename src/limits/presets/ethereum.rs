//! The consensus layer of Ethereum: `config/ethereum.toml`.

use std::time::Duration;

use super::by_pattern;
use crate::limits::{Bounds, Extensions, LimitsConfig, ScoreLimits, TopicScoreLimits};

impl<T> LimitsConfig<T> {
    /// The consensus layer of the Ethereum mainnet: the parameters of the consensus specification, with the score of
    /// Lighthouse: `config/ethereum.toml`. Topics are found by patterns of their names, whatever the fork.
    ///
    /// A node of the network also needs what limits cannot say: the limits of frames, the signature policy, the message ids and
    /// snappy (`libp2p::Libp2pNetwork::ethereum`).
    pub fn ethereum() -> Self {
        Self {
            degree_optimal: 8,
            degree_low: 6,
            degree_high: 12,
            heartbeat_interval: Duration::from_millis(700),
            heartbeat_ping_interval: 64,
            backoff_cleanup_ticks: 15,
            score_cleanup_ticks: 17,
            history_length: 6,
            seen_history_length: 1098,
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
                topics: by_pattern([
                    ("/eth2/*/beacon_block/ssz_snappy", 0.5, block()),
                    ("/eth2/*/beacon_aggregate_and_proof/ssz_snappy", 0.5, aggregate()),
                    ("/eth2/*/beacon_attestation_*/ssz_snappy", 0.015625, subnet()),
                    ("/eth2/*/voluntary_exit/ssz_snappy", 0.05, rare(21.7304, 1.84074)),
                    ("/eth2/*/proposer_slashing/ssz_snappy", 0.05, rare(1.08652, 36.8149)),
                    ("/eth2/*/attester_slashing/ssz_snappy", 0.05, rare(1.08652, 36.8149)),
                ]),
                topic_score_cap: Some(53.75),
                behaviour_penalty_weight: -15.8793,
                behaviour_penalty_threshold: 6.0,
                behaviour_penalty_decay: 0.985712,
                ip_colocation_weight: -53.75,
                ip_colocation_threshold: 8.0,
                ..ScoreLimits::default()
            },
            ..Self::default()
        }
    }
}

/// The common parameters of all topics: P1 of at most 10, P4 with a decay over 50 epochs, and no P3.
fn topic() -> TopicScoreLimits {
    TopicScoreLimits {
        time_in_mesh_weight: 0.0333333,
        time_in_mesh_cap: 300.0,
        time_in_mesh_quantum: Duration::from_secs(12),
        mesh_message_deliveries_window: Duration::from_secs(2),
        invalid_message_deliveries_decay: 0.997126,
        ..TopicScoreLimits::default()
    }
}

fn block() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 1.14716,
        first_message_deliveries_cap: 34.8687,
        first_message_deliveries_decay: 0.99283,
        mesh_message_deliveries_weight: -0.5,
        mesh_message_deliveries_activation: Duration::from_secs(384),
        mesh_message_deliveries_cap: 2.05476,
        mesh_message_deliveries_threshold: 0.684919,
        mesh_message_deliveries_decay: 0.971628,
        mesh_failure_penalty_weight: -0.5,
        mesh_failure_penalty_decay: 0.971628,
        invalid_message_deliveries_weight: -215.0,
        ..topic()
    }
}

fn aggregate() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 0.0205879,
        first_message_deliveries_cap: 1942.89,
        first_message_deliveries_decay: 0.865964,
        mesh_message_deliveries_weight: -0.5,
        mesh_message_deliveries_activation: Duration::from_secs(384),
        mesh_message_deliveries_cap: 1116.95,
        mesh_message_deliveries_threshold: 279.238,
        mesh_message_deliveries_decay: 0.930572,
        mesh_failure_penalty_weight: -0.5,
        mesh_failure_penalty_decay: 0.930572,
        invalid_message_deliveries_weight: -215.0,
        ..topic()
    }
}

fn subnet() -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight: 0.0439208,
        first_message_deliveries_cap: 910.73,
        first_message_deliveries_decay: 0.865964,
        mesh_message_deliveries_weight: -0.015625,
        mesh_message_deliveries_activation: Duration::from_secs(204),
        mesh_message_deliveries_cap: 4265.29,
        mesh_message_deliveries_threshold: 266.581,
        mesh_message_deliveries_decay: 0.964662,
        mesh_failure_penalty_weight: -0.015625,
        mesh_failure_penalty_decay: 0.964662,
        invalid_message_deliveries_weight: -6880.0,
        ..topic()
    }
}

fn rare(first_message_deliveries_cap: f64, first_message_deliveries_weight: f64) -> TopicScoreLimits {
    TopicScoreLimits {
        first_message_deliveries_weight,
        first_message_deliveries_cap,
        first_message_deliveries_decay: 0.998562,
        invalid_message_deliveries_weight: -2150.0,
        ..topic()
    }
}
