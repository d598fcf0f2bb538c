//! The running engine through its public surface: what it promises beyond the state machines that
//! the conformance tests replay. Every test runs real actors; none compares times.

mod actix_forms;
mod batches;
mod bounds;
mod concurrency;
mod faults;
mod kills;
mod life;
mod log_lines;
mod many_topics;
mod metrics;
mod order;
mod peer_inputs;
mod promises;
mod reconnections;
mod recording;
mod slow_peers;
mod support;
mod tickets;
mod validation;
