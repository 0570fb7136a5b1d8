//! The task of one token: does what its channels, reads and polls need, one write of
//! subscriptions at a time, and hands the results back to them.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::channel::{Action, Generation};
use super::plan::{Plan, Step};
use super::shared::Shared;
use super::socket;
use super::vendor::{Channel, Notifications, Presences, Subscribed, Vendor};
use crate::error::{Error, Failure};
use crate::proto::v1::user_presence_change::Cause;
use crate::telemetry::WatchCounts;
use crate::upstream::ConnectError;

/// A user of a batch: the key, how many notifications came before the read, and why it
/// is read.
pub(super) type BatchUser = (Arc<str>, u64, Cause);

/// The result of something that was done for a channel or a batch.
pub(super) enum Done {
    Created(usize, Result<Channel, Failure>),
    Opened(usize, Result<Box<dyn Notifications>, ConnectError>),
    Subscribed(usize, Result<Subscribed, Failure>),
    Ended(usize, Generation, String),
    Read(Vec<BatchUser>, Result<Presences, Failure>),
}

/// Ends all watches when the task ends, also by a panic: they would wait for ever.
struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.lock().end(&Error::Panicked.into());
    }
}

/// Runs until the token is rejected, or there is nobody to do anything for.
pub(super) async fn run(
    vendor: Arc<dyn Vendor>,
    shared: Arc<Shared>,
    settings: Settings,
    counts: WatchCounts,
) {
    let _end = EndOnDrop(Arc::clone(&shared));
    let mut plan = Plan::new(settings, counts.clone());
    let mut doing: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
    let mut stops: HashMap<Generation, oneshot::Sender<()>> = HashMap::new();
    loop {
        let (steps, next) = {
            let mut inner = shared.lock();
            let steps = plan.steps(&mut inner, Instant::now());
            if inner.ended.is_some() || inner.close_if_idle() {
                return;
            }
            (steps, plan.next(Instant::now()))
        };
        for step in steps {
            match step {
                Step::Channel(slot, action) => doing.push(channel(&*vendor, &shared, slot, action)),
                Step::Read(users, ids) => {
                    let read = vendor.read(ids);
                    doing.push(Box::pin(async move { Done::Read(users, read.await) }));
                }
                Step::Stop(generation) => drop(stops.remove(&generation)),
            }
        }
        let done = tokio::select! {
            Some(done) = doing.next() => done,
            () = shared.wake.notified() => continue,
            () = sleep_until(next) => continue,
        };
        let mut inner = shared.lock();
        let now = Instant::now();
        match done {
            Done::Created(slot, result) => plan.created(&mut inner, slot, result, now),
            Done::Opened(slot, Ok(connection)) => {
                let generation = plan.opened(&mut inner, slot, now);
                let (stop, stopped) = oneshot::channel();
                stops.insert(generation, stop);
                let (shared, counts) = (Arc::clone(&shared), counts.clone());
                let (of, max_silence) = ((slot, generation), settings.limits.max_silence);
                doing.push(Box::pin(async move {
                    let why = socket::read(connection, of, stopped, shared, counts, max_silence);
                    let why = why.await;
                    Done::Ended(slot, generation, why)
                }));
            }
            Done::Opened(slot, Err(error)) => plan.not_opened(&mut inner, slot, error, now),
            Done::Subscribed(slot, result) => plan.subscribed(&mut inner, slot, result, now),
            Done::Ended(slot, generation, why) => {
                stops.remove(&generation);
                plan.ended(&mut inner, slot, generation, &why, now);
            }
            Done::Read(users, result) => plan.read(&mut inner, &users, result, now),
        }
    }
}

/// Begins what a channel needs.
fn channel(
    vendor: &dyn Vendor,
    shared: &Shared,
    slot: usize,
    action: Action,
) -> BoxFuture<'static, Done> {
    match action {
        Action::Create => {
            let created = vendor.create_channel();
            Box::pin(async move { Done::Created(slot, created.await) })
        }
        Action::Open(address) => {
            let opened = vendor.open(address);
            Box::pin(async move { Done::Opened(slot, opened.await) })
        }
        Action::Subscribe {
            channel,
            users,
            replaces,
        } => {
            let inner = shared.lock();
            let spelled = |user: Arc<str>| {
                let id = inner.state.users.get(&user).map(|user| user.id.clone());
                let id = id.unwrap_or_else(|| user.to_string());
                (user, id)
            };
            let users = users.into_iter().map(spelled).collect();
            drop(inner);
            let subscribed = vendor.subscribe(channel, users, replaces);
            Box::pin(async move { Done::Subscribed(slot, subscribed.await) })
        }
    }
}
