//! Turns a panic in one call into the failure of that call alone.

use std::panic::AssertUnwindSafe;

use axum::response::Response;
use futures_util::FutureExt;

use crate::error::Error;

/// Runs the handler of a call.
///
/// # Errors
///
/// If it panics. The message of the panic is not in the error, because it may
/// hold anything that the handler knew; the hook of `logging.rs` logs where the
/// panic was.
pub(super) async fn catch_panic(
    handler: impl Future<Output = Response>,
) -> Result<Response, Error> {
    // What the layers read of a call after a panic is consistent at any time.
    let response = AssertUnwindSafe(handler).catch_unwind().await;
    response.map_err(|_| Error::Panicked)
}

#[cfg(test)]
mod tests {
    use tonic::Status;
    use tonic_types::StatusExt;

    use crate::server::pipeline::tests::{call, message, stack};

    fn fails() -> &'static str {
        panic!("secret")
    }

    #[tokio::test]
    async fn a_panic_is_the_calls_own_internal_and_gives_its_permit_back() {
        for pauses in [false, true] {
            let services = stack(move |_| async move {
                if pauses {
                    tokio::task::yield_now().await;
                }
                fails()
            });
            // There is one permit.
            for _ in 0..2 {
                let response = call(&services, message()).await;
                let status = Status::from_header_map(response.headers()).unwrap();
                assert_eq!(status.code(), tonic::Code::Internal, "{status:?}");
                let info = status.get_details_error_info().unwrap();
                assert_eq!(info.reason, "INTERNAL");
                assert_eq!(info.domain, "presence-gateway");
                assert!(!format!("{status:?}").contains("secret"), "{status:?}");
            }
        }
    }
}
