//! Changes of users in turn, at a rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::time::Instant;

use super::board::Board;
use super::sandbox::Control;
use crate::caller::{Calls, Outcome, Stats};

/// Posts changes to the sandbox, each user's after those of all others.
#[derive(Debug)]
pub(super) struct Changes {
    control: Arc<Control>,
    board: Arc<Board>,
    /// The users, in an order that is not that of the watches.
    order: Vec<usize>,
    next: AtomicUsize,
    stats: Stats,
}

impl Changes {
    pub(super) fn new(control: Arc<Control>, board: Arc<Board>) -> Self {
        let mut order: Vec<usize> = (0..board.users()).collect();
        fastrand::shuffle(&mut order);
        Self {
            control,
            board,
            order,
            next: AtomicUsize::new(0),
            stats: Stats::default(),
        }
    }

    /// Changes all users once, `at_once` of them with each request.
    pub(super) async fn all(&self, at_once: usize) -> Result<(), String> {
        for users in self.order.chunks(at_once) {
            let now = Instant::now();
            let lines = users.iter().map(|&user| self.board.change(user, now));
            self.control.change(lines.collect()).await?;
        }
        Ok(())
    }
}

impl Calls for Changes {
    /// Changes one user. The latency is that of the sandbox's answer.
    async fn call(&self, due: Instant) {
        let user = self.order[self.next.fetch_add(1, Relaxed) % self.order.len()];
        let line = self.board.change(user, due);
        let outcome = match self.control.change(line).await {
            Ok(()) => Outcome::Answered,
            Err(_) => Outcome::NoStatus("not accepted by the sandbox"),
        };
        self.stats.count(&outcome, due.elapsed());
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }
}
