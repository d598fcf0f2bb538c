//! Attacks on a running engine. After each of them the tests compare what it cost the attacker, check that memory is
//! bounded by the engine's own count and by the allocator's, and check that honest peers received everything.

mod bare_node;
mod budget;
mod connections;
mod forgetting;
mod gossip;
mod mesh;
mod messages;
mod network;
mod subscriptions;
mod support;

use peak_alloc::PeakAlloc;

/// Counts the bytes of the whole process.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;
