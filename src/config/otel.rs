//! The standard variables of OpenTelemetry, checked like flags.
//!
//! The SDK ignores malformed values with a warning and does not know all of
//! these variables. The gateway refuses to start with a malformed value, and
//! warns once of a value that it knows and does not support. docs/telemetry.md lists
//! the variables; [`SDK_NUMBERS`], the temporality and the headers are only
//! checked here and parsed by the SDK.

mod choice;
mod destination;

use std::env;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::Sampler;
use percent_encoding::percent_decode_str;

use crate::args::{ConfigErrors, parse_bool, parse_number};
use crate::telemetry::{Destination, Settings, Unsupported};
use choice::{Choice, EXPORTER, PROPAGATOR, SAMPLER, TEMPORALITY};

/// The numbers that the SDK parses: variable, least and largest value, unit.
const SDK_NUMBERS: [(&str, u64, u64, &str); 5] = [
    ("OTEL_BSP_SCHEDULE_DELAY", 1, DAY, MILLISECONDS),
    ("OTEL_METRIC_EXPORT_INTERVAL", 1, DAY, MILLISECONDS),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0, MILLION, ""),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", 0, MILLION, ""),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", 0, MILLION, ""),
];
const MILLION: u64 = 1_000_000;
const DAY: u64 = 86_400_000;
const MILLISECONDS: &str = " (milliseconds)";

/// The size of the SDK's span queue where no variable sets it.
const DEFAULT_QUEUE_SIZE: u64 = 2048;

/// Parses the variables of the process.
pub(super) fn settings(errors: &mut ConfigErrors) -> Settings {
    let mut env = Env {
        errors,
        unsupported: Vec::new(),
    };
    let is_disabled = env.parse("OTEL_SDK_DISABLED", |raw| {
        parse_bool(&raw.to_ascii_lowercase())
    });
    if is_disabled == Some(true) {
        // The other variables have no effect, so they are not checked.
        return Settings {
            accepts_parent: true,
            ..Settings::default()
        };
    }
    let traces = exported(&mut env, "TRACES", "OTEL_BSP_EXPORT_TIMEOUT");
    let sampler = sampler(&mut env);
    let metrics = exported(&mut env, "METRICS", "OTEL_METRIC_EXPORT_TIMEOUT");
    check_sdk_variables(&mut env);
    let propagators = env.choose_all("OTEL_PROPAGATORS", &PROPAGATOR);
    let name = env.parse("OTEL_SERVICE_NAME", |raw| Ok(raw.to_owned()));
    let attributes = env.parse("OTEL_RESOURCE_ATTRIBUTES", parse_attributes);
    let mut attributes = attributes.unwrap_or_default();
    // A later attribute replaces an earlier one of the same name.
    attributes.extend(name.map(|name| KeyValue::new("service.name", name)));
    Settings {
        traces,
        sampler,
        metrics,
        accepts_parent: propagators.is_none_or(|accepts_parent| accepts_parent.contains(&true)),
        attributes,
        unsupported: env.unsupported,
        ..Settings::default()
    }
}

/// Where a signal is exported to, if it is; `timeout` names the variable that
/// may shorten its timeout.
fn exported(env: &mut Env<'_>, signal: &str, timeout: &str) -> Option<Destination> {
    let exporter = format!("OTEL_{signal}_EXPORTER");
    let exporters = env.choose_all(&exporter, &EXPORTER);
    let exporters = exporters.unwrap_or_else(|| vec![true]);
    let is_exported = exporters.contains(&true);
    if is_exported && exporters.contains(&false) {
        let raw = env.text(&exporter).unwrap_or_default();
        env.errors.add(format!(
            "{exporter}: `{raw}` holds `none`, which turns the export off and must stand alone"
        ));
    }
    let destination = destination::parse(env, signal);
    let timeout = env.parse(timeout, parse_milliseconds);
    let mut destination = destination.filter(|_| is_exported)?;
    destination.timeout = timeout.map_or(destination.timeout, |it| it.min(destination.timeout));
    Some(destination)
}

/// The sampler; `None` for the SDK's default.
fn sampler(env: &mut Env<'_>) -> Option<Sampler> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let sampler = env.choose(NAME, &SAMPLER);
    if sampler.is_none() && is_set(NAME) {
        // The argument of an unsupported sampler has another form.
        return None;
    }
    let ratio = env.parse("OTEL_TRACES_SAMPLER_ARG", |raw| {
        let ratio = raw.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "is not a ratio from 0 to 1, for example `0.01`".to_owned())
    });
    Some(sampler?(ratio.unwrap_or(1.0)))
}

/// Checks the variables that the SDK parses. It does not trim them.
fn check_sdk_variables(env: &mut Env<'_>) {
    for (name, min, max, unit) in SDK_NUMBERS {
        env.check(name, |raw| {
            parse_number(min..=max)(raw).map_err(|wrong| format!("{wrong}{unit}"))
        });
    }
    let queue = env.check("OTEL_BSP_MAX_QUEUE_SIZE", parse_number(1..=MILLION));
    let batch = env.check("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", parse_number(1..=MILLION));
    let queue = queue.unwrap_or(DEFAULT_QUEUE_SIZE);
    if let Some(batch) = batch.filter(|batch| *batch > queue) {
        env.errors.add(format!(
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: `{batch}` is more than OTEL_BSP_MAX_QUEUE_SIZE, \
             `{queue}`"
        ));
    }
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    if let Some(raw) = env.text(name) {
        env.find(name, &raw, &TEMPORALITY);
    }
}

fn parse_milliseconds(raw: &str) -> Result<Duration, String> {
    let millis = parse_number(1..=DAY)(raw).map_err(|wrong| format!("{wrong}{MILLISECONDS}"));
    millis.map(Duration::from_millis)
}

/// Parses `key=value,key=value`, percent-encoded; the SDK does not decode them.
fn parse_attributes(raw: &str) -> Result<Vec<KeyValue>, String> {
    let decode = |text: &str| {
        let text = percent_decode_str(text.trim()).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    let attribute = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let key = decode(key).filter(|key| !key.is_empty())?;
        Some(KeyValue::new(key, decode(value)?))
    };
    let entries = raw.split(',').map(str::trim);
    let attributes = entries.filter(|entry| !entry.is_empty()).map(|entry| {
        attribute(entry).ok_or_else(|| {
            format!(
                "is not a list like `deployment.environment.name=production,team=presence`, \
                 because of its entry `{entry}`"
            )
        })
    });
    attributes.collect()
}

/// The environment of the process, and the errors and unsupported values in it.
struct Env<'a> {
    errors: &'a mut ConfigErrors,
    unsupported: Vec<Unsupported>,
}

impl Env<'_> {
    /// The value of a variable. An empty one counts as not set.
    fn text(&mut self, name: &str) -> Option<String> {
        let text = env::var_os(name).filter(|_| is_set(name))?.into_string();
        if text.is_err() {
            self.errors.add(format!("{name}: its value is not UTF-8"));
        }
        text.ok()
    }

    /// Parses a variable, trimmed; a malformed value is an error and gives `None`.
    fn parse<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.check(name, |raw| parse(raw.trim()))
    }

    /// Parses a variable as it stands.
    fn check<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let raw = self.text(name)?;
        parse(&raw)
            .map_err(|wrong| self.errors.add(format!("{name}: `{raw}` {wrong}")))
            .ok()
    }

    /// Parses a variable that holds one name; `None` unless it is supported.
    fn choose<T: Copy>(&mut self, name: &str, choice: &Choice<T>) -> Option<T> {
        let raw = self.text(name)?;
        self.find(name, raw.trim(), choice)
    }

    /// Parses a variable that holds a list of names; `None` unless one of them
    /// is supported.
    fn choose_all<T: Copy>(&mut self, name: &str, choice: &Choice<T>) -> Option<Vec<T>> {
        let raw = self.text(name)?;
        let entries = raw.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let chosen = entries.filter_map(|entry| self.find(name, entry, choice));
        let chosen = chosen.collect::<Vec<_>>();
        (!chosen.is_empty()).then_some(chosen)
    }

    /// Finds the meaning of a value, in any case. An unsupported value is
    /// recorded, an unknown one is an error.
    fn find<T: Copy>(&mut self, name: &str, value: &str, choice: &Choice<T>) -> Option<T> {
        let mut supported = choice.supported.iter();
        let found = supported.find(|(known, _)| known.eq_ignore_ascii_case(value));
        if let Some((_, meaning)) = found {
            return Some(*meaning);
        }
        let mut unsupported = choice.unsupported.iter();
        match unsupported.find(|known| known.eq_ignore_ascii_case(value)) {
            Some(value) => {
                let unsupported = Unsupported {
                    setting: name.to_owned(),
                    value,
                    instead: choice.instead,
                };
                if !self.unsupported.contains(&unsupported) {
                    self.unsupported.push(unsupported);
                }
            }
            None => self
                .errors
                .add(format!("{name}: `{value}` is none of {}", choice.names())),
        }
        None
    }
}

/// Whether a variable holds anything.
fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|text| !text.to_string_lossy().trim().is_empty())
}
