//! Health and reflection, which need no token. They have limits of their own, so
//! that they answer when the gateway is full, and cannot fill it.

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

/// The assumed deadline of a rejected caller, which bounds its retry delay.
const ASSUMED_DEADLINE: Duration = Duration::from_secs(30);

/// The open calls of health and reflection. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct PublicServices {
    health_checks: RequestBuffers,
    watches: Arc<Semaphore>,
    reflections: Arc<Semaphore>,
}

impl PublicServices {
    pub(super) fn new() -> Self {
        let bounds = Bounds {
            count: MAX_HEALTH_CHECKS,
            message: MAX_PUBLIC_REQUEST,
            // Their count and size bound them, and they answer when memory is full.
            memory: None,
        };
        Self {
            health_checks: RequestBuffers::new(bounds),
            watches: Arc::new(Semaphore::new(MAX_HEALTH_WATCHES)),
            reflections: Arc::new(Semaphore::new(MAX_REFLECTION_STREAMS)),
        }
    }
}

/// Buffers the message of a health check before the service reads it.
pub(super) async fn buffer_health_check(
    State(public): State<PublicServices>,
    request: Request,
    next: Next,
) -> Response {
    let (head, message) = request.into_parts();
    match public.health_checks.read(message).await {
        Ok(message) => {
            let request = Request::from_parts(head, Body::from(message));
            next.run(request).await
        }
        Err(error) => refuse(error),
    }
}

/// Limits the streams that last as long as their callers like; rejects one more.
pub(super) async fn limit_streams(
    State(public): State<PublicServices>,
    request: Request,
    next: Next,
) -> Response {
    let streams = match request.uri().path() {
        "/grpc.health.v1.Health/Check" => return next.run(request).await,
        "/grpc.health.v1.Health/Watch" => public.watches,
        _ => public.reflections,
    };
    let Ok(permit) = streams.try_acquire_owned() else {
        return refuse(Error::Overloaded);
    };
    let response = next.run(request).await;
    response.map(|body| guarded(body, permit))
}

fn refuse(error: Error) -> Response {
    Failure::from(error)
        .into_status(ASSUMED_DEADLINE)
        .into_http()
}
