//! Writes of every kind, each with marks by which it is found at the vendor.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use super::fate;

/// A write that a caller asks for.
#[derive(Debug, Clone)]
pub struct Write {
    pub rpc: &'static str,
    pub request: Value,
    pub token: String,
    /// How long its caller waits, where that is said.
    pub timeout: Option<Duration>,
    /// What is found at the vendor once it is applied: one mark, or one for
    /// each update of a bulk write.
    pub marks: Vec<String>,
}

/// What there is to be changed: each is changed by one write of a round.
#[derive(Debug, Default)]
pub struct Stock {
    /// The numbers of users.
    pub users: Range<usize>,
    pub sources: Vec<String>,
    pub definitions: Vec<String>,
    /// To be deleted; with the names that they have.
    pub doomed_sources: Vec<(String, String)>,
    pub doomed_definitions: Vec<(String, String)>,
}

/// Makes the writes of a round.
#[derive(Debug)]
pub struct Writes {
    pub rng: fastrand::Rng,
    pub stock: Stock,
    round: u64,
    made: usize,
}

/// How many updates a batch of a bulk write has.
pub const BATCH: usize = 50;

/// How a user is named (docs/sandbox.md).
pub fn user(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// How a deleted resource is found.
pub fn gone(name: &str) -> String {
    format!("{name} is gone")
}

impl Writes {
    pub fn new(round: u64, rng: fastrand::Rng, stock: Stock) -> Self {
        Self {
            rng,
            stock,
            round,
            made: 0,
        }
    }

    /// Any write, with any fate; none where everything was changed.
    pub fn any(&mut self) -> Option<Write> {
        let token = fate::draw(&mut self.rng);
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

    /// A write to one user.
    pub fn patch(&mut self, token: &str) -> Option<Write> {
        let user = user(self.stock.users.next()?);
        let mark = self.mark();
        let request = json!({"userId": user, "body": {"message": mark}});
        let write = Write::new("PatchUserPresencesPurecloud", request, mark);
        Some(write.with_token(token))
    }

    /// A bulk write of so many batches, with or without partial results.
    pub fn bulk(&mut self, token: &str, batches: usize, partial: bool) -> Option<Write> {
        let most = batches * BATCH;
        let count = self.rng.usize(most - BATCH + 1..=most);
        if self.stock.users.len() < count {
            return None;
        }
        let users: Vec<usize> = self.stock.users.by_ref().take(count).collect();
        let mark = self.mark();
        let marks: Vec<String> = (0..count).map(|place| format!("{mark}.{place}")).collect();
        let updates: Vec<Value> = { users.iter().zip(&marks) }
            .map(|(&number, mark)| json!({"id": user(number), "message": mark}))
            .collect();
        let request = json!({"body": updates, "allowPartialResults": partial});
        let write = Write::new("PutUsersPresencesBulk", request, mark);
        Some(Write { marks, ..write }.with_token(token))
    }

    fn put_source(&mut self) -> Option<Write> {
        let id = self.stock.sources.pop()?;
        let mark = self.mark();
        let request = json!({"sourceId": id, "body": {"name": mark}});
        Some(Write::new("PutPresenceSource", request, mark))
    }

    fn put_definition(&mut self) -> Option<Write> {
        let id = self.stock.definitions.pop()?;
        let mark = self.mark();
        let request = json!({"definitionId": id, "body": definition(&mark)});
        Some(Write::new("PutPresenceDefinition", request, mark))
    }

    fn delete_source(&mut self) -> Option<Write> {
        let (id, name) = self.stock.doomed_sources.pop()?;
        let request = json!({"sourceId": id});
        Some(Write::new("DeletePresenceSource", request, gone(&name)))
    }

    fn delete_definition(&mut self) -> Option<Write> {
        let (id, name) = self.stock.doomed_definitions.pop()?;
        let request = json!({"definitionId": id});
        Some(Write::new("DeletePresenceDefinition", request, gone(&name)))
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
        self.made += 1;
        format!("{}-{}", self.round, self.made)
    }
}

/// A definition of this name.
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

    /// The users whom it changes.
    pub fn users(&self) -> Vec<&str> {
        let updates = self.request["body"].as_array();
        let updates = updates.map(Vec::as_slice).unwrap_or_default();
        let one = self.request.get("userId");
        let users = updates.iter().map(|update| &update["id"]).chain(one);
        users.filter_map(Value::as_str).collect()
    }
}
