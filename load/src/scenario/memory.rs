//! The memory of a gateway over time.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::gateway::Gateway;
use super::table::Figures;

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

    /// Reports the memory, and the growth from the second tenth to the last, which must
    /// be less than `most` percent.
    pub(super) fn report(&self, most: f64, figures: &mut Figures) {
        let figure = "its growth from the second tenth to the last";
        self.compare(figure, &self.0[1..2], &self.0[PARTS - 1..], most, figures);
    }

    /// The same from the first three tenths to the last three.
    pub(super) fn report_thirds(&self, most: f64, figures: &mut Figures) {
        let figure = "its growth from the first three tenths to the last three";
        self.compare(figure, &self.0[..3], &self.0[PARTS - 3..], most, figures);
    }

    fn compare(&self, figure: &str, first: &[f64], last: &[f64], most: f64, figures: &mut Figures) {
        let all: Vec<_> = self.0.iter().map(|part| format!("{part:.1}")).collect();
        let name = "resident memory by tenths of the time";
        figures.report(name, &format!("{} MB", all.join(", ")));
        let mean = |parts: &[f64]| parts.iter().sum::<f64>() / parts.len() as f64;
        let growth = (mean(last) / mean(first) - 1.0) * 100.0;
        figures.expect(
            figure,
            &format!("< {most} %"),
            &format!("{growth:+.1} %"),
            growth < most,
        );
    }
}
