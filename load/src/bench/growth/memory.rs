//! Memory by calls in flight, all of which wait for the vendor at once.

use super::Args;
use crate::bench::builds::Build;
use crate::bench::collector::Collector;
use crate::bench::fit::Line;
use crate::bench::in_flight::{in_flight, once};
use crate::scenario::in_flight::HELD;
use crate::scenario::table::Figures;
use crate::scenario::vendor::Transport;

/// The calls in flight.
const CALLS: [usize; 4] = [1000, 2500, 5000, 10_000];

/// The limit of the distance from a straight line, relative to the largest memory.
const MAX_DEVIATION: f64 = 0.05;

pub(super) async fn run(args: &Args) -> Result<Vec<Figures>, String> {
    let collector = Collector::start().await?;
    let mut all = Vec::new();
    for &transport in &args.over {
        all.push(over(transport, args, &collector).await?);
    }
    Ok(all)
}

async fn over(transport: Transport, args: &Args, collector: &Collector) -> Result<Figures, String> {
    let case = HELD.over(transport);
    let mut figures = Figures::new(transport.name("growth: memory by calls in flight"));
    for (at, build) in Build::all(args).iter().enumerate() {
        let name = build.name;
        let (mut points, mut are_all_there) = (Vec::new(), true);
        for calls in CALLS {
            let held = in_flight(build, &case, calls, once(&case), collector).await?;
            are_all_there &= held.report.peak_in_flight == calls;
            points.push((calls as f64, held.exit.peak_resident));
        }
        let line = Line::through(&points);
        let slope = format!("{:.1} KB", line.slope * 1000.0);
        figures.report(&format!("for each call: {name}"), &slope);
        let deviation = format!("{:.1} %", line.deviation * 100.0);
        let figure = format!("farthest from a straight line: {name}");
        if at == 0 {
            let limit = format!("≤ {:.0} %", MAX_DEVIATION * 100.0);
            let is_met = line.deviation <= MAX_DEVIATION;
            figures.expect(&figure, &limit, &deviation, is_met);
        } else {
            figures.report(&figure, &deviation);
        }
        for (calls, megabytes) in points {
            let figure = format!("peak resident memory, {calls:.0} calls: {name}");
            figures.report(&figure, &format!("{megabytes:.1} MB"));
        }
        let figure = format!("calls at the upstream at once: {name}");
        let measured = if are_all_there { "all" } else { "not all" };
        figures.expect(&figure, &"all", &measured, are_all_there);
    }
    Ok(figures)
}
