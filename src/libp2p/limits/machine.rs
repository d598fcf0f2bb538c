//! The resources of the machine: the file descriptors of the process and the memory.

/// `None`: unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// The soft limit of the process (`ulimit -n`).
    pub(super) file_descriptors: Option<u64>,
    /// The memory of the machine or of the container, in bytes.
    pub(super) memory: Option<u64>,
}

impl Machine {
    pub(super) fn detect() -> Self {
        Self { file_descriptors: file_descriptors(), memory: memory() }
    }
}

#[cfg(unix)]
fn file_descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn file_descriptors() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    // The types of these fields differ between platforms.
    #[allow(clippy::useless_conversion)]
    let machine = u64::from(info.totalram).saturating_mul(info.mem_unit.into());
    // A container's limit (cgroup v2); the file has "max" if there is none.
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|limit| limit.trim().parse().ok());
    Some(container.map_or(machine, |limit: u64| limit.min(machine)))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_file_descriptors_and_the_memory_of_this_machine_are_found() {
        let machine = Machine::detect();
        assert!(machine.memory.is_some_and(|memory| memory > 1 << 24), "{machine:?}");
        assert!(machine.file_descriptors.is_none_or(|count| count > 10), "{machine:?}");
    }
}
