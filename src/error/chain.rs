//! An error of another library as text, with its causes.

use std::error::Error;
use std::iter::successors;

/// The text of hyper-util's errors for a connection (0.1.21), whose type hides its
/// kind.
const CONNECT_ERROR: &str = "client error (Connect)";

/// `what`, and then each cause of `error`.
pub(crate) fn causes(what: String, error: &dyn Error) -> String {
    successors(error.source(), |&cause| cause.source())
        .fold(what, |what, cause| format!("{what}: {cause}"))
}

/// The causes of an error of the HTTP client to connect, without those that say no
/// more than that it could not.
pub(crate) fn connect_causes(error: reqwest::Error) -> String {
    let causes = error.source().map(causes_of);
    match causes.filter(|causes| !causes.is_empty() && error.is_connect()) {
        Some(causes) => causes,
        None => http_causes(error),
    }
}

/// An error of a connector and its causes, without those that say no more than that it
/// could not connect.
pub(crate) fn causes_of(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&cause| cause.source());
    let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.retain(|cause| cause != CONNECT_ERROR);
    // Some errors only wrap another, and print the same text.
    causes.dedup();
    causes.join(": ")
}

/// An error of the HTTP client with its causes, and without its URL, which may
/// hold a password.
pub(crate) fn http_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    causes(error.to_string(), &error)
}
