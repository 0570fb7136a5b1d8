//! Which of two presences of a user is the later one.
//!
//! The vendor dates each presence. A notification and a read of the same presence
//! have different fields, so that they are compared by those that both have.

use std::sync::Arc;

use crate::proto::v1::{PresenceDefinition, UcUserPresence, UserPresence};

/// The system presences as a read spells them.
const SYSTEM_PRESENCES: [&str; 10] = [
    "Available",
    "Away",
    "Busy",
    "Offline",
    "Idle",
    "On Queue",
    "Meal",
    "Training",
    "Meeting",
    "Break",
];

/// The latest presence of a user that is known.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    pub presence: Arc<UserPresence>,
    /// Counts the presences of the user, from 1.
    pub version: u64,
}

/// How a presence relates to the one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Later,
    Same,
    Earlier,
    /// Their dates do not decide: they are equal, or one is missing.
    Unclear,
}

/// Compares a presence with the one that is known.
pub(super) fn compare(new: &UserPresence, known: &UserPresence) -> Order {
    let date = |presence: &UserPresence| {
        let date = presence.modified_date.as_ref();
        date.map(|date| (date.seconds, date.nanos))
    };
    match (date(new), date(known)) {
        (Some(new), Some(known)) if new > known => Order::Later,
        (Some(new), Some(known)) if new < known => Order::Earlier,
        _ if has_same_content(new, known) => Order::Same,
        (Some(_), None) => Order::Later,
        _ => Order::Unclear,
    }
}

fn has_same_content(one: &UserPresence, other: &UserPresence) -> bool {
    let definition = |presence: &UserPresence| {
        let definition = presence.presence_definition.as_ref();
        let id = definition.and_then(|definition| definition.id.clone());
        let system = definition.and_then(|definition| definition.system_presence.clone());
        (id, system)
    };
    let message = |presence: &UserPresence| presence.message.clone().unwrap_or_default();
    let is_primary = one.primary.zip(other.primary);
    definition(one) == definition(other)
        && message(one) == message(other)
        && is_primary.is_none_or(|(one, other)| one == other)
}

/// A presence that was read, as the presence of one user.
pub(super) fn from_read(read: UcUserPresence) -> UserPresence {
    #[expect(deprecated, reason = "the vendor still sends it")]
    let source = read.source;
    #[expect(deprecated, reason = "the vendor still sends it")]
    UserPresence {
        id: read.id,
        name: read.name,
        source,
        source_id: read.source_id,
        primary: None,
        presence_definition: read.presence_definition,
        future_presence_definition: None,
        message: read.message,
        modified_date: read.modified_date,
        self_uri: read.self_uri,
    }
}

/// A presence of a notification, with its system presences spelled as a read has them.
pub(super) fn from_event(mut event: UserPresence) -> UserPresence {
    let UserPresence {
        presence_definition,
        future_presence_definition,
        ..
    } = &mut event;
    for definition in [presence_definition, future_presence_definition] {
        definition.iter_mut().for_each(respell);
    }
    event
}

/// Spells a system presence of a notification, `ON_QUEUE`, as a read does, `On Queue`.
/// One that is not known stays.
fn respell(definition: &mut PresenceDefinition) {
    let Some(system) = &mut definition.system_presence else {
        return;
    };
    let plain = |text: &str| text.replace('_', " ").to_ascii_lowercase();
    let spelled = SYSTEM_PRESENCES
        .iter()
        .find(|known| plain(known) == plain(system));
    if let Some(spelled) = spelled {
        (*spelled).clone_into(system);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(seconds: Option<i64>, id: &str) -> UserPresence {
        UserPresence {
            modified_date: seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
            presence_definition: Some(PresenceDefinition {
                id: Some(id.to_owned()),
                ..PresenceDefinition::default()
            }),
            ..UserPresence::default()
        }
    }

    #[test]
    fn the_date_decides_and_then_the_content() {
        for (new, known, order) in [
            ((Some(2), "a"), (Some(1), "a"), Order::Later),
            ((Some(1), "b"), (Some(2), "a"), Order::Earlier),
            ((Some(1), "a"), (Some(1), "a"), Order::Same),
            ((Some(1), "b"), (Some(1), "a"), Order::Unclear),
            ((None, "b"), (Some(1), "a"), Order::Unclear),
            ((None, "a"), (Some(1), "a"), Order::Same),
            ((Some(1), "b"), (None, "a"), Order::Later),
            ((None, "b"), (None, "a"), Order::Unclear),
        ] {
            let compared = compare(&presence(new.0, new.1), &presence(known.0, known.1));
            assert_eq!(compared, order, "{new:?} after {known:?}");
        }
    }

    #[test]
    fn a_notification_and_a_read_of_one_presence_are_the_same() {
        let mut event = presence(Some(1), "a");
        event.primary = Some(true);
        event.message = Some(String::new());
        let mut read = presence(Some(1), "a");
        read.self_uri = Some("/api/v2/users/a/presences".to_owned());
        assert_eq!(compare(&event, &read), Order::Same);
        assert_eq!(compare(&read, &event), Order::Same);
    }

    #[test]
    fn a_notification_is_spelled_as_a_read() {
        for (sent, expected) in [
            ("AVAILABLE", "Available"),
            ("ON_QUEUE", "On Queue"),
            ("On Queue", "On Queue"),
            ("OFFLINE", "Offline"),
            ("IN_ORBIT", "IN_ORBIT"),
        ] {
            let mut event = presence(Some(1), "a");
            let definition = event.presence_definition.as_mut().unwrap();
            definition.system_presence = Some(sent.to_owned());
            let definition = from_event(event).presence_definition.unwrap();
            assert_eq!(definition.system_presence.as_deref(), Some(expected));
        }
    }
}
