//! docs/limits.md against the constants.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_gateway::server::limits::*;
use presence_gateway::{
    bulk, context, credentials, error, fair_share, json, memory, operation, rpc, upstream,
};

const DOCS: &str = include_str!("../../../docs/limits.md");

const SERVER: &str = include_str!("../../../src/server/limits.rs");

/// A limit as a number: of bytes, of things, or of milliseconds.
trait Limit {
    fn number(self) -> u128;
}

impl Limit for usize {
    fn number(self) -> u128 {
        self as u128
    }
}

impl Limit for u32 {
    fn number(self) -> u128 {
        self.into()
    }
}

impl Limit for Duration {
    fn number(self) -> u128 {
        self.as_millis()
    }
}

macro_rules! limits {
    ($($path:path,)*) => {
        BTreeMap::from([$((stringify!($path), Limit::number($path)),)*])
    };
}

/// The names and numbers of the tables.
fn documented() -> BTreeMap<&'static str, u128> {
    let rows = DOCS.lines().filter_map(|line| {
        let row = line.strip_prefix("| ")?.strip_suffix("` |")?;
        let (row, name) = row.rsplit_once(" | `")?;
        let (_, value) = row.rsplit_once(" | ")?;
        Some((name, number(value)))
    });
    rows.collect()
}

fn number(value: &str) -> u128 {
    let value = value.replace(',', "");
    let (number, unit) = value.split_once(' ').unwrap_or((&value, ""));
    let number: u128 = number.trim_start_matches("1/").parse().unwrap();
    let factor = match unit {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        unit => panic!("{unit} is no unit"),
    };
    number * factor
}

#[test]
fn the_tables_of_limits_have_the_values_of_the_constants() {
    let expected = limits![
        MAX_METADATA,
        REQUEST_BODY_TIMEOUT,
        MAX_ELEMENTS,
        DEADLINE_GRACE,
        MAX_DATA_FRAME,
        MAX_CONNECTIONS,
        HANDSHAKE_TIMEOUT,
        ACCEPT_BACKOFF,
        MAX_STREAMS,
        MAX_PENDING_RESETS,
        MAX_ERROR_RESETS,
        KEEP_ALIVE_INTERVAL,
        KEEP_ALIVE_TIMEOUT,
        MAX_CONNECTION_AGE,
        IDLE_DRAIN_TIMEOUT,
        FINAL_STATUS_TIMEOUT,
        PEAK_STREAMS,
        RECYCLE_DIVISOR,
        GOAWAY_GRACE,
        MAX_DISCARDED_BYTES,
        MAX_DISCARDED_REQUESTS,
        DISCARD_IDLE_TIMEOUT,
        MAX_PUBLIC_REQUEST,
        MAX_HEALTH_CHECKS,
        MAX_HEALTH_WATCHES,
        MAX_REFLECTION_STREAMS,
        MAX_PROBES,
        MAX_SCRAPES,
        SCRAPE_TIMEOUT,
        TLS_RELOAD_INTERVAL,
        bulk::BATCH_SIZE,
        context::WRITE_TIMEOUT,
        credentials::MAX_AUTHORIZATION,
        error::MAX_STATUS_BYTES,
        fair_share::PER_KEY_DIVISOR,
        json::MAX_ELEMENTS,
        memory::EXPANSION_FACTOR,
        operation::MAX_ID_BYTES,
        rpc::MAX_REQUEST,
        rpc::MAX_STREAM_MESSAGE,
        upstream::limits::CONNECT_TIMEOUT,
        upstream::limits::MAX_ANSWER,
        upstream::limits::MAX_ATTEMPTS,
        upstream::limits::MAX_ERROR_BODY,
        upstream::limits::POOL_IDLE_TIMEOUT,
    ];
    assert_eq!(documented(), expected);
}

#[test]
fn every_limit_of_the_server_is_in_the_tables() {
    let documented = documented();
    let names = SERVER.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("pub const ")?.split_once(':')?;
        Some(name)
    });
    let missing: Vec<_> = names
        .filter(|name| !documented.contains_key(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
