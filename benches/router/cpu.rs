//! The CPU time of this process and of one of its threads. Wall time says little on a shared machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What all threads used up.
pub fn of_process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// What this thread used up.
pub fn of_thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
