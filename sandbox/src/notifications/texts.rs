//! The texts that a client sends on its socket.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::link::Frame;
use super::operations;
use crate::settings::Settings;
use crate::state::State;

impl State {
    /// Answers a client's text on the socket of a channel.
    ///
    /// `{"message":"ping"}` gets a pong **[A]**. `{"message":"subscribe"}` with `topics` and
    /// a `correlationId` gets `{"result":"200","status":"subscribed"}`; a 400 has the status
    /// `failure` or `error`, a 404 none **[B: a client's source]**. That it adds topics, as
    /// a POST does, and what is an error and what a failure, are inferences **[C]**. Other
    /// texts get a 400 **[C]**.
    pub(crate) fn receive(&mut self, channel: &str, text: &str, settings: &Settings) {
        let read: Value = serde_json::from_str(text).unwrap_or_default();
        match read["message"].as_str() {
            Some("ping") => self.pong(channel),
            Some("subscribe") => {
                let answer = self.subscribe_by_text(channel, &read, settings);
                self.answer(channel, &read, answer);
            }
            _ => {
                let wrong = "The text is neither a ping nor a subscribe message.";
                self.answer(channel, &read, failed("error", wrong));
            }
        }
    }

    fn subscribe_by_text(&mut self, channel: &str, read: &Value, settings: &Settings) -> Value {
        let names = read["topics"].as_array().map(|topics| {
            let names = topics.iter().map(Value::as_str);
            names.collect::<Option<Vec<&str>>>()
        });
        let Some(Some(names)) = names else {
            return failed("error", "`topics` is not a list of names.");
        };
        let now = Instant::now();
        let Some(token) = self.channels.get(channel, now).map(|known| known.token) else {
            return json!({"result": "404", "message": "The channel does not exist."});
        };
        let subscribed = operations::subscribe(
            self,
            settings,
            (channel, token),
            names.into_iter(),
            operations::Mode::default(),
        );
        match subscribed {
            Ok(_) => json!({"result": "200", "status": "subscribed"}),
            Err(api_error) => failed("failure", api_error.message()),
        }
    }

    fn answer(&mut self, channel: &str, read: &Value, mut answer: Value) {
        if let Some(correlation) = read.get("correlationId") {
            answer["correlationId"] = correlation.clone();
        }
        let known = self.channels.get(channel, Instant::now());
        if let Some(link) = known.and_then(|known| known.link.clone()) {
            link.push(Frame::Text(answer.to_string()));
        }
    }
}

fn failed(status: &str, message: &str) -> Value {
    json!({"result": "400", "status": status, "message": message})
}
