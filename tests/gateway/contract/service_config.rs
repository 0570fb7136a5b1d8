//! The service config for callers' gRPC libraries: which calls they retry, and the
//! timeout of each.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use presence_gateway::rpc::Rpc;
use prost_reflect::MethodDescriptor;
use serde::Deserialize;

use crate::support::generated::{self, COMMAND};
use crate::support::{all_methods, path};

const FILE: &str = "proto/service-config.json";

static TEXT: LazyLock<String> = LazyLock::new(|| generated::read(FILE, with_names));

/// The gateway's default for the longest deadline.
const MAX_DEADLINE: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceConfig {
    load_balancing_config: Vec<BTreeMap<String, serde_json::Value>>,
    method_config: Vec<MethodConfig>,
    retry_throttling: Throttling,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Throttling {
    max_tokens: f64,
    token_ratio: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MethodConfig {
    name: Vec<Name>,
    timeout: Option<String>,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    service: String,
    /// Required here: without it, the retry policy would cover RPCs of later
    /// versions.
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: String,
    max_backoff: String,
    backoff_multiplier: f64,
    retryable_status_codes: Vec<String>,
}

fn config() -> ServiceConfig {
    serde_json::from_str(&TEXT).unwrap()
}

/// Parses a duration of protobuf's JSON form.
fn duration(text: &str) -> Duration {
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("`{text}` is not a duration")))
}

/// Returns the index of the group that an RPC belongs to, in the order of the file.
fn group(rpc: &MethodDescriptor) -> usize {
    let is_bulk = Rpc::find(&path(rpc)).unwrap().is_bulk;
    match idempotency(rpc) {
        _ if is_streaming(rpc) => 5,
        1 if !is_bulk => 0,
        1 => 1,
        2 => 2,
        _ if !is_bulk => 3,
        _ => 4,
    }
}

/// Returns the service config with the names of each group from the protos.
fn with_names(text: &str) -> String {
    const NAMES: &str = "\"name\": [\n";
    let (mut generated, groups) = text
        .split_once(NAMES)
        .map(|(head, groups)| (head.to_owned(), groups.split(NAMES)))
        .unwrap();
    for (index, text) in groups.enumerate() {
        let (_, settings) = text.split_once("\n      ]").unwrap();
        let rpcs = all_methods().into_iter();
        let mut rpcs: Vec<_> = rpcs.filter(|rpc| group(rpc) == index).collect();
        rpcs.sort_by_key(|rpc| rpc.parent_service().name() == "LegacyPresenceService");
        let names = rpcs.iter().map(|rpc| {
            let (service, method) = (rpc.parent_service(), rpc.name());
            let service = service.full_name();
            format!(r#"        {{"service": "{service}", "method": "{method}"}}"#)
        });
        let names = names.collect::<Vec<_>>().join(",\n");
        generated.extend([NAMES, &names, "\n      ]", settings]);
    }
    generated
}

/// Returns each RPC with its method config.
fn configured() -> Vec<(MethodDescriptor, MethodConfig)> {
    let find = |rpc: &MethodDescriptor| {
        let is_rpc = |name: &Name| format!("/{}/{}", name.service, name.method) == path(rpc);
        let mut config = config().method_config;
        config.retain(|config| config.name.iter().any(is_rpc));
        let named = config.iter().flat_map(|config| &config.name);
        let count = named.filter(|name| is_rpc(name)).count();
        let name = rpc.full_name();
        assert_eq!(count, 1, "{name} is named {count} times; run `{COMMAND}`");
        config.remove(0)
    };
    let pair = |rpc: MethodDescriptor| {
        let config = find(&rpc);
        (rpc, config)
    };
    all_methods().into_iter().map(pair).collect()
}

fn is_streaming(rpc: &MethodDescriptor) -> bool {
    rpc.is_client_streaming() || rpc.is_server_streaming()
}

/// Whether a client may retry the RPC after an unknown outcome.
fn is_retryable(rpc: &MethodDescriptor) -> bool {
    idempotency(rpc) != 0
}

/// The idempotency level: 0 for unknown, 1 for no side effects, 2 for idempotent.
fn idempotency(rpc: &MethodDescriptor) -> i32 {
    let options = rpc.options();
    let level = options.get_field_by_name("idempotency_level").unwrap();
    level.as_enum_number().unwrap()
}

#[test]
fn the_names_of_the_service_config_follow_from_the_protos() {
    generated::assert_current(FILE, &TEXT, with_names);
}

#[test]
fn the_service_config_names_every_rpc_once_and_nothing_else() {
    let paths: Vec<String> = configured().iter().map(|(rpc, _)| path(rpc)).collect();
    for name in config()
        .method_config
        .into_iter()
        .flat_map(|config| config.name)
    {
        let path = format!("/{}/{}", name.service, name.method);
        assert!(paths.contains(&path), "no RPC has the path {path}");
    }
}

#[test]
fn exactly_the_retryable_rpcs_have_a_retry_policy() {
    for (rpc, config) in configured() {
        assert_eq!(
            config.retry_policy.is_some(),
            is_retryable(&rpc) && !is_streaming(&rpc),
            "{} has the wrong retry policy",
            rpc.full_name()
        );
    }
}

/// A retry after `RESOURCE_EXHAUSTED` would use up the deadline while the rate
/// limiter cannot permit it, and hide the delay that the error reports.
#[test]
fn only_unavailable_is_retried() {
    let policies = config().method_config.into_iter();
    let policies: Vec<RetryPolicy> = policies.filter_map(|config| config.retry_policy).collect();
    assert!(!policies.is_empty(), "no RPC has a retry policy");
    for policy in policies {
        assert_eq!(policy.retryable_status_codes, ["UNAVAILABLE"]);
        // Every library reduces more than five to five.
        assert!((2..=5).contains(&policy.max_attempts));
        let (first, longest) = (
            duration(&policy.initial_backoff),
            duration(&policy.max_backoff),
        );
        assert!(Duration::ZERO < first && first <= longest);
        assert!(policy.backoff_multiplier > 1.0);
    }
}

#[test]
fn every_unary_call_has_a_timeout_that_the_gateway_grants_and_no_stream_has_one() {
    for (rpc, config) in configured() {
        let timeout = config.timeout.as_deref().map(duration);
        let name = rpc.full_name();
        if is_streaming(&rpc) {
            assert_eq!(
                timeout, None,
                "a timeout of {name} would end it in the middle"
            );
            continue;
        }
        let timeout = timeout.unwrap_or_else(|| panic!("{name} has no timeout"));
        assert!(
            Duration::from_secs(1) <= timeout && timeout <= MAX_DEADLINE,
            "{name} has {timeout:?}"
        );
    }
}

#[test]
fn calls_are_balanced_over_replicas_and_retries_are_bounded() {
    let config = config();
    let balancing = config.load_balancing_config.first();
    assert!(balancing.is_some_and(|policy| policy.contains_key("round_robin")));
    assert!(config.retry_throttling.max_tokens > 0.0);
    assert!(config.retry_throttling.token_ratio > 0.0);
}
