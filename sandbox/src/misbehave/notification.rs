//! Faults of notifications.

mod grammar;
pub(crate) mod words;

use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use words::On;

use super::reshape::mark;

/// The faults of one occasion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NotificationPlan {
    /// The faults as they were written.
    text: String,
    /// How much later everything happens.
    pub(crate) delay: Duration,
    pub(crate) actions: Vec<Action>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// The text at hand is lost.
    Drop,
    /// The text at hand comes twice.
    Duplicate,
    /// The text at hand comes behind the next one.
    Swap,
    /// The text at hand has other JSON.
    Change(Change),
    /// Something else than JSON, instead of the text at hand if there is one.
    Raw(Raw),
    /// An event of a user that nobody asked for.
    Stranger,
    /// The text of that name; the socket is closed this long after it.
    SocketClosing(Duration),
    /// The text of that name; the channel loses its topics.
    NoLongerSubscribed,
    /// The text of that name; the token is rejected, and its channels end.
    TokenRevoked,
    /// Nothing comes and nothing is read any more, for this time or for good.
    Silence(Option<Duration>),
    Close(u16),
    Cut,
    /// The channel ends.
    Expire,
    /// The topic at hand is rejected.
    Reject,
    /// The channel lives for this time.
    Lifetime(Duration),
    /// The channel has this URI.
    Uri(String),
}

/// A change to the JSON of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    UnknownField,
    NullBody,
    WrongShape,
    /// A text for `modifiedDate`, or none.
    Date(Option<String>),
    Spelling(Spelling),
    /// The topic has the user's id in the other case.
    Recase,
}

/// How a system presence is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `On Queue`
    Spaced,
    /// `OnQueue`
    Joined,
    /// `on_queue`
    Lower,
    /// One that nobody knows.
    New,
}

/// What comes instead of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw {
    Garbage,
    HalfJson,
    Empty,
    /// The same bytes, in a binary message.
    Binary,
    /// A text of this many bytes.
    Huge(usize),
}

impl NotificationPlan {
    /// The faults as they were written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has this fault.
    pub(crate) fn has(&self, action: &Action) -> bool {
        self.actions.contains(action)
    }

    /// Whether a channel without a connection can have it, too.
    pub(crate) fn needs_no_connection(&self) -> bool {
        let of_the_channel = [
            Action::Expire,
            Action::NoLongerSubscribed,
            Action::TokenRevoked,
        ];
        of_the_channel.iter().any(|action| self.has(action))
    }
}

impl Change {
    /// Applies the change to an event.
    pub(crate) fn apply(&self, mut event: Value) -> Value {
        let body = &mut event["eventBody"];
        match self {
            Self::UnknownField => mark(&mut event),
            Self::NullBody => *body = Value::Null,
            Self::WrongShape => return json!([event]),
            Self::Date(Some(text)) => body["modifiedDate"] = json!(text),
            Self::Date(None) => {
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("modifiedDate");
                }
            }
            Self::Spelling(spelling) => {
                let system = &mut body["presenceDefinition"]["systemPresence"];
                if let Some(upper) = system.as_str() {
                    *system = json!(spelling.write(upper));
                }
            }
            Self::Recase => {
                if let Some(topic) = event["topicName"].as_str() {
                    event["topicName"] = json!(recased(topic));
                }
            }
        }
        event
    }
}

impl Spelling {
    /// Writes a system presence that is in capitals.
    fn write(self, upper: &str) -> String {
        let words = upper.split('_').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{first}{}", rest.to_ascii_lowercase())
        });
        let words: Vec<String> = words.collect();
        match self {
            Self::Spaced => words.join(" "),
            Self::Joined => words.concat(),
            Self::Lower => upper.to_ascii_lowercase(),
            Self::New => "OUT_FOR_A_WALK".to_owned(),
        }
    }
}

/// A topic with the id in it in capitals or, if it has none, in small letters.
fn recased(topic: &str) -> String {
    let parts = topic
        .strip_prefix("v2.users.")
        .and_then(|rest| rest.rsplit_once('.'));
    let Some((user, kind)) = parts else {
        return topic.to_owned();
    };
    let upper = user.to_ascii_uppercase();
    let user = if upper == user {
        user.to_ascii_lowercase()
    } else {
        upper
    };
    format!("v2.users.{user}.{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_applies_to_the_body_or_to_the_topic_of_an_event() {
        let event = json!({
            "topicName": "v2.users.ab-1.presence",
            "eventBody": {
                "presenceDefinition": {"systemPresence": "ON_QUEUE"}, "modifiedDate": "2026",
            },
        });
        let changed = |change: Change| change.apply(event.clone());
        let dated = changed(Change::Date(Some("soon".into())));
        assert_eq!(dated["eventBody"]["modifiedDate"], "soon");
        assert_eq!(
            changed(Change::Date(None))["eventBody"].get("modifiedDate"),
            None
        );
        assert_eq!(changed(Change::NullBody)["eventBody"], Value::Null);
        assert!(changed(Change::WrongShape).is_array());
        assert!(changed(Change::UnknownField)["eventBody"]["sandboxUnknownField"].is_object());
        let recased = changed(Change::Recase);
        assert_eq!(recased["topicName"], "v2.users.AB-1.presence");
        assert_eq!(
            Change::Recase.apply(recased)["topicName"],
            "v2.users.ab-1.presence"
        );
        for (spelling, expected) in [
            (Spelling::Spaced, "On Queue"),
            (Spelling::Joined, "OnQueue"),
            (Spelling::Lower, "on_queue"),
            (Spelling::New, "OUT_FOR_A_WALK"),
        ] {
            let spelt = changed(Change::Spelling(spelling));
            let system = &spelt["eventBody"]["presenceDefinition"]["systemPresence"];
            assert_eq!(system, expected);
        }
    }
}
