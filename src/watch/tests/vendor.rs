//! A vendor in this process, with channels, sockets and reads that take time, and with
//! faults.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::error::response::ErrorResponse;
use crate::error::{Error, Failure};
use crate::operation::Operation;
use crate::proto::v1::{GetUsersPresencesPurecloudBulkRequest, PresenceDefinition, UserPresence};
use crate::upstream::{ConnectError, ConnectErrorKind, SocketMessage};
use crate::watch::vendor::{Channel, Notifications, Presences, Subscribed, Vendor};

/// The time of each way of a request.
const WAY: Duration = Duration::from_millis(40);

/// What the vendor was asked.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Asked {
    pub created: usize,
    pub opened: usize,
    pub subscribed: usize,
    pub read: usize,
}

/// The vendor. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct SimVendor(pub Arc<Mutex<Sim>>);

#[derive(Debug, Default)]
pub(super) struct Sim {
    /// The presences, by their number: also their date, in milliseconds.
    pub users: BTreeMap<String, i64>,
    clock: i64,
    next_channel: usize,
    channels: BTreeMap<usize, SimChannel>,
    pub asked: Asked,
    /// Topics that are rejected.
    pub forbidden: BTreeSet<String>,
    /// The status that all requests fail with; that of a new channel; that of sockets.
    pub failing: Option<u16>,
    pub no_channel: Option<u16>,
    pub no_socket: bool,
    /// How long each notification takes, at random up to this.
    pub delay: Duration,
    /// How often each notification comes.
    pub copies: usize,
    /// The life of a channel.
    pub life: Option<Duration>,
}

#[derive(Debug, Default)]
struct SimChannel {
    topics: HashSet<String>,
    socket: Option<UnboundedSender<SocketMessage>>,
    is_silent: bool,
}

impl Sim {
    /// Sends something to each open socket.
    fn send_all(&mut self, text: &str) {
        for channel in self.channels.values() {
            if let Some(socket) = &channel.socket
                && !channel.is_silent
            {
                let _ = socket.send(SocketMessage::Text(text.to_owned()));
            }
        }
    }
}

impl SimVendor {
    pub(super) fn asked(&self) -> Asked {
        self.0.lock().asked
    }

    /// Gives a user a new presence.
    pub(super) fn change(&self, user: &str) {
        let mut sim = self.0.lock();
        sim.clock += 1;
        let date = sim.clock;
        sim.users.insert(user.to_owned(), date);
        let text = event(user, date);
        let copies = sim.copies.max(1);
        let sockets = sim
            .channels
            .values()
            .filter(|it| !it.is_silent && it.topics.contains(user));
        let sockets: Vec<_> = sockets.filter_map(|it| it.socket.clone()).collect();
        let delay = sim.delay;
        drop(sim);
        for socket in sockets {
            for _ in 0..copies {
                let (socket, text) = (socket.clone(), text.clone());
                let delay = delay.mul_f64(fastrand::f64());
                let send = move || drop(socket.send(SocketMessage::Text(text)));
                if delay.is_zero() {
                    send();
                    continue;
                }
                #[expect(clippy::disallowed_methods, reason = "a notification on its way")]
                tokio::spawn(async move {
                    sleep(delay).await;
                    send();
                });
            }
        }
    }

    /// Ends all sockets.
    pub(super) fn cut(&self, why: &str) {
        for channel in self.0.lock().channels.values_mut() {
            if let Some(socket) = channel.socket.take() {
                let _ = socket.send(SocketMessage::End(why.to_owned()));
            }
        }
    }

    /// Sends nothing more on the sockets that are open.
    pub(super) fn silence(&self) {
        for channel in self.0.lock().channels.values_mut() {
            channel.is_silent = true;
        }
    }

    /// Forgets all channels: their sockets stay open.
    pub(super) fn unsubscribe(&self) {
        let mut sim = self.0.lock();
        sim.send_all(r#"{"topicName":"v2.system.no_longer_subscribed.x","eventBody":{}}"#);
        sim.channels.clear();
    }

    pub(super) fn send_all(&self, text: &str) {
        self.0.lock().send_all(text);
    }

    /// Sends a heartbeat to each socket every 30 s, and drops what is held of a channel
    /// that has none.
    pub(super) async fn beat(self) {
        loop {
            sleep(Duration::from_secs(30)).await;
            let text =
                r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
            self.send_all(text);
        }
    }

    fn failure(&self) -> Option<Failure> {
        self.0.lock().failing.map(failure)
    }
}

/// The failure of a request with this status.
pub(super) fn failure(status: u16) -> Failure {
    let body = br#"{"message":"no","code":"no","status":0}"#;
    let response = ErrorResponse::parse(status, &HeaderMap::new(), body);
    let spec = GetUsersPresencesPurecloudBulkRequest::SPEC;
    Error::UpstreamStatus(spec, Box::new(response)).into()
}

/// The text about a presence.
pub(super) fn event(user: &str, date: i64) -> String {
    let (seconds, millis) = (date / 1000, date % 1000);
    format!(
        r#"{{"topicName":"v2.users.{user}.presence","version":"2","eventBody":{{"source":"PURECLOUD","presenceDefinition":{{"id":"d{date}","systemPresence":"AVAILABLE"}},"primary":true,"message":"","modifiedDate":"2026-11-23T10:{:02}:{:02}.{millis:03}Z"}},"metadata":{{}}}}"#,
        seconds / 60,
        seconds % 60,
    )
}

/// The number of a presence.
pub(super) fn number(presence: &UserPresence) -> i64 {
    let definition = presence.presence_definition.as_ref().unwrap();
    definition.id.as_ref().unwrap()[1..].parse().unwrap()
}

fn presence(date: i64) -> UserPresence {
    UserPresence {
        presence_definition: Some(PresenceDefinition {
            id: Some(format!("d{date}")),
            system_presence: Some("Available".to_owned()),
            self_uri: None,
        }),
        modified_date: Some(prost_types::Timestamp {
            // 2026-11-23T10:00:00Z.
            seconds: 1_795_428_000 + date / 1000,
            nanos: i32::try_from(date % 1000 * 1_000_000).unwrap(),
        }),
        ..UserPresence::default()
    }
}

/// An open socket.
struct SimSocket(UnboundedReceiver<SocketMessage>);

impl Notifications for SimSocket {
    fn next(&mut self) -> BoxFuture<'_, SocketMessage> {
        Box::pin(async {
            let end = || SocketMessage::End("lost".to_owned());
            self.0.recv().await.unwrap_or_else(end)
        })
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Vendor for SimVendor {
    fn create_channel(&self) -> BoxFuture<'static, Result<Channel, Failure>> {
        let vendor = self.clone();
        Box::pin(async move {
            vendor.0.lock().asked.created += 1;
            sleep(WAY * 2).await;
            if let Some(failure) = vendor.failure() {
                return Err(failure);
            }
            let mut sim = vendor.0.lock();
            if let Some(status) = sim.no_channel {
                return Err(failure(status));
            }
            let id = sim.next_channel;
            sim.next_channel += 1;
            sim.channels.insert(id, SimChannel::default());
            Ok(Channel {
                id: id.to_string(),
                address: id.to_string(),
                life: sim.life,
            })
        })
    }

    fn open(
        &self,
        address: String,
    ) -> BoxFuture<'static, Result<Box<dyn Notifications>, ConnectError>> {
        let vendor = self.clone();
        Box::pin(async move {
            vendor.0.lock().asked.opened += 1;
            sleep(WAY * 2).await;
            let mut sim = vendor.0.lock();
            let failed = |kind| ConnectError {
                why: "no".to_owned(),
                kind,
            };
            if sim.no_socket {
                return Err(failed(ConnectErrorKind::Connection));
            }
            let id: usize = address.parse().unwrap();
            let channel = sim.channels.get_mut(&id);
            let channel = channel.ok_or_else(|| failed(ConnectErrorKind::Rejected))?;
            let (sender, receiver) = unbounded_channel();
            // A second connection of a channel ends the first one.
            if let Some(before) = channel.socket.replace(sender) {
                let _ = before.send(SocketMessage::End("replaced".to_owned()));
            }
            channel.is_silent = false;
            Ok(Box::new(SimSocket(receiver)) as Box<dyn Notifications>)
        })
    }

    fn subscribe(
        &self,
        channel: String,
        users: Vec<(Arc<str>, String)>,
        replaces: bool,
    ) -> BoxFuture<'static, Result<Subscribed, Failure>> {
        let vendor = self.clone();
        Box::pin(async move {
            vendor.0.lock().asked.subscribed += 1;
            sleep(WAY).await;
            if let Some(failure) = vendor.failure() {
                return Err(failure);
            }
            let mut subscribed = Subscribed::default();
            {
                let mut sim = vendor.0.lock();
                let forbidden = sim.forbidden.clone();
                let channel = sim.channels.get_mut(&channel.parse().unwrap());
                let channel = channel.ok_or_else(|| failure(404))?;
                if replaces {
                    channel.topics.clear();
                }
                for (key, _) in users {
                    if forbidden.contains(&*key) {
                        let error = Error::TopicRejected {
                            why: None,
                            permissions: Vec::new(),
                        };
                        subscribed.rejected.insert(key, error.into());
                    } else {
                        channel.topics.insert(key.to_string());
                        subscribed.permitted.insert(key);
                    }
                }
                assert!(channel.topics.len() <= 1000, "too many topics");
            }
            sleep(WAY).await;
            Ok(subscribed)
        })
    }

    fn read(&self, ids: Vec<String>) -> BoxFuture<'static, Result<Presences, Failure>> {
        let vendor = self.clone();
        Box::pin(async move {
            assert!(ids.len() <= 50, "a batch of {}", ids.len());
            vendor.0.lock().asked.read += 1;
            sleep(WAY).await;
            if let Some(failure) = vendor.failure() {
                return Err(failure);
            }
            let found: HashMap<Arc<str>, UserPresence> = {
                let sim = vendor.0.lock();
                let found = ids.into_iter().filter_map(|id| {
                    let key: Arc<str> = id.to_ascii_lowercase().into();
                    let date = *sim.users.get(&*key)?;
                    Some((key, presence(date)))
                });
                found.collect()
            };
            sleep(WAY).await;
            Ok(found)
        })
    }
}
