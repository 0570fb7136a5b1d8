//! The bounds of the state, so that no client can make it grow without limit.

use super::api_error::ApiError;

/// The most users, seeded ones included.
pub(super) const MAX_USERS: usize = 10_000;

/// The most sources for which one user has a presence.
pub(super) const MAX_PRESENCES: usize = 16;

/// The most bytes of all users' messages together.
pub(super) const MAX_MESSAGES: usize = 64 * 1024 * 1024;

/// The most presence definitions, the vendor's own included.
pub(super) const MAX_DEFINITIONS: usize = 1000;

/// The most registered presence sources.
pub(super) const MAX_SOURCES: usize = 1000;

/// The most rules.
pub(super) const MAX_RULES: usize = 100;

/// The most tokens whose requests are counted, and the most that are revoked.
pub(super) const MAX_TOKENS: usize = 1000;

/// The most notification channels of all tokens.
pub(super) const MAX_CHANNELS: usize = 1000;

/// The most topics of all notification channels.
pub(super) const MAX_TOPICS: usize = 200_000;

/// The most bytes that wait to be written to a WebSocket.
pub(super) const MAX_QUEUED: usize = 1024 * 1024;

/// The most requests in the journal.
pub(super) const MAX_JOURNAL: usize = 1000;

/// The longest id, in bytes.
pub(super) const MAX_ID: usize = 256;

/// The most bytes of a name, of a description, and of all labels together.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// The error for a full table.
pub(super) fn full(most: usize, of_what: &str) -> ApiError {
    let message = format!(
        "The sandbox holds no more than {most} {of_what}. POST /sandbox/reset begins anew."
    );
    ApiError::new(409, "general.conflict", &message)
}

/// Rejects a text that is too long to store.
pub(super) fn check_length(field: &str, length: usize, most: usize) -> Result<(), ApiError> {
    if length <= most {
        return Ok(());
    }
    let message = format!("The field [{field}] must have no more than {most} bytes.");
    Err(ApiError::field("constraint.validation", field, &message))
}
