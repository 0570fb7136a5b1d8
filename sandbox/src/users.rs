//! The users and their presences.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::api_error::ApiError;
use super::bounds::{MAX_ID, MAX_MESSAGES, MAX_PRESENCES, MAX_USERS, full};
use super::ids;
use super::seed;
use super::settings::{MalformedIds, Settings, UnknownUsers};

/// The source that the vendor's clients use.
pub(super) const PURECLOUD: &str = "PURECLOUD";

/// The modification time of every seeded presence: 2026-01-01.
const SEEDED: i64 = 1_767_225_600;

/// A user.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    /// By source.
    presences: BTreeMap<String, Presence>,
    pub(super) primary_source: String,
}

/// A user's presence at one source.
#[derive(Debug, Clone)]
pub(super) struct Presence {
    /// The id of a definition.
    pub(super) definition: String,
    pub(super) message: String,
    pub(super) modified: Timestamp,
}

impl Presence {
    /// Sets its date to now. A later change has a later date, in milliseconds too: so
    /// fast as changes may come, their order is that of their dates.
    pub(super) fn touch(&mut self) {
        let next = self.modified.saturating_add(SignedDuration::from_millis(1));
        self.modified = Timestamp::now().max(next.unwrap_or(Timestamp::MAX));
    }
}

/// All users, by id. Ids are compared without case.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_id: BTreeMap<String, User>,
    /// The bytes of their messages.
    messages: usize,
}

impl Users {
    /// The seeded users. Their presences differ, so that a mix-up is visible.
    pub(super) fn seeded(count: usize) -> Self {
        let mut users = Self::default();
        for number in 1..=count {
            let (_, definition, _) = seed::DEFAULTS[(number - 1) % seed::DEFAULTS.len()];
            users.put(User::new(&seed::user_id(number), definition));
        }
        users
    }

    /// Adds available users, all or none. An existing user stays unchanged.
    ///
    /// Fails if an id is too long or there are too many users.
    pub(super) fn add<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
        let mut new = Vec::new();
        let mut seen = HashSet::new();
        for id in ids {
            if id.is_empty() || id.len() > MAX_ID {
                return Err(format!("`{id}`: a user id has 1 to {MAX_ID} bytes"));
            }
            if !self.by_id.contains_key(&key(id)) && seen.insert(key(id)) {
                new.push(id);
            }
        }
        if self.by_id.len() + new.len() > MAX_USERS {
            return Err(format!("there can be no more than {MAX_USERS} users"));
        }
        for id in new {
            self.put(User::new(id, seed::DEFAULTS[0].1));
        }
        Ok(())
    }

    /// The ids of all users.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.values().map(|user| user.id.as_str())
    }

    /// The presences of all users, by user and source.
    pub(super) fn presences(&self) -> impl Iterator<Item = (&User, &str, &Presence)> {
        self.by_id.values().flat_map(|user| {
            let presences = user.presences.iter();
            presences.map(move |(source, presence)| (user, source.as_str(), presence))
        })
    }

    /// The user with this id, if there is one.
    pub(super) fn get(&self, id: &str) -> Option<&User> {
        self.by_id.get(&key(id))
    }

    /// Finds a user; the error is 404, or 400 for a malformed id.
    pub(super) fn find(&mut self, id: &str, settings: &Settings) -> Result<&mut User, ApiError> {
        if !self.by_id.contains_key(&key(id)) {
            if settings.malformed_ids == MalformedIds::Refused && !ids::is_uuid(id) {
                let message = format!("Value [{id}] is not a valid user id.");
                return Err(ApiError::field("bad.request", "userId", &message));
            }
            if settings.unknown_users == UnknownUsers::Missing || self.add([id]).is_err() {
                return Err(ApiError::not_found("User", id));
            }
        }
        self.by_id
            .get_mut(&key(id))
            .ok_or_else(|| ApiError::not_found("User", id))
    }

    /// Sets the definition of a presence, if there is one of this user and source.
    pub(super) fn define(&mut self, id: &str, source: &str, definition: &str) -> bool {
        let user = self.by_id.get_mut(&key(id));
        let presence = user.and_then(|user| user.presences.get_mut(source));
        let is_there = presence.is_some();
        if let Some(presence) = presence {
            definition.clone_into(&mut presence.definition);
            presence.touch();
        }
        is_there
    }

    /// Stores a changed user, if the messages fit.
    pub(super) fn keep(&mut self, user: User) -> Result<(), ApiError> {
        let others = self.messages - self.message_bytes(&user.id);
        if others + user.message_bytes() > MAX_MESSAGES {
            return Err(full(MAX_MESSAGES, "bytes of messages"));
        }
        self.put(user);
        Ok(())
    }

    /// Stores a user without a check, for a rollback.
    pub(super) fn put(&mut self, user: User) {
        self.messages -= self.message_bytes(&user.id);
        self.messages += user.message_bytes();
        self.by_id.insert(key(&user.id), user);
    }

    fn message_bytes(&self, id: &str) -> usize {
        self.by_id.get(&key(id)).map_or(0, User::message_bytes)
    }
}

impl User {
    fn new(id: &str, definition: &str) -> Self {
        let presence = Presence {
            definition: definition.to_owned(),
            message: String::new(),
            modified: Timestamp::from_second(SEEDED).unwrap_or(Timestamp::UNIX_EPOCH),
        };
        Self {
            id: id.to_owned(),
            presences: [(PURECLOUD.to_owned(), presence)].into_iter().collect(),
            primary_source: PURECLOUD.to_owned(),
        }
    }

    /// The user's presence at a source, if any.
    pub(super) fn presence(&self, source: &str) -> Option<&Presence> {
        self.presences.get(source)
    }

    /// Sets the presence at a source, if there is room for one more.
    pub(super) fn show(&mut self, source: &str, presence: Presence) -> Result<(), ApiError> {
        if !self.presences.contains_key(source) && self.presences.len() >= MAX_PRESENCES {
            return Err(full(MAX_PRESENCES, "presences of one user"));
        }
        self.presences.insert(source.to_owned(), presence);
        Ok(())
    }

    fn message_bytes(&self) -> usize {
        self.presences.values().map(|one| one.message.len()).sum()
    }
}

fn key(id: &str) -> String {
    id.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_users_is_limited() {
        let mut users = Users::seeded(MAX_USERS - 1);
        let there = seed::user_id(1);
        assert!(users.add(["a", "b"]).unwrap_err().contains("10000"));
        assert!(
            users.add(["a", "A", &there]).is_ok(),
            "the same id in two cases is one user"
        );
        assert!(
            users.add([there.as_str()]).is_ok(),
            "an existing user needs no room"
        );
        assert!(users.add(["b"]).is_err());
        assert!(Users::default().add(["a", &"x".repeat(257)]).is_err());
    }

    #[test]
    fn messages_share_a_limit_and_a_shorter_one_frees_room() {
        let mut users = Users::seeded(3);
        let mut saying = |number: usize, bytes: usize| {
            let id = seed::user_id(number);
            let mut user = users.find(&id, &Settings::default()).unwrap().clone();
            let mut presence = user.presence(PURECLOUD).unwrap().clone();
            presence.message = "x".repeat(bytes);
            user.show(PURECLOUD, presence).unwrap();
            users.keep(user).is_ok()
        };
        assert!(saying(1, MAX_MESSAGES - 10));
        assert!(saying(2, 10));
        assert!(!saying(3, 1));
        assert!(saying(1, MAX_MESSAGES - 11));
        assert!(saying(3, 1));
    }

    #[test]
    fn each_change_of_a_presence_has_a_later_date_than_the_one_before() {
        let mut users = Users::seeded(1);
        let id = seed::user_id(1);
        let dates = (0..50).map(|_| {
            users.define(&id, PURECLOUD, seed::DEFAULTS[1].1);
            let presence = users.get(&id).unwrap().presence(PURECLOUD).unwrap();
            crate::date::date(presence.modified)
        });
        let dates: Vec<String> = dates.collect();
        assert!(dates.is_sorted_by(|one, next| one < next), "{dates:?}");
    }

    #[test]
    fn a_user_is_found_whatever_the_case_of_the_id() {
        let mut users = Users::default();
        users.add(["ABC"]).unwrap();
        assert_eq!(users.find("abc", &Settings::default()).unwrap().id, "ABC");
    }
}
