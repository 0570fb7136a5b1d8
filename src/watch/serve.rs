//! Serves one watch: sends its caller what is new, until it ends.

use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::mailbox::Outgoing;
use super::{Watch, Watches};
use crate::context::CallContext;
use crate::error::{Error, Failure, Violation, Waiting};
use crate::operation;
use crate::proto::v1::user_presence_change::Cause;
use crate::proto::v1::watch_users_presences_response::Update;
use crate::proto::v1::{UserPresenceChange, WatchUsersPresencesResponse};

/// The memory of one user of a watch, in bytes on the wire: the id and the presence in
/// the state of the token, and the place in the watch.
pub(super) const USER_SIZE: usize = 256;

/// The bytes on the wire that watches leave of the memory of their token, so that users
/// can be read: more than a batch takes.
pub(super) const ROOM_FOR_READS: usize = 64 * 1024;

/// The most invalid ids that an error names.
const MAX_VIOLATIONS: usize = 100;

/// Checks the ids of a watch.
///
/// # Errors
///
/// [`Error::Invalid`], if there are none, too many, or invalid ones.
fn check(ids: &[String], max: usize) -> Result<(), Error> {
    let invalid = |description: String| Err(vec![Violation::new("ids", description)].into());
    if ids.is_empty() {
        return invalid("must have at least one element".to_owned());
    }
    if ids.len() > max {
        return invalid(format!(
            "must have at most {max} elements (the gateway's --max-bulk-ids); it has {}; make \
             several calls",
            ids.len()
        ));
    }
    let violations = ids.iter().enumerate().filter_map(|(index, id)| {
        let reason = operation::invalid_element_reason(id)?;
        Some(Violation::new(format!("ids[{index}]"), reason))
    });
    let violations: Vec<_> = violations.take(MAX_VIOLATIONS).collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations.into())
    }
}

/// A watch that has begun.
#[derive(Debug)]
pub(crate) struct Serving {
    watch: Watch,
    context: CallContext,
    heartbeat: Duration,
    stream_idle: Duration,
}

/// Begins a watch of these users.
///
/// # Errors
///
/// If the ids are invalid, or there is no memory for them.
pub(crate) fn begin(
    watches: &Watches,
    context: &CallContext,
    ids: Vec<String>,
    max_ids: usize,
    stream_idle: Duration,
) -> Result<Serving, Failure> {
    check(&ids, max_ids)?;
    let size = ids.len().saturating_mul(USER_SIZE);
    let memory = &context.request.memory;
    let reserve = || memory.reserve_leaving(size, ROOM_FOR_READS);
    let reserved = reserve().or_else(|_| {
        // Users whom nobody watches any more cost no watch its memory.
        watches.0.hubs.remove_unwatched();
        reserve()
    });
    reserved.map_err(|_| Error::MemoryExhausted)?;
    let watch = watches.join(context, ids, size);
    let heartbeat = watches.0.settings.limits.heartbeat;
    Ok(Serving::new(watch, context.clone(), heartbeat, stream_idle))
}

impl Serving {
    pub(super) fn new(
        watch: Watch,
        context: CallContext,
        heartbeat: Duration,
        stream_idle: Duration,
    ) -> Self {
        Self {
            watch,
            context,
            heartbeat,
            stream_idle,
        }
    }

    /// Sends what is new to `responses`, until the watch ends.
    ///
    /// # Errors
    ///
    /// Always, unless the caller is gone: a watch has no other end.
    pub(crate) async fn run(
        self,
        responses: &mpsc::Sender<WatchUsersPresencesResponse>,
    ) -> Result<(), Failure> {
        let deadline = &self.context.request.deadline;
        let changed = self.watch.changed();
        let mut last = Instant::now();
        loop {
            if let Some(failure) = self.watch.end() {
                return Err(failure);
            }
            let has_news = self.watch.has_news();
            tokio::select! {
                biased;
                () = deadline.expired() => {
                    return Err(Error::DeadlineExceeded(deadline.passed(Waiting::Results)).into());
                }
                _ = deadline.drain().begun() => return Err(Error::ShuttingDown.into()),
                permit = responses.reserve(), if has_news => {
                    // The caller is gone if the channel is closed.
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some((response, date)) = self.watch.pop() {
                        permit.send(response);
                        last = Instant::now();
                        self.record_lag(date);
                    }
                }
                () = changed.notified() => {}
                () = sleep_until(last + self.heartbeat), if !has_news => self.watch.repeat_state(),
                () = sleep_until(last + self.stream_idle), if has_news => {
                    return Err(Error::WatchIdle(self.stream_idle).into());
                }
            }
        }
    }

    /// Records how long a change took, from the vendor's date of it.
    fn record_lag(&self, date: Option<SystemTime>) {
        let lag = date.map(|date| SystemTime::now().duration_since(date).unwrap_or_default());
        if let Some(lag) = lag {
            let telemetry = self.context.request.access_log.telemetry();
            telemetry.watch_lag(lag);
        }
    }
}

impl Watch {
    fn changed(&self) -> std::sync::Arc<tokio::sync::Notify> {
        let inner = self.shared.lock();
        let mailbox = inner.state.watches.get(&self.number);
        mailbox
            .map(|mailbox| std::sync::Arc::clone(&mailbox.changed))
            .unwrap_or_default()
    }

    fn end(&self) -> Option<Failure> {
        let inner = self.shared.lock();
        inner.state.watches.get(&self.number)?.ended().cloned()
    }

    fn has_news(&self) -> bool {
        let inner = self.shared.lock();
        let mailbox = inner.state.watches.get(&self.number);
        mailbox.is_some_and(|mailbox| !mailbox.is_empty())
    }

    fn repeat_state(&self) {
        let mut inner = self.shared.lock();
        if let Some(mailbox) = inner.state.watches.get_mut(&self.number) {
            mailbox.repeat_state();
        }
    }

    /// Takes what the caller gets next; with the vendor's date, if it is a change.
    pub(super) fn pop(&self) -> Option<(WatchUsersPresencesResponse, Option<SystemTime>)> {
        let mut inner = self.shared.lock();
        let state = &mut inner.state;
        let mailbox = state.watches.get_mut(&self.number)?;
        let users = &state.users;
        let latest = |key: &str| users.get(key)?.latest.as_ref();
        let mut date = None;
        let mut response = WatchUsersPresencesResponse::default();
        match mailbox.pop(latest)? {
            Outgoing::Presence(index, cause) => {
                let user = &mailbox.users[index as usize];
                let presence = &latest(&user.key)?.presence;
                if cause == Cause::Change {
                    let modified = presence.modified_date;
                    date = modified.and_then(|date| SystemTime::try_from(date).ok());
                }
                response.update = Some(Update::Presence(UserPresenceChange {
                    user_id: user.id.clone(),
                    presence: Some(presence.as_ref().clone()),
                    cause: cause.into(),
                }));
            }
            Outgoing::State(state) => response.update = Some(Update::State(state)),
            Outgoing::Missing(ids) => response.missing_ids = ids,
            Outgoing::Failure(failure) => response.update = Some(Update::Failure(failure)),
        }
        Some((response, date))
    }
}
