//! The pipeline's access-log layer: writes the line of each call, and marks the
//! token as sensitive, so that nothing that shows headers shows it.

use axum::response::Response;
use http::{HeaderMap, header};
use tonic::Code;

use super::code;
use crate::access_log::AccessLog;
use crate::rpc::Rpc;
use crate::server::body::guarded;
use crate::telemetry::Telemetry;

/// The line of a call. It is written when this is dropped, also for a call that is
/// cancelled.
pub(super) struct Line(AccessLog);

/// Begins the log entry and the span of a call. A path that is no RPC is not
/// logged: it may hold any text.
pub(super) fn begin(
    rpc: Option<&'static Rpc>,
    headers: &mut HeaderMap,
    telemetry: &Telemetry,
) -> Line {
    let name = rpc.map(|rpc| rpc.name.as_str());
    let telemetry = telemetry.begin_call(name, headers);
    if let header::Entry::Occupied(mut token) = headers.entry(header::AUTHORIZATION) {
        token.iter_mut().for_each(|value| value.set_sensitive(true));
    }
    Line(AccessLog::new(name).with_telemetry(telemetry))
}

impl Line {
    pub(super) fn access_log(&self) -> &AccessLog {
        &self.0
    }

    /// Records the status of a response. The line of a stream is written when its
    /// body is dropped: the caller has read all of it, or is gone.
    pub(super) fn end(self, rpc: Option<&Rpc>, response: Response) -> Response {
        let code = code(response.headers());
        if rpc.is_some_and(|rpc| rpc.is_stream) && code == Code::Ok {
            // The stream has only started; its driver records how it ends.
            return response.map(|body| guarded(body, self));
        }
        self.0.finish(code, None);
        response
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.log();
    }
}
