//! The metrics of watches.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_millis;
use presence_gateway::proto::v1::WatchUsersPresencesRequest;
use presence_gateway::proto::v1::watch_state::Mode;
use prost::Message;

use super::metrics_page::{FLAGS, metrics_address, request, samples};
use crate::support::http2::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, frame, head,
};
use crate::support::in_flight::wait_for;
use crate::support::process::ServerProcess;
use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::{WATCH, WatchCall};
use crate::support::{Gateway, method, path, raw_http};

/// A gateway whose metrics are read.
struct Measured(ServerProcess);

impl Measured {
    /// The samples of watches, without the beginning of their names.
    async fn samples(&self) -> BTreeMap<String, f64> {
        let (_, page) = request(metrics_address(&self.0), "GET /metrics").await;
        let samples = samples(&page).into_iter();
        let samples = samples.filter_map(|(name, value)| {
            let name = name.strip_prefix("presence_gateway_watch_")?;
            Some((name.to_owned(), value))
        });
        samples.collect()
    }

    /// Waits until the samples have these values.
    async fn wait_for(&self, when: &str, expected: &[(&str, f64)]) {
        let equal = async {
            loop {
                let samples = self.samples().await;
                let differs = |(name, value): &&(&str, f64)| samples.get(*name) != Some(value);
                if !expected.iter().any(|it| differs(&it)) {
                    return;
                }
            }
        };
        wait_for(&format!("{expected:?} {when}"), equal).await;
    }
}

/// Watches a user with the same token, without taking anything.
async fn watch_without_reading(gateway: &Gateway, user: &str) -> Client {
    let mut client = Client::connect(gateway.address).await;
    let metadata = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", "Bearer token"),
    ];
    let ids = vec![user.to_owned()];
    let message = WatchUsersPresencesRequest { ids }.encode_to_vec();
    let no_window = [0, 4, 0, 0, 0, 0];
    client
        .write_frames(&[
            frame(SETTINGS, 0, 0, &no_window),
            frame(
                HEADERS,
                END_HEADERS,
                1,
                &head(&path(&method(WATCH)), &metadata),
            ),
            frame(DATA, END_STREAM, 1, &raw_http::frame(&message)),
        ])
        .await;
    client
        .wait_until("the response headers", |frame| frame.kind == HEADERS)
        .await;
    client
}

#[tokio::test]
async fn the_metrics_of_watches_have_the_values_of_what_happened() {
    let sandbox = Sandbox::start();
    let url = sandbox.url();
    let flags = [&["serve", "--upstream-url", &url], &FLAGS[..]].concat();
    let gateway = Measured(ServerProcess::start(&flags, &[]));
    let callers = Gateway::connect(gateway.0.address.parse().unwrap()).await;
    let reasons = ["connection", "gap", "periodic", "unsubscribed"];
    let resyncs = reasons.map(|reason| format!("resyncs_total{{reason=\"{reason}\"}}"));
    let [connection, gap, periodic, unsubscribed] = resyncs.each_ref().map(String::as_str);
    let none = [
        ("open", 0.0),
        ("channels", 0.0),
        ("topics", 0.0),
        ("polled", 0.0),
        ("events_total", 0.0),
        ("conflated_total", 0.0),
        (connection, 0.0),
        (gap, 0.0),
        (periodic, 0.0),
        (unsubscribed, 0.0),
    ];
    gateway.wait_for("at the start", &none).await;
    gateway.wait_for("by default", &[("limit", 1024.0)]).await;

    let (one, other) = (Sandbox::user(1), Sandbox::user(2));
    let mut watch = WatchCall::open(&callers, &[&one, &other]).await;
    watch.until_mode(Mode::Live).await;
    let live = [
        ("open", 1.0),
        ("channels", 1.0),
        ("topics", 2.0),
        ("polled", 0.0),
    ];
    gateway.wait_for("of a live watch", &live).await;

    // A change of an hour ago, and one of now.
    let hour = Duration::from_secs(3600);
    let date = format_rfc3339_millis(SystemTime::now() - hour);
    sandbox
        .misbehave(&format!("date={date} on=event times=1"))
        .await;
    for presence in ["Training", "Meal"] {
        sandbox.set(&one, presence).await;
        watch.until_presence(&one, presence).await;
    }
    let changed = [("events_total", 2.0), ("lag_seconds_count", 2.0)];
    gateway.wait_for("after two changes", &changed).await;
    let samples = gateway.samples().await;
    let lag = samples["lag_seconds_sum"];
    assert!((3600.0..3660.0).contains(&lag), "{lag}");
    gateway
        .wait_for(
            "without that of an hour ago",
            &[("lag_seconds_bucket{le=\"10\"}", 1.0)],
        )
        .await;

    // What a caller has not taken is replaced: all but the few that are on their way.
    let mut idle = watch_without_reading(&callers, &one).await;
    for presence in ["Away", "Busy"].into_iter().cycle().take(20) {
        sandbox.set(&one, presence).await;
        watch.until_presence(&one, presence).await;
    }
    gateway
        .wait_for(
            "after twenty more",
            &[("events_total", 22.0), ("open", 2.0)],
        )
        .await;
    let conflated = gateway.samples().await["conflated_total"];
    assert!((10.0..=20.0).contains(&conflated), "{conflated}");

    for (fault, reason) in [
        ("cut on=now", connection),
        ("garbage on=now", gap),
        ("no-longer-subscribed on=now", unsubscribed),
    ] {
        sandbox.misbehave(fault).await;
        gateway.wait_for(fault, &[(reason, 1.0)]).await;
        watch.until_mode(Mode::Resyncing).await;
        watch.until_mode(Mode::Live).await;
    }

    // Another token, which has no channel.
    let rule = "status=403 method=POST path=*/notifications/channels token=other";
    sandbox.misbehave(rule).await;
    let users: Vec<String> = (1..=3).map(Sandbox::user).collect();
    let users = users.iter().map(String::as_str).collect::<Vec<_>>();
    let polled = WatchCall::try_open(&callers, &users, "other", None).await;
    let mut polled = polled.unwrap();
    polled.until_mode(Mode::Polling).await;
    let both = [
        ("open", 3.0),
        ("channels", 1.0),
        ("topics", 2.0),
        ("polled", 3.0),
    ];
    gateway.wait_for("of a polled watch", &both).await;

    idle.write_frames(&[frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])])
        .await;
    drop((watch, polled));
    // The users of the channel are kept for those who come back.
    let end = [
        ("open", 0.0),
        ("channels", 1.0),
        ("topics", 2.0),
        ("polled", 0.0),
        (periodic, 0.0),
    ];
    gateway.wait_for("at the end", &end).await;
}
