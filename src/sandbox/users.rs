//! The users and their presences.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::identity;
use super::refusal::Refusal;
use super::seed;
use super::settings::{MAX_USERS, Settings};

/// The source of the vendor's own clients.
pub(super) const PURECLOUD: &str = "PURECLOUD";

/// The longest id that is remembered.
pub(super) const MAX_ID: usize = 256;

/// The most sources for which one user has a presence.
const MAX_PRESENCES: usize = 16;

/// The moment at which every seeded presence was last changed: 2026-01-01.
const SEEDED: i64 = 1_767_225_600;

/// A user.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    /// By source.
    presences: BTreeMap<String, Presence>,
    pub(super) primary_source: String,
}

/// What a user shows through one source.
#[derive(Debug, Clone)]
pub(super) struct Presence {
    /// The id of a definition.
    pub(super) definition: String,
    pub(super) message: String,
    pub(super) modified: Timestamp,
}

/// Every user, by id; ids differ by more than case.
#[derive(Debug)]
pub(super) struct Users(BTreeMap<String, User>);

impl Users {
    /// The predictable users. Their presences differ, so that a mix-up shows.
    pub(super) fn seeded(count: usize) -> Self {
        let mut users = Self(BTreeMap::new());
        for number in 1..=count {
            let (_, definition, _) = seed::DEFAULTS[(number - 1) % seed::DEFAULTS.len()];
            users.insert(User::new(&seed::user_id(number), definition));
        }
        users
    }

    /// Adds a user who is available; one who is there stays as they are.
    ///
    /// Says why not, where the id is too long or there are too many users.
    pub(super) fn add(&mut self, id: &str) -> Result<(), String> {
        if id.is_empty() || id.len() > MAX_ID {
            return Err(format!("a user id has 1 to {MAX_ID} bytes"));
        }
        if self.0.contains_key(&key(id)) {
            return Ok(());
        }
        if self.0.len() >= MAX_USERS {
            return Err(format!(
                "there are {MAX_USERS} users already, which is the most"
            ));
        }
        self.insert(User::new(id, seed::DEFAULTS[0].1));
        Ok(())
    }

    /// The ids of all users.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|user| user.id.as_str())
    }

    /// The user, or why there is none: 404, or 400 for an id that is refused as malformed.
    pub(super) fn find(&mut self, id: &str, settings: &Settings) -> Result<&mut User, Refusal> {
        if !self.0.contains_key(&key(id)) {
            if settings.malformed_ids_refused && !identity::is_uuid(id) {
                let message = format!("Value [{id}] is not a valid user id.");
                return Err(Refusal::field("bad.request", "userId", &message));
            }
            if !settings.unknown_users_found || self.add(id).is_err() {
                return Err(Refusal::not_found("User", id));
            }
        }
        self.0
            .get_mut(&key(id))
            .ok_or_else(|| Refusal::not_found("User", id))
    }

    fn insert(&mut self, user: User) {
        self.0.insert(key(&user.id), user);
    }
}

impl User {
    fn new(id: &str, definition: &str) -> Self {
        let modified = Timestamp::from_second(SEEDED).unwrap_or(Timestamp::UNIX_EPOCH);
        let definition = definition.to_owned();
        let presence = Presence {
            definition,
            message: String::new(),
            modified,
        };
        Self {
            id: id.to_owned(),
            presences: [(PURECLOUD.to_owned(), presence)].into_iter().collect(),
            primary_source: PURECLOUD.to_owned(),
        }
    }

    /// What the user shows through a source, if anything.
    pub(super) fn presence(&self, source: &str) -> Option<&Presence> {
        self.presences.get(source)
    }

    /// Remembers what the user shows through a source; whether there was room.
    pub(super) fn show(&mut self, source: &str, presence: Presence) -> bool {
        let room = self.presences.contains_key(source)
            || (self.presences.len() < MAX_PRESENCES && source.len() <= MAX_ID);
        if room {
            self.presences.insert(source.to_owned(), presence);
        }
        room
    }
}

fn key(id: &str) -> String {
    id.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_bounded() {
        let mut users = Users::seeded(MAX_USERS);
        assert!(
            users.add(&seed::user_id(1)).is_ok(),
            "one who is there needs no room"
        );
        assert!(users.add("one-more").unwrap_err().contains("10000"));
        assert!(Users::seeded(0).add(&"x".repeat(257)).is_err());
    }

    #[test]
    fn a_user_is_found_whatever_the_case_of_the_id() {
        let mut users = Users::seeded(0);
        users.add("ABC").unwrap();
        assert_eq!(users.find("abc", &Settings::default()).unwrap().id, "ABC");
    }
}
