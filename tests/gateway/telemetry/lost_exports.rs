//! Exports that are lost at the shutdown: the log reports them by signal.

use futures_util::future::join_all;
use serde_json::json;
use tonic::Code;

use super::failing_collectors::{NO_RATE_LIMIT, RPC, export_lines, variables};
use super::{gateway, stop};
use crate::support::Vendor;
use crate::support::telemetry::collector::{Collector, CollectorResponse};

/// Returns what the log reports as lost at the shutdown in front of such a
/// collector: signals and errors.
async fn losses(
    protocol: &str,
    traces: CollectorResponse,
    metrics: CollectorResponse,
) -> Vec<[String; 2]> {
    let (vendor, collector) = (
        Vendor::with_response(200, "{}").await,
        Collector::responding(traces, metrics).await,
    );
    let address = match protocol {
        "grpc" => collector.grpc,
        _ => collector.http,
    };
    let mut exported = variables(address, protocol);
    // A batch of three spans is exported at once, a smaller one at the shutdown.
    exported.retain(|(name, _)| *name != "OTEL_BSP_SCHEDULE_DELAY");
    exported.push(("OTEL_BSP_SCHEDULE_DELAY", "86400000".to_owned()));
    exported.push(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3".to_owned()));
    let (serving, gateway) = gateway(&vendor, &NO_RATE_LIMIT, &exported).await;
    // One span for the rejected call, two for the call with a request.
    let invalid = async || gateway.call(RPC, json!({"userId": ""})).await;
    assert_eq!(invalid().await.unwrap_err().code(), Code::InvalidArgument);
    gateway.call(RPC, json!({"userId": "u"})).await.unwrap();
    if [traces, metrics].contains(&CollectorResponse::Reject) {
        // The first warning comes long before the shutdown.
        let refused = collector.wait_until(|received| received.rejected > 0).await;
        if metrics == CollectorResponse::Accept {
            // Waits until the export of that time has ended.
            let count = refused.metrics_exports + 2;
            collector
                .wait_until(|received| received.metrics_exports >= count)
                .await;
        }
    }
    invalid().await.unwrap_err();
    let (status, log) = stop(serving).await;
    assert_eq!(status.code(), Some(0));
    let lines = export_lines(&log).into_iter().filter(|line| {
        let message = line["message"].as_str().unwrap();
        message.starts_with("the last ")
    });
    let mut lost: Vec<_> = lines
        .map(|line| {
            assert_eq!(line["level"], "WARN", "{line}");
            ["signal", "error"].map(|field| line[field].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    lost.sort();
    lost
}

#[tokio::test]
async fn a_signal_that_the_collector_rejects_is_reported_at_every_shutdown() {
    use CollectorResponse::{Accept, Never, Reject};
    // A shutdown with a pending export is a race, so several are tried.
    let never = [(Never, Accept); 3].into_iter().chain([(Accept, Never)]);
    let cases: Vec<_> = ["grpc", "http/protobuf"]
        .into_iter()
        .flat_map(|protocol| {
            let others = [(Reject, Accept), (Accept, Reject), (Accept, Accept)];
            let all = never.clone().chain(others);
            all.map(move |(traces, metrics)| (protocol, traces, metrics))
        })
        .collect();
    let shutdowns = cases
        .iter()
        .map(|(protocol, traces, metrics)| losses(protocol, *traces, *metrics));
    let shutdowns = join_all(shutdowns).await;
    for (case, lost) in cases.iter().zip(shutdowns) {
        let (signal, response) = match case {
            (_, Accept, Accept) => ("", Accept),
            (_, Accept, metrics) => ("metrics", *metrics),
            (_, traces, _) => ("traces", *traces),
        };
        let expected = match (response, case.0) {
            (Never, _) => "no response within 3s",
            (_, "grpc") => "Unimplemented",
            _ => "the response is 404 Not Found",
        };
        match &lost[..] {
            [] => assert_eq!(response, Accept, "nothing is reported for {case:?}"),
            [[reported, error]] => {
                assert_eq!(reported, signal, "{case:?}: {error}");
                assert!(error.contains(expected), "{case:?}: {error}");
            }
            more => panic!("{case:?}: {more:?}"),
        }
    }
}
