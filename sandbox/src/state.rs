//! Everything that the sandbox remembers, and how it begins.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::definitions::Definitions;
use super::journal::Journal;
use super::limits::Limits;
use super::misbehave::rules::Rules;
use super::settings::Settings;
use super::sources::Sources;
use super::users::Users;

/// What is remembered between requests. Forgotten as a whole by a reset.
#[derive(Debug)]
pub(super) struct State {
    pub(super) users: Users,
    pub(super) definitions: Definitions,
    pub(super) sources: Sources,
    /// The organization's presence settings, as the vendor's model.
    pub(super) organization: Value,
    pub(super) limits: Limits,
    pub(super) rules: Rules,
    pub(super) journal: Journal,
}

impl State {
    /// The state in which a sandbox begins.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            users: Users::seeded(settings.users),
            definitions: Definitions::seeded(),
            sources: Sources::default(),
            organization: json!({
                "restorePresenceSettings": {
                    "enabled": false,
                    "restoreTimeMilliseconds": 0,
                    "restoreOnQueueEnabled": false,
                },
                "requestingOffQueueEnabled": false,
                "selfUri": "/api/v2/presence/settings",
            }),
            limits: Limits::new(settings),
            rules: Rules::default(),
            journal: Journal::default(),
        }
    }
}

/// A moment as the vendor writes it.
pub(super) fn date(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_milliseconds_and_a_z() {
        let moment: Timestamp = "2026-11-23T10:15:30.123456+00:00".parse().unwrap();
        assert_eq!(date(moment), "2026-11-23T10:15:30.123Z");
        assert_eq!(date(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
