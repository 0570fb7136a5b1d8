//! Writes of every kind, with marks that show at the sandbox which were applied.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use super::misbehaviour::draw_token;

/// A write of one call.
#[derive(Debug, Clone)]
pub struct Write {
    pub rpc: &'static str,
    pub request: Value,
    pub token: String,
    /// The timeout of the call, if it has one.
    pub timeout: Option<Duration>,
    /// What the sandbox holds once the write is applied: one mark, or one for
    /// each update of a bulk write.
    pub marks: Vec<String>,
}

/// The resources to change; one write of a round changes each.
#[derive(Debug, Default)]
pub struct Resources {
    /// The numbers of users.
    pub users: Range<usize>,
    pub sources: Vec<String>,
    pub definitions: Vec<String>,
    /// Ids and names of resources to delete.
    pub deletable_sources: Vec<(String, String)>,
    pub deletable_definitions: Vec<(String, String)>,
}

/// Generates the writes of a round.
#[derive(Debug)]
pub struct WriteGenerator {
    pub rng: fastrand::Rng,
    pub resources: Resources,
    round: u64,
    mark_count: usize,
}

/// The number of updates in a batch of a bulk write.
pub const BATCH: usize = 50;

/// The id of a user of the sandbox (docs/sandbox.md).
pub fn user(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The mark of a deleted resource.
pub fn deleted_mark(name: &str) -> String {
    format!("{name} is deleted")
}

impl WriteGenerator {
    pub fn new(round: u64, rng: fastrand::Rng, resources: Resources) -> Self {
        Self {
            rng,
            resources,
            round,
            mark_count: 0,
        }
    }

    /// Draws a write with any token; returns `None` once its resources are used
    /// up.
    pub fn draw(&mut self) -> Option<Write> {
        let token = draw_token(&mut self.rng);
        let write = match self.rng.u8(..20) {
            0 => {
                let (batches, partial) = (self.rng.usize(1..=3), self.rng.bool());
                self.bulk(&token, batches, partial)
            }
            1..=2 => self.put_source(),
            3..=4 => self.put_definition(),
            5..=6 => self.delete_source(),
            7..=8 => self.delete_definition(),
            9 => Some(self.post_source()),
            10 => Some(self.post_definition()),
            _ => self.patch(&token),
        };
        let timeout = Duration::from_millis(self.rng.u64(5..700));
        let timeout = self.rng.bool().then_some(timeout);
        Some(Write {
            token,
            timeout,
            ..write?
        })
    }

    /// Returns a write to one user.
    pub fn patch(&mut self, token: &str) -> Option<Write> {
        let user = user(self.resources.users.next()?);
        let mark = self.mark();
        let request = json!({"userId": user, "body": {"message": mark}});
        let write = Write::new("PatchUserPresencesPurecloud", request, mark);
        Some(write.with_token(token))
    }

    /// Returns a bulk write of `batches` batches.
    pub fn bulk(&mut self, token: &str, batches: usize, partial: bool) -> Option<Write> {
        let max = batches * BATCH;
        let count = self.rng.usize(max - BATCH + 1..=max);
        if self.resources.users.len() < count {
            return None;
        }
        let users: Vec<usize> = self.resources.users.by_ref().take(count).collect();
        let mark = self.mark();
        let marks: Vec<String> = (0..count).map(|index| format!("{mark}.{index}")).collect();
        let updates: Vec<Value> = { users.iter().zip(&marks) }
            .map(|(&number, mark)| json!({"id": user(number), "message": mark}))
            .collect();
        let request = json!({"body": updates, "allowPartialResults": partial});
        let write = Write::new("PutUsersPresencesBulk", request, mark);
        Some(Write { marks, ..write }.with_token(token))
    }

    fn put_source(&mut self) -> Option<Write> {
        let id = self.resources.sources.pop()?;
        let mark = self.mark();
        let request = json!({"sourceId": id, "body": {"name": mark}});
        Some(Write::new("PutPresenceSource", request, mark))
    }

    fn put_definition(&mut self) -> Option<Write> {
        let id = self.resources.definitions.pop()?;
        let mark = self.mark();
        let request = json!({"definitionId": id, "body": definition(&mark)});
        Some(Write::new("PutPresenceDefinition", request, mark))
    }

    fn delete_source(&mut self) -> Option<Write> {
        let (id, name) = self.resources.deletable_sources.pop()?;
        let request = json!({"sourceId": id});
        Some(Write::new(
            "DeletePresenceSource",
            request,
            deleted_mark(&name),
        ))
    }

    fn delete_definition(&mut self) -> Option<Write> {
        let (id, name) = self.resources.deletable_definitions.pop()?;
        let request = json!({"definitionId": id});
        Some(Write::new(
            "DeletePresenceDefinition",
            request,
            deleted_mark(&name),
        ))
    }

    fn post_source(&mut self) -> Write {
        let mark = self.mark();
        let request = json!({"body": {"name": mark}});
        Write::new("PostPresenceSources", request, mark)
    }

    fn post_definition(&mut self) -> Write {
        let mark = self.mark();
        let request = json!({"body": definition(&mark)});
        Write::new("PostPresenceDefinitions", request, mark)
    }

    fn mark(&mut self) -> String {
        self.mark_count += 1;
        format!("{}-{}", self.round, self.mark_count)
    }
}

/// The body of a definition with this name.
pub fn definition(name: &str) -> Value {
    json!({"name": name, "languageLabels": {"en_US": "label"}})
}

impl Write {
    fn new(rpc: &'static str, request: Value, mark: String) -> Self {
        Self {
            rpc,
            request,
            token: String::new(),
            timeout: None,
            marks: vec![mark],
        }
    }

    fn with_token(self, token: &str) -> Self {
        let token = token.to_owned();
        Self { token, ..self }
    }

    /// The users that the write changes.
    pub fn users(&self) -> Vec<&str> {
        let updates = self.request["body"].as_array();
        let updates = updates.map(Vec::as_slice).unwrap_or_default();
        let one = self.request.get("userId");
        let users = updates.iter().map(|update| &update["id"]).chain(one);
        users.filter_map(Value::as_str).collect()
    }
}
