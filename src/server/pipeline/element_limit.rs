//! Limits the elements of a request, counted before it is decoded.
//!
//! An element without fields has two bytes in a message and hundreds in
//! memory: a message of 4 MiB could become a gigabyte.

use crate::error::{Error, Violation};
use crate::rpc::Rpc;
use crate::server::limits::MAX_REQUEST_ELEMENTS;
use crate::server::request_bodies::PREFIX_LEN;

/// Checks how many elements the repeated fields of a framed message have.
///
/// # Errors
///
/// [`Error::Invalid`], if one has more than its RPC allows.
pub(super) fn check(rpc: &Rpc, message: &[u8], max_bulk_ids: usize) -> Result<(), Error> {
    // tonic rejects a message that is still compressed.
    let Some((&[0, ..], message)) = message.split_at_checked(PREFIX_LEN) else {
        return Ok(());
    };
    let Some((field, count)) = rpc.repeated.largest(message) else {
        return Ok(());
    };
    let (max, setting, advice) = if rpc.is_bulk || rpc.is_watch {
        let setting = " (the gateway's --max-bulk-ids)";
        (max_bulk_ids, setting, "; make several calls")
    } else {
        (MAX_REQUEST_ELEMENTS, "", "")
    };
    if count <= max {
        return Ok(());
    }
    let text = format!("must have at most {max} elements{setting}; it has {count}{advice}");
    Err(Error::Invalid(vec![Violation::new(field, text)]))
}
