//! Attacks on a running engine. After each: what it cost the attacker, that memory is bounded, by the
//! engine's own count and by the allocator's, and that honest peers noticed nothing. Never times anything.

mod budget;
mod connections;
mod field;
mod forgetting;
mod gossip;
mod mesh;
mod messages;
mod subscriptions;
mod support;
mod world;

use peak_alloc::PeakAlloc;

/// Counts the bytes of the whole process: the tests of this binary run one after another.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;
