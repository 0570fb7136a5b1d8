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

use super::body::until_drained;
use super::limits::{
    MAX_HEALTH_CHECKS, MAX_HEALTH_WATCHES, MAX_PUBLIC_REQUEST, MAX_REFLECTION_STREAMS,
};
use super::request_bodies::RequestBodies;
use crate::deadline::Drain;
use crate::error::{Error, Failure};

/// The assumed deadline of a rejected caller, which bounds its retry delay.
const ASSUMED_DEADLINE: Duration = Duration::from_secs(30);

/// The bounds of health and reflection. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct PublicServices {
    health_checks: RequestBodies,
    watches: Arc<Semaphore>,
    reflections: Arc<Semaphore>,
    drain: Drain,
}

impl PublicServices {
    pub(super) fn new(drain: Drain) -> Self {
        Self {
            // Their count and size bound them, and they answer when memory is full.
            health_checks: RequestBodies::new(MAX_HEALTH_CHECKS, MAX_PUBLIC_REQUEST, None),
            watches: Arc::new(Semaphore::new(MAX_HEALTH_WATCHES)),
            reflections: Arc::new(Semaphore::new(MAX_REFLECTION_STREAMS)),
            drain,
        }
    }

    /// Buffers the message of a health check before the service reads it. Limits
    /// the streams that last as long as their callers like, and rejects one more.
    async fn call(self, request: Request, next: Next) -> Result<Response, Error> {
        let path = request.uri().path();
        let is_health = path.starts_with("/grpc.health.v1.Health/");
        let permit = match path {
            "/grpc.health.v1.Health/Check" => None,
            "/grpc.health.v1.Health/Watch" => Some(self.watches),
            _ => Some(self.reflections),
        };
        let permit = permit.map(Semaphore::try_acquire_owned).transpose();
        let permit = permit.map_err(|_| Error::TooManyStreams)?;
        let (head, mut message) = request.into_parts();
        if is_health {
            message = Body::from(self.health_checks.read(message).await?);
        }
        let response = next.run(Request::from_parts(head, message)).await;
        Ok(response.map(|body| until_drained(body, self.drain, permit)))
    }
}

/// The layer around health and reflection.
pub(super) async fn within_bounds(
    State(public): State<PublicServices>,
    request: Request,
    next: Next,
) -> Response {
    public.call(request, next).await.unwrap_or_else(|error| {
        let status = Failure::from(error).into_status(ASSUMED_DEADLINE);
        status.into_http()
    })
}
