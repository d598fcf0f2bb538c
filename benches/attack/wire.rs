//! What this bench shares with the bench `wire`.

#[path = "../wire/clock.rs"]
pub mod clock;
#[path = "../wire/content.rs"]
pub mod content;
#[path = "../wire/latency.rs"]
pub mod latency;
#[path = "../wire/libp2p_node.rs"]
pub mod libp2p_node;
#[path = "../wire/plan.rs"]
pub mod plan;
#[path = "../wire/remote.rs"]
pub mod remote;
#[path = "../wire/swarm.rs"]
pub mod swarm;
#[path = "../wire/tcp.rs"]
pub mod tcp;
