//! One gateway before the vendor, from its start under load to its end.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::caller::{Caller, End, PATIENCE};
use super::fate::{GREEDY, SWALLOWED, TURNS};
use super::tally::Tally;
use super::told::{info_of, told};
use super::vendor::Vendor;
use super::write::{Write, Writes};
use crate::support::process::ServerProcess;

/// How many connections there are, and how many calls on each at a time.
const CONNECTIONS: usize = 4;
const WORKERS: usize = 8;

/// How many callers connect anew for each call.
const NEWCOMERS: usize = 2;

/// How the gateway is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By SIGTERM, with so long for the calls in flight.
    Drained,
    /// By SIGTERM, and by another one before all calls have ended.
    Hurried,
    /// By SIGKILL.
    Killed,
}

/// What there is of a round while it lasts.
#[derive(Clone)]
struct Round {
    address: String,
    writes: Arc<Mutex<Writes>>,
    ends: Arc<Mutex<Vec<(Write, End)>>>,
    /// Told of each end.
    ended: Arc<Notify>,
}

/// Plays one round; gives what was told and found.
pub async fn play(vendor: &mut Vendor, ending: Ending, seed: u64) -> Tally {
    let mut rng = fastrand::Rng::with_seed(seed);
    let stock = vendor.reset().await;
    let lame_duck = Duration::from_millis([0, rng.u64(..300)][rng.usize(..2)]);
    let drain = Duration::from_millis(match ending {
        Ending::Hurried => 60_000,
        _ => rng.u64(20..500),
    });
    let pause = Duration::from_millis(rng.u64(..500));
    let gateway = start(&vendor.url(), lame_duck, drain);
    let round = Round {
        address: gateway.address.clone(),
        writes: Arc::new(Mutex::new(Writes::new(seed, rng, stock))),
        ends: Arc::default(),
        ended: Arc::default(),
    };

    let mut callers = JoinSet::new();
    round.certainly(vendor, &mut callers).await;
    for _ in 0..CONNECTIONS {
        let caller = Caller::connect(&round.address).await.unwrap();
        for _ in 0..WORKERS {
            callers.spawn(round.clone().work(caller.clone()));
        }
    }
    for _ in 0..NEWCOMERS {
        callers.spawn(round.clone().come_anew());
    }
    // The moment is what the round is about: any.
    sleep(pause).await;
    let begun = Instant::now();
    match ending {
        Ending::Killed => gateway.signal("KILL"),
        Ending::Drained => gateway.signal("TERM"),
        Ending::Hurried => {
            gateway.signal("TERM");
            // The drain has begun: who waited for a turn was told so.
            round.until_told("SHUTTING_DOWN").await;
            sleep(pause / 2).await;
            gateway.signal("TERM");
        }
    }
    let all = async { while callers.join_next().await.transpose().unwrap().is_some() {} };
    let all = timeout(PATIENCE, all).await;
    assert!(all.is_ok(), "{} calls never ended", callers.len());
    let (status, log) = spawn_blocking(|| gateway.wait()).await.unwrap();
    check_exit(ending, status, begun.elapsed(), lame_duck + drain, &log);
    let ends = std::mem::take(&mut *round.ends.lock());
    judge(vendor, ending, &ends).await
}

/// Holds what was told against what is found; gives how much there was of each.
async fn judge(vendor: &mut Vendor, ending: Ending, ends: &[(Write, End)]) -> Tally {
    vendor.idle().await;
    let users: Vec<&str> = ends.iter().flat_map(|(write, _)| write.users()).collect();
    let found = vendor.marks(&users).await;
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for (write, end) in ends {
        match end {
            End::Lost(error) if ending == Ending::Drained => {
                wrong.push(format!("{}: no status, but {error:?}", write.rpc));
            }
            end => wrong.extend(tally.count(write, told(write, end), &found)),
        }
    }
    assert!(wrong.is_empty(), "{}\n{tally}", wrong.join("\n"));
    tally
}

fn start(vendor: &str, lame_duck: Duration, drain: Duration) -> ServerProcess {
    let turns = TURNS.to_string();
    let (lame_duck, drain) = (
        format!("{}ms", lame_duck.as_millis()),
        format!("{}ms", drain.as_millis()),
    );
    let arguments = [
        "serve",
        "--upstream-url",
        vendor,
        "--token-requests-per-minute",
        &turns,
        // So that the third batch of a bulk write waits for the others.
        "--bulk-concurrency",
        "2",
        // Long enough for those that wait for the next minute.
        "--default-deadline",
        "110s",
        "--lame-duck",
        &lame_duck,
        "--drain-timeout",
        &drain,
    ];
    ServerProcess::start(&arguments, &[])
}

fn check_exit(ending: Ending, status: ExitStatus, took: Duration, end: Duration, log: &[String]) {
    match ending {
        Ending::Killed => assert_eq!(status.code(), None),
        Ending::Hurried => assert_eq!(status.code(), Some(143), "{log:#?}"),
        Ending::Drained => {
            assert_eq!(status.code(), Some(0), "{log:#?}");
            // A second for connections that stay, and some for a slow machine.
            let bound = end + Duration::from_secs(6);
            assert!(took < bound, "it took {took:?}, and not {end:?}");
        }
    }
}

impl Round {
    /// Begins calls that are in the middle for as long as the gateway lives:
    /// waiting for their turns, applied and not answered, and waiting for an
    /// earlier batch that is not.
    async fn certainly(&self, vendor: &mut Vendor, callers: &mut JoinSet<()>) {
        let caller = Caller::connect(&self.address).await.unwrap();
        let mut begin = |write: Write| {
            let (round, caller) = (self.clone(), caller.clone());
            callers.spawn(async move {
                round.make(&caller, write).await;
            });
        };
        for _ in 0..TURNS + 10 {
            let write = self.writes.lock().patch(GREEDY);
            begin(write.unwrap());
        }
        self.until(|ends| ends.len() >= TURNS).await;
        let swallowed = {
            let mut writes = self.writes.lock();
            let bulk = [false, true].map(|partial| writes.bulk(SWALLOWED, 3, partial).unwrap());
            let [all, some] = bulk;
            [writes.patch(SWALLOWED).unwrap(), all, some]
        };
        for write in &swallowed {
            begin(write.clone());
        }
        for write in &swallowed {
            // Asked and answered, again and again: the vendor sets the pace.
            while vendor.message(write.users()[0]).await != write.marks[0] {}
        }
    }

    /// Makes one call after the other, until the connection takes no more.
    async fn work(self, caller: Caller) {
        while let Some(write) = self.next() {
            if !self.make(&caller, write).await {
                break;
            }
        }
    }

    /// Makes one call after the other, each over a connection of its own,
    /// until nobody takes them.
    async fn come_anew(self) {
        while let Some(caller) = Caller::connect(&self.address).await
            && let Some(write) = self.next()
        {
            self.make(&caller, write).await;
        }
    }

    fn next(&self) -> Option<Write> {
        self.writes.lock().any()
    }

    /// Makes a call; gives whether the gateway had to do with it.
    async fn make(&self, caller: &Caller, write: Write) -> bool {
        let end = caller.call(&write).await;
        let goes_on = matches!(end, End::Answered(_) | End::Failed(_));
        self.ends.lock().push((write, end));
        self.ended.notify_one();
        goes_on
    }

    /// Waits until a call has failed for this reason.
    async fn until_told(&self, reason: &str) {
        let is_it = |(_, end): &(Write, End)| match end {
            End::Failed(status) => info_of(status).reason == reason,
            _ => false,
        };
        self.until(|ends| ends.iter().any(is_it)).await;
    }

    /// Waits until the calls that have ended are so.
    async fn until(&self, are_so: impl Fn(&[(Write, End)]) -> bool) {
        let until = async {
            while !are_so(&self.ends.lock()) {
                self.ended.notified().await;
            }
        };
        let waited = timeout(PATIENCE, until).await;
        let ended = self.ends.lock().len();
        assert!(
            waited.is_ok(),
            "waited in vain for calls to end; {ended} have"
        );
    }
}
