//! The values of `grpc-timeout`, its default and its maximum.

use futures_util::future::join_all;
use tonic::Code;

use super::{HangingVendor, READ, SHORT, WRITES, assert_expired, call};
use crate::support::{Gateway, Limits, Vendor, reply};

#[tokio::test]
async fn the_callers_deadline_ends_the_call_and_its_upstream_request() {
    for timeout in ["200m", "200000u", "99999999n"] {
        let mut hanging = HangingVendor::start().await;
        let gateway = Gateway::start(&hanging.vendor).await;
        assert_expired(call(&gateway, READ, Some(timeout)).await);
        hanging.wait_for_arrival(1).await;
        hanging.wait_for_cancellation(1).await;
    }
}

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default() {
    let mut hanging = HangingVendor::start().await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&hanging.vendor, limits).await;
    assert_expired(call(&gateway, READ, None).await);
    hanging.wait_for_cancellation(1).await;
}

#[tokio::test]
async fn a_malformed_deadline_is_ignored() {
    let hanging = HangingVendor::start().await;
    let limits = Limits {
        // A busy machine has sent all calls by then.
        default_deadline: 10 * SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&hanging.vendor, limits).await;
    let malformed = ["", "5", "S", "1s", "-1S", "+1S", "1.5S", "1 S", "soon", "0"];
    for answer in join_all(malformed.map(|timeout| call(&gateway, READ, Some(timeout)))).await {
        assert_expired(answer);
    }
    assert_eq!(
        hanging.vendor.received().len(),
        malformed.len(),
        "each call should have been sent before it expired"
    );
}

#[tokio::test]
async fn a_deadline_with_too_many_digits_is_a_long_one() {
    let (release, released) = tokio::sync::watch::channel(false);
    let vendor = Vendor::start(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|is_released| *is_released).await.unwrap();
            reply(200, "{}")
        }
    })
    .await;
    let limits = Limits {
        default_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&vendor, limits).await;
    // connect-node sends 1000 hours as the first of these.
    let long = ["3600000000m", "123456789S", "999999999999999999999999H"];
    let long = join_all(long.map(|timeout| call(&gateway, READ, Some(timeout))));
    let release_after_default = async {
        assert_expired(call(&gateway, READ, None).await);
        release.send(true).unwrap();
    };
    let (answers, ()) = tokio::join!(long, release_after_default);
    for answer in answers {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_over_the_maximum_is_capped() {
    let mut hanging = HangingVendor::start().await;
    let limits = Limits {
        default_deadline: SHORT,
        max_deadline: SHORT,
        ..Limits::default()
    };
    let gateway = Gateway::start_with(&hanging.vendor, limits).await;
    for timeout in ["1H", "99999999H", "60S"] {
        assert_expired(call(&gateway, READ, Some(timeout)).await);
        hanging.wait_for_cancellation(1).await;
    }
}

#[tokio::test]
async fn a_call_whose_deadline_has_expired_sends_nothing() {
    let vendor = Vendor::with_response(200, "{}").await;
    let gateway = Gateway::start(&vendor).await;
    for timeout in ["0n", "0u", "0m", "0S", "00000000H"] {
        for rpc in [READ, "GetUsersPresencesPurecloudBulk", WRITES[0], WRITES[3]] {
            assert_expired(call(&gateway, rpc, Some(timeout)).await);
        }
        // The reason may be NOT_TRIED, since a bulk write reports each update.
        let answer = call(&gateway, "PutUsersPresencesBulk", Some(timeout)).await;
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    let sent = vendor.received();
    assert!(sent.is_empty(), "{sent:#?}");
}

#[tokio::test]
async fn a_call_within_its_deadline_succeeds() {
    let vendor = Vendor::start(async |_| {
        tokio::task::yield_now().await;
        reply(200, "{}")
    })
    .await;
    let gateway = Gateway::start(&vendor).await;
    for timeout in ["20S", "1H", "99999999H", "20000m"] {
        call(&gateway, READ, Some(timeout)).await.unwrap();
    }
}
