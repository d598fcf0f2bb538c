//! Filecoin: `config/filecoin.toml`.

use std::time::Duration;

use super::by_pattern;
use crate::limits::{Bounds, Extensions, LimitsConfig, ScoreLimits, TopicScoreLimits};

/// Decays to 1 % in one hour and in ten minutes.
const HOUR: f64 = 0.998722;
const TEN_MINUTES: f64 = 0.992354;

impl<T> LimitsConfig<T> {
    /// The Filecoin network with the parameters of Lotus: `config/filecoin.toml`. Topics are found by patterns of their
    /// names.
    ///
    /// A node of the network also needs what limits cannot say: the limits of frames, the signature policy and the message ids
    /// (`libp2p::Libp2pNetwork::filecoin`).
    pub fn filecoin() -> Self {
        Self {
            degree_optimal: 8,
            degree_low: 6,
            degree_high: 12,
            degree_score: 6,
            degree_out: 3,
            backoff_cleanup_ticks: 15,
            degree_lazy: 12,
            gossip_factor: 0.1,
            history_length: 10,
            gossip_threshold: -500.0,
            publish_threshold: -1000.0,
            accept_px_threshold: 1000.0,
            retain_duration: Duration::from_secs(6 * 3600),
            opportunistic_graft_threshold: 3.5,
            extensions: Extensions::default().with(|extensions| {
                extensions.flood_publish_bytes_per_second = 1024 * 1024;
                extensions.iwant_followup_time = Duration::from_secs(5);
                extensions.idontwant_message_size = 1024;
            }),
            bounds: Bounds::default().with(|bounds| bounds.reconnect_interval_ticks = 300),
            score: ScoreLimits {
                topics: by_pattern([
                    ("/fil/blocks/*", 0.1, topic(0.00027, 5.0, 100.0, HOUR)),
                    ("/fil/msgs/*", 0.1, topic(0.0002778, 0.5, 100.0, TEN_MINUTES)),
                    ("/drand/pubsub/v0.0.0/*", 0.5, topic(0.00027, 5.0, 25.0, HOUR)),
                    ("/f3/*", 0.1, topic(0.0002778, 0.5, 100.0, TEN_MINUTES)),
                ]),
                topic_score_cap: None,
                ip_colocation_weight: -100.0,
                ip_colocation_threshold: 5.0,
                ..ScoreLimits::default()
            },
            ..Self::default()
        }
    }
}

fn topic(time_weight: f64, first_weight: f64, first_cap: f64, first_decay: f64) -> TopicScoreLimits {
    TopicScoreLimits {
        time_in_mesh_weight: time_weight,
        time_in_mesh_cap: 1.0,
        first_message_deliveries_weight: first_weight,
        first_message_deliveries_cap: first_cap,
        first_message_deliveries_decay: first_decay,
        invalid_message_deliveries_weight: -1000.0,
        invalid_message_deliveries_decay: HOUR,
        ..TopicScoreLimits::default()
    }
}
