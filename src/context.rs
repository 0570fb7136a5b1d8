//! One call of a caller's, from its request to its response.

use std::ops::Deref;

use http::HeaderValue;

use crate::bulk::BatchCoalescer;
use crate::error::Failure;
use crate::operation::{self, Call, Operation};
use crate::upstream::{Reply, RequestContext, Upstream};

/// What a call is served with.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The API that answers.
    pub upstream: Upstream,
    /// Where bulk reads share batches, if they do.
    pub merging: Option<BatchCoalescer>,
    /// What the calls upstream are sent with.
    pub terms: RequestContext,
}

/// A response, with what the upstream called the call.
#[derive(Debug, Clone)]
pub struct Served<T> {
    /// The response to the caller.
    pub response: T,
    /// The correlation id of the upstream's answer.
    pub correlation_id: Option<HeaderValue>,
}

impl<T> Served<T> {
    /// The same with another response.
    pub(crate) fn map<U>(self, response: impl FnOnce(T) -> U) -> Served<U> {
        Served {
            response: response(self.response),
            correlation_id: self.correlation_id,
        }
    }
}

/// A session for one batch. Dropped before it has ended, it was given up.
pub(crate) struct Batch<'a> {
    whole: &'a CallContext,
    /// The batch's own, where it has a part in the call's trace.
    own: Option<Box<CallContext>>,
    has_ended: bool,
}

impl Deref for Batch<'_> {
    type Target = CallContext;

    fn deref(&self) -> &CallContext {
        self.own.as_deref().unwrap_or(self.whole)
    }
}

impl Batch<'_> {
    /// Says how it has ended.
    pub(crate) fn ended<T>(mut self, answer: &Result<Served<T>, Failure>) {
        self.has_ended = true;
        let error = answer.as_ref().err().map(|failure| &failure.error);
        self.terms.record.scope().batch_ended(error);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.terms.record.scope().batch_given_up();
        }
    }
}

impl CallContext {
    /// Says how many batches and ids a bulk call of the operation `O` has.
    pub(crate) fn bulk<O: Operation>(&self, batches: usize, ids: usize) {
        self.terms.record.scope().bulk(O::SPEC.rpc, batches, ids);
    }

    /// Says how many batches and ids a stream had, at its end.
    pub(crate) fn streamed(&self, batches: usize, ids: usize) {
        if let Some(rpc) = self.terms.record.rpc() {
            self.terms.record.scope().bulk(rpc, batches, ids);
        }
    }

    /// The same session for one batch of a bulk call, with so many ids, which
    /// has a part of its own in the call's trace where that is recorded.
    pub(crate) fn batch(&self, index: usize, ids: usize) -> Batch<'_> {
        let scope = self.terms.record.scope().batch(index, ids);
        let own = scope.map(|scope| {
            let mut session = self.clone();
            session.terms.record = session.terms.record.within(scope);
            Box::new(session)
        });
        Batch {
            whole: self,
            own,
            has_ended: false,
        }
    }

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
        self.read::<O>(reply)
    }

    /// Decodes an answer to the operation `O`.
    ///
    /// # Errors
    ///
    /// If it is not what the operation promises.
    pub(crate) fn read<O: Operation>(&self, reply: Reply) -> Result<Served<O::Response>, Failure> {
        let correlation_id = reply.correlation_id;
        match operation::read::<O>(&reply.body) {
            Ok((response, left_out)) => {
                self.terms.record.scope().answer::<O>(&reply.body);
                if !left_out.is_empty() {
                    self.terms.record.left_out(left_out);
                }
                Ok(Served {
                    response,
                    correlation_id,
                })
            }
            Err(error) => Err(Failure {
                correlation_id,
                ..error.into()
            }),
        }
    }
}
