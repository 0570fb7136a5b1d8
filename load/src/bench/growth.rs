//! How the cost of a call grows: with its ids, and with the calls in flight.

mod cpu;
mod memory;

use super::Args;
use super::keep_awake::KeepAwake;
use crate::scenario::table::Figures;

pub(super) async fn run(args: &Args, keep_awake: &KeepAwake) -> Result<Vec<Figures>, String> {
    let mut all = cpu::run(args, keep_awake).await?;
    all.extend(memory::run(args).await?);
    Ok(all)
}
