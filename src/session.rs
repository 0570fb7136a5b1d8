//! One call of a caller's, from its request to its response.

use http::HeaderValue;

use crate::error::Failure;
use crate::operation::{self, Call, Operation};
use crate::upstream::{Terms, Upstream};

/// What a call is served with.
#[derive(Debug, Clone)]
pub struct Session {
    /// The API that answers.
    pub upstream: Upstream,
    /// What the calls upstream are sent with.
    pub terms: Terms,
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
        let reply = self.upstream.send(call, &self.terms).await?;
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
