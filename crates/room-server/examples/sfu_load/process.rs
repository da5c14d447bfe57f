//! What the system says of a process.

use std::fs;
use std::time::Duration;

/// CPU time of all its threads that still run.
pub fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.filter_map(|thread| running_time(&thread.ok()?.path().join("schedstat").to_string_lossy())).sum()
}

/// CPU time of this thread.
pub fn own_thread_cpu() -> Duration {
    running_time("/proc/thread-self/schedstat").unwrap()
}

fn running_time(path: &str) -> Option<Duration> {
    let text = fs::read_to_string(path).ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

/// Memory that it has, in kB.
pub fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
