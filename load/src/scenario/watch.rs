//! Watches of users who change, in front of the gateway's own sandbox.

mod board;
mod changes;
pub(super) mod cut;
mod reader;
pub(super) mod requests;
mod sandbox;
pub(super) mod steady;
pub(super) mod stopped;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::gateway::Gateway;
use super::table::Figures;
use super::{ANYWHERE, Settings, proc_stat};
use board::Board;
use changes::Changes;
use sandbox::Sandbox;

/// The connections of the caller, each with watches of many tokens.
const CONNECTIONS: usize = 20;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The watches of a scenario. No user is in two of them.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    tokens: usize,
    watches_of_token: usize,
    users_of_watch: usize,
}

/// 10,000 users in 500 watches of 20 tokens.
const CROWD: Crowd = Crowd {
    tokens: 20,
    watches_of_token: 25,
    users_of_watch: 20,
};

/// The changes of the crowd in a second.
const RATE: f64 = 1000.0;

impl Crowd {
    fn watches(self) -> usize {
        self.tokens * self.watches_of_token
    }

    fn users(self) -> usize {
        self.watches() * self.users_of_watch
    }
}

/// The programs of a scenario, and what the watches have received.
struct Scene {
    name: &'static str,
    sandbox: Sandbox,
    gateway: Gateway,
    board: Arc<Board>,
    /// Whether the first watch is not read.
    stop: watch::Sender<bool>,
    readers: JoinSet<()>,
}

impl Scene {
    /// Starts everything, and waits until all watches are live.
    async fn start(settings: &Settings, name: &'static str, crowd: Crowd) -> Result<Self, String> {
        let users = crowd.users();
        let sandbox = Sandbox::start(settings, name, users).await?;
        let (url, flags) = (sandbox.url(), ["--lame-duck", "0s"]);
        let gateway = Gateway::with(settings, name, &url, ANYWHERE, &flags, &[]).await?;
        let board = Arc::new(Board::new(crowd.watches(), users));
        let (stop, stopped) = watch::channel(false);
        let mut readers = JoinSet::new();
        let connections = reader::connect(gateway.address, CONNECTIONS).await?;
        for number in 0..crowd.watches() {
            let first = number * crowd.users_of_watch;
            let request = reader::request(
                number / crowd.watches_of_token,
                first..first + crowd.users_of_watch,
            )?;
            let mut connection = connections[number % CONNECTIONS].clone();
            let board = Arc::clone(&board);
            let stopped = (number == 0).then(|| stopped.clone());
            readers.spawn(async move {
                let end = reader::read(&mut connection, request, number, &board, stopped).await;
                board.ended(end);
            });
        }
        let scene = Self {
            name,
            sandbox,
            gateway,
            board,
            stop,
            readers,
        };
        let is_live = || scene.board.live() == crowd.watches();
        scene.wait("watches that are not all live", is_live).await?;
        Ok(scene)
    }

    /// Changes of all users in turn.
    fn changes(&self) -> Arc<Changes> {
        Arc::new(Changes::new(
            self.sandbox.control(),
            Arc::clone(&self.board),
        ))
    }

    async fn wait(&self, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            if Instant::now() > end {
                let (name, ends) = (self.name, self.board.ends());
                return Err(format!("{name}: {what} after {PATIENCE:?}; {ends:?}"));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until each watch has the presences that were posted, or for some time.
    async fn settle(&self) {
        // What is missing is a figure.
        let _ = self.wait("changes", || self.board.wrong() == 0).await;
    }

    /// Ends everything, and reports what no scenario may differ in.
    async fn end(mut self, figures: &mut Figures) -> Result<(), String> {
        let there = self.sandbox.control().presences().await?;
        let users = there.len();
        let wrong = self.board.differing(&there);
        figures.expect(
            "users whose latest message is not the sandbox's presence",
            &0,
            &format!("{wrong} of {users}"),
            wrong == 0 && users > 0,
        );
        let ends = self.board.ends();
        for end in &ends {
            println!("  a watch ended: {end}");
        }
        let count = ends.len();
        figures.expect("watches that ended", &0, &count, count == 0);
        self.readers.shutdown().await;
        let exit = self.gateway.end().await?;
        exit.report_end(figures);
        Ok(())
    }
}

/// The processor time of all programs.
struct Usage {
    at: Instant,
    times: [Duration; 3],
}

impl Usage {
    fn of(scene: &Scene) -> Result<Self, String> {
        let pids = [scene.gateway.pid(), scene.sandbox.pid(), std::process::id()];
        let [gateway, sandbox, caller] = pids.map(proc_stat::cpu_time);
        Ok(Self {
            at: Instant::now(),
            times: [gateway?, sandbox?, caller?],
        })
    }

    /// The cores that the gateway, the sandbox and the caller used since `before`.
    fn cores_since(&self, before: &Self) -> [f64; 3] {
        let time = (self.at - before.at).as_secs_f64();
        std::array::from_fn(|at| {
            self.times[at]
                .saturating_sub(before.times[at])
                .as_secs_f64()
                / time
        })
    }
}
