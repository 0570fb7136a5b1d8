//! The service config that callers give to their gRPC library: which calls it
//! repeats, and how long each may take.

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

/// The longest deadline that the gateway grants by default.
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
    /// Required here: without it, an RPC that comes later would be repeated
    /// although nobody thought of it.
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

/// A duration as protobuf's JSON has it.
fn duration(text: &str) -> Duration {
    let seconds = text.strip_suffix('s').and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("`{text}` is no duration")))
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

/// Returns the service config with the names that the protos give to each group.
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

/// Each RPC with what is said of it.
fn configured() -> Vec<(MethodDescriptor, MethodConfig)> {
    let of = |rpc: &MethodDescriptor| {
        let is_it = |name: &Name| format!("/{}/{}", name.service, name.method) == path(rpc);
        let mut config = config().method_config;
        config.retain(|config| config.name.iter().any(is_it));
        let named = config.iter().flat_map(|config| &config.name);
        let count = named.filter(|name| is_it(name)).count();
        let name = rpc.full_name();
        assert_eq!(count, 1, "{name} is named {count} times; run `{COMMAND}`");
        config.remove(0)
    };
    let pair = |rpc: MethodDescriptor| {
        let config = of(&rpc);
        (rpc, config)
    };
    all_methods().into_iter().map(pair).collect()
}

fn is_streaming(rpc: &MethodDescriptor) -> bool {
    rpc.is_client_streaming() || rpc.is_server_streaming()
}

/// Whether an RPC may be repeated by somebody who does not know what became of it.
fn is_repeatable(rpc: &MethodDescriptor) -> bool {
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
fn every_rpc_is_named_once_and_nothing_else_is() {
    let paths: Vec<String> = configured().iter().map(|(rpc, _)| path(rpc)).collect();
    for name in config()
        .method_config
        .into_iter()
        .flat_map(|config| config.name)
    {
        let path = format!("/{}/{}", name.service, name.method);
        assert!(paths.contains(&path), "there is no {path}");
    }
}

#[test]
fn what_may_be_repeated_is_and_nothing_else() {
    for (rpc, config) in configured() {
        assert_eq!(
            config.retry_policy.is_some(),
            is_repeatable(&rpc) && !is_streaming(&rpc),
            "{} has the wrong retry policy",
            rpc.full_name()
        );
    }
}

/// `RESOURCE_EXHAUSTED` above all is not: a client would wait out its deadline
/// for a turn that comes later, and lose what the error says of it.
#[test]
fn only_unavailable_is_repeated() {
    let policies = config().method_config.into_iter();
    let policies: Vec<RetryPolicy> = policies.filter_map(|config| config.retry_policy).collect();
    assert!(!policies.is_empty(), "nothing is ever repeated");
    for policy in policies {
        assert_eq!(policy.retryable_status_codes, ["UNAVAILABLE"]);
        // More than five are cut to five by every library.
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
fn every_call_has_a_timeout_that_the_gateway_grants_and_no_stream_has() {
    for (rpc, config) in configured() {
        let timeout = config.timeout.as_deref().map(duration);
        let name = rpc.full_name();
        if is_streaming(&rpc) {
            assert_eq!(timeout, None, "{name} would end in the middle");
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
fn calls_are_spread_over_the_replicas_and_repetitions_are_bounded() {
    let config = config();
    let balancing = config.load_balancing_config.first();
    assert!(balancing.is_some_and(|policy| policy.contains_key("round_robin")));
    assert!(config.retry_throttling.max_tokens > 0.0);
    assert!(config.retry_throttling.token_ratio > 0.0);
}
