//! An error of another library as text, with its causes.

use std::error::Error;
use std::iter::successors;

/// `what`, and then each cause of `error`.
pub(crate) fn causes(what: String, error: &dyn Error) -> String {
    successors(error.source(), |&cause| cause.source())
        .fold(what, |what, cause| format!("{what}: {cause}"))
}

/// An error of the HTTP client with its causes, and without its URL, which may
/// hold a password.
pub(crate) fn http_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    causes(error.to_string(), &error)
}
