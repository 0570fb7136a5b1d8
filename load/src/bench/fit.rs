//! How figures grow.

/// A straight line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// By how much it rises for each unit.
    pub slope: f64,
    /// The largest distance of a point from it, relative to the highest point.
    pub deviation: f64,
}

impl Line {
    /// The line with the least squares of distances; two points or more have one.
    pub(super) fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let covariance: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let slope = covariance / variance;
        let distances = points
            .iter()
            .map(|point| (point.1 - (y + slope * (point.0 - x))).abs());
        let highest = points.iter().map(|point| point.1);
        Self {
            slope,
            deviation: distances.fold(0.0, f64::max) / highest.fold(0.0, f64::max),
        }
    }
}

/// The ratio of the largest figure to the smallest.
pub(super) fn spread(figures: &[f64]) -> f64 {
    let largest = figures.iter().copied().fold(f64::NAN, f64::max);
    let smallest = figures.iter().copied().fold(f64::NAN, f64::min);
    largest / smallest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two figures are the same but for rounding.
    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn points_of_a_line_have_its_slope_and_do_not_deviate() {
        let points = [1.0, 2.5, 5.0, 10.0].map(|x| (x * 1000.0, 13.0 + 0.042 * x * 1000.0));
        let line = Line::through(&points);
        assert!(is_near(line.slope, 0.042), "{line:?}");
        assert!(is_near(line.deviation, 0.0), "{line:?}");
    }

    #[test]
    fn a_bend_is_a_deviation_relative_to_the_highest_point() {
        // The best line is flat, at 4; the second point is 6 above it.
        let line = Line::through(&[(0.0, 1.0), (1.0, 10.0), (2.0, 1.0)]);
        assert!(is_near(line.slope, 0.0), "{line:?}");
        assert!(is_near(line.deviation, 0.6), "{line:?}");
    }

    #[test]
    fn the_spread_is_between_the_largest_and_the_smallest_wherever_they_are() {
        assert!(is_near(spread(&[2.0, 3.0, 1.5]), 2.0));
        assert!(is_near(spread(&[7.0]), 1.0));
    }
}
