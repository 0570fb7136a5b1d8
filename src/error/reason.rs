//! The reasons of `google.rpc.ErrorInfo`.

/// The domain of the gateway's own reasons.
pub const DOMAIN: &str = "presence-gateway";

/// The domain of the vendor's reasons, which are its error codes.
pub const VENDOR_DOMAIN: &str = "genesys.cloud";

/// The longest reason that AIP-193 allows, in bytes.
const MAX_REASON: usize = 63;

/// The shortest reason: a letter and one more character.
const MIN_REASON: usize = 2;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A reason of the gateway. Published: reasons may be added but not renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The value of `ErrorInfo.reason`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// A field of the request is invalid; nothing was sent.
    InvalidRequest = "INVALID_REQUEST",
    /// The call has no `authorization`.
    MissingToken = "MISSING_TOKEN",
    /// The `authorization` is not a single bearer token.
    MalformedToken = "MALFORMED_TOKEN",
    /// The call chooses a region that the gateway does not serve; nothing was sent.
    RegionNotServed = "REGION_NOT_SERVED",
    /// The gateway is at a limit; nothing was changed.
    Overloaded = "OVERLOADED",
    /// The token's rate limit allows no request before the deadline; nothing was sent.
    TokenQuota = "TOKEN_QUOTA_EXHAUSTED",
    /// The token uses its share of concurrent calls; nothing was sent.
    TokenOverloaded = "TOKEN_OVERLOADED",
    /// The vendor has revoked the token of a watch.
    TokenRevoked = "TOKEN_REVOKED",
    /// The vendor does not notify the token of changes of a user.
    TopicRejected = "TOPIC_REJECTED",
    /// A watch is not live.
    NotificationsUnavailable = "NOTIFICATIONS_UNAVAILABLE",
    /// The deadline passed; nothing was changed.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The upstream cannot be connected to, or did not process the request.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE",
    /// The connection broke during a read.
    UpstreamConnectionLost = "UPSTREAM_CONNECTION_LOST",
    /// The upstream returned an error without a vendor code.
    UpstreamError = "UPSTREAM_ERROR",
    /// The upstream redirects: the gateway is configured with a wrong address.
    UpstreamRedirect = "UPSTREAM_REDIRECT",
    /// The upstream's response does not match the vendor's documentation.
    UnreadableAnswer = "UNREADABLE_ANSWER",
    /// A write may or may not have been applied.
    OutcomeUnknown = "OUTCOME_UNKNOWN",
    /// A part of a bulk call was not sent.
    NotTried = "NOT_TRIED",
    /// No RPC has the called path, or the gateway does not serve it.
    UnknownMethod = "UNKNOWN_METHOD",
    /// The request is not a message of the RPC.
    MalformedRequest = "MALFORMED_REQUEST",
    /// The request is larger than the gateway accepts.
    MessageTooLarge = "MESSAGE_TOO_LARGE",
    /// The caller of a stream neither sent nor received anything for too long.
    StreamIdle = "STREAM_IDLE",
    /// The connection of an endless stream is being closed.
    ConnectionDraining = "CONNECTION_DRAINING",
    /// The gateway is shutting down.
    ShuttingDown = "SHUTTING_DOWN",
    /// The gateway has a bug.
    Internal = "INTERNAL",
}

/// The vendor's documented codes, as reasons. Any other code is free text.
const VENDOR_REASONS: [&str; 30] = [
    "AUTHENTICATION_REQUEST_TIMEOUT",
    "AUTHENTICATION_REQUIRED",
    "BAD_CREDENTIALS",
    "BAD_REQUEST",
    "CLIENT_FAILED_REQUEST",
    "CLIENT_TIMEOUT",
    "CONSTRAINT_VALIDATION",
    "CREDENTIALS_EXPIRED",
    "GENERAL_CONFLICT",
    "GENERAL_RESOURCE_CONFLICT",
    "INTERNAL_SERVER_ERROR",
    "INVALID_DATE",
    "INVALID_PROPERTY",
    "INVALID_QUERY_PARAM_VALUE",
    "INVALID_VALUE",
    "IP_NOT_AUTHORIZED",
    "MISSING_ANY_PERMISSIONS",
    "MISSING_DIVISION_PERMISSION",
    "MISSING_PERMISSIONS",
    "NOT_AUTHORIZED",
    "NOT_FOUND",
    "NOT_IMPLEMENTED",
    "REQUEST_ENTITY_TOO_LARGE",
    "REQUEST_TIMEOUT",
    "RESPONSE_ENTITY_TOO_LARGE",
    "SERVICE_UNAVAILABLE",
    "TOO_MANY_REQUESTS",
    "TOO_MANY_REQUESTS_RETRY_AFTER",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
];

/// Whether a reason is on a fixed list, so that it cannot contain caller data.
pub(crate) fn is_loggable(reason: &str) -> bool {
    let is_ours = Reason::ALL.iter().any(|ours| ours.as_str() == reason);
    is_ours || VENDOR_REASONS.contains(&reason)
}

/// Turns a vendor code into a reason: `not.found` becomes `NOT_FOUND`.
///
/// `None` if no valid reason is left.
pub(crate) fn from_vendor_code(code: &str) -> Option<String> {
    let reason = code.to_ascii_uppercase();
    let reason = reason.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let reason = reason.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let reason = reason.get(..MAX_REASON).unwrap_or(reason);
    let reason = reason.trim_end_matches('_');
    (reason.len() >= MIN_REASON).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::from_vendor_code;

    #[test]
    fn undocumented_vendor_codes_are_not_logged() {
        for known in [
            "NOT_FOUND",
            "TOO_MANY_REQUESTS_RETRY_AFTER",
            "OUTCOME_UNKNOWN",
        ] {
            assert!(super::is_loggable(known), "{known}");
        }
        for free in ["", "USER_11111111_2222", "JOHN_DOE", "not.found"] {
            assert!(!super::is_loggable(free), "{free}");
        }
    }

    #[test]
    fn a_vendor_code_becomes_a_reason() {
        assert_eq!(from_vendor_code("not.found").as_deref(), Some("NOT_FOUND"));
        assert_eq!(
            from_vendor_code("too.many.requests.retry.after").as_deref(),
            Some("TOO_MANY_REQUESTS_RETRY_AFTER")
        );
        assert_eq!(from_vendor_code("..a-b\u{e9}c..").as_deref(), Some("A_B_C"));
        assert_eq!(from_vendor_code(&"x".repeat(100)), Some("X".repeat(63)));
        for no_reason in ["", "...", "404", "x", "4.x."] {
            assert_eq!(from_vendor_code(no_reason), None, "{no_reason}");
        }
    }
}
