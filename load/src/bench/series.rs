//! The figures of several rounds; the median counts.

/// A figure of each round.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    pub(super) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The median.
    pub(super) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match (
            sorted.get((sorted.len().max(1) - 1) / 2),
            sorted.get(sorted.len() / 2),
        ) {
            (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
            _ => f64::NAN,
        }
    }

    /// The ratio to another series, round by round.
    pub(super) fn ratio_to(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(own, other)| own / other)
                .collect(),
        )
    }

    /// The difference to another series, round by round.
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(own, other)| own - other)
                .collect(),
        )
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The median with the minimum and the maximum.
    pub(super) fn summary(&self, digits: usize) -> String {
        let sorted = self.sorted();
        let (least, most) = (sorted.first(), sorted.last());
        let (least, most) = (least.unwrap_or(&f64::NAN), most.unwrap_or(&f64::NAN));
        format!(
            "{:.digits$} ({least:.digits$} to {most:.digits$})",
            self.median()
        )
    }
}
