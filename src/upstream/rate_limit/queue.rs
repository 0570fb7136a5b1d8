//! The places of requests in the queue of their token, with the turns of a store.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::{Denied, RateLimiter, Reservation, Ticket, check_deadline};
use crate::token_key::TokenKey;
use crate::upstream::budget_store::{BudgetStore, Decision, StoreTime, Turn};

impl RateLimiter {
    /// Reserves `count` places at the end of the token's queue, or none if the
    /// last request could not start before `deadline`.
    pub(crate) async fn reserve(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<VecDeque<Reservation>, Denied> {
        let numbers = self.enqueue(token, count, deadline).await?;
        Ok(numbers
            .map(|number| self.reservation(token, number))
            .collect())
    }

    /// Reserves one place, as [`Self::reserve`] does.
    pub(crate) async fn reserve_one(
        &self,
        token: TokenKey,
        deadline: Instant,
    ) -> Result<Reservation, Denied> {
        let numbers = self.enqueue(token, 1, deadline).await?;
        Ok(self.reservation(token, numbers.start))
    }

    async fn enqueue(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<Range<u64>, Denied> {
        if !self.is_enabled() {
            return Ok(0..count as u64);
        }
        let Some(store) = &self.store else {
            return self.enqueue_at_end(token, count, deadline, None);
        };
        // Known without the store: it would allow no earlier start.
        self.check(token, count, deadline)?;
        let turns = self.take(store, token, count, deadline).await?;
        let numbers = self.enqueue_at_end(token, count, deadline, Some(&turns));
        numbers.inspect_err(|_| give_back(store, token, &turns))
    }

    /// Checks that the last of `count` more requests could start before `deadline`.
    fn check(&self, token: TokenKey, count: usize, deadline: Instant) -> Result<(), Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        let Some(window) = windows.tokens.get_mut(&token) else {
            return Ok(());
        };
        window.expire(now);
        let last = window.queue.len() + count.saturating_sub(1);
        let start = window.earliest_start(last, now, self.limit);
        check_deadline(window, last, start, deadline, now)
    }

    /// Takes turns from the store or, without it, turns that this replica counts alone.
    async fn take(
        &self,
        store: &BudgetStore,
        token: TokenKey,
        count: usize,
        deadline: Instant,
    ) -> Result<Vec<Turn>, Denied> {
        match store.take(token, self.limit, count, deadline).await {
            Decision::Taken(turns, throttle) => {
                let _ = self.adopt_throttle(token, throttle);
                Ok(turns)
            }
            Decision::TooLate(delay, throttle) => {
                let refused = self.adopt_throttle(token, throttle);
                Err(Denied::TooLate { delay, refused })
            }
            Decision::Local => Ok(vec![Turn::local(); count]),
        }
    }

    /// Takes over what the store has confirmed of a turn.
    pub(super) fn confirm(
        &self,
        token: TokenKey,
        before: Option<StoreTime>,
        turn: Turn,
        throttle: Duration,
    ) {
        let _ = self.adopt_throttle(token, throttle);
        if let Some(window) = self.windows.lock().tokens.get_mut(&token)
            && turn.stored != before
        {
            window.replace_turn(before, turn);
        }
    }

    fn enqueue_at_end(
        &self,
        token: TokenKey,
        count: usize,
        deadline: Instant,
        turns: Option<&[Turn]>,
    ) -> Result<Range<u64>, Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        if !windows.tokens.contains_key(&token) && !windows.has_room(now) {
            return Err(Denied::TooManyTokens);
        }
        let window = windows.tokens.entry(token).or_default();
        window.expire(now);
        let last = window.queue.len() + count.saturating_sub(1);
        let start = window.earliest_start(last, now, self.limit);
        let turn = turns.and_then(<[Turn]>::last);
        let start = turn.map_or(start, |turn| start.max(turn.start));
        check_deadline(window, last, start, deadline, now)?;
        let numbers = window.next_number..window.next_number + count as u64;
        window.next_number = numbers.end;
        window.queue.extend(numbers.clone());
        window.add_turns(turns.unwrap_or_default());
        Ok(numbers)
    }

    /// Reserves the place that a request had before, to send it again, unless
    /// it could not start before `deadline`.
    pub(crate) async fn requeue(
        &self,
        token: TokenKey,
        ticket: Ticket,
        deadline: Instant,
    ) -> Result<Reservation, Denied> {
        let number = ticket.number;
        let Some(store) = self.store.as_ref().filter(|_| self.is_enabled()) else {
            if self.is_enabled() {
                self.enqueue_again(token, number, deadline, &[])?;
            }
            return Ok(self.reservation(token, number));
        };
        let turns = self.take(store, token, 1, deadline).await?;
        let queued = self.enqueue_again(token, number, deadline, &turns);
        queued.inspect_err(|_| give_back(store, token, &turns))?;
        Ok(self.reservation(token, number))
    }

    fn enqueue_again(
        &self,
        token: TokenKey,
        number: u64,
        deadline: Instant,
        turns: &[Turn],
    ) -> Result<(), Denied> {
        let now = Instant::now();
        let mut windows = self.windows.lock();
        let window = windows.tokens.entry(token).or_default();
        window.expire(now);
        let position = window.position(number);
        let start = window.earliest_start(position, now, self.limit);
        check_deadline(window, position, start, deadline, now)?;
        window.queue.insert(position, number);
        window.next_number = window.next_number.max(number + 1);
        window.add_turns(turns);
        Ok(())
    }

    fn reservation(&self, token: TokenKey, number: u64) -> Reservation {
        Reservation {
            limiter: self.clone(),
            token,
            number,
            reserved: Instant::now(),
            is_queued: self.is_enabled(),
        }
    }
}

/// Gives turns back that no request will use.
fn give_back(store: &BudgetStore, token: TokenKey, turns: &[Turn]) {
    store.give_back(token, turns.iter().filter_map(|turn| turn.stored).collect());
}
