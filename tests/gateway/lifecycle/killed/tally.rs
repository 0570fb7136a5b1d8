//! Counts claims against applied changes, over all rounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::claims::{Claim, Statement};
use super::write::Write;

/// The number of changes for each statement, applied and not applied.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(Claim, String, bool), usize>);

impl Tally {
    /// Counts the changes of a write; returns the statements that are wrong.
    pub fn record(
        &mut self,
        write: &Write,
        statements: Vec<Statement>,
        found: &HashMap<String, usize>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((claim, source), mark) in statements.into_iter().zip(&write.marks) {
            let times = found.get(mark).copied().unwrap_or_default();
            let is_true = match claim {
                Claim::Applied => times == 1,
                Claim::NotApplied => times == 0,
                Claim::Unknown | Claim::NoStatus => times <= 1,
            };
            if !is_true {
                wrong.push(format!(
                    "{} `{mark}` with the token `{}` and the timeout {:?}: claimed {claim:?} \
                     ({source}), but applied {times} times",
                    write.rpc, write.token, write.timeout
                ));
            }
            *self.0.entry((claim, source, times > 0)).or_default() += 1;
        }
        wrong
    }

    /// The number of changes with this claim, from a source that contains
    /// `source`.
    pub fn count(&self, claim: Claim, source: &str, is_applied: bool) -> usize {
        let matching = self.0.iter().filter(|((claimed, from, applied), _)| {
            (*claimed, *applied) == (claim, is_applied) && from.contains(source)
        });
        matching.map(|(_, count)| count).sum()
    }

    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((claim, source, is_applied), count) in &self.0 {
            let applied = if *is_applied {
                "applied"
            } else {
                "not applied"
            };
            writeln!(f, "{count:8} {applied:12} {claim:?}: {source}")?;
        }
        Ok(())
    }
}
