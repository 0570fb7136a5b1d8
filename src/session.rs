//! One call of a caller's, from its request to its response.

use http::HeaderValue;

use crate::credentials::Caller;
use crate::deadline::Deadline;
use crate::error::Failure;
use crate::operation::{self, Call, Operation};
use crate::record::Record;
use crate::upstream::Upstream;

/// What a call is served with: the upstream, the caller's token, the time
/// left, and the record of what is done for it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The API that answers.
    pub upstream: Upstream,
    /// Whose token is forwarded.
    pub caller: Caller,
    /// When the call must have been answered.
    pub deadline: Deadline,
    /// What is noted about the call.
    pub record: Record,
}

/// A response, with what the upstream called the call.
#[derive(Debug)]
pub struct Served<T> {
    /// The response to the caller.
    pub response: T,
    /// The correlation id of the upstream's answer.
    pub correlation_id: Option<HeaderValue>,
}

impl Session {
    /// Serves a request by one call upstream.
    ///
    /// # Errors
    ///
    /// If the request cannot be a call, the call fails, or its answer is not
    /// what the operation promises.
    pub async fn forward<O: Operation>(&self, request: &O) -> Result<Served<O::Response>, Failure> {
        self.send::<O>(&operation::encode(request)?).await
    }

    /// Sends a call of the operation `O`, and decodes its answer.
    ///
    /// # Errors
    ///
    /// If the call fails, or its answer is not what the operation promises.
    pub async fn send<O: Operation>(&self, call: &Call) -> Result<Served<O::Response>, Failure> {
        // What is not begun for lack of time is not counted.
        if !self.deadline.has_passed() {
            self.record.upstream_call();
        }
        let reply = self
            .upstream
            .send(call, &self.caller, self.deadline.clone())
            .await?;
        let correlation_id = reply.correlation_id;
        match operation::decode::<O>(&reply.body) {
            Ok(response) => Ok(Served {
                response,
                correlation_id,
            }),
            Err(error) => Err(Failure {
                correlation_id,
                ..error.into()
            }),
        }
    }
}
