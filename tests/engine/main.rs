//! These tests run the engine with real actors through its public API. Their assertions are independent of wall-clock
//! times.

mod actix_forms;
mod batches;
mod bounds;
mod concurrency;
mod endings;
mod fairness;
mod faults;
mod hooks;
#[cfg(feature = "simulation")]
mod interleavings;
mod kills;
mod life;
mod log_lines;
mod many_topics;
mod metrics;
mod order;
mod parked;
mod peer_inputs;
mod promises;
mod quotas;
mod reconnections;
mod recording;
mod restarts;
mod slow_peers;
mod streams;
mod support;
mod tickets;
mod validation;
