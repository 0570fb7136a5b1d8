//! Reads one WebSocket of the vendor until it ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::channel::Generation;
use super::event::{Event, parse};
use super::shared::{Notice, Shared};
use super::vendor::Notifications;
use crate::telemetry::WatchCounts;
use crate::upstream::SocketMessage;

/// The interval of pings, which keep proxies from ending the connection as idle.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a ping may take to be written.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The silence after which notifications may be lost although the socket goes on.
const LATE: Duration = Duration::from_secs(45);

/// The longest silence. The vendor sends a heartbeat every 30 s.
pub(super) const MAX_SILENCE: Duration = Duration::from_secs(75);

/// Reads a socket; returns why it ended. `stop` closes it.
pub(super) async fn read(
    mut socket: Box<dyn Notifications>,
    (slot, generation): (usize, Generation),
    mut stop: oneshot::Receiver<()>,
    shared: Arc<Shared>,
    counts: WatchCounts,
    max_silence: Duration,
) -> String {
    let mut heard = Instant::now();
    let mut ping_at = heard + PING_INTERVAL;
    loop {
        let message = tokio::select! {
            biased;
            _ = &mut stop => {
                socket.close().await;
                return "it was replaced".to_owned();
            }
            message = socket.next() => message,
            () = sleep_until(heard + max_silence) => {
                return format!("the vendor's WebSocket had no heartbeat for {max_silence:?}");
            }
            () = sleep_until(ping_at) => {
                ping_at = Instant::now() + PING_INTERVAL;
                match timeout(PING_TIMEOUT, socket.ping()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(why)) => return why,
                    Err(_) => return "the vendor's WebSocket takes no pings".to_owned(),
                }
            }
        };
        let event = match message {
            SocketMessage::Text(text) => parse(&text),
            SocketMessage::Binary => Event::Garbage,
            SocketMessage::Control => continue,
            SocketMessage::End(why) => return why,
        };
        if event != Event::Garbage {
            if heard + LATE < Instant::now() {
                shared.notice(slot, generation, Notice::Gap);
            }
            heard = Instant::now();
        }
        let notice = match event {
            Event::Presence(user, presence) => {
                counts.record_event();
                let mut inner = shared.lock();
                inner.state.notify(&user, *presence, SystemTime::now());
                if !inner.state.unclear.is_empty() {
                    shared.wake.notify_one();
                }
                continue;
            }
            Event::UnreadablePresence(user) => {
                counts.record_event();
                shared.lock().state.notify_unreadable(&user);
                shared.wake.notify_one();
                continue;
            }
            Event::Heartbeat | Event::Other => continue,
            Event::Closing => Notice::Closing,
            Event::Unsubscribed => Notice::Unsubscribed,
            Event::Revoked => Notice::Revoked,
            Event::Garbage => Notice::Gap,
        };
        shared.notice(slot, generation, notice);
    }
}
