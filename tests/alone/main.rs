//! These tests measure the memory and the threads of the whole process, or use both cores, so they run one after another.

#[cfg(feature = "simulation")]
mod interleavings;
mod memory;
mod spam;
mod threads;
#[cfg(feature = "libp2p-node")]
mod transport_memory;

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Blocks until the guards of all other tests are dropped and the threads of their engines have ended: these would change what
/// this test measures.
fn lock_process() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let running: Vec<_> = thread_names().filter(|name| is_of_an_engine(name)).collect();
        if running.is_empty() {
            return guard;
        }
        assert!(Instant::now() < deadline, "threads of an earlier test have not ended: {running:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The names of the threads of this process. A thread may end while they are read.
fn thread_names() -> impl Iterator<Item = String> {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok())
}

/// Whether an engine, its arbiters, its network or its validators have started a thread of this name. The threads of tests
/// have the names of the tests.
fn is_of_an_engine(name: &str) -> bool {
    ["gossipsub", "actix", "tokio"].iter().any(|prefix| name.starts_with(prefix))
}
