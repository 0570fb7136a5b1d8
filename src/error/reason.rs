//! The reasons of `google.rpc.ErrorInfo`.

use std::fmt;

/// The domain of the gateway's own reasons.
pub const DOMAIN: &str = "presence-gateway";

/// The domain of the vendor's reasons, which are its error codes.
pub const VENDOR_DOMAIN: &str = "genesys.cloud";

/// The longest reason that AIP-193 allows.
const MAX_REASON: usize = 63;

/// The shortest: a letter, and something after it.
const MIN_REASON: usize = 2;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A reason of the gateway's own. Published: it may be added to, not renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason as it stands in `ErrorInfo`.
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
    /// A field of the request is wrong; nothing was sent.
    InvalidRequest = "INVALID_REQUEST",
    /// The call has no `authorization`.
    MissingToken = "MISSING_TOKEN",
    /// The `authorization` is no bearer token, or there is more than one.
    MalformedToken = "MALFORMED_TOKEN",
    /// The gateway is full; nothing was changed.
    Overloaded = "OVERLOADED",
    /// The token has no turn before the deadline; nothing was sent.
    TokenQuota = "TOKEN_QUOTA_EXHAUSTED",
    /// The token has a quarter of the gateway's places; nothing was sent.
    TokenOverloaded = "TOKEN_OVERLOADED",
    /// Time ran out, and nothing was changed by it.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// There is no connection to the upstream; nothing was sent.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE",
    /// The connection broke while a read was under way.
    UpstreamConnectionLost = "UPSTREAM_CONNECTION_LOST",
    /// The upstream refused without a code of the vendor's.
    UpstreamError = "UPSTREAM_ERROR",
    /// The upstream redirects: the gateway's address of it is wrong.
    UpstreamRedirect = "UPSTREAM_REDIRECT",
    /// The upstream's answer is not what the vendor promises.
    UnreadableAnswer = "UNREADABLE_ANSWER",
    /// A write may or may not have been applied.
    OutcomeUnknown = "OUTCOME_UNKNOWN",
    /// A part of a bulk call was not sent.
    NotTried = "NOT_TRIED",
    /// There is no such RPC.
    UnknownMethod = "UNKNOWN_METHOD",
    /// The request is no message of the RPC.
    MalformedRequest = "MALFORMED_REQUEST",
    /// The request is larger than the gateway accepts.
    MessageTooLarge = "MESSAGE_TOO_LARGE",
    /// The caller of a stream neither sent nor took anything for too long.
    StreamIdle = "STREAM_IDLE",
    /// The connection of a stream without an end of its own is being closed.
    ConnectionDraining = "CONNECTION_DRAINING",
    /// The gateway ends.
    ShuttingDown = "SHUTTING_DOWN",
    /// The gateway is at fault.
    Internal = "INTERNAL",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The vendor's documented codes, as reasons. Any other is free text of its.
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

/// Whether a reason is one that can be known beforehand, and so tells nothing
/// of a caller.
pub(crate) fn is_loggable(reason: &str) -> bool {
    let is_ours = Reason::ALL.iter().any(|ours| ours.as_str() == reason);
    is_ours || VENDOR_REASONS.contains(&reason)
}

/// Spells a code of the vendor's as a reason: `not.found` is `NOT_FOUND`.
///
/// `None` where nothing is left that could be a reason.
pub(crate) fn of_vendor(code: &str) -> Option<String> {
    let reason: String = code
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .skip_while(|c| !c.is_ascii_alphabetic())
        .take(MAX_REASON)
        .collect();
    let reason = reason.trim_end_matches('_');
    (reason.len() >= MIN_REASON).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::of_vendor;

    #[test]
    fn what_the_vendor_made_up_is_not_logged() {
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
    fn a_vendors_code_is_spelt_as_a_reason() {
        assert_eq!(of_vendor("not.found").as_deref(), Some("NOT_FOUND"));
        assert_eq!(
            of_vendor("too.many.requests.retry.after").as_deref(),
            Some("TOO_MANY_REQUESTS_RETRY_AFTER")
        );
        assert_eq!(of_vendor("..a-b\u{e9}c..").as_deref(), Some("A_B_C"));
        assert_eq!(of_vendor(&"x".repeat(100)), Some("X".repeat(63)));
        for none in ["", "...", "404", "x", "4.x."] {
            assert_eq!(of_vendor(none), None, "{none}");
        }
    }
}
