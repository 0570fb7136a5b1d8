//! The health service, which reports the gateway and not the vendor.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus::{self, ServiceUnknown, Serving};
use tonic_health::pb::health_client::HealthClient;

use crate::lifecycle::drain::{HOUR, SOON, StoppableGateway, assert_stops_soon};
use crate::support::{Gateway, Limits, Vendor, expect_error};

/// The services that health reports.
pub const NAMES: [&str; 5] = [
    "",
    "readiness",
    "liveness",
    "genesys.presence.v1.PresenceService",
    "genesys.presence.v1.LegacyPresenceService",
];

pub fn health_request(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

pub async fn check(channel: &Channel, service: &str) -> Result<ServingStatus, tonic::Status> {
    let mut client = HealthClient::new(channel.clone());
    let response = client.check(health_request(service)).await?;
    Ok(response.into_inner().status())
}

#[tokio::test]
async fn every_service_is_serving_without_a_token_and_without_a_vendor() {
    let gateway = Gateway::start_without_vendor().await;
    let result = gateway.call("GetPresenceSettings", json!({})).await;
    expect_error(result, Code::Unavailable, "UPSTREAM_UNREACHABLE");
    for name in NAMES {
        let status = check(&gateway.channel, name).await;
        assert_eq!(status.unwrap(), Serving, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_not_found() {
    let gateway = Gateway::start_without_vendor().await;
    for name in [
        "x",
        "PresenceService",
        "Liveness",
        "genesys.presence.v1",
        "readiness ",
    ] {
        let status = check(&gateway.channel, name).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name}");
    }
}

#[tokio::test]
async fn a_watch_of_an_unknown_name_reports_it_and_stays_open_until_the_drain() {
    let stoppable = StoppableGateway::new("http://127.0.0.1:1", Duration::ZERO, HOUR).await;
    let mut client = HealthClient::new(stoppable.gateway.channel.clone());
    let mut watches = Vec::new();
    for name in ["x", "genesys.presence.v1.NoService"] {
        let mut watch = client
            .watch(health_request(name))
            .await
            .unwrap()
            .into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServiceUnknown, "{name}");
        watches.push((name, watch));
    }
    // The response to a later call arrives after any update of the watches.
    check(&stoppable.gateway.channel, "").await.unwrap();
    for (name, watch) in &mut watches {
        let update = watch.message().now_or_never();
        assert!(update.is_none(), "{name} received {update:?}");
    }
    stoppable.stop.send(()).unwrap();
    for (name, mut watch) in watches {
        let end = timeout(SOON, watch.message()).await.expect(name);
        expect_error(end, Code::Unavailable, "SHUTTING_DOWN");
    }
    assert_stops_soon(stoppable.serving).await;
}

#[tokio::test]
async fn a_watch_begins_with_the_current_state() {
    let gateway = Gateway::start_without_vendor().await;
    for name in NAMES {
        let mut client = HealthClient::new(gateway.channel.clone());
        let mut watch = client
            .watch(health_request(name))
            .await
            .unwrap()
            .into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), Serving, "{name}");
    }
}

#[tokio::test]
async fn watches_hold_no_permits_of_calls() {
    let vendor = Vendor::with_response(200, "{}").await;
    let limits = Limits {
        max_in_flight: 4,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    let mut watches = Vec::new();
    for _ in 0..10 {
        let mut client = HealthClient::new(gateway.channel.clone());
        let mut watch = client.watch(health_request("")).await.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        watches.push(watch);
    }
    gateway
        .call("GetPresenceSettings", json!({}))
        .await
        .unwrap();
}
