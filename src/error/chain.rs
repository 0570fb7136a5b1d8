//! An error of another library as text, with its causes.

use std::error::Error;
use std::fmt::Write;

/// `what`, and then each cause of `error`.
pub(crate) fn causes(mut what: String, error: &dyn Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        // `write!` to a `String` cannot fail.
        let _ = write!(what, ": {cause}");
        source = cause.source();
    }
    what
}

/// An error of the HTTP client with its causes, and without its URL, which may
/// hold a password.
pub(crate) fn http_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    causes(error.to_string(), &error)
}
