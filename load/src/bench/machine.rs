//! The other load of the machine, which distorts figures.

use std::fs;
use std::time::Duration;

use crate::scenario::proc_stat::cpu_time;
use crate::scenario::table::Figures;

/// The fraction of a core from which the table reports other load.
const QUIET: f64 = 0.1;

/// The kernel's ticks per second in `/proc`.
const TICKS: f64 = 100.0;

/// The load average of the machine.
pub(super) fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, Into::into);
    format!("{cores} cores, load average {}", load.join(" "))
}

/// Reports the fraction of a core that other processes used meanwhile.
pub(super) fn report_others(others: f64, figures: &mut Figures) {
    let verdict = if others > QUIET { "NOT QUIET: " } else { "" };
    let other_load = format!("{verdict}others used {:.0} % of a core", others * 100.0);
    figures.report("the machine meanwhile", &other_load);
}

/// The processor time of the machine, and that of the benchmark's processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuUsage {
    all: f64,
    ours: f64,
}

impl CpuUsage {
    pub(super) fn now(processes: &[u32]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = stat.lines().next().unwrap_or_default().split_whitespace();
        let ticks: Vec<f64> = ticks.skip(1).filter_map(|tick| tick.parse().ok()).collect();
        // user, nice, system, irq, softirq, steal; idle and iowait are left out.
        let all = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| ticks.get(at));
        let ours = processes.iter().copied().chain([std::process::id()]);
        let ours = ours.filter_map(|pid| cpu_time(pid).ok());
        Self {
            all: all.sum::<f64>() / TICKS,
            ours: ours.map(|cpu_time| cpu_time.as_secs_f64()).sum(),
        }
    }

    /// The fraction of one core that other processes have used since.
    pub(super) fn others_cpu_since(self, before: Self, time: Duration) -> f64 {
        let others = (self.all - before.all) - (self.ours - before.ours);
        (others / time.as_secs_f64()).max(0.0)
    }
}
