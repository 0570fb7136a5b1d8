//! What the vendor of a test answers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use super::{Requests, Sim, SimChannel, SimVendor, failure, presence};
use crate::error::{Error, Failure};
use crate::proto::v1::UserPresence;
use crate::upstream::{ConnectError, ConnectErrorKind, SocketMessage};
use crate::watch::users::UserMap;
use crate::watch::vendor::{Channel, Notifications, Presences, Subscribed, Vendor};

/// The time of each way of a request.
const WAY: Duration = Duration::from_millis(40);

/// Which number of a kind of requests is meant.
type Kind = fn(&mut Requests) -> &mut usize;

impl Sim {
    /// Counts a request that has failed.
    fn refuse<E>(&mut self, kind: Kind, error: E) -> E {
        *kind(&mut self.refused) += 1;
        error
    }

    /// Counts a request that fails, if all fail.
    fn refuse_if_failing(&mut self, kind: Kind) -> Result<(), Failure> {
        match self.failing {
            Some(status) => Err(self.refuse(kind, failure(status))),
            None => Ok(()),
        }
    }

    fn refuse_read(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.refuse_if_failing(|requests| &mut requests.read)?;
        let unreadable = ids.iter().find_map(|id| self.unreadable.get(id).copied());
        match self.no_reads.or(unreadable) {
            Some(status) => Err(failure(status)),
            None => Ok(()),
        }
    }

    fn subscribe(
        &mut self,
        channel: &str,
        users: Vec<(Arc<str>, String)>,
        replaces: bool,
    ) -> Result<Subscribed, Failure> {
        let subscriptions: Kind = |requests| &mut requests.subscribed;
        self.refuse_if_failing(subscriptions)?;
        let mut topics = users.iter().map(|(key, _)| &**key);
        if let Some(status) = topics.find_map(|key| self.no_topics.get(key).copied()) {
            return Err(self.refuse(subscriptions, failure(status)));
        }
        let Some(channel) = self.channels.get_mut(&channel.parse().unwrap()) else {
            return Err(self.refuse(subscriptions, failure(404)));
        };
        if replaces {
            channel.topics.clear();
            channel.is_subscribed = true;
        }
        let mut subscribed = Subscribed::default();
        for (key, _) in users {
            if self.forbidden.contains(&*key) {
                let error = Error::TopicRejected {
                    why: None,
                    permissions: Vec::new(),
                };
                subscribed.rejected.insert(key, error.into());
            } else if !self.left_out.contains(&*key) {
                channel.topics.insert(key.to_string());
                subscribed.permitted.insert(key);
            }
        }
        assert!(channel.topics.len() <= 1000, "too many topics");
        self.record_outage();
        Ok(subscribed)
    }
}

impl SimVendor {
    /// Ends a channel after this time.
    fn expire(&self, id: usize, life: Duration) {
        let vendor = self.clone();
        #[expect(clippy::disallowed_methods, reason = "the vendor of the test")]
        tokio::spawn(async move {
            sleep(life).await;
            let mut sim = vendor.0.lock();
            let channel = sim.channels.remove(&id).unwrap_or_default();
            if let Some(socket) = channel.socket {
                let _ = socket.send(SocketMessage::End("expired".to_owned()));
            }
            sim.record_outage();
        });
    }

    /// One way of a request.
    async fn travel(&self) {
        let slowness = self.0.lock().slowness;
        sleep(WAY + slowness.mul_f64(fastrand::f64())).await;
    }
}

/// A read that has not ended.
struct Reading(SimVendor, Vec<String>);

impl Drop for Reading {
    fn drop(&mut self) {
        let mut sim = self.0.0.lock();
        sim.reading.retain(|id| !self.1.contains(id));
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
            vendor.0.lock().requests.created += 1;
            vendor.travel().await;
            vendor.travel().await;
            let mut sim = vendor.0.lock();
            sim.refuse_if_failing(|requests| &mut requests.created)?;
            if let Some(status) = sim.no_channel {
                let failure = failure(status);
                return Err(sim.refuse(|requests| &mut requests.created, failure));
            }
            let id = sim.next_channel;
            sim.next_channel += 1;
            sim.channels.insert(id, SimChannel::default());
            let life = sim.life;
            drop(sim);
            if let Some(life) = life {
                vendor.expire(id, life);
            }
            Ok(Channel {
                id: id.to_string(),
                address: id.to_string(),
                life,
            })
        })
    }

    fn open(
        &self,
        address: String,
    ) -> BoxFuture<'static, Result<Box<dyn Notifications>, ConnectError>> {
        let vendor = self.clone();
        Box::pin(async move {
            vendor.0.lock().requests.opened += 1;
            vendor.travel().await;
            vendor.travel().await;
            let mut sim = vendor.0.lock();
            let id: usize = address.parse().unwrap();
            let wrong = match sim.channels.contains_key(&id) {
                _ if sim.no_socket => Some(ConnectErrorKind::Connection),
                false => Some(ConnectErrorKind::Rejected),
                true => None,
            };
            if let Some(kind) = wrong {
                let why = "no".to_owned();
                let error = ConnectError { why, kind };
                return Err(sim.refuse(|requests| &mut requests.opened, error));
            }
            let channel = sim.channels.entry(id).or_default();
            let (sender, receiver) = unbounded_channel();
            // A second connection of a channel ends the first one.
            if let Some(before) = channel.socket.replace(sender) {
                let _ = before.send(SocketMessage::End("replaced".to_owned()));
            }
            (channel.is_silent, channel.is_subscribed) = (false, false);
            sim.record_outage();
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
            vendor.0.lock().requests.subscribed += 1;
            vendor.travel().await;
            let subscribed = vendor.0.lock().subscribe(&channel, users, replaces)?;
            vendor.travel().await;
            Ok(subscribed)
        })
    }

    fn read(&self, ids: Vec<String>) -> BoxFuture<'static, Result<Presences, Failure>> {
        let vendor = self.clone();
        Box::pin(async move {
            assert!(ids.len() <= 50, "a batch of {}", ids.len());
            {
                let mut sim = vendor.0.lock();
                sim.requests.read += 1;
                let is_new = ids.iter().all(|id| sim.reading.insert(id.clone()));
                assert!(is_new, "a user in two reads at once: {ids:?}");
            }
            let _reading = Reading(vendor.clone(), ids.clone());
            vendor.travel().await;
            let hangs = {
                let sim = vendor.0.lock();
                let is_any = ids.iter().any(|id| sim.unreadable.contains_key(id));
                is_any.then_some(sim.unreadable_delay)
            };
            sleep(hangs.unwrap_or_default()).await;
            let read_delay = vendor.0.lock().read_delay;
            let found: UserMap<UserPresence> = {
                let mut sim = vendor.0.lock();
                sim.refuse_read(&ids)?;
                let found = ids.iter().filter_map(|id| {
                    let key: Arc<str> = id.to_ascii_lowercase().into();
                    let number = *sim.users.get(&*key)?;
                    Some((key, presence(number)))
                });
                found.collect()
            };
            sleep(read_delay).await;
            vendor.travel().await;
            Ok(found)
        })
    }
}
