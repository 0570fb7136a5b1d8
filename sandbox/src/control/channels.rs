//! The control endpoint of notification channels.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::date::date;
use crate::state::State;

/// Lists all channels, oldest first.
pub(super) fn list(state: &State) -> Value {
    let now = Instant::now();
    let living = state.channels.all().into_iter();
    let living = living.filter(|channel| channel.expiry > now);
    let channels: Vec<Value> = living
        .map(|channel| {
            json!({
                "id": &*channel.id,
                "token": channel.label,
                "topics": channel.topic_count(),
                "connected": channel.link.is_some(),
                "expires": date(channel.expires),
                "events": channel.events,
                "lost": channel.lost(),
            })
        })
        .collect();
    json!({"channels": channels})
}
