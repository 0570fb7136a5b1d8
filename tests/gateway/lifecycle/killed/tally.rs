//! What was told held against what was applied, over all rounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::told::{Claim, Told};
use super::write::Write;

/// How many changes were told to be so, and whether they were applied.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(Claim, String, bool), usize>);

impl Tally {
    /// Counts the changes of a write; gives those of which something else was
    /// told than is found.
    pub fn count(
        &mut self,
        write: &Write,
        told: Vec<Told>,
        found: &HashMap<String, usize>,
    ) -> Vec<String> {
        let mut lies = Vec::new();
        for ((claim, word), mark) in told.into_iter().zip(&write.marks) {
            let times = found.get(mark).copied().unwrap_or_default();
            let is_true = match claim {
                Claim::Applied => times == 1,
                Claim::NotApplied => times == 0,
                Claim::Unknown | Claim::Nothing => times <= 1,
            };
            if !is_true {
                lies.push(format!(
                    "{} `{mark}` with the token `{}` and {:?} to wait: told {claim:?} ({word}), \
                     but applied {times} times",
                    write.rpc, write.token, write.timeout
                ));
            }
            *self.0.entry((claim, word, times > 0)).or_default() += 1;
        }
        lies
    }

    /// How many changes were told to be so, by any word that holds this one.
    pub fn of(&self, claim: Claim, word: &str, is_applied: bool) -> usize {
        let those = self.0.iter().filter(|((claimed, by, applied), _)| {
            (*claimed, *applied) == (claim, is_applied) && by.contains(word)
        });
        those.map(|(_, count)| count).sum()
    }

    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((claim, word, is_applied), count) in &self.0 {
            let applied = if *is_applied {
                "applied"
            } else {
                "not applied"
            };
            writeln!(f, "{count:8} {applied:12} told {claim:?}: {word}")?;
        }
        Ok(())
    }
}
