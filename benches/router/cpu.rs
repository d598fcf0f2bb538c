//! This module measures the CPU time of this process and of the calling thread, because wall time is unreliable on a
//! shared machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of all threads so far.
pub fn of_process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The CPU time of the calling thread so far.
pub fn of_thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
