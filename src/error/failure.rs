//! A failed call: its error, and what its status carries besides.

use http::HeaderValue;

use super::Error;
use crate::proto::v1::BulkWriteReport;

/// An error together with the ids and reports that its status carries.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why the call failed.
    pub error: Error,
    /// The vendor's correlation id: from the header of its response, else from the
    /// error body.
    pub correlation_id: Option<HeaderValue>,
    /// The outcome of each update of a failed bulk write.
    pub report: Option<Box<BulkWriteReport>>,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            correlation_id: None,
            report: None,
        }
    }
}
