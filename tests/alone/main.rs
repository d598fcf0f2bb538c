//! These tests measure the memory and the threads of the whole process, or use both cores, so they run one after another.

#[cfg(feature = "simulation")]
mod interleavings;
mod memory;
mod spam;
mod threads;
#[cfg(feature = "libp2p-node")]
mod transport_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Blocks until the guards of all other tests are dropped: other tests would change what this one measures.
fn lock_process() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
