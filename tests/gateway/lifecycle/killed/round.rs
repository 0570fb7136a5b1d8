//! One gateway in front of the sandbox: starts it, loads it, stops it, and checks
//! the calls.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::caller::{CallEnd, Caller, TIMEOUT};
use super::claims::{error_info, statements};
use super::misbehaviour::{OVER_LIMIT, REQUESTS_PER_MINUTE, UNANSWERED};
use super::sandbox::Sandbox;
use super::tally::Tally;
use super::write::{Write, WriteGenerator};
use crate::support::process::ServerProcess;

/// The number of connections, and of concurrent calls on each.
const CONNECTIONS: usize = 4;
const WORKERS: usize = 8;

/// The number of callers that connect for each call.
const RECONNECTING_CALLERS: usize = 2;

/// How a round stops the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With SIGTERM.
    Drain,
    /// With SIGTERM, and a second one before all calls have ended.
    SecondSignal,
    /// With SIGKILL.
    Kill,
}

/// The state that the callers of a round share.
#[derive(Clone)]
struct Round {
    address: String,
    writes: Arc<Mutex<WriteGenerator>>,
    ended: Arc<Mutex<Vec<(Write, CallEnd)>>>,
    /// Notified when a call has ended.
    call_ended: Arc<Notify>,
}

/// Plays one round; returns what callers received against what was applied.
pub async fn play(sandbox: &mut Sandbox, stop: Stop, seed: u64) -> Tally {
    let mut rng = fastrand::Rng::with_seed(seed);
    let resources = sandbox.reset().await;
    let lame_duck = Duration::from_millis([0, rng.u64(..300)][rng.usize(..2)]);
    let drain = Duration::from_millis(match stop {
        Stop::SecondSignal => 60_000,
        _ => rng.u64(20..500),
    });
    let pause = Duration::from_millis(rng.u64(..500));
    let gateway = start(&sandbox.url(), lame_duck, drain);
    let round = Round {
        address: gateway.address.clone(),
        writes: Arc::new(Mutex::new(WriteGenerator::new(seed, rng, resources))),
        ended: Arc::default(),
        call_ended: Arc::default(),
    };

    let mut callers = JoinSet::new();
    round.start_pending_calls(sandbox, &mut callers).await;
    for _ in 0..CONNECTIONS {
        let caller = Caller::connect(&round.address).await.unwrap();
        for _ in 0..WORKERS {
            callers.spawn(round.clone().call_until_closed(caller.clone()));
        }
    }
    for _ in 0..RECONNECTING_CALLERS {
        callers.spawn(round.clone().reconnect_for_each_call());
    }
    // The round stops the gateway at a random moment.
    sleep(pause).await;
    let stopped = Instant::now();
    match stop {
        Stop::Kill => gateway.signal("KILL"),
        Stop::Drain => gateway.signal("TERM"),
        Stop::SecondSignal => {
            gateway.signal("TERM");
            // The drain has begun once it ends the calls that wait for the rate
            // limiter.
            round.wait_for_reason("SHUTTING_DOWN").await;
            sleep(pause / 2).await;
            gateway.signal("TERM");
        }
    }
    let all = async { while callers.join_next().await.transpose().unwrap().is_some() {} };
    let all = timeout(TIMEOUT, all).await;
    assert!(all.is_ok(), "{} calls did not end", callers.len());
    let (status, log) = spawn_blocking(|| gateway.wait()).await.unwrap();
    check_exit(stop, status, stopped.elapsed(), lame_duck + drain, &log);
    let ended = std::mem::take(&mut *round.ended.lock());
    compare(sandbox, stop, &ended).await
}

/// Compares the statements about all writes with the state of the sandbox.
async fn compare(sandbox: &mut Sandbox, stop: Stop, ended: &[(Write, CallEnd)]) -> Tally {
    sandbox.wait_until_idle().await;
    let users: Vec<&str> = ended.iter().flat_map(|(write, _)| write.users()).collect();
    let found = sandbox.marks(&users).await;
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for (write, end) in ended {
        match end {
            CallEnd::ConnectionLost(error) if stop == Stop::Drain => {
                wrong.push(format!("{}: {error:?} in place of a status", write.rpc));
            }
            end => wrong.extend(tally.record(write, statements(write, end), &found)),
        }
    }
    assert!(wrong.is_empty(), "{}\n{tally}", wrong.join("\n"));
    tally
}

fn start(upstream: &str, lame_duck: Duration, drain: Duration) -> ServerProcess {
    let rate_limit = REQUESTS_PER_MINUTE.to_string();
    let (lame_duck, drain) = (
        format!("{}ms", lame_duck.as_millis()),
        format!("{}ms", drain.as_millis()),
    );
    let arguments = [
        "serve",
        "--upstream-url",
        upstream,
        "--token-requests-per-minute",
        &rate_limit,
        // The third batch of a bulk write waits for the others.
        "--bulk-concurrency",
        "2",
        // Calls can wait for the next minute of the rate limiter.
        "--default-deadline",
        "110s",
        "--lame-duck",
        &lame_duck,
        "--drain-timeout",
        &drain,
    ];
    ServerProcess::start(&arguments, &[])
}

fn check_exit(stop: Stop, status: ExitStatus, took: Duration, limit: Duration, log: &[String]) {
    match stop {
        Stop::Kill => assert_eq!(status.code(), None),
        Stop::SecondSignal => assert_eq!(status.code(), Some(143), "{log:#?}"),
        Stop::Drain => {
            assert_eq!(status.code(), Some(0), "{log:#?}");
            // A second for connections that stay open, five for a slow machine.
            let bound = limit + Duration::from_secs(6);
            assert!(
                took < bound,
                "the exit took {took:?}, which is longer than {bound:?}"
            );
        }
    }
}

impl Round {
    /// Starts calls that are pending for as long as the gateway runs: those that
    /// wait for the rate limiter, those that the sandbox applies and does not
    /// answer, and batches that wait for an unanswered one.
    async fn start_pending_calls(&self, sandbox: &mut Sandbox, callers: &mut JoinSet<()>) {
        let caller = Caller::connect(&self.address).await.unwrap();
        let mut start = |write: Write| {
            let (round, caller) = (self.clone(), caller.clone());
            callers.spawn(async move {
                round.call(&caller, write).await;
            });
        };
        for _ in 0..REQUESTS_PER_MINUTE + 10 {
            let write = self.writes.lock().patch(OVER_LIMIT);
            start(write.unwrap());
        }
        self.wait_for(|ended| ended.len() >= REQUESTS_PER_MINUTE)
            .await;
        let unanswered = {
            let mut writes = self.writes.lock();
            let bulk = [false, true].map(|partial| writes.bulk(UNANSWERED, 3, partial).unwrap());
            let [whole, partial] = bulk;
            [writes.patch(UNANSWERED).unwrap(), whole, partial]
        };
        for write in &unanswered {
            start(write.clone());
        }
        for write in &unanswered {
            // Polls as fast as the sandbox answers.
            while sandbox.message(write.users()[0]).await != write.marks[0] {}
        }
    }

    /// Makes one call after the other until the connection accepts no more.
    async fn call_until_closed(self, caller: Caller) {
        while let Some(write) = self.next() {
            if !self.call(&caller, write).await {
                break;
            }
        }
    }

    /// Makes one call after the other, each over its own connection, until the
    /// gateway no longer listens.
    async fn reconnect_for_each_call(self) {
        while let Some(caller) = Caller::connect(&self.address).await
            && let Some(write) = self.next()
        {
            self.call(&caller, write).await;
        }
    }

    fn next(&self) -> Option<Write> {
        self.writes.lock().draw()
    }

    /// Makes a call; returns whether the gateway ended it.
    async fn call(&self, caller: &Caller, write: Write) -> bool {
        let end = caller.call(&write).await;
        let is_processed = matches!(end, CallEnd::Response(_) | CallEnd::Failed(_));
        self.ended.lock().push((write, end));
        self.call_ended.notify_one();
        is_processed
    }

    /// Waits until a call has failed for this reason.
    async fn wait_for_reason(&self, reason: &str) {
        let has_reason = |(_, end): &(Write, CallEnd)| match end {
            CallEnd::Failed(status) => error_info(status).reason == reason,
            _ => false,
        };
        self.wait_for(|ended| ended.iter().any(has_reason)).await;
    }

    /// Waits until `condition` holds for the calls that have ended.
    async fn wait_for(&self, condition: impl Fn(&[(Write, CallEnd)]) -> bool) {
        let wait = async {
            while !condition(&self.ended.lock()) {
                self.call_ended.notified().await;
            }
        };
        let result = timeout(TIMEOUT, wait).await;
        let count = self.ended.lock().len();
        assert!(
            result.is_ok(),
            "timed out waiting for calls to end; {count} have ended"
        );
    }
}
