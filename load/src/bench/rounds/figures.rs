//! The figures of the rounds, with their limits.

use super::{BEFORE, DIRECT, ENVOY, GATEWAY, Workload};
use crate::bench::builds::expect_of_before;
use crate::bench::machine::report_others;
use crate::bench::route::{Measurements, Route};
use crate::bench::sdk::Sdk;
use crate::bench::series::Series;
use crate::scenario::table::Figures;
use crate::scenario::vendor::Transport;

/// The limits of added latency, relative to Envoy's.
const MAX_P50_RATIO: f64 = 0.5;
const MAX_P99_RATIO: f64 = 0.6;

impl Workload {
    /// The limits of processor time per call, relative to Envoy's and to that of before.
    fn max_cpu_ratios(self) -> (f64, f64) {
        match self {
            Self::Unary => (0.42, 0.85),
            Self::Bulk => (0.22, 0.6),
            Self::AtRate => (0.5, 0.85),
        }
    }
}

/// The figures of a workload.
pub(super) fn of(
    work: Workload,
    transport: Transport,
    routes: &[Route],
    measured: &[Measurements],
) -> Figures {
    let mut figures = Figures::new(transport.name(work.name()));
    let (direct, gateway, envoy) = (&measured[DIRECT], &measured[GATEWAY], &measured[ENVOY]);
    let named = || routes.iter().map(|route| route.name).zip(measured);
    let ratio = gateway.cpu.ratio_to(&envoy.cpu);
    let (of_envoy, of_before) = work.max_cpu_ratios();
    figures.expect(
        "processor time for a call, of Envoy's",
        &format!("≤ {of_envoy:.2}"),
        &ratio.summary(2),
        ratio.median() <= of_envoy,
    );
    if let Some(before) = measured.get(BEFORE) {
        let figure = "processor time for a call";
        expect_of_before(
            figure,
            &gateway.cpu,
            &before.cpu,
            Some(of_before),
            &mut figures,
        );
    }
    for (name, measured) in named().skip(GATEWAY) {
        let figure = format!("processor time for a call: {name}");
        figures.report(&figure, &format!("{} us", measured.cpu.summary(1)));
    }
    for (name, measured) in named() {
        let figure = format!("processor time of the upstream: {name}");
        figures.report(&figure, &format!("{} us", measured.vendor.summary(1)));
    }
    if work == Workload::AtRate {
        type Quantile = fn(&Measurements) -> &Series;
        let quantiles: [(_, Quantile, _); 2] = [
            ("p50", |measured| &measured.p50, MAX_P50_RATIO),
            ("p99", |measured| &measured.p99, MAX_P99_RATIO),
        ];
        for (name, quantile, limit) in quantiles {
            let added = [gateway, envoy].map(|measured| quantile(measured).minus(quantile(direct)));
            let ratio = added[0].median() / added[1].median();
            let rounds = added[0].ratio_to(&added[1]).summary(2);
            figures.expect(
                &format!("added latency, {name}, of Envoy's"),
                &format!("≤ {limit:.2}"),
                &format!("{ratio:.2} (by rounds {rounds})"),
                ratio <= limit,
            );
            for (route, measured) in named() {
                figures.report(
                    &format!("{name}: {route}"),
                    &format!("{} ms", quantile(measured).summary(3)),
                );
            }
        }
    } else {
        for (name, measured) in named() {
            let rates = format!(
                "{}, p50 {} ms, p99 {} ms",
                measured.calls.summary(0),
                measured.p50.summary(2),
                measured.p99.summary(2)
            );
            figures.report(&format!("calls a second, 16 at once: {name}"), &rates);
        }
    }
    let others = measured.iter().map(|measured| measured.others.median());
    let most = others.fold(0.0, f64::max);
    report_others(most, &mut figures);
    figures
}

/// The figures of the official SDK.
pub(super) fn of_sdk(sdk: &Sdk, measured: &[Vec<Measurements>; 3]) -> Figures {
    let mut figures = Figures::new("official SDK");
    for (name, loops, work) in [("unary", &sdk.unary, 0), ("bulk of 50", &sdk.bulk, 1)] {
        let of_gateway = loops.cpu_us / measured[work][GATEWAY].cpu.median();
        let cost = format!(
            "{:.0} us of processor time for a call, {of_gateway:.0} times the gateway's; {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            loops.cpu_us, loops.per_second, loops.p50_ms, loops.p99_ms
        );
        figures.report(&format!("{name}, one after the other"), &cost);
    }
    figures
}
