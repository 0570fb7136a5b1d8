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

use super::body::guarded::GuardedBody;
use super::request_buffers::{Bounds, RequestBuffers};
use crate::error::{Error, Failure};

/// The largest question, in bytes: a name, and little else.
pub(super) const MAX_QUESTION: usize = 16 * 1024;

/// How many questions about health may be on their way at once. They come in
/// one piece, as a rule, and the longest on its way is given up for one more.
const MAX_QUESTIONS: usize = 1024;

/// How many watches of health there may be at once: those of as many callers
/// as there may be connections would be some more, but each costs memory for
/// as long as its caller likes.
const MAX_WATCHES: usize = 1024;

/// How many streams of reflection there may be at once. People and their tools
/// open them, and each may hold as much as a connection may send ahead.
const MAX_REFLECTIONS: usize = 64;

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
            count: MAX_QUESTIONS,
            message: MAX_QUESTION,
            total: MAX_QUESTIONS * MAX_QUESTION,
        };
        Self {
            questions: RequestBuffers::new(bounds),
            watches: Arc::new(Semaphore::new(MAX_WATCHES)),
            reflections: Arc::new(Semaphore::new(MAX_REFLECTIONS)),
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
    answer.map(|answer| Body::new(GuardedBody::new(answer, place)))
}

fn refuse(error: Error) -> Response {
    Failure::from(error).into_status(PATIENCE).into_http()
}
