//! The requests of a watch to the vendor: by the same client, rate limiter and retries
//! as calls. Those for notifications are no RPCs, so that their constants stand here.
//!
//! Sources: the vendor's SDKs (`NotificationsApi`), and its guide to notifications.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::{MAX_TOPIC, too_long, topic, user_of};
use super::presence::from_read;
use super::users::user_key;
use super::vendor::{Channel, Notifications, Presences, Subscribed, Vendor};
use crate::bulk;
use crate::context::CallContext;
use crate::error::{Error, Failure, UnreadableBody};
use crate::json::{Model, date};
use crate::operation::{ResponseShape, RestRequest, Spec};
use crate::proto::v1::GetUsersPresencesPurecloudBulkRequest;
use crate::upstream::{ConnectError, RequestContext, Upstream};

/// The message that errors of these requests are about: none of its fields is sent.
const REQUEST: &str = "genesys.presence.v1.WatchUsersPresencesRequest";

/// The state of a topic that is subscribed.
const PERMITTED: &str = "Permitted";

/// The model of responses that are no message of the protos.
static UNMAPPED: Model = Model {
    name: "",
    fields: &[],
};

/// The constants of a request that is no RPC.
const fn spec(method: Method, template: &'static str, span: &'static str) -> Spec {
    Spec {
        name: "WatchUsersPresences",
        rpc: "genesys.presence.v1.PresenceWatchService/WatchUsersPresences",
        request: REQUEST,
        method,
        template,
        span,
        path: &[],
        query: &[],
        body: None,
        body_is_list: false,
        shape: ResponseShape::Object,
        response: REQUEST,
        model: &UNMAPPED,
        permissions: None,
        // Another channel costs nothing, and a repeated subscription changes nothing.
        is_repeatable: true,
        is_read: true,
    }
}

static CREATE: Spec = spec(
    Method::POST,
    "/api/v2/notifications/channels",
    "POST /api/v2/notifications/channels",
);
static ADD: Spec = spec(
    Method::POST,
    "/api/v2/notifications/channels/{channelId}/subscriptions",
    "POST /api/v2/notifications/channels/{channelId}/subscriptions",
);
static REPLACE: Spec = spec(
    Method::PUT,
    "/api/v2/notifications/channels/{channelId}/subscriptions",
    "PUT /api/v2/notifications/channels/{channelId}/subscriptions",
);

/// The vendor with the token of a call. Its requests are the gateway's own: they have
/// the token, the memory and the telemetry of that call, and nothing else of it.
#[derive(Debug, Clone)]
pub(super) struct RestVendor {
    upstream: Upstream,
    context: CallContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChannelBody {
    id: String,
    connect_uri: String,
    #[serde(default)]
    expires: Value,
}

#[derive(Deserialize)]
struct Topics {
    #[serde(default)]
    entities: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Topic {
    id: String,
    state: Option<String>,
    rejection_reason: Option<String>,
    #[serde(default)]
    missing_permissions: Option<Vec<String>>,
}

impl Topics {
    /// The users whose topics are permitted or rejected. Nothing is known of one whose entry
    /// cannot be read.
    fn subscribed(self) -> Subscribed {
        let mut subscribed = Subscribed::default();
        for entity in self.entities.unwrap_or_default() {
            let Ok(topic) = serde_json::from_value::<Topic>(entity) else {
                continue;
            };
            let Some(user) = user_of(&topic.id).map(user_key) else {
                continue;
            };
            match topic.state.as_deref() {
                None => drop(subscribed.permitted.insert(user)),
                Some(state) if state.eq_ignore_ascii_case(PERMITTED) => {
                    subscribed.permitted.insert(user);
                }
                Some(_) => {
                    let error = Error::TopicRejected {
                        why: topic.rejection_reason,
                        permissions: topic.missing_permissions.unwrap_or_default(),
                    };
                    subscribed.rejected.insert(user, error.into());
                }
            }
        }
        subscribed
    }
}

impl RestVendor {
    pub(super) fn new(upstream: Upstream, context: CallContext) -> Self {
        Self { upstream, context }
    }

    /// The context of one request, with memory of its own.
    fn context(&self) -> CallContext {
        self.context.with_request(RequestContext {
            memory: self.context.request.memory.sub_lease(),
            ..self.context.request.clone()
        })
    }

    /// Sends a request, and decodes its response.
    async fn send<T: for<'de> Deserialize<'de>>(
        &self,
        spec: &'static Spec,
        path_and_query: String,
        body: Option<Value>,
    ) -> Result<T, Failure> {
        let request = RestRequest {
            spec,
            path_and_query,
            body: body.map(|body| body.to_string().into()),
        };
        let mut context = self.context().request;
        // The plan of the token polls meanwhile, which it could not do if the token waited.
        context.is_repeated_by_sender = true;
        let response = self.upstream.send_unshared(&request, &context).await?;
        serde_json::from_slice(&response.body).map_err(|_| Failure {
            correlation_id: response.correlation_id,
            ..Error::Unreadable {
                spec,
                http_status: response.head.http_status,
                what: if response.head.is_html {
                    UnreadableBody::Html
                } else {
                    UnreadableBody::Other("it is not what the vendor documents".to_owned())
                },
            }
            .into()
        })
    }

    async fn create_channel(self) -> Result<Channel, Failure> {
        let path = CREATE.template.to_owned();
        let body: ChannelBody = self.send(&CREATE, path, None).await?;
        Ok(Channel {
            id: body.id,
            address: body.connect_uri,
            life: life(&body.expires),
        })
    }

    async fn subscribe(
        self,
        channel: String,
        users: Vec<(Arc<str>, String)>,
        replaces: bool,
    ) -> Result<Subscribed, Failure> {
        let spec = if replaces { &REPLACE } else { &ADD };
        let channel = utf8_percent_encode(&channel, NON_ALPHANUMERIC);
        let path =
            format!("/api/v2/notifications/channels/{channel}/subscriptions?ignoreErrors=true");
        let topics = users.into_iter().map(|(user, id)| (user, topic(&id)));
        let (sent, long): (Vec<_>, Vec<_>) =
            topics.partition(|(_, topic)| topic.len() <= MAX_TOPIC);
        let sent = sent.into_iter().map(|(_, topic)| json!({ "id": topic }));
        let body = Value::Array(sent.collect());
        let mut subscribed = self
            .send::<Topics>(spec, path, Some(body))
            .await?
            .subscribed();
        let long = long.into_iter().map(|(user, _)| (user, too_long().into()));
        subscribed.rejected.extend(long);
        Ok(subscribed)
    }

    async fn read(self, ids: Vec<String>) -> Result<Presences, Failure> {
        let context = self.context();
        let request = GetUsersPresencesPurecloudBulkRequest {
            ids,
            ..GetUsersPresencesPurecloudBulkRequest::default()
        };
        let read = bulk::read_batch(&context, &self.upstream, request).await?;
        Ok(read
            .into_iter()
            .map(|(id, presence)| (user_key(&id), from_read(presence)))
            .collect())
    }
}

impl Vendor for RestVendor {
    fn create_channel(&self) -> BoxFuture<'static, Result<Channel, Failure>> {
        Box::pin(self.clone().create_channel())
    }

    fn open(
        &self,
        address: String,
    ) -> BoxFuture<'static, Result<Box<dyn Notifications>, ConnectError>> {
        let upstream = self.upstream.clone();
        Box::pin(async move {
            let socket = upstream.open_socket(&address).await?;
            Ok(Box::new(socket) as Box<dyn Notifications>)
        })
    }

    fn subscribe(
        &self,
        channel: String,
        users: Vec<(Arc<str>, String)>,
        replaces: bool,
    ) -> BoxFuture<'static, Result<Subscribed, Failure>> {
        Box::pin(self.clone().subscribe(channel, users, replaces))
    }

    fn read(&self, ids: Vec<String>) -> BoxFuture<'static, Result<Presences, Failure>> {
        Box::pin(self.clone().read(ids))
    }
}

/// How long a channel lives that ends at this date.
fn life(expires: &Value) -> Option<Duration> {
    let expires = date::parse(expires.as_str()?)?;
    let expires = SystemTime::try_from(expires).ok()?;
    // A date of the past is one of another clock.
    expires.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_cannot_be_read_costs_no_other_topic() {
        let topics = |json: &str| serde_json::from_str::<Topics>(json).unwrap().subscribed();
        let mixed = topics(
            r#"{"entities":[null,{"id":null},7,
                {"id":"v2.users.A.presence","state":"Permitted"},
                {"id":"v2.users.b.presence"},
                {"id":"v2.users.c.presence","state":"Rejected"}]}"#,
        );
        let mut permitted: Vec<&str> = mixed.permitted.iter().map(AsRef::as_ref).collect();
        permitted.sort_unstable();
        assert_eq!(permitted, ["a", "b"]);
        assert!(mixed.rejected.contains_key("c"));
        for none in [r#"{"entities":null}"#, "{}"] {
            assert!(topics(none).permitted.is_empty());
        }
    }
}
