//! The texts of the vendor's WebSocket.
//!
//! Sources: the vendor's guide to notifications, and the handler of its Java SDK.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::presence::{from_event, is_of_watched_source};
use super::users::user_key;
use crate::error::Error;
use crate::json;
use crate::operation::Violation;
use crate::proto::v1::UserPresence;

/// The longest topic, in bytes, by the vendor's own streaming client. It may refuse all others
/// with a longer one.
pub(super) const MAX_TOPIC: usize = 199;

/// What a text means.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// The presence of a user has changed.
    Presence(Arc<str>, Box<UserPresence>),
    /// The presence of a user has changed; what it is cannot be read.
    UnreadablePresence(Arc<str>),
    /// The connection is alive.
    Heartbeat,
    /// The answer to a text that the gateway does not send, or a topic or a source that it
    /// does not watch.
    Other,
    /// The vendor will close the socket within a minute.
    Closing,
    /// The channel gets no notifications any more.
    Unsubscribed,
    /// The token is revoked.
    Revoked,
    /// Not a text of the vendor's.
    Garbage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    topic_name: String,
}

/// The text of a presence, which is parsed again: most texts of a busy channel are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PresenceText {
    #[serde(deserialize_with = "user_presence")]
    event_body: Option<UserPresence>,
}

fn user_presence<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<UserPresence>, D::Error> {
    json::message(&json::models::USER_PRESENCE, deserializer)
}

/// Parses a text.
pub(super) fn parse(text: &str) -> Event {
    let Ok(parsed) = serde_json::from_str::<Text>(text) else {
        return Event::Garbage;
    };
    let topic = parsed.topic_name.as_str();
    if topic == "channel.metadata" {
        return Event::Heartbeat;
    }
    if let Some(user) = user_of(topic) {
        let key = user_key(user);
        return presence(text, &key).unwrap_or(Event::UnreadablePresence(key));
    }
    let is = |name: &str| topic == name || topic.starts_with(&format!("{name}."));
    match topic {
        _ if is("v2.system.socket_closing") => Event::Closing,
        _ if is("v2.system.no_longer_subscribed") => Event::Unsubscribed,
        _ if is("v2.system.token_revoked") => Event::Revoked,
        _ => Event::Other,
    }
}

/// What a text about the presence of a user means, if it has a status and a date.
fn presence(text: &str, user: &Arc<str>) -> Option<Event> {
    let presence = serde_json::from_str::<PresenceText>(text)
        .ok()?
        .event_body?;
    if !is_of_watched_source(&presence)? {
        return Some(Event::Other);
    }
    let is_whole = presence.presence_definition.is_some() && presence.modified_date.is_some();
    let presence = is_whole.then(|| from_event(presence))?;
    Some(Event::Presence(Arc::clone(user), Box::new(presence)))
}

/// The topic of a user's presence.
pub(super) fn topic(user: &str) -> String {
    format!("v2.users.{user}.presence")
}

/// Why a user is not notified whose id is too long for a topic.
pub(super) fn too_long() -> Error {
    let max = MAX_TOPIC - topic("").len();
    let why = format!("must be at most {max} bytes long each, so that the vendor can notify");
    vec![Violation::new("ids", why)].into()
}

/// The user of a topic.
pub(super) fn user_of(topic: &str) -> Option<&str> {
    topic.strip_prefix("v2.users.")?.strip_suffix(".presence")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(body: &str) -> Event {
        let topic = r#"{"topicName":"v2.users.AB-1.presence","version":"2","eventBody":"#;
        parse(&format!(
            r#"{topic}{body},"metadata":{{"CorrelationId":"x"}}}}"#
        ))
    }

    #[test]
    fn a_presence_is_read_with_its_user_and_date() {
        let event = change(
            r#"{"source":"PURECLOUD","presenceDefinition":{"id":"6a3a","systemPresence":"ON_QUEUE"},
                "primary":true,"message":"","modifiedDate":"2026-11-23T10:15:30.123Z","new":1}"#,
        );
        let Event::Presence(user, presence) = event else {
            panic!("{event:?}")
        };
        assert_eq!(&*user, "ab-1");
        let definition = presence.presence_definition.unwrap();
        assert_eq!(definition.system_presence.as_deref(), Some("On Queue"));
        assert_eq!(presence.modified_date.unwrap().nanos, 123_000_000);
    }

    #[test]
    fn a_presence_without_a_readable_date_or_status_is_unreadable() {
        for body in [
            r#"{"presenceDefinition":{"id":"a"},"modifiedDate":"yesterday"}"#,
            r#"{"presenceDefinition":{"id":"a"}}"#,
            r#"{"sourceId":"6a3a","presenceDefinition":{"id":"a"},"modifiedDate":"2026-11-23T10:15:30.123Z"}"#,
            r#"{"modifiedDate":"2026-11-23T10:15:30.123Z"}"#,
            r#"{"presenceDefinition":7,"modifiedDate":"2026-11-23T10:15:30.123Z"}"#,
            "null",
            "[]",
        ] {
            assert_eq!(
                change(body),
                Event::UnreadablePresence("ab-1".into()),
                "{body}"
            );
        }
    }

    #[test]
    fn a_presence_of_another_source_is_ignored() {
        for (source, is_watched) in [
            (r#""source":"PURECLOUD""#, true),
            (r#""source":"purecloud","primary":false"#, true),
            (r#""source":"""#, true),
            (r#""message":"""#, true),
            (r#""source":"teams","primary":false"#, false),
            (r#""source":"MICROSOFTTEAMS","primary":true"#, false),
        ] {
            let date = r#""modifiedDate":"2026-11-23T10:15:30.123Z""#;
            let event = change(&format!(
                r#"{{{source},"presenceDefinition":{{"id":"a"}},{date}}}"#
            ));
            let expected = matches!(event, Event::Presence(..));
            assert_eq!(expected, is_watched, "{source}: {event:?}");
            assert!(is_watched || event == Event::Other, "{source}: {event:?}");
        }
    }

    #[test]
    fn system_texts_are_known_and_others_ignored() {
        let of = |topic: &str| parse(&format!(r#"{{"topicName":"{topic}","eventBody":{{}}}}"#));
        assert_eq!(of("channel.metadata"), Event::Heartbeat);
        assert_eq!(of("v2.system.socket_closing"), Event::Closing);
        assert_eq!(of("v2.system.no_longer_subscribed.x"), Event::Unsubscribed);
        assert_eq!(of("v2.system.token_revoked.x"), Event::Revoked);
        assert_eq!(of("v2.system.token_revoked"), Event::Revoked);
        assert_eq!(of("v2.users.a.activity"), Event::Other);
        for garbage in [
            "",
            "hello",
            "{}",
            "[]",
            "7",
            r#"{"topicName":7}"#,
            "{\"topicName\":",
        ] {
            assert_eq!(parse(garbage), Event::Garbage, "{garbage}");
        }
    }
}
