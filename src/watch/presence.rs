//! Which of two presences of a user is the later one.
//!
//! The vendor dates each presence. A notification and a read of the same presence
//! have different fields, so that they are compared by those that both have.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::proto::v1::{PresenceDefinition, UcUserPresence, UserPresence};

/// The source whose presences are watched.
const SOURCE: &str = "PURECLOUD";

/// How far ahead of the gateway's clock a date may be. One that is further ahead is wrong,
/// and would make all later presences look old.
const MAX_AHEAD: Duration = Duration::from_mins(1);

/// How old the presence of a notification may be that is older than the known one. One
/// that is older still has a wrong date, or took longer than any notification.
const MAX_AGE: Duration = Duration::from_hours(1);

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
    /// Their dates do not decide: they are equal, or one is missing or wrong.
    Unclear,
}

/// Compares a presence with the one that is known.
pub(super) fn compare(new: &UserPresence, known: &UserPresence, now: SystemTime) -> Order {
    let date = |presence: &UserPresence| {
        let date = presence.modified_date.as_ref();
        let date = date.map(|date| (date.seconds, date.nanos));
        date.filter(|_| !is_ahead(presence, now))
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

/// Whether the date of a presence is too far ahead to be right.
pub(super) fn is_ahead(presence: &UserPresence, now: SystemTime) -> bool {
    let latest = prost_types::Timestamp::from(now + MAX_AHEAD);
    let date = presence.modified_date.as_ref();
    date.is_some_and(|date| (date.seconds, date.nanos) > (latest.seconds, latest.nanos))
}

/// Whether the date of a notification is too old to believe that it was sent just now.
pub(super) fn is_too_old(event: &UserPresence, now: SystemTime) -> bool {
    let date = event
        .modified_date
        .and_then(|date| SystemTime::try_from(date).ok());
    date.is_none_or(|date| date + MAX_AGE < now)
}

/// Whether a notification is about the source that is watched, if that is clear.
pub(super) fn is_of_watched_source(event: &UserPresence) -> Option<bool> {
    #[expect(deprecated, reason = "the vendor still sends it")]
    let source = event.source.as_deref();
    let is_watched = |name: &str| name.eq_ignore_ascii_case(SOURCE);
    match (source.unwrap_or_default(), event.source_id.as_deref()) {
        ("", None) => Some(true),
        // Which id the source has is not documented.
        ("", Some(id)) => is_watched(id).then_some(true),
        (source, _) => Some(is_watched(source)),
    }
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

/// Spells a system presence of a notification, `ON_QUEUE` or `OnQueue`, as a read does,
/// `On Queue`. One that is not known stays.
fn respell(definition: &mut PresenceDefinition) {
    let Some(system) = &mut definition.system_presence else {
        return;
    };
    let plain = |text: &str| text.replace(['_', ' '], "").to_ascii_lowercase();
    let spelled = SYSTEM_PRESENCES
        .iter()
        .find(|known| plain(known) == plain(system));
    if let Some(spelled) = spelled {
        (*spelled).clone_into(system);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Compares two presences 100 s after 1970 began.
    fn at_100(new: &UserPresence, known: &UserPresence) -> Order {
        compare(new, known, UNIX_EPOCH + Duration::from_secs(100))
    }

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
            let compared = at_100(&presence(new.0, new.1), &presence(known.0, known.1));
            assert_eq!(compared, order, "{new:?} after {known:?}");
        }
    }

    #[test]
    fn a_date_of_the_future_does_not_decide() {
        let never = Some(253_402_300_799);
        for (new, known, order) in [
            ((Some(160), "b"), (Some(1), "a"), Order::Later),
            ((Some(161), "b"), (Some(1), "a"), Order::Unclear),
            ((never, "b"), (Some(1), "a"), Order::Unclear),
            ((Some(1), "b"), (never, "a"), Order::Later),
            ((never, "b"), (never, "a"), Order::Unclear),
            ((never, "a"), (never, "a"), Order::Same),
        ] {
            let compared = at_100(&presence(new.0, new.1), &presence(known.0, known.1));
            assert_eq!(compared, order, "{new:?} after {known:?}");
        }
    }

    #[test]
    fn a_notification_of_long_ago_is_too_old() {
        let now = UNIX_EPOCH + Duration::from_secs(7200);
        for (seconds, expected) in [
            (Some(3600), false),
            (Some(3599), true),
            (Some(-62_135_596_800), true),
            (None, true),
        ] {
            let is_old = is_too_old(&presence(seconds, "a"), now);
            assert_eq!(is_old, expected, "{seconds:?}");
        }
    }

    #[test]
    fn a_notification_and_a_read_of_one_presence_are_the_same() {
        let mut event = presence(Some(1), "a");
        event.primary = Some(true);
        event.message = Some(String::new());
        let mut read = presence(Some(1), "a");
        read.self_uri = Some("/api/v2/users/a/presences".to_owned());
        assert_eq!(at_100(&event, &read), Order::Same);
        assert_eq!(at_100(&read, &event), Order::Same);
    }

    #[test]
    fn a_notification_is_spelled_as_a_read() {
        for (sent, expected) in [
            ("AVAILABLE", "Available"),
            ("ON_QUEUE", "On Queue"),
            ("On Queue", "On Queue"),
            ("OnQueue", "On Queue"),
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
