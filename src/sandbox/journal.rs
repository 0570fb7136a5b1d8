//! What was received, for tests to look at: never a token, never a body.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::date;

/// How many requests are remembered; older ones are forgotten.
const KEPT: usize = 1000;

/// How much of a path or of a query is remembered.
const MAX_TEXT: usize = 4096;

/// The latest requests.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Value>,
    /// How many requests there were before the first that is remembered.
    forgotten: u64,
}

impl Journal {
    /// Remembers that a request came; gives its number.
    pub(super) fn received(
        &mut self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        token: Option<&str>,
        correlation: &str,
    ) -> u64 {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        let number = self.forgotten + self.entries.len() as u64;
        let mut room = MAX_TEXT;
        let query: Vec<Value> = query
            .iter()
            .map_while(|(name, value)| {
                room = room.checked_sub(name.len() + value.len())?;
                Some(json!([name, value]))
            })
            .collect();
        self.entries.push_back(json!({
            "number": number,
            "received": date(Timestamp::now()),
            "method": method,
            "path": path.chars().take(MAX_TEXT).collect::<String>(),
            "query": query,
            "token": token,
            "correlationId": correlation,
            "status": null,
        }));
        number
    }

    /// Remembers how a request was answered, unless it was forgotten.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        self.note(number, "status", json!(status));
    }

    /// Remembers which operation a request was.
    pub(super) fn called(&mut self, number: u64, operation: &str) {
        self.note(number, "operation", json!(operation));
    }

    /// Remembers that the answer was made wrong, and how.
    pub(super) fn misbehaved(&mut self, number: u64, how: &str) {
        self.note(number, "misbehaved", json!(how));
    }

    /// The requests that are remembered, oldest first.
    pub(super) fn list(&self) -> Value {
        json!({"forgotten": self.forgotten, "requests": self.entries})
    }

    /// Forgets all requests; their numbers are not given again.
    pub(super) fn clear(&mut self) {
        self.forgotten += self.entries.len() as u64;
        self.entries.clear();
    }

    fn note(&mut self, number: u64, name: &str, value: Value) {
        let place = number
            .checked_sub(self.forgotten)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = place.and_then(|at| self.entries.get_mut(at)) {
            entry[name] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_bounded() {
        let mut journal = Journal::default();
        let long = "x".repeat(10_000);
        for _ in 0..KEPT + 5 {
            let number = journal.received("GET", &long, &[("id".into(), long.clone())], None, "c");
            journal.answered(number, 200);
        }
        journal.answered(2, 500);
        let list = journal.list();
        assert_eq!(list["forgotten"], 5);
        let entries = list["requests"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["number"]), (KEPT, &json!(5)));
        assert!(entries.iter().all(|entry| entry["status"] == 200));
        assert_eq!(entries[0]["path"].as_str().unwrap().len(), MAX_TEXT);
        assert_eq!(entries[0]["query"], json!([]));
    }
}
