//! A panic in one call is that call's failure, and nobody else's.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::StatusCode;

use crate::access_log::AccessLog;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::server::reject::refuse;

/// Answers a call whose handler panics. What it said stays here, because it
/// may show anything that the handler knew; where it was is in the log, by
/// the hook of `logging.rs`.
pub(in crate::server) async fn answered<F: Future<Output = Response>>(
    request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    let deadline = request.extensions().get::<Deadline>().cloned();
    let record = request.extensions().get::<AccessLog>().cloned();
    // Nothing of the call is looked at after a panic but these two, which are
    // whole at any time.
    let answer = AssertUnwindSafe(next(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| match deadline {
        Some(deadline) => refuse(Error::Panicked, &deadline, record),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use http_body_util::BodyExt;
    use tonic::{Code, Status};
    use tonic_types::StatusExt;
    use tower::ServiceExt;

    use super::*;
    use crate::bulk::BulkLimits;
    use crate::deadline::{DeadlinePolicy, Drain};
    use crate::server::in_flight::InFlight;
    use crate::server::{CallLimits, pipeline};

    /// Services in their layers: one that panics, one that does so after a
    /// pause, and one that is well.
    fn services() -> Router {
        let services = Router::new()
            .route("/panics", post(async || -> Response { panic!("secret") }))
            .route(
                "/panics-later",
                post(async || -> Response {
                    tokio::task::yield_now().await;
                    panic!("secret");
                }),
            )
            .route("/well", post(async || "well"));
        let limits = CallLimits {
            deadlines: DeadlinePolicy {
                default: Duration::from_secs(9),
                max: Duration::from_secs(9),
            },
            max_in_flight: 1,
            message_memory: 1 << 20,
        };
        let bulk = BulkLimits {
            max_ids: 9,
            concurrency: 1,
            stream_idle: Duration::from_secs(9),
        };
        let calls = InFlight::default();
        pipeline::around(services, limits, bulk, Drain::default(), calls)
    }

    async fn call(services: &Router, path: &str) -> Response {
        let call = http::Request::post(path).header("content-type", "application/grpc");
        let call = call.body(Body::empty()).unwrap();
        services.clone().oneshot(call).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_the_calls_own_internal_and_gives_its_place_back() {
        let services = services();
        for path in ["/panics", "/panics-later", "/panics"] {
            let answer = call(&services, path).await;
            let status = Status::from_header_map(answer.headers()).unwrap();
            assert_eq!(status.code(), Code::Internal, "{status:?}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "INTERNAL");
            assert_eq!(info.domain, "presence-gateway");
            assert!(!format!("{status:?}").contains("secret"), "{status:?}");
            // There is one place; it is free again when the answer was taken.
            drop(answer);
            let well = call(&services, "/well").await.into_body();
            assert_eq!(well.collect().await.unwrap().to_bytes(), "well");
        }
    }
}
