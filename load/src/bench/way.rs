//! The ways to the vendor: directly, through the gateway, through Envoy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::direct::Direct;
use super::machine::Used;
use super::series::Series;
use crate::caller::{Caller, Calls, Connections, Questions, Tally, Tokens, closed, message, open};
use crate::scenario::memory::busy;

/// How many calls are in flight where as many are made as can be.
const AT_ONCE: usize = 16;

/// How many calls a second are made where their number is given.
pub(super) const RATE: f64 = 1000.0;

/// How many connections a caller has, which both sides share alike.
const CONNECTIONS: usize = 2;

/// How many tokens there are; the gateway counts each one's requests.
const TOKENS: usize = 64;

/// A way to the vendor.
#[derive(Debug)]
pub(super) struct Way {
    /// What it is called.
    pub name: &'static str,
    /// The process on the way; none where there is nothing between.
    pub pid: Option<u32>,
    /// Where it is.
    pub address: SocketAddr,
}

/// What is asked, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Single reads, as many as can be.
    Unary,
    /// Bulk reads of 50, as many as can be.
    Bulk,
    /// Single reads, so many a second.
    AtRate,
}

/// What a way took for a work, round by round.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Microseconds of processor time for each call, of the process on the way.
    pub cpu: Series,
    /// The same of the upstream.
    pub vendor: Series,
    /// Calls a second.
    pub calls: Series,
    /// Milliseconds.
    pub p50: Series,
    /// Milliseconds.
    pub p99: Series,
    /// The part of a core that others used meanwhile.
    pub others: Series,
}

impl Work {
    pub(super) const ALL: [Self; 3] = [Self::Unary, Self::Bulk, Self::AtRate];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Bulk => "bulk of 50",
            Self::AtRate => "unary, 1000/s",
        }
    }

    pub(super) fn questions(self) -> Questions {
        match self {
            Self::Unary | Self::AtRate => Questions::new(0.0),
            Self::Bulk => Questions::bulk(50),
        }
    }
}

impl Way {
    /// Does a work for a time, while these processes are of the benchmark.
    pub(super) async fn measure(
        &self,
        work: Work,
        time: Duration,
        vendor: u32,
        processes: &[u32],
        taken: &mut Taken,
    ) -> Result<(), String> {
        let before = Used::now(processes);
        let of = |pid: Option<u32>| pid.map_or(Ok(Duration::ZERO), busy);
        let (own, vendors, begun) = (of(self.pid)?, busy(vendor)?, Instant::now());
        let tally = self.work(work, time).await?;
        let (own, vendors) = (
            of(self.pid)?.saturating_sub(own),
            busy(vendor)?.saturating_sub(vendors),
        );
        let calls = tally.calls();
        if calls == 0 || tally.answered().count() != calls {
            return Err(format!(
                "{}, {}: not all is answered:\n{tally}",
                self.name,
                work.name()
            ));
        }
        let each = |busy: Duration| busy.as_secs_f64() * 1e6 / calls as f64;
        taken.cpu.add(each(own));
        taken.vendor.add(each(vendors));
        taken.calls.add(tally.a_second(calls));
        taken.p50.add(tally.answered().at(0.5));
        taken.p99.add(tally.answered().at(0.99));
        let others = Used::now(processes).others_since(before, begun.elapsed());
        taken.others.add(others);
        Ok(())
    }

    async fn work(&self, work: Work, time: Duration) -> Result<Tally, String> {
        let (questions, tokens) = (work.questions(), Tokens::new("token", TOKENS));
        if self.pid.is_none() {
            let direct = Arc::new(Direct::new(self.address, questions, tokens));
            return done(direct, work, time, Direct::into_tally).await;
        }
        let caller = Arc::new(Caller {
            connections: Connections::open(&[self.address], CONNECTIONS).await?,
            questions,
            tokens,
            deadline: Duration::from_secs(10),
            tally: Tally::default(),
        });
        done(caller, work, time, |caller| caller.tally).await
    }

    /// Holds what the way answers against what the vendor says itself.
    pub(super) async fn agree(&self, vendor: SocketAddr) -> Result<(), String> {
        let tokens = Tokens::new("token", 1);
        let connections = Connections::open(&[self.address], 1).await?;
        let mut connection = connections.next().await.ok_or("no connection")?;
        for work in [Work::Unary, Work::Bulk] {
            let questions = work.questions();
            let direct = Direct::new(vendor, work.questions(), Tokens::new("token", 1));
            for _ in 0..20 {
                let question = questions.next();
                let body = direct.body(question, tokens.next()).await?;
                let said = question.of_json(&body).ok_or("no JSON of the vendor's")?;
                let message = message(&mut connection, question, tokens.next()).await;
                let message = message.map_err(|why| format!("{}: {why}", self.name))?;
                if question.of_message(&message) != Some(said) {
                    let name = work.name();
                    return Err(format!(
                        "{} answers {name} other than the vendor",
                        self.name
                    ));
                }
            }
        }
        Ok(())
    }
}

async fn done<C: Calls>(
    caller: Arc<C>,
    work: Work,
    time: Duration,
    tally: impl FnOnce(C) -> Tally,
) -> Result<Tally, String> {
    match work {
        Work::AtRate => open(&caller, RATE, time).await,
        Work::Unary | Work::Bulk => closed(&caller, AT_ONCE, time).await,
    }
    Arc::into_inner(caller)
        .map(tally)
        .ok_or_else(|| "a call goes on".to_owned())
}
