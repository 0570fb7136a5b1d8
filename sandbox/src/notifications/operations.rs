//! The operations of notification channels. None needs a permission of its own **[A]**.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::channel::Channel;
use super::channels::CHANNEL_TOPICS;
use super::topic::Topic;
use crate::api_error::ApiError;
use crate::date::date;
use crate::misbehave::notification::{Action, On};
use crate::misbehave::rules::Occasion;
use crate::operation::{HandlerResult, Operation, OperationRequest, Permissions};
use crate::reply::Reply;
use crate::settings::{Settings, UnknownTopics};
use crate::shape::{self, Kind, Shape, may, must};
use crate::state::State;

/// `ChannelTopic`
const CHANNEL_TOPIC: Shape = &[
    must("id", Kind::Text),
    may("state", Kind::Text),
    may("rejectionReason", Kind::Text),
    may("selfUri", Kind::Text),
];

/// The operations, with the names of the vendor's Python SDK.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "get_notifications_channels", method: "GET", template: "notifications/channels", permissions: Permissions::None, body: None, run: list },
    Operation { name: "post_notifications_channels", method: "POST", template: "notifications/channels", permissions: Permissions::None, body: None, run: create },
    Operation { name: "head_notifications_channel", method: "HEAD", template: "notifications/channels/{}", permissions: Permissions::None, body: None, run: verify },
    Operation { name: "get_notifications_channel_subscriptions", method: "GET", template: "notifications/channels/{}/subscriptions", permissions: Permissions::None, body: None, run: subscriptions },
    Operation { name: "post_notifications_channel_subscriptions", method: "POST", template: "notifications/channels/{}/subscriptions", permissions: Permissions::None, body: Some(CHANNEL_TOPIC), run: add },
    Operation { name: "put_notifications_channel_subscriptions", method: "PUT", template: "notifications/channels/{}/subscriptions", permissions: Permissions::None, body: Some(CHANNEL_TOPIC), run: replace },
    Operation { name: "delete_notifications_channel_subscriptions", method: "DELETE", template: "notifications/channels/{}/subscriptions", permissions: Permissions::None, body: None, run: remove_all },
];

/// `GET /api/v2/notifications/channels`
///
/// `oauthclient` also has the channels of the application's other tokens, without their
/// ids **[A]**. The sandbox takes all tokens for those of one application.
fn list(call: &mut OperationRequest<'_>) -> HandlerResult {
    let all = match call.query.one("includechannels") {
        None | Some("token") => false,
        Some("oauthclient") => true,
        Some(other) => {
            let allowed = "token, oauthclient";
            return Err(ApiError::parameter_value("includechannels", other, allowed));
        }
    };
    let (now, origin) = (Instant::now(), &call.origin);
    let channels = call.state.channels.all();
    let living = channels.into_iter().filter(|channel| channel.expiry > now);
    let entities: Vec<Value> = living
        .filter_map(|channel| {
            if channel.token == call.token.hash {
                Some(view(channel, &uri(origin, &channel.id)))
            } else {
                all.then(|| json!({"expires": date(channel.expires)}))
            }
        })
        .collect();
    Ok(Reply::ok(json!({"entities": entities})))
}

/// `POST /api/v2/notifications/channels`
fn create(call: &mut OperationRequest<'_>) -> HandlerResult {
    let now = Instant::now();
    let State {
        channels, rules, ..
    } = &mut *call.state;
    let channel = channels.create(call.token.hash, &call.token.label, now)?;
    let occasion = Occasion {
        on: On::Channel,
        channel: &channel.id,
        token: channel.token,
    };
    let plan = rules.notification(occasion, |_| false).unwrap_or_default();
    let mut connect_uri = uri(&call.origin, &channel.id);
    for action in &plan.actions {
        match action {
            Action::Lifetime(lifetime) => channel.live(*lifetime, now),
            Action::Uri(uri) => connect_uri = uri.replace('*', &channel.id),
            _ => {}
        }
    }
    Ok(Reply::ok(view(channel, &connect_uri)))
}

/// `HEAD /api/v2/notifications/channels/{channelId}`
fn verify(call: &mut OperationRequest<'_>) -> HandlerResult {
    find(call)?;
    Ok(Reply {
        body: None,
        ..Reply::ok(Value::Null)
    })
}

/// `GET /api/v2/notifications/channels/{channelId}/subscriptions`
fn subscriptions(call: &mut OperationRequest<'_>) -> HandlerResult {
    let channel = find(call)?;
    let topics = channel.topics().map(|name| permitted(&channel.id, name));
    Ok(Reply::ok(json!({"entities": topics.collect::<Vec<_>>()})))
}

/// `POST /api/v2/notifications/channels/{channelId}/subscriptions`
fn add(call: &mut OperationRequest<'_>) -> HandlerResult {
    change(call, false)
}

/// `PUT /api/v2/notifications/channels/{channelId}/subscriptions`
fn replace(call: &mut OperationRequest<'_>) -> HandlerResult {
    change(call, true)
}

/// `DELETE /api/v2/notifications/channels/{channelId}/subscriptions`
///
/// The SDKs read no body **[A]**; the status is an inference **[C]**.
fn remove_all(call: &mut OperationRequest<'_>) -> HandlerResult {
    let id = find(call)?.id.clone();
    call.state.channels.unsubscribe(&id);
    Ok(Reply::no_content())
}

fn find<'c>(call: &'c mut OperationRequest<'_>) -> Result<&'c mut Channel, ApiError> {
    let (id, token) = (call.variable(0), call.token.hash);
    call.state.channels.find(id, token, Instant::now())
}

fn change(call: &mut OperationRequest<'_>, replace: bool) -> HandlerResult {
    let id = find(call)?.id.clone();
    // The one parameter that clients name in this way.
    let ignore_errors = call.flag("ignoreErrors", "true, false")?;
    let topics = call.bodies(shape::MAX_LIST)?;
    let topics = topics.into_iter().collect::<Result<Vec<_>, _>>()?;
    let names = topics.iter().filter_map(|topic| topic["id"].as_str());
    let mode = Mode {
        replace,
        ignore_errors,
    };
    let owned = (&*id, call.token.hash);
    let entities = subscribe(call.state, call.settings, owned, names, mode)?;
    Ok(Reply::ok(json!({"entities": entities})))
}

/// How topics are subscribed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mode {
    /// Instead of the topics that the channel has.
    pub(crate) replace: bool,
    /// A forbidden topic is left out, and fails nothing.
    pub(crate) ignore_errors: bool,
}

/// Subscribes a channel of a token to topics; returns what became of each of them.
///
/// One forbidden topic fails the whole with 403, unless errors are ignored **[A]**. A name
/// that is no topic is a 400, or rejected **[C]**. Whether the answer has the channel's
/// other topics is not known; it has those of the request.
pub(crate) fn subscribe<'n>(
    state: &mut State,
    settings: &Settings,
    (id, token): (&str, u64),
    names: impl Iterator<Item = &'n str>,
    mode: Mode,
) -> Result<Vec<Value>, ApiError> {
    let (mut topics, mut entities) = (Vec::new(), Vec::new());
    for (at, name) in names.enumerate() {
        let topic = Topic::parse(name).map_err(|wrong| {
            let field = format!("[{at}].id");
            (
                wrong.clone(),
                ApiError::field("bad.request", &field, &wrong),
            )
        });
        let checked = topic.and_then(|topic| {
            check(state, settings, (id, token), &topic).map_err(|reason| {
                let message = format!("Access to topic {name} is forbidden.");
                (reason, ApiError::new(403, "not.authorized", &message))
            })?;
            Ok(topic)
        });
        match checked {
            Ok(topic) => {
                entities.push(permitted(id, name));
                topics.push(topic);
            }
            Err((reason, _)) if mode.ignore_errors => {
                let mut entity = permitted(id, name);
                entity["state"] = json!("Rejected");
                entity["rejectionReason"] = json!(reason);
                entities.push(entity);
            }
            Err((_, api_error)) => return Err(api_error),
        }
    }
    let now = Instant::now();
    state.channels.subscribe(id, topics, mode.replace, now)?;
    Ok(entities)
}

/// Whether a token may subscribe to a topic; the error is the reason.
fn check(
    state: &mut State,
    settings: &Settings,
    (channel, token): (&str, u64),
    topic: &Topic,
) -> Result<(), String> {
    let user = topic.user.as_deref().unwrap_or_default();
    if settings.unknown_topics == UnknownTopics::Rejected
        && topic.user.is_some()
        && state.users.get(user).is_none()
    {
        return Err("The user does not exist.".to_owned());
    }
    let occasion = Occasion {
        on: On::Subscribe,
        channel,
        token,
    };
    let is_it = |id: &str| id.eq_ignore_ascii_case(user);
    match state.rules.notification(occasion, is_it) {
        Some(plan) if plan.has(&Action::Reject) => {
            Err("The token has no permission for this topic.".to_owned())
        }
        _ => Ok(()),
    }
}

/// `Channel`
fn view(channel: &Channel, connect_uri: &str) -> Value {
    json!({
        "connectUri": connect_uri,
        "id": &*channel.id,
        "expires": date(channel.expires),
    })
}

/// `ChannelTopic`. Its `selfUri` is not known **[C]**.
fn permitted(channel: &str, name: &str) -> Value {
    json!({
        "id": name,
        "state": "Permitted",
        "selfUri": format!("/api/v2/notifications/channels/{channel}/subscriptions"),
    })
}

/// The URI of a channel's WebSocket.
fn uri(origin: &str, channel: &str) -> String {
    format!("{origin}/channels/{channel}")
}

/// No list of topics is longer than one that a channel has, with some to be rejected.
const _: () = assert!(CHANNEL_TOPICS < shape::MAX_LIST);
