//! Whether a connection may carry another request after a response.
//!
//! Decision: docs/decisions/0018-no-reuse-behind-large-bodies.md.

/// The largest body, in bytes, that arrives together with its head: less than a
/// packet, and than any buffer that a server reads a head into.
const MAX_BODY_WITHOUT_TLS: usize = 1024;

/// The most bytes of a body and its token for which the request is one TLS
/// record, of 16 KiB: 4 KiB are for the rest of the head. A peer sees nothing of
/// a record before it has all of it.
const MAX_BODY_AND_TOKEN_WITH_TLS: usize = 12 * 1024;

/// Whether the connection can be used again after the response to a request of
/// these sizes: the peer has read the body if it has read the head.
///
/// For a larger body this is never known. It may stay in a buffer of the system,
/// on either side, long after the response, and never be read. The next request
/// on the connection would wait behind it.
pub(super) fn is_reusable_after(body: usize, token: usize, is_secure: bool) -> bool {
    if is_secure && body > 0 {
        body.saturating_add(token) <= MAX_BODY_AND_TOKEN_WITH_TLS
    } else {
        body <= MAX_BODY_WITHOUT_TLS
    }
}

#[cfg(test)]
mod tests {
    use super::is_reusable_after;

    #[test]
    fn a_connection_is_reused_after_a_body_that_arrives_with_its_head() {
        for is_secure in [false, true] {
            assert!(is_reusable_after(500, 100, is_secure), "a single update");
            assert!(!is_reusable_after(13 * 1024, 100, is_secure));
        }
        assert!(is_reusable_after(0, 16 * 1024, true), "no body");
        assert!(is_reusable_after(10 * 1024, 2 * 1024, true));
        assert!(!is_reusable_after(10 * 1024, 2 * 1024 + 1, true));
        assert!(!is_reusable_after(2 * 1024, 100, false));
    }
}
