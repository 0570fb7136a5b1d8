//! Channels, subscriptions and sockets, as a client has them.

mod channels;
mod faults;
mod sockets;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

const CHANNELS: &str = "/api/v2/notifications/channels";

/// How long something may take that comes at once, so that a failure does not hang.
const SOON: Duration = Duration::from_secs(20);

/// The WebSocket of a channel.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// A channel, and what its POST returned.
struct Channel {
    id: String,
    uri: String,
}

impl Channel {
    /// The path of its subscriptions.
    fn subscriptions(&self) -> String {
        format!("{CHANNELS}/{}/subscriptions", self.id)
    }
}

impl RunningSandbox {
    /// Makes a channel of the token `t`.
    async fn channel(&self) -> Channel {
        let made = send(self.request("POST", CHANNELS)).await.json(200);
        Channel {
            id: made["id"].as_str().unwrap().to_owned(),
            uri: made["connectUri"].as_str().unwrap().to_owned(),
        }
    }

    /// Makes a channel that is subscribed to the presences of users, and connects it.
    async fn connected(&self, users: &[&str]) -> (Channel, Socket) {
        let channel = self.channel().await;
        let socket = Socket::open(&channel.uri).await;
        self.send_json("POST", &channel.subscriptions(), topics(users))
            .await
            .json(200);
        (channel, socket)
    }

    /// Sets the presence of a user, as if the user had.
    async fn set(&self, user: &str, presence: &str) -> String {
        let path = format!("/sandbox/presences/{user}/PURECLOUD");
        let set = self.control("PUT", &path, presence).await.json(200);
        set["modifiedDate"].as_str().unwrap().to_owned()
    }

    /// Adds rules; those with `on=now` apply.
    async fn rules(&self, rules: &str) -> Value {
        self.control("POST", "/sandbox/misbehave", rules)
            .await
            .json(200)
    }

    /// Waits until the list of channels is as wanted.
    async fn until_channels(&self, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut channels = Vec::new();
        let waited = timeout(SOON, async {
            loop {
                let list = self.control("GET", "/sandbox/channels", "").await.json(200);
                channels.clone_from(list["channels"].as_array().unwrap());
                if wanted(&channels) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "the channels stay {channels:?}");
        channels
    }
}

impl Socket {
    async fn open(uri: &str) -> Self {
        Self(connect_async(uri).await.unwrap().0)
    }

    /// The status with which a WebSocket is refused.
    async fn refused(uri: &str) -> u16 {
        match connect_async(uri).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("{other:?}"),
        }
    }

    async fn send(&mut self, text: &Value) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    /// The next message of any kind; none at the end.
    async fn next(&mut self) -> Option<Result<Message, Error>> {
        let next = timeout(SOON, self.0.next()).await;
        assert!(next.is_ok(), "nothing comes");
        next.unwrap()
    }

    /// The next text.
    async fn raw(&mut self) -> String {
        match self.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next text, as JSON.
    async fn text(&mut self) -> Value {
        serde_json::from_str(&self.raw().await).unwrap()
    }

    /// The system presence of the next event, which is of this user.
    async fn event(&mut self, user: &str) -> String {
        let event = self.text().await;
        assert_eq!(event["topicName"], presence(user), "{event}");
        let system = &event["eventBody"]["presenceDefinition"]["systemPresence"];
        system.as_str().unwrap().to_owned()
    }

    /// Waits for a close frame, and returns its code.
    async fn closed(&mut self) -> u16 {
        match self.next().await {
            Some(Ok(Message::Close(Some(CloseFrame { code, .. })))) => code.into(),
            other => panic!("no close frame: {other:?}"),
        }
    }

    /// Waits for the end without a close frame.
    async fn cut(&mut self) {
        match self.next().await {
            Some(Err(_)) | None => {}
            other => panic!("no end: {other:?}"),
        }
    }
}

/// The topic of a user's presence.
fn presence(user: &str) -> String {
    format!("v2.users.{user}.presence")
}

/// A list of topics of users' presences.
fn topics(users: &[&str]) -> Value {
    users
        .iter()
        .map(|user| json!({"id": presence(user)}))
        .collect()
}
