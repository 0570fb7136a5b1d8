//! Requests that are no watch, and watches beyond a limit.

use std::collections::BTreeMap;

use presence_gateway::proto::v1::watch_state::Mode;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::{WATCH, WatchCall};
use crate::support::{Gateway, Limits, expect_error, violations};

#[tokio::test]
async fn ids_that_are_no_ids_are_rejected_and_nothing_is_sent() {
    let gateway = Gateway::start_without_vendor().await;
    let long = "x".repeat(257);
    let many = vec!["x"; 5001];
    for (ids, field) in [
        (&[][..], "ids"),
        (&many, "ids"),
        (&["a", ""], "ids[1]"),
        (&["a,b"], "ids[0]"),
        (&["a", "b", &long], "ids[2]"),
    ] {
        let opened = WatchCall::try_open(&gateway, ids, "token", None).await;
        let opened = opened.map(|_| ());
        let status = expect_error(opened, Code::InvalidArgument, "INVALID_REQUEST");
        assert_eq!(violations(&status), [field], "{status:?}");
    }
}

#[tokio::test]
async fn an_id_that_is_too_long_for_a_topic_fails_alone() {
    let sandbox = Sandbox::start();
    let gateway = sandbox.gateway(Limits::default()).await;
    let (user, longest, long) = (Sandbox::user(1), "x".repeat(181), "y".repeat(182));
    let mut watch = WatchCall::open(&gateway, &[&user, &longest, &long]).await;
    watch.until_mode(Mode::Live).await;
    let failed = BTreeMap::from([(long, Code::InvalidArgument.into())]);
    assert_eq!(watch.failed, failed);
    assert_eq!(watch.missing, [longest]);
    assert!(watch.presences.contains_key(&user));
}

#[tokio::test]
async fn a_watch_without_a_token_is_rejected() {
    let gateway = Gateway::start_without_vendor().await;
    let request = json!({"ids": ["a"]});
    let called = gateway.call_with_metadata(WATCH, request, &[]).await;
    expect_error(called, Code::Unauthenticated, "MISSING_TOKEN");
}

#[tokio::test]
async fn watches_have_places_of_their_own_and_a_token_a_quarter() {
    let sandbox = Sandbox::start();
    let limits = Limits {
        max_watches: 4,
        max_in_flight: 1,
        ..Limits::default()
    };
    let gateway = sandbox.gateway(limits).await;
    let user = Sandbox::user(1);
    let open = |token| {
        let (gateway, user) = (gateway.clone(), user.clone());
        async move { WatchCall::try_open(&gateway, &[&user], token, None).await }
    };
    let first = open("a").await.unwrap();
    let second = open("a").await.map(|_| ());
    let status = expect_error(second, Code::ResourceExhausted, "TOKEN_OVERLOADED");
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
    let others = [open("b").await, open("c").await, open("d").await];
    assert!(others.iter().all(Result::is_ok));
    let fifth = open("e").await.map(|_| ());
    let status = expect_error(fifth, Code::Unavailable, "OVERLOADED");
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
    // They take no place of a call.
    let request = json!({"userId": user});
    let called = gateway.call("GetUserPresencesPurecloud", request).await;
    called.unwrap();
    drop(first);
    let again = async {
        while open("e").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    crate::support::in_flight::wait_for("a place", again).await;
}

#[tokio::test]
async fn a_gateway_without_watches_says_so() {
    let limits = Limits {
        max_watches: 0,
        ..Limits::default()
    };
    let gateway = Sandbox::start().gateway(limits).await;
    let opened = WatchCall::try_open(&gateway, &["a"], "token", None).await;
    let status = expect_error(opened.map(|_| ()), Code::Unimplemented, "UNKNOWN_METHOD");
    assert!(status.message().contains("--max-watches 0"), "{status:?}");
}
