//! The journal of received requests, for tests. It holds no token and no body.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::bounds::MAX_JOURNAL;
use super::date::date;

/// The longest recorded method, in bytes.
const MAX_METHOD: usize = 32;

/// The longest recorded path, in bytes.
const MAX_PATH: usize = 4096;

/// The longest recorded query, in bytes.
const MAX_QUERY: usize = 8192;

/// The bytes charged for each parameter besides its text, so that empty ones count too.
const PARAMETER: usize = 64;

/// The latest requests.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Value>,
    /// The number of requests before the first recorded one.
    forgotten: u64,
}

impl Journal {
    /// Records a request, and returns its number.
    pub(super) fn received(
        &mut self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        token: Option<&str>,
        correlation: &str,
    ) -> u64 {
        if self.entries.len() >= MAX_JOURNAL {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        let number = self.forgotten + self.entries.len() as u64;
        let mut room = MAX_QUERY;
        let parameters: Vec<Value> = query
            .iter()
            .map_while(|(name, value)| {
                room = room.checked_sub(name.len() + value.len() + PARAMETER)?;
                Some(json!([name, value]))
            })
            .collect();
        let cut = path.len() > MAX_PATH || parameters.len() < query.len();
        let mut entry = json!({
            "number": number,
            "received": date(Timestamp::now()),
            "method": start(method, MAX_METHOD),
            "path": start(path, MAX_PATH),
            "query": parameters,
            "token": token,
            "correlationId": correlation,
            "status": null,
        });
        if cut {
            entry["cut"] = json!(true);
        }
        self.entries.push_back(entry);
        number
    }

    /// Records the status of a request, unless it was dropped.
    pub(super) fn answered(&mut self, number: u64, status: u16) {
        self.note(number, "status", json!(status));
    }

    /// Records the operation of a request.
    pub(super) fn called(&mut self, number: u64, operation: &str) {
        self.note(number, "operation", json!(operation));
    }

    /// Records the faults that were injected into a response.
    pub(super) fn misbehaved(&mut self, number: u64, how: &str) {
        self.note(number, "misbehaved", json!(how));
    }

    /// The latest recorded requests, no more than `most`, oldest first.
    pub(super) fn list(&self, most: usize) -> Value {
        let before = self.entries.len().saturating_sub(most);
        let latest: Vec<&Value> = self.entries.iter().skip(before).collect();
        json!({"forgotten": self.forgotten, "requests": latest})
    }

    /// Drops all requests. Numbers are not reused.
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

/// The start of a text, cut at a character boundary.
fn start(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::user_id;

    #[test]
    fn the_journal_is_limited_in_entries_and_bytes() {
        let mut journal = Journal::default();
        let long = "x".repeat(10_000);
        for _ in 0..MAX_JOURNAL + 5 {
            let number = journal.received("GET", &long, &[("id".into(), long.clone())], None, "c");
            journal.answered(number, 200);
        }
        journal.answered(2, 500);
        let list = journal.list(MAX_JOURNAL);
        assert_eq!(list["forgotten"], 5);
        let entries = list["requests"].as_array().unwrap();
        assert_eq!(
            (entries.len(), &entries[0]["number"]),
            (MAX_JOURNAL, &json!(5))
        );
        assert!(entries.iter().all(|entry| entry["status"] == 200));
        assert_eq!(entries[0]["path"].as_str().unwrap().len(), MAX_PATH);
        assert_eq!(entries[0]["query"], json!([]));
        assert_eq!(entries[0]["cut"], true);
    }

    #[test]
    fn the_journal_keeps_fifty_ids_of_a_request_but_not_a_thousand_parameters() {
        let mut journal = Journal::default();
        for (count, cut) in [(50, false), (1000, true)] {
            let ids: Vec<_> = (1..=count)
                .map(|number| ("id".to_owned(), user_id(number)))
                .collect();
            journal.received("GET", "/bulk", &ids, None, "c");
            let entry = journal.entries.back().unwrap();
            assert_eq!(entry.get("cut").is_some(), cut);
            assert_eq!(entry["query"].as_array().unwrap().len() < count, cut);
        }
    }
}
