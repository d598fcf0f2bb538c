//! These tests attack a running engine. After each attack they check the attacker's penalties, the bound on memory by
//! the engine's own count and by the allocator's, and that honest peers received every message.

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
pub static HEAP: PeakAlloc = PeakAlloc;
