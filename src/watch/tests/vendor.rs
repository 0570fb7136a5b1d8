//! A vendor in this process, with channels, sockets and reads that take time, and with
//! faults. What it answers is in `requests.rs`.

mod requests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

use crate::error::response::ErrorResponse;
use crate::error::{Error, Failure};
use crate::operation::Operation;
use crate::proto::v1::{GetUsersPresencesPurecloudBulkRequest, PresenceDefinition, UserPresence};
use crate::upstream::SocketMessage;

/// A number of requests of each kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Requests {
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
    /// The presences, by their number, of which later ones have a greater one.
    pub users: BTreeMap<String, i64>,
    clock: i64,
    next_channel: usize,
    channels: BTreeMap<usize, SimChannel>,
    pub requests: Requests,
    /// Those of them that failed.
    pub refused: Requests,
    /// Topics that are rejected, and those that are missing in the answers.
    pub forbidden: BTreeSet<String>,
    pub left_out: BTreeSet<String>,
    /// The status that all requests fail with; that of channels, and of reads.
    pub failing: Option<u16>,
    pub no_channel: Option<u16>,
    pub no_reads: Option<u16>,
    /// Users with whose topics no write succeeds, each with the status.
    pub no_topics: BTreeMap<String, u16>,
    pub no_socket: bool,
    /// How much longer each way of a request takes, at random up to this.
    pub slowness: Duration,
    /// How much longer the answer to a read takes, and the users who are being read.
    pub read_delay: Duration,
    reading: HashSet<String>,
    /// How long each notification takes, at random up to this.
    pub delay: Duration,
    /// How often each notification comes.
    pub copies: usize,
    /// Users whose ids make a read fail, each with the status.
    pub unreadable: BTreeMap<String, u16>,
    /// After how long it fails.
    pub unreadable_delay: Duration,
    /// What becomes of the text of each notification.
    pub rewrite: Option<fn(&str) -> String>,
    /// The life of new channels. At its end, a channel has no notifications any more.
    pub life: Option<Duration>,
    /// The times without any notifications, and when the present one began.
    pub outages: Vec<Duration>,
    silent_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct SimChannel {
    topics: HashSet<String>,
    socket: Option<UnboundedSender<SocketMessage>>,
    /// Whether its topics were written since the socket is open.
    is_subscribed: bool,
    is_silent: bool,
}

impl SimChannel {
    fn delivers(&self) -> bool {
        let is_open = self
            .socket
            .as_ref()
            .is_some_and(|socket| !socket.is_closed());
        is_open && !self.is_silent && self.is_subscribed
    }
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

    /// Answers and delivers all from now on.
    pub(super) fn behave(&mut self) {
        (self.failing, self.no_channel, self.no_socket) = (None, None, false);
        (self.slowness, self.delay, self.copies) = (Duration::ZERO, Duration::ZERO, 1);
        (self.rewrite, self.unreadable) = (None, BTreeMap::new());
        (self.no_topics, self.life) = (BTreeMap::new(), None);
    }

    /// Records whether there are notifications from now on.
    fn record_outage(&mut self) {
        let now = Instant::now();
        if self.channels.values().any(SimChannel::delivers) {
            let since = self.silent_since.take();
            self.outages.extend(since.map(|since| now - since));
        } else {
            self.silent_since.get_or_insert(now);
        }
    }

    /// The topics whose notifications come.
    pub(super) fn topics(&self) -> BTreeSet<String> {
        let channels = self.channels.values().filter(|channel| channel.delivers());
        channels
            .flat_map(|channel| channel.topics.iter().cloned())
            .collect()
    }
}

impl SimVendor {
    pub(super) fn new() -> Self {
        let vendor = Self::default();
        vendor.0.lock().record_outage();
        vendor
    }

    pub(super) fn requests(&self) -> Requests {
        self.0.lock().requests
    }

    /// Gives a user a new presence.
    pub(super) fn change(&self, user: &str) {
        let mut sim = self.0.lock();
        sim.clock += 2;
        let number = sim.clock;
        announce(sim, user, number);
    }

    /// Gives a user another presence with the same date.
    pub(super) fn change_again(&self, user: &str) {
        let sim = self.0.lock();
        let number = sim.users[user] + 1;
        announce(sim, user, number);
    }

    /// Ends all sockets.
    pub(super) fn cut(&self, why: &str) {
        let mut sim = self.0.lock();
        for channel in sim.channels.values_mut() {
            if let Some(socket) = channel.socket.take() {
                let _ = socket.send(SocketMessage::End(why.to_owned()));
            }
        }
        sim.record_outage();
    }

    /// Sends nothing more on the sockets that are open.
    pub(super) fn silence(&self) {
        let mut sim = self.0.lock();
        for channel in sim.channels.values_mut() {
            channel.is_silent = true;
        }
        sim.record_outage();
    }

    /// Forgets all channels: their sockets stay open.
    pub(super) fn unsubscribe(&self) {
        let mut sim = self.0.lock();
        sim.send_all(r#"{"topicName":"v2.system.no_longer_subscribed.x","eventBody":{}}"#);
        sim.channels.clear();
        sim.record_outage();
    }

    /// Announces that it will close all sockets.
    pub(super) fn announce_closing(&self) {
        self.send_all(r#"{"topicName":"v2.system.socket_closing","eventBody":{}}"#);
    }

    pub(super) fn send_all(&self, text: &str) {
        self.0.lock().send_all(text);
    }

    /// Sends a heartbeat to each socket every 30 s.
    pub(super) async fn beat(self) {
        loop {
            sleep(Duration::from_secs(30)).await;
            let text =
                r#"{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}"#;
            self.send_all(text);
        }
    }
}

/// Changes the presence of a user, and sends the notifications.
fn announce(mut sim: MutexGuard<'_, Sim>, user: &str, number: i64) {
    sim.users.insert(user.to_owned(), number);
    let text = event(user, number);
    let text = sim.rewrite.map_or(text.clone(), |rewrite| rewrite(&text));
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

/// The failure of a request with this status.
pub(super) fn failure(status: u16) -> Failure {
    let body = br#"{"message":"u0 is wrong","code":"no","status":0,
        "messageParams":{"field":"u0"},"details":[{"fieldName":"u0"}],
        "errors":[{"code":"no","message":"u0 is wrong"}]}"#;
    let response = ErrorResponse::parse(status, &HeaderMap::new(), body);
    let spec = GetUsersPresencesPurecloudBulkRequest::SPEC;
    Error::UpstreamStatus(spec, Box::new(response)).into()
}

/// The date of the number 0: a notification of it is late, and not too old.
static BEGIN: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::now() - SignedDuration::from_mins(10));

/// The date of a presence: an even number has that of the next one.
fn date(number: i64) -> Timestamp {
    *BEGIN + SignedDuration::from_millis(number / 2)
}

/// The text about a presence.
pub(super) fn event(user: &str, number: i64) -> String {
    let date = date(number);
    format!(
        r#"{{"topicName":"v2.users.{user}.presence","version":"2","eventBody":{{"source":"PURECLOUD","presenceDefinition":{{"id":"d{number}","systemPresence":"AVAILABLE"}},"primary":true,"message":"","modifiedDate":"{date}"}},"metadata":{{}}}}"#
    )
}

/// The number of a presence.
pub(super) fn number(presence: &UserPresence) -> i64 {
    let definition = presence.presence_definition.as_ref().unwrap();
    definition.id.as_ref().unwrap()[1..].parse().unwrap()
}

pub(super) fn presence(number: i64) -> UserPresence {
    UserPresence {
        presence_definition: Some(PresenceDefinition {
            id: Some(format!("d{number}")),
            system_presence: Some("Available".to_owned()),
            self_uri: None,
        }),
        modified_date: Some(prost_types::Timestamp {
            seconds: date(number).as_second(),
            nanos: date(number).subsec_nanosecond(),
        }),
        ..UserPresence::default()
    }
}
