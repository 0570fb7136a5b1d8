//! The processor time of a piece of work.

use std::process::id;
use std::time::Duration;

use tokio::time::Instant;

use super::machine::CpuUsage;
use crate::scenario::proc_stat::cpu_time;

/// Measures the processor time of a proxy and of the upstream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter<'a> {
    /// The upstream.
    pub vendor: u32,
    /// All processes of the benchmark.
    pub processes: &'a [u32],
}

/// What a piece of work took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// By the clock.
    pub time: Duration,
    /// Of the proxy's processor time; nothing without a proxy.
    pub own: Duration,
    /// Of the upstream's.
    pub vendor: Duration,
    /// Of the caller's, in this process.
    pub caller: Duration,
    /// The fraction of a core that other processes used meanwhile.
    pub others: f64,
}

impl Meter<'_> {
    /// Measures `work` with the proxy `pid`.
    pub(super) async fn measure<T>(
        &self,
        pid: Option<u32>,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<(T, Spent), String> {
        let of = |pid: Option<u32>| pid.map_or(Ok(Duration::ZERO), cpu_time);
        let before = CpuUsage::now(self.processes);
        let (own, vendor, caller) = (of(pid)?, of(Some(self.vendor))?, of(Some(id()))?);
        let begun = Instant::now();
        let done = work.await?;
        let time = begun.elapsed();
        let spent = Spent {
            time,
            own: of(pid)?.saturating_sub(own),
            vendor: of(Some(self.vendor))?.saturating_sub(vendor),
            caller: of(Some(id()))?.saturating_sub(caller),
            others: CpuUsage::now(self.processes).others_cpu_since(before, time),
        };
        Ok((done, spent))
    }
}
