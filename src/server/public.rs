//! Health and reflection, which are open to everybody: bounds of their own, so
//! that they answer when the gateway is full, and do not fill it themselves.

pub(super) mod health;
pub(super) mod reflection;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::body::guarded;
use super::limits::{
    MAX_HEALTH_CHECKS, MAX_HEALTH_WATCHES, MAX_PUBLIC_REQUEST, MAX_REFLECTION_STREAMS,
};
use super::request_buffers::{Bounds, RequestBuffers};
use crate::error::{Error, Failure};

/// How long a caller that is refused has, as far as we know.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is under way of health and reflection. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct PublicServices {
    questions: RequestBuffers,
    watches: Arc<Semaphore>,
    reflections: Arc<Semaphore>,
}

impl PublicServices {
    pub(super) fn new() -> Self {
        let bounds = Bounds {
            count: MAX_HEALTH_CHECKS,
            message: MAX_PUBLIC_REQUEST,
            memory: None,
        };
        Self {
            questions: RequestBuffers::new(bounds),
            watches: Arc::new(Semaphore::new(MAX_HEALTH_WATCHES)),
            reflections: Arc::new(Semaphore::new(MAX_REFLECTION_STREAMS)),
        }
    }
}

/// Answers a question about health when it is there whole.
pub(super) async fn buffer_health_check(
    State(open): State<PublicServices>,
    request: Request,
    next: Next,
) -> Response {
    let (head, message) = request.into_parts();
    match open.questions.read(message).await {
        Ok(message) => {
            let request = Request::from_parts(head, Body::from(message));
            next.run(request).await
        }
        Err(error) => refuse(error),
    }
}

/// Lets so many streams be open at once that last as long as their callers
/// like; one more is refused.
pub(super) async fn limit_streams(
    State(open): State<PublicServices>,
    request: Request,
    next: Next,
) -> Response {
    let streams = match request.uri().path() {
        "/grpc.health.v1.Health/Check" => return next.run(request).await,
        "/grpc.health.v1.Health/Watch" => open.watches,
        _ => open.reflections,
    };
    let Ok(place) = streams.try_acquire_owned() else {
        return refuse(Error::Overloaded);
    };
    let answer = next.run(request).await;
    answer.map(|answer| guarded(answer, place))
}

fn refuse(error: Error) -> Response {
    Failure::from(error).into_status(PATIENCE).into_http()
}
