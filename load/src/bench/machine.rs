//! What else the machine does, which no figure should be of.

use std::fs;
use std::time::Duration;

use crate::scenario::memory::busy;

/// The ticks of a second, as in the system's counts.
const TICKS: f64 = 100.0;

/// The load of the machine, for who reads the figures.
pub(super) fn told() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, Into::into);
    format!("{cores} cores, load average {}", load.join(" "))
}

/// The processor time that the machine has used, and that these processes and
/// this one have used of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    all: f64,
    ours: f64,
}

impl Used {
    pub(super) fn now(processes: &[u32]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = stat.lines().next().unwrap_or_default().split_whitespace();
        let ticks: Vec<f64> = ticks.skip(1).filter_map(|tick| tick.parse().ok()).collect();
        // User, nice, system, then idle and waiting, interrupts, and what the
        // hypervisor took.
        let all = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| ticks.get(at));
        let ours = processes.iter().copied().chain([std::process::id()]);
        let ours = ours.filter_map(|pid| busy(pid).ok());
        Self {
            all: all.sum::<f64>() / TICKS,
            ours: ours.map(|busy| busy.as_secs_f64()).sum(),
        }
    }

    /// The part of one core that others have used since.
    pub(super) fn others_since(self, before: Self, time: Duration) -> f64 {
        let others = (self.all - before.all) - (self.ours - before.ours);
        (others / time.as_secs_f64()).max(0.0)
    }
}
