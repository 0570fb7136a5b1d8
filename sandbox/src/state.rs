//! The state of the sandbox.

use serde_json::{Value, json};

use super::definitions::Definitions;
use super::journal::Journal;
use super::limits::Limits;
use super::misbehave::rules::Rules;
use super::notifications::channels::Channels;
use super::revoked::Revoked;
use super::settings::Settings;
use super::sources::Sources;
use super::users::Users;

/// The state between requests. A reset replaces it as a whole.
#[derive(Debug)]
pub(super) struct State {
    pub(super) users: Users,
    pub(super) definitions: Definitions,
    pub(super) sources: Sources,
    /// The organization's `PresenceSettings`.
    pub(super) organization: Value,
    pub(super) limits: Limits,
    pub(super) channels: Channels,
    pub(super) revoked: Revoked,
    pub(super) rules: Rules,
    pub(super) journal: Journal,
}

impl State {
    /// The initial state.
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
            channels: Channels::default(),
            revoked: Revoked::default(),
            rules: Rules::default(),
            journal: Journal::default(),
        }
    }
    /// Returns to the initial state. Requests and rules keep counting, so that a number
    /// never means another one.
    pub(super) fn reset(&mut self, settings: &Settings) {
        let mut journal = std::mem::take(&mut self.journal);
        let mut rules = std::mem::take(&mut self.rules);
        journal.clear();
        rules.clear();
        // Their sockets are closed.
        self.channels.clear();
        *self = Self {
            rules,
            journal,
            ..Self::new(settings)
        };
    }
}
