//! The builds of the gateway that are measured, and how they run.

use super::Args;
use super::collector::Collector;
use super::series::Series;
use crate::scenario::gateway::Gateway;
use crate::scenario::table::Figures;
use crate::scenario::vendor::Vendor;
use crate::scenario::{ANYWHERE, Settings};

/// The flags of a usual deployment, with a rate limit that is never reached.
pub(super) const GATEWAY_FLAGS: [&str; 4] =
    ["--token-requests-per-minute", "100000", "--lame-duck", "0s"];

/// The same without a rate limit.
pub(super) const UNPACED_FLAGS: [&str; 4] =
    ["--token-requests-per-minute", "0", "--lame-duck", "0s"];

/// A build of the gateway.
#[derive(Debug)]
pub(super) struct Build {
    /// Its name in the table.
    pub name: &'static str,
    /// Its program, and where its logs are.
    pub settings: Settings,
}

impl Build {
    /// The build of this checkout.
    pub(super) fn now(args: &Args) -> Self {
        Self {
            name: "gateway",
            settings: Settings {
                gateway: args.gateway.clone(),
                logs: args.logs.clone(),
                scale: 1.0,
            },
        }
    }

    /// The build to compare with, if one is given.
    pub(super) fn before(args: &Args) -> Option<Self> {
        let gateway = args.before.clone()?;
        let now = Self::now(args).settings;
        Some(Self {
            name: "before",
            settings: Settings { gateway, ..now },
        })
    }

    /// The build of this checkout, and the one to compare with.
    pub(super) fn all(args: &Args) -> Vec<Self> {
        [Self::now(args)]
            .into_iter()
            .chain(Self::before(args))
            .collect()
    }

    /// Starts it for a part of the benchmark, on one thread, with telemetry if a
    /// collector is given.
    pub(super) async fn start(
        &self,
        part: &str,
        vendor: &Vendor,
        flags: &[&str],
        collector: Option<&Collector>,
    ) -> Result<Gateway, String> {
        let endpoint = collector.map(|collector| format!("http://{}", collector.address));
        let mut variables = vec![
            ("TOKIO_WORKER_THREADS", "1"),
            // No access log, as for Envoy.
            ("RUST_LOG", "warn,presence_gateway::cli=info"),
        ];
        if let Some(endpoint) = &endpoint {
            variables.extend([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ]);
        }
        let name = format!("{part}-{}", self.name);
        // The same sender for all builds: the length of a URL costs time.
        let (settings, url) = (&self.settings, vendor.url(part));
        let flags = [flags, &vendor.flags()].concat();
        Gateway::with(settings, &name, &url, ANYWHERE, &flags, &variables).await
    }
}

/// The figures of each build, in the order of the builds.
#[derive(Debug)]
pub(super) struct OfBuilds(Vec<(&'static str, Series)>);

impl OfBuilds {
    /// Without figures yet.
    pub(super) fn new(builds: &[Build]) -> Self {
        let empty = |build: &Build| (build.name, Series::default());
        Self(builds.iter().map(empty).collect())
    }

    /// Adds the figure of a round.
    pub(super) fn add(&mut self, build: usize, figure: f64) {
        self.0[build].1.add(figure);
    }

    /// The median of a build.
    pub(super) fn median(&self, build: usize) -> f64 {
        self.0[build].1.median()
    }

    /// Reports all of them, and their ratio to those of before, which should be at
    /// most `limit`, if there is one.
    pub(super) fn compare(
        &self,
        figure: &str,
        (digits, unit): (usize, &str),
        limit: Option<f64>,
        figures: &mut Figures,
    ) {
        if let [(_, now), (_, before), ..] = self.0.as_slice() {
            expect_of_before(figure, now, before, limit, figures);
        }
        self.report(figure, (digits, unit), figures);
    }

    /// Reports all of them.
    pub(super) fn report(
        &self,
        figure: &str,
        (digits, unit): (usize, &str),
        figures: &mut Figures,
    ) {
        for (name, series) in &self.0 {
            let measured = format!("{} {unit}", series.summary(digits));
            figures.report(&format!("{figure}: {name}"), &measured.trim_end());
        }
    }
}

/// Adds the ratio to the build of before, which should be at most `limit`, if there is one.
pub(super) fn expect_of_before(
    figure: &str,
    now: &Series,
    before: &Series,
    limit: Option<f64>,
    figures: &mut Figures,
) {
    let ratio = now.ratio_to(before);
    let (figure, measured) = (format!("{figure}, of before"), ratio.summary(2));
    match limit {
        Some(limit) => {
            let is_met = ratio.median() <= limit;
            figures.expect(&figure, &format!("≤ {limit:.2}"), &measured, is_met);
        }
        None => figures.report(&figure, &measured),
    }
}

/// The indices of `count` things in the order of a round, so that none is always first.
pub(super) fn in_turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (round + turn) % count)
}
