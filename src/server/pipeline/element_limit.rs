//! Limits the elements of a request, counted before it is decoded.
//!
//! An element without fields has two bytes in a message and hundreds in
//! memory: a message of 4 MiB could become a gigabyte.

use crate::error::{Error, Violation};
use crate::rpc::Rpc;
use crate::server::limits::MAX_ELEMENTS;
use crate::server::request_buffers::PREFIX;

/// Checks how many elements the repeated fields of a framed message have.
///
/// # Errors
///
/// [`Error::Invalid`], if one has more than its RPC allows.
pub(super) fn check(rpc: &Rpc, message: &[u8], max_bulk_ids: usize) -> Result<(), Error> {
    // A message that is still compressed is not accepted by tonic.
    let Some((&[0, ..], message)) = message.split_at_checked(PREFIX) else {
        return Ok(());
    };
    let Some((field, count)) = rpc.repeated.largest(message) else {
        return Ok(());
    };
    let max = if rpc.is_bulk {
        max_bulk_ids
    } else {
        MAX_ELEMENTS
    };
    if count <= max {
        return Ok(());
    }
    let text = if rpc.is_bulk {
        format!(
            "must have at most {max} elements (the gateway's --max-bulk-ids); it has {count}; \
             make several calls"
        )
    } else {
        format!("must have at most {max} elements; it has {count}")
    };
    Err(Error::Invalid(vec![Violation::new(field, text)]))
}
