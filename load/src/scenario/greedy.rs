//! One greedy token in a crowd of modest ones.

use std::sync::Arc;
use std::time::Duration;

use super::gateway::Gateway;
use super::table::Figures;
use super::vendor::Vendor;
use super::{ANYWHERE, Setting};
use crate::caller::{Caller, Connections, Questions, Tally, Tokens, open};

const NAME: &str = "greedy";
const LATENCY: Duration = Duration::from_millis(100);

/// How long the crowd is alone, and then with the greedy token.
const TIME: Duration = Duration::from_secs(30);

/// The crowd: each of its tokens asks 90 times a minute.
const MODEST: usize = 200;
const MODEST_RATE: f64 = 300.0;

/// The greedy token asks for a minute's budget in less than a second.
const GREEDY_RATE: f64 = 1000.0;

/// How much the crowd may notice of it, in milliseconds: the machine has more
/// to do, and nothing else.
const MEDIAN: f64 = 2.0;
const LATE: f64 = 10.0;

pub(super) async fn run(setting: &Setting) -> Result<Figures, String> {
    let vendor = Vendor::start(LATENCY, "").await?;
    let flags = ["--lame-duck", "0s"];
    let gateway = Gateway::start(setting, NAME, &vendor, ANYWHERE, &flags).await?;
    let caller = async |name, tokens| {
        Ok::<_, String>(Arc::new(Caller {
            connections: Connections::open(&[gateway.address], 8).await?,
            questions: Questions::new(0.0),
            tokens: Tokens::new(name, tokens),
            deadline: Duration::from_secs(10),
            tally: Tally::default(),
        }))
    };
    let alone = caller("modest", MODEST).await?;
    let crowded = caller("crowded", MODEST).await?;
    let greedy = caller("greedy", 1).await?;
    let time = setting.time(TIME);
    open(&alone, MODEST_RATE, time).await;
    tokio::join!(
        open(&crowded, MODEST_RATE, time),
        open(&greedy, GREEDY_RATE, time),
    );
    let ended = gateway.end().await?;
    println!("{NAME}, modest tokens beside it:\n{}", crowded.tally);
    println!("{NAME}, the greedy token:\n{}", greedy.tally);

    let mut figures = Figures::of(NAME);
    let (before, after) = (alone.tally.answered(), crowded.tally.answered());
    let unanswered = crowded.tally.calls() - after.count();
    figures.tell("modest tokens, alone", &before);
    figures.tell("modest tokens, beside the greedy one", &after);
    figures.want(
        "modest calls not answered",
        &0,
        &unanswered,
        unanswered == 0,
    );
    for (part, name, most) in [(0.5, "p50", MEDIAN), (0.99, "p99", LATE)] {
        let moved = after.at(part) - before.at(part);
        figures.want(
            &format!("how much later, {name}"),
            &format!("< {most} ms"),
            &format!("{moved:.1} ms"),
            moved < most,
        );
    }
    let rate = greedy.tally.a_second(greedy.tally.answered().count());
    let refused = greedy.tally.calls() - greedy.tally.answered().count();
    let told = format!("{rate:.0}/s answered, {refused} refused");
    figures.tell("greedy token", &told);
    ended.tell(
        alone.tally.calls() + crowded.tally.calls() + greedy.tally.calls(),
        &mut figures,
    );
    Ok(figures)
}
