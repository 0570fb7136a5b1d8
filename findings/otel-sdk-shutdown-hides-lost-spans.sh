#!/usr/bin/env bash
# opentelemetry_sdk: the shutdown of a tracer provider is a success where the last
# spans were refused and lost; that of a meter provider is a failure.
#
# Versions: crates opentelemetry 0.33.1 and opentelemetry_sdk 0.33.1, Rust 1.95.
#
# Behaviour: a batch span processor exports what is left when it is shut down, and
# drops what the exporter says of it: `SdkTracerProvider::shutdown` returns Ok(()).
# `force_flush` just before returns the exporter's error, and so does the shutdown of
# a meter provider with a periodic reader. A process that looks at the result of the
# shutdown of its traces therefore never learns that its last spans are lost. (An
# open change for it: https://github.com/open-telemetry/opentelemetry-rust/pull/3538.)
#
# Output seen on 2026-11-28:
#   traces: the exporter gets 1 span, and fails; shutdown is Ok
#   traces: the exporter gets 1 span, and fails; force_flush is Err
#   metrics: the exporter gets metrics, and fails; shutdown is Err
#
# Fails if that changes. Needs cargo.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2024"

[dependencies]
opentelemetry = { version = "=0.33.1", default-features = false, features = ["trace", "metrics"] }
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace", "metrics"] }
TOML
cat >src/main.rs <<'RUST'
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

#[derive(Debug)]
struct Refusing;

fn refused() -> OTelSdkResult {
    Err(OTelSdkError::InternalFailure("refused".to_owned()))
}

impl SpanExporter for Refusing {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        print!("traces: the exporter gets {} span, and fails; ", spans.len());
        refused()
    }
}

impl PushMetricExporter for Refusing {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        print!("metrics: the exporter gets metrics, and fails; ");
        refused()
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn traces() -> SdkTracerProvider {
    let traces = SdkTracerProvider::builder().with_batch_exporter(Refusing).build();
    drop(traces.tracer("probe").start("span"));
    traces
}

fn word(result: OTelSdkResult) -> &'static str {
    if result.is_ok() { "Ok" } else { "Err" }
}

fn main() {
    println!("shutdown is {}", word(traces().shutdown()));
    let flushed = traces();
    println!("force_flush is {}", word(flushed.force_flush()));
    let metrics = SdkMeterProvider::builder().with_periodic_exporter(Refusing).build();
    metrics.meter("probe").u64_counter("count").build().add(1, &[]);
    println!("shutdown is {}", word(metrics.shutdown()));
}
RUST
cargo run --quiet >seen 2>errors || { cat errors >&2; exit 1; }

cat seen
diff - seen <<'EXPECTED'
traces: the exporter gets 1 span, and fails; shutdown is Ok
traces: the exporter gets 1 span, and fails; force_flush is Err
metrics: the exporter gets metrics, and fails; shutdown is Err
EXPECTED
