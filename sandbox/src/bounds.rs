//! How much the sandbox remembers, so that no client can make it grow without end.

use super::refusal::Refusal;

/// The most users, seeded ones included.
pub(super) const MAX_USERS: usize = 10_000;

/// The most sources for which one user has a presence.
pub(super) const MAX_PRESENCES: usize = 16;

/// The most bytes that the messages of all users have together.
pub(super) const MAX_MESSAGES: usize = 64 * 1024 * 1024;

/// The most presence definitions, the vendor's own included.
pub(super) const MAX_DEFINITIONS: usize = 1000;

/// The most registered presence sources.
pub(super) const MAX_SOURCES: usize = 1000;

/// The most rules for wrong answers.
pub(super) const MAX_RULES: usize = 100;

/// The most tokens whose requests are counted at a time.
pub(super) const MAX_TOKENS: usize = 1000;

/// The most requests in the journal.
pub(super) const MAX_JOURNAL: usize = 1000;

/// The longest id, in bytes.
pub(super) const MAX_ID: usize = 256;

/// The most bytes of a name, of a description, and of all labels together.
pub(super) const MAX_TEXT: usize = 16 * 1024;

/// Refuses what there is no more room for.
pub(super) fn full(most: usize, of_what: &str) -> Refusal {
    let message = format!(
        "The sandbox holds no more than {most} {of_what}. POST /sandbox/reset begins anew."
    );
    Refusal::new(409, "general.conflict", &message)
}

/// Refuses a text that is too long to be remembered.
pub(super) fn check_length(field: &str, length: usize, most: usize) -> Result<(), Refusal> {
    if length <= most {
        return Ok(());
    }
    let message = format!("The field [{field}] must have no more than {most} bytes.");
    Err(Refusal::field("constraint.validation", field, &message))
}
