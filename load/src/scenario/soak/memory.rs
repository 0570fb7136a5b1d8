//! The memory of a gateway over time.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::super::gateway::Gateway;
use super::super::table::Figures;
use super::GROWTH;

/// The sampling interval.
const TICK: Duration = Duration::from_millis(500);

/// The number of parts of the run: minutes in a full run.
const PARTS: usize = 10;

/// The mean resident memory in each part of the run, in megabytes.
#[derive(Debug)]
pub(super) struct Resident(Vec<f64>);

impl Resident {
    /// Samples a gateway for `time`.
    pub(super) async fn watch(gateway: &Gateway, time: Duration) -> Result<Self, String> {
        let begun = Instant::now();
        let mut ticks = interval(TICK.min(time / 100));
        let mut parts = Vec::new();
        for part in 1..=PARTS {
            let end = begun + time.mul_f64(part as f64 / PARTS as f64);
            let mut seen = Vec::new();
            while Instant::now() < end {
                ticks.tick().await;
                seen.push(gateway.resident()?);
            }
            parts.push(seen.iter().sum::<f64>() / seen.len() as f64);
        }
        Ok(Self(parts))
    }

    pub(super) fn report(&self, figures: &mut Figures) {
        let all: Vec<_> = self.0.iter().map(|part| format!("{part:.1}")).collect();
        let figure = "resident memory of the steady gateway, by tenths of the time";
        figures.report(figure, &format!("{} MB", all.join(", ")));
        let growth = (self.0[PARTS - 1] / self.0[1] - 1.0) * 100.0;
        figures.expect(
            "its growth from the second tenth to the last",
            &format!("< {GROWTH} %"),
            &format!("{growth:+.1} %"),
            growth < GROWTH,
        );
    }
}
