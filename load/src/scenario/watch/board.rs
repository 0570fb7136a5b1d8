//! What was changed, and what the watches have received of it.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use presence_gateway::proto::v1::UserPresence;
use tokio::time::Instant;

use super::sandbox::Presence;
use crate::caller::Latencies;

/// The ids of the vendor's default definitions, in the order in which the sandbox gives
/// them to its users at the start.
const DEFINITIONS: [&str; 10] = [
    "6a3af858-942f-489d-9700-5f9bcdcdae9b",
    "5e5c5c66-ea97-4e7f-ac41-6424784829f2",
    "31fe3bac-dea6-44b7-bed7-47f91660a1a0",
    "227b37e2-f1d0-4dd0-8f50-badd7cf6d158",
    "7ffa01cd-7866-4ad7-8faa-31e11b42f51f",
    "3fd96123-badb-4f69-bc03-1b1ccc6d8014",
    "bbdff279-7ae1-48ea-bade-7831d7234c64",
    "ccf3c10a-aa2c-4845-8e8d-f59fa48c58e5",
    "e08eaf1b-ee47-4fa9-a231-1200e284798f",
    "d2390a99-8546-bad9-8f0a-219548e8aeb0",
];

/// The id of a user of the sandbox, numbered from 0.
pub(super) fn user_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{:012}", number + 1)
}

/// The number of a user of the sandbox.
fn user_number(id: &str) -> Option<usize> {
    id.get(24..)?.parse::<usize>().ok()?.checked_sub(1)
}

/// All users and watches.
#[derive(Debug)]
pub(super) struct Board(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    users: Vec<User>,
    watches: Vec<Watch>,
    latencies: Latencies,
    /// How many users have a change that has not come.
    wrong: usize,
    /// How many changes were replaced by later ones before they came.
    overtaken: u64,
    /// When the last change came that was waited for, and the last watch became live.
    right_at: Instant,
    live_at: Instant,
    ends: Vec<String>,
}

#[derive(Debug)]
struct User {
    definition: usize,
    /// Since when the last message is not of the latest change.
    changed: Option<Instant>,
    /// The definition and the date of the last message.
    latest: (String, Option<SystemTime>),
    is_counted: bool,
}

#[derive(Debug, Default, Clone)]
struct Watch {
    is_live: bool,
    messages: u64,
}

impl Board {
    pub(super) fn new(watches: usize, users: usize) -> Self {
        let users = (0..users).map(|number| User {
            definition: number % DEFINITIONS.len(),
            changed: None,
            latest: (String::new(), None),
            is_counted: true,
        });
        let now = Instant::now();
        Self(Mutex::new(Inner {
            users: users.collect(),
            watches: vec![Watch::default(); watches],
            latencies: Latencies::default(),
            wrong: 0,
            overtaken: 0,
            right_at: now,
            live_at: now,
            ends: Vec::new(),
        }))
    }

    /// The number of users.
    pub(super) fn users(&self) -> usize {
        self.0.lock().users.len()
    }

    /// Counts the latencies of these users no more.
    pub(super) fn leave_out(&self, users: Range<usize>) {
        for user in &mut self.0.lock().users[users] {
            user.is_counted = false;
        }
    }

    /// Records a change that is about to be posted, and returns its line.
    pub(super) fn change(&self, number: usize, due: Instant) -> String {
        let mut inner = self.0.lock();
        let user = &mut inner.users[number];
        user.definition = (user.definition + 1) % DEFINITIONS.len();
        let line = format!("{} {}\n", user_id(number), DEFINITIONS[user.definition]);
        let is_counted = user.is_counted;
        if user.changed.is_none() {
            user.changed = Some(due);
            inner.wrong += 1;
        } else if is_counted {
            inner.overtaken += 1;
        }
        line
    }

    /// Records a presence that came on a watch.
    pub(super) fn presence(&self, watch: usize, id: &str, presence: UserPresence) {
        let now = Instant::now();
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        inner.watches[watch].messages += 1;
        let Some(user) = user_number(id).and_then(|number| inner.users.get_mut(number)) else {
            inner.ends.push(format!("a presence of `{id}`"));
            return;
        };
        let definition = presence.presence_definition.unwrap_or_default().id;
        let definition = definition.unwrap_or_default();
        let date = presence.modified_date;
        if definition == DEFINITIONS[user.definition]
            && let Some(since) = user.changed.take()
        {
            inner.wrong -= 1;
            inner.right_at = now;
            if user.is_counted {
                inner.latencies.add(now - since);
            }
        }
        user.latest = (definition, date.and_then(|date| date.try_into().ok()));
    }

    /// Records the state of a watch.
    pub(super) fn state(&self, watch: usize, is_live: bool) {
        let mut inner = self.0.lock();
        if !std::mem::replace(&mut inner.watches[watch].is_live, is_live) && is_live {
            inner.live_at = Instant::now();
        }
    }

    /// Records that a watch has ended, or what it should not have.
    pub(super) fn ended(&self, why: String) {
        self.0.lock().ends.push(why);
    }

    /// Why watches ended.
    pub(super) fn ends(&self) -> Vec<String> {
        self.0.lock().ends.clone()
    }

    /// How many watches are live.
    pub(super) fn live(&self) -> usize {
        let inner = self.0.lock();
        inner.watches.iter().filter(|watch| watch.is_live).count()
    }

    /// How many users have a change that has not come.
    pub(super) fn wrong(&self) -> usize {
        self.0.lock().wrong
    }

    /// How many of these users do.
    pub(super) fn wrong_of(&self, users: Range<usize>) -> usize {
        let inner = self.0.lock();
        let users = inner.users[users].iter();
        users.filter(|user| user.changed.is_some()).count()
    }

    /// How many changes were replaced by later ones before they came.
    pub(super) fn overtaken(&self) -> u64 {
        self.0.lock().overtaken
    }

    /// How many presences came on a watch.
    pub(super) fn messages(&self, watch: usize) -> u64 {
        self.0.lock().watches[watch].messages
    }

    /// How long after `moment` the last change came, and the last watch became live.
    pub(super) fn since(&self, moment: Instant) -> [Duration; 2] {
        let inner = self.0.lock();
        [inner.right_at, inner.live_at].map(|at| at.saturating_duration_since(moment))
    }

    /// How long each user was wrong who became right since the last call.
    pub(super) fn take_latencies(&self) -> Latencies {
        std::mem::take(&mut self.0.lock().latencies)
    }

    /// How many users have another presence than that of the last message.
    pub(super) fn differing(&self, there: &HashMap<String, Presence>) -> usize {
        let inner = self.0.lock();
        let users = inner.users.iter().enumerate();
        let wrong =
            users.filter(|(number, user)| there.get(&user_id(*number)) != Some(&user.latest));
        wrong.count()
    }
}

#[cfg(test)]
mod tests {
    use presence_gateway::proto::v1::PresenceDefinition;

    use super::*;

    fn presence(definition: usize) -> UserPresence {
        UserPresence {
            presence_definition: Some(PresenceDefinition {
                id: Some(DEFINITIONS[definition].to_owned()),
                ..PresenceDefinition::default()
            }),
            ..UserPresence::default()
        }
    }

    #[test]
    fn a_user_is_wrong_until_the_latest_change_comes() {
        let board = Board::new(1, 2);
        let (user, now) = (user_id(1), Instant::now());
        assert!(board.change(1, now).contains(DEFINITIONS[2]));
        board.change(1, now);
        board.presence(0, &user, presence(2));
        let of_older = (board.wrong(), board.take_latencies().count());
        assert_eq!(of_older, (1, 0), "the message was of the older change");
        board.presence(0, &user, presence(3));
        let of_latest = (board.wrong(), board.take_latencies().count());
        assert_eq!(of_latest, (0, 1), "the message was of the latest change");
        assert_eq!((board.overtaken(), board.messages(0)), (1, 2));
    }

    #[test]
    fn users_differ_whose_last_message_has_another_presence_or_none() {
        let board = Board::new(1, 2);
        let there = |definition: usize| (DEFINITIONS[definition].to_owned(), None);
        let there = HashMap::from([(user_id(0), there(0)), (user_id(1), there(1))]);
        assert_eq!(board.differing(&there), 2);
        board.presence(0, &user_id(0), presence(0));
        board.presence(0, &user_id(1), presence(0));
        assert_eq!(board.differing(&there), 1);
    }
}
