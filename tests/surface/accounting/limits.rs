//! This module sets the limits of the accounting tests. Meshes are so small that gossip is sent.

use std::time::Duration;

use actix_gossipsub::{Limits, LimitsConfig};

pub fn limits() -> Limits<String> {
    changed(|_| {})
}

pub fn changed(change: impl FnOnce(&mut LimitsConfig)) -> Limits<String> {
    let mut config = LimitsConfig::default().with(|c| c.heartbeat_ping_interval = 3);
    (config.degree_optimal, config.degree_low, config.degree_high) = (3, 2, 5);
    (config.degree_score, config.degree_out) = (2, 1);
    // Gossip goes to all peers outside the mesh.
    config.degree_lazy = 16;
    config.opportunistic_graft_ticks = 2;
    // Scores are low in so short a time, and the meshes must become stable: with all peers in them.
    config.opportunistic_graft_threshold = 1.0;
    config.extensions.prune_at_degree_high = false;
    config.prune_backoff = Duration::from_secs(4);
    config.unsubscribe_backoff = Duration::from_secs(2);
    config.backoff_cleanup_ticks = 1;
    // IDONTWANT is sent for messages of any size.
    config.extensions.idontwant_message_size = 1;
    change(&mut config);
    Limits::try_from(config).expect("a valid change")
}
