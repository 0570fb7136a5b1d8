//! How many requests the vendor may get, by the table of docs/watch.md.

use std::time::Duration;

use proptest::prelude::*;

use super::super::vendor::Sim;
use super::{Op, Spoilt, USERS};
use crate::bulk::BATCH_SIZE;

/// The batches of all users.
const ALL: usize = USERS.div_ceil(BATCH_SIZE);

/// After how long without notifications users are polled, and how often.
const POLL_AFTER: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two reads of all users although there was no gap.
const REFRESH_INTERVAL: Duration = Duration::from_mins(54);

/// The attempts until the delay between two is half a minute.
const FIRST_ATTEMPTS: usize = 7;

/// The writes that find a topic that is refused, and those that are taken meanwhile, which
/// are read each.
const SEARCH: usize = 10;

/// The reads that find a user whom the vendor does not read, and those of the parts of
/// the batch; also those of a batch that failed by itself for another reason.
const REFUSED_USER: usize = 30;

/// What has happened, and what it may cost.
#[derive(Debug, Default)]
pub(super) struct Budget {
    gaps: usize,
    /// The gaps after which another channel is needed.
    lost_channels: usize,
    /// How often the vendor began to refuse something.
    refusals: usize,
    /// Changes of which a notification does not say which is the later one.
    unclear: usize,
    /// What becomes of notifications.
    spoilt: Spoilt,
    /// How often reads of a user began to fail, and how many may do so for ever.
    refused_users: usize,
    failing_users: usize,
    /// The changes of the topics, and the batches of new users.
    writes: usize,
    batches: usize,
    /// Whether the vendor has refused a topic for good.
    pub has_refused_topics: bool,
    /// Whether channels end by themselves.
    has_short_lives: bool,
    /// Whether new users may be read before there are notifications, and once more then.
    is_slow: bool,
}

impl Budget {
    pub(super) fn count(&mut self, op: &Op) {
        match op {
            Op::Cut | Op::Closing | Op::Silence | Op::Garbage => self.gaps += 1,
            Op::Unsubscribe => {
                self.gaps += 1;
                self.lost_channels += 1;
            }
            Op::NoTopic(Some(400 | 403)) => {
                self.has_refused_topics = true;
                self.gaps += 1;
            }
            Op::Life(Some(_)) => self.has_short_lives = true,
            Op::Slow(1..) => self.is_slow = true,
            Op::Fail(Some(_))
            | Op::NoChannel(Some(_))
            | Op::NoTopic(Some(_))
            | Op::NoSocket(true) => {
                self.gaps += 1;
                self.refusals += 1;
            }
            Op::ChangeTwice(_) => self.unclear += 1,
            Op::Spoil(spoilt) => self.spoilt = *spoilt,
            Op::Refuse(_, Some(status)) => {
                self.refused_users += 1;
                self.failing_users += usize::from(*status >= 500);
                // The topic of the user is not needed any more.
                self.writes += 1;
            }
            _ => {}
        }
        if let Op::Change(_) | Op::ChangeTwice(_) | Op::ChangeMany(_) = op {
            match self.spoilt {
                Spoilt::No => {}
                Spoilt::Cut => self.gaps += 2,
                // The notifications come within 5 s.
                _ => self.unclear += 3,
            }
        }
    }

    /// Counts a watch of so many users whom no other one watches.
    pub(super) fn join(&mut self, new_users: usize) {
        self.writes += usize::from(new_users > 0);
        self.batches += new_users.div_ceil(BATCH_SIZE);
    }

    pub(super) fn leave(&mut self) {
        self.writes += 1;
    }

    pub(super) fn check(&self, vendor: &Sim, duration: Duration) -> Result<(), TestCaseError> {
        let times = |duration: Duration, interval: Duration| {
            usize::try_from(duration.as_nanos() / interval.as_nanos()).unwrap()
        };
        let (all, refused) = (vendor.requests, vendor.refused);
        let about = format!("{all:?}, refused: {refused:?}, {self:?}");

        // Each of these channels is replaced, and ends before that if the delay is too long.
        let lives = if self.has_short_lives {
            FIRST_ATTEMPTS + times(duration, POLL_INTERVAL)
        } else {
            0
        };
        let gaps = self.gaps + 2 * lives;
        let channels =
            1 + self.lost_channels + self.gaps / 2 + lives + refused.opened + refused.subscribed;
        let created = all.created - refused.created;
        prop_assert!(created <= channels, "{channels} channels: {about}");

        let connections = 1 + gaps + refused.subscribed;
        let opened = all.opened - refused.opened;
        prop_assert!(opened <= connections, "{connections} connections: {about}");

        // Each change of the topics may begin a search for the one that is refused.
        let searches = usize::from(self.has_refused_topics) * (self.writes + connections);
        let writes = self.writes + gaps + SEARCH * searches;
        let subscribed = all.subscribed - refused.subscribed;
        prop_assert!(subscribed <= writes, "{writes} writes of topics: {about}");

        let outages = vendor
            .outages
            .iter()
            .filter(|&&outage| outage >= POLL_AFTER);
        let polls: usize = outages
            .map(|&outage| 1 + times(outage, POLL_INTERVAL))
            .sum();
        let refreshes = times(duration, REFRESH_INTERVAL);
        let batches = self.batches * (1 + usize::from(self.is_slow));
        let batches = batches + SEARCH * searches;
        let reads = batches + ALL * (gaps + polls + refreshes) + 4 * self.unclear;
        let failing = FIRST_ATTEMPTS + times(duration, POLL_INTERVAL);
        let reads = reads
            + REFUSED_USER * (self.refused_users + self.refusals)
            + failing * self.failing_users;
        let read = all.read - refused.read;
        prop_assert!(read <= reads, "{reads} reads, {polls} polls: {about}");

        let attempts = self.refusals * FIRST_ATTEMPTS + times(duration, POLL_INTERVAL);
        let attempts = attempts + SEARCH * searches;
        let built = refused.created + refused.opened + refused.subscribed;
        prop_assert!(built <= attempts, "{attempts} attempts: {about}");
        prop_assert!(
            refused.read <= ALL * attempts,
            "{attempts} attempts: {about}"
        );
        Ok(())
    }
}
