//! Wrappers of response bodies.

pub(super) mod chunked;
pub(super) mod drainable;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;

/// A body that holds `guard` until hyper drops it: when its last frame was
/// sent, or when the caller is gone.
pub(super) fn guarded<B>(body: B, guard: impl Send + 'static) -> Body
where
    B: http_body::Body<Data = Bytes, Error = axum::Error> + Send + 'static,
{
    Body::new(body.inspect_frame(move |_| {
        let _ = &guard;
    }))
}
