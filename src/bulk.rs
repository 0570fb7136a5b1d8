//! Bulk calls: cuts a request into batches, sends several of them at once, and
//! assembles the results in the order of the request.

mod id_key;
mod presence;
mod read;
mod stream;
mod write;

use std::time::Duration;

use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::Operation;
use crate::proto::EncodedMessage;
use crate::rpc::DEFAULT_MAX_BULK_IDS;
use crate::upstream::{Upstream, UpstreamResponse};
pub(crate) use presence::BulkReadResponse;
pub use read::BatchCoalescer;
pub(crate) use read::{BulkRead, read_batch};
pub(crate) use stream::{StreamRequest, serve_stream};

/// The largest number of ids or updates in one request to the vendor: the vendor's
/// limit, documented for reads and assumed for the write.
pub const BATCH_SIZE: usize = 50;

/// The limits of a bulk call.
#[derive(Debug, Clone, Copy)]
pub struct BulkLimits {
    /// The largest number of ids in a message of a stream.
    pub max_ids: usize,
    /// How many batches of a call may be in flight at once.
    pub concurrency: usize,
    /// How long the caller of a stream may neither send nor receive.
    pub stream_idle: Duration,
}

impl Default for BulkLimits {
    fn default() -> Self {
        Self {
            max_ids: DEFAULT_MAX_BULK_IDS,
            concurrency: 8,
            stream_idle: Duration::from_mins(5),
        }
    }
}

/// What all bulk calls of a gateway share.
#[derive(Debug, Clone)]
pub struct BulkContext {
    /// The API that the batches are sent to.
    pub upstream: Upstream,
    /// The limits of each call.
    pub limits: BulkLimits,
    /// What coalesces bulk reads of different calls, if enabled.
    pub coalescer: Option<BatchCoalescer>,
}

/// An operation whose request is sent in batches.
pub trait Bulk: Operation + Sized {
    /// Sends the request in as many batches as it needs.
    ///
    /// # Errors
    ///
    /// If the request is invalid or a batch fails; with partial results, only if
    /// all batches fail with a status that holds for the whole call.
    fn fan_out(
        self,
        context: &CallContext,
        bulk: &BulkContext,
    ) -> impl Future<Output = Result<UpstreamResponse<EncodedMessage>, Failure>> + Send;
}

/// A length or position as a number of the protocol.
fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
