//! Twice the capacity.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Setting};
use crate::caller::{Caller, Connections, Questions, Tally, Tokens, open};

const NAME: &str = "overload";
const LATENCY: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(60);

/// Twice the default places, each of which serves a call a second.
const RATE: f64 = 2.0 * 1024.0;

const TOKENS: usize = 64;

/// The longest that a refusal may take, in milliseconds, but for one in a hundred.
const SHED: f64 = 50.0;

pub(super) async fn run(setting: &Setting) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, "").await?;
    // Without pacing, so that nothing but places is short.
    let flags = ["--token-requests-per-minute", "0", "--lame-duck", "0s"];
    let gateway = Gateway::start(setting, NAME, &vendor, ANYWHERE, &flags).await?;
    let caller = Arc::new(Caller {
        connections: Connections::open(&[gateway.address], 8).await?,
        questions: Questions::new(0.0),
        tokens: Tokens::new("token", TOKENS),
        deadline: Duration::from_secs(10),
        tally: Tally::default(),
    });
    open(&caller, RATE, setting.time(TIME)).await;
    let ended = gateway.end().await?;
    println!("{NAME}:\n{}", caller.tally);

    let mut figures = Figures::of(NAME);
    let tally = &caller.tally;
    let (calls, lost) = (tally.calls(), tally.lost());
    let (answered, shed) = (tally.answered(), tally.shed());
    // A caller that cannot keep up would measure an easier scenario.
    let offered = tally.a_second(calls);
    figures.want(
        "offered",
        &format!("{RATE:.0}/s"),
        &format!("{offered:.0}/s"),
        offered > RATE * 0.99,
    );
    figures.want("calls without a status", &0, &lost, lost == 0);
    let others = calls - answered.count() - shed.count() - lost;
    figures.want("calls that failed otherwise", &0, &others, others == 0);
    let rate = tally.a_second(answered.count());
    figures.tell("accepted", &format!("{rate:.0}/s, {answered}"));
    let rate = tally.a_second(shed.count());
    figures.want(
        "shed",
        &format!("p99 < {SHED} ms"),
        &format!("{rate:.0}/s, {shed}"),
        shed.count() > 0 && shed.at(0.99) < SHED,
    );
    let most = ended.most_resident;
    let figure = "most resident memory of the gateway";
    figures.tell(figure, &format!("{most:.1} MB"));
    ended.tell(calls, &mut figures);
    Ok(figures)
}
