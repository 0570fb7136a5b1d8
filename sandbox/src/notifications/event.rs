//! The texts that a socket brings without being asked: events, heartbeats, system messages.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::topic;
use crate::date::date;
use crate::ids;
use crate::state::State;

/// The topic of heartbeats and of answers to pings **[A/B]**. Nobody subscribes to it.
const METADATA: &str = "channel.metadata";

/// A change of a presence, as it is announced.
#[derive(Debug)]
pub(crate) struct Event {
    /// The user, as the sandbox writes the id.
    pub(crate) user: String,
    pub(crate) body: Value,
    /// The correlation id of the request that made the change **[C]**.
    correlation: String,
    /// The text after the name of the topic.
    rest: String,
}

impl Event {
    /// The event of a user's presence at a source, if there is one.
    ///
    /// Its fields are those of the vendor's schema and example **[A]**. `systemPresence` is
    /// in capitals **[A]**; that On Queue is `ON_QUEUE` follows from `systempresences`
    /// **[C]**. `modifiedDate` is in the schema and not in the example.
    pub(crate) fn of(state: &State, user: &str, source: &str, correlation: &str) -> Option<Self> {
        let user = state.users.get(user)?;
        let presence = user.presence(source)?;
        let mut definition = json!({"id": presence.definition});
        if let Some(system) = state
            .definitions
            .upper_system_presence(&presence.definition)
        {
            definition["systemPresence"] = json!(system);
        }
        let body = json!({
            "source": source,
            "presenceDefinition": definition,
            "primary": user.primary_source == source,
            "message": presence.message,
            "modifiedDate": date(presence.modified),
        });
        Some(Self::new(&user.id, body, correlation))
    }

    /// An event of a user that nobody asked for.
    pub(crate) fn stranger() -> Self {
        let body = json!({
            "source": "PURECLOUD",
            "presenceDefinition": {
                "id": "6a3af858-942f-489d-9700-5f9bcdcdae9b", "systemPresence": "AVAILABLE",
            },
            "primary": true,
            "message": "",
            "modifiedDate": date(Timestamp::now()),
        });
        Self::new(crate::misbehave::STRANGER, body, &ids::fresh())
    }

    fn new(user: &str, body: Value, correlation: &str) -> Self {
        let metadata = json!({"CorrelationId": correlation});
        let rest = format!(r#""version":"2","eventBody":{body},"metadata":{metadata}}}"#);
        Self {
            user: user.to_owned(),
            body,
            correlation: correlation.to_owned(),
            rest,
        }
    }

    /// The text for a channel that wrote the user's id in this way.
    pub(crate) fn text(&self, user: &str) -> String {
        let topic = json!(topic::presence(user));
        format!(r#"{{"topicName":{topic},{}"#, self.rest)
    }

    /// The same as [`Self::text`], to be changed.
    pub(crate) fn value(&self, user: &str) -> Value {
        json!({
            "topicName": topic::presence(user),
            "version": "2",
            "eventBody": self.body,
            "metadata": {"CorrelationId": self.correlation},
        })
    }
}

/// The heartbeat **[B: one post of 2025, to the letter]**.
pub(crate) fn heartbeat() -> Value {
    json!({"topicName": METADATA, "eventBody": {"message": "WebSocket Heartbeat"}})
}

/// The answer to `{"message":"ping"}` **[A]**.
pub(crate) fn pong() -> Value {
    json!({"topicName": METADATA, "eventBody": {"message": "pong"}})
}

/// A message about the channel itself, of the vendor's `SystemMessage` **[A: its fields;
/// C: which of them are there]**. The topics of the last two end in an id; that it is the
/// channel's is an inference **[C]**.
pub(crate) fn system_message(kind: SystemTopic, channel: &str) -> Value {
    let (topic, kind, message) = match kind {
        SystemTopic::SocketClosing => (
            "v2.system.socket_closing".to_owned(),
            "socket_closing",
            "The WebSocket closes soon. Open the same URI again.",
        ),
        SystemTopic::NoLongerSubscribed => (
            format!("v2.system.no_longer_subscribed.{channel}"),
            "no_longer_subscribed",
            "The channel has no subscriptions any more.",
        ),
        SystemTopic::TokenRevoked => (
            format!("v2.system.token_revoked.{channel}"),
            "token_revoked",
            "The token of the channel was revoked.",
        ),
    };
    json!({
        "topicName": topic,
        "version": "2",
        "eventBody": {
            "channelId": channel,
            "systemTopicType": kind,
            "correlationId": ids::fresh(),
            "message": message,
        },
        "metadata": {"CorrelationId": ids::fresh()},
    })
}

/// What a system message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SystemTopic {
    SocketClosing,
    NoLongerSubscribed,
    TokenRevoked,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::user_id;
    use crate::settings::Settings;
    use crate::users::PURECLOUD;

    #[test]
    fn an_event_is_that_of_the_vendors_example_with_its_date() {
        let mut state = State::new(&Settings::default());
        let user = user_id(9);
        state
            .users
            .define(&user, PURECLOUD, "e08eaf1b-ee47-4fa9-a231-1200e284798f");
        let event = Event::of(&state, &user, PURECLOUD, "c").unwrap();
        let date = event.body["modifiedDate"].clone();
        assert!(date.as_str().unwrap().ends_with('Z'), "{date}");
        let expected = json!({
            "topicName": format!("v2.users.{user}.presence"),
            "version": "2",
            "eventBody": {
                "source": "PURECLOUD",
                "presenceDefinition": {
                    "id": "e08eaf1b-ee47-4fa9-a231-1200e284798f", "systemPresence": "ON_QUEUE",
                },
                "primary": true,
                "message": "",
                "modifiedDate": date,
            },
            "metadata": {"CorrelationId": "c"},
        });
        let text: Value = serde_json::from_str(&event.text(&user)).unwrap();
        assert_eq!((text, event.value(&user)), (expected.clone(), expected));
        assert!(Event::of(&state, "nobody", PURECLOUD, "c").is_none());
        assert!(Event::of(&state, &user, "Phone", "c").is_none());
    }
}
