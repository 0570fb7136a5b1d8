//! Bulk calls: cut into the batches that the vendor takes, sent some at a
//! time, glued together in the order of the request.

mod read;
mod stream;
mod write;

use std::collections::HashSet;
use std::time::Duration;

use crate::context::CallContext;
use crate::error::Failure;
use crate::operation::Operation;
use crate::rpc::DEFAULT_MAX_BULK_IDS;
use crate::upstream::{Reply, Upstream};
pub use read::BatchCoalescer;
pub(crate) use read::BulkRead;
pub(crate) use stream::read as stream;
pub use stream::{StreamRequest, StreamResponse};

/// How many ids or updates one call to the vendor holds at most (the vendor's
/// limit, documented for the reads and assumed for the write).
pub const BATCH: usize = 50;

/// How much of a bulk call there may be.
#[derive(Debug, Clone, Copy)]
pub struct BulkLimits {
    /// How many ids or updates a call, or a message of a stream, may hold.
    pub max_ids: usize,
    /// How many of its batches are in flight at once.
    pub concurrency: usize,
    /// How long the caller of a stream may keep the gateway waiting.
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

/// What all bulk calls of a gateway have in common.
#[derive(Debug, Clone)]
pub struct BulkContext {
    /// The API that the batches are sent to.
    pub upstream: Upstream,
    /// How large a bulk call may be.
    pub limits: BulkLimits,
    /// Where bulk reads of several calls share batches, if they do.
    pub coalescer: Option<BatchCoalescer>,
}

/// An operation of any size, served by as many calls upstream as it takes.
pub trait Bulk: Operation + Sized {
    /// Serves the request.
    ///
    /// # Errors
    ///
    /// If it is larger than the limits allow, or for the reasons of a single
    /// call, as the operation's own documentation says.
    fn fan_out(
        self,
        session: &CallContext,
        bulk: &BulkContext,
    ) -> impl Future<Output = Result<Reply<Self::Response>, Failure>> + Send;
}

/// A user's id as it is compared: the vendor's are UUIDs, in either case.
fn key(id: &str) -> String {
    id.to_ascii_lowercase()
}

/// The ids without repetitions, each as it was first spelt, in that order.
fn distinct(ids: &[String]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter()
        .filter(|id| seen.insert(key(id)))
        .cloned()
        .collect()
}
