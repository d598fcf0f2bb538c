//! What the system knows about a process: its CPU time and its resident memory. Linux only.

use std::fs;

/// The unit of CPU times in `/proc`, which Linux fixes at 10 ms.
const TICKS_PER_SECOND: f64 = 100.0;

/// The CPU time of all threads, in seconds.
///
/// # Errors
/// The process has ended.
pub fn cpu_seconds(process: u32) -> Result<f64, String> {
    let stat = read(process, "stat")?;
    // The name of the program, in parentheses, may contain spaces. User and system time are fields 14 and 15.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    match ticks[..] {
        [user, system] => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(format!("no CPU time in {stat:?}")),
    }
}

/// The resident memory in bytes.
///
/// # Errors
/// The process has ended.
pub fn resident_bytes(process: u32) -> Result<u64, String> {
    let status = read(process, "status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kib.map(|kib: u64| kib << 10).ok_or_else(|| "no resident memory: the process has ended".to_owned())
}

fn read(process: u32, file: &str) -> Result<String, String> {
    fs::read_to_string(format!("/proc/{process}/{file}"))
        .map_err(|error| format!("the node has ended: {error}"))
}
