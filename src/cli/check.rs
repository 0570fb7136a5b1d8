//! `serve --check`: what the settings mean, without opening a port or a connection but
//! one to the budget store.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use humantime::format_duration;
use rustls::pki_types::CertificateDer;

use super::exit::{StartupError, warn};
use super::misspelt;
use crate::config::{Config, Limits, ListenAddress, SharedBudget, Target};
use crate::logging::LogFormat;
use crate::server::Tls;
use crate::telemetry::Destination;
use crate::tls::certificate::Certificate;
use crate::upstream::budget_store;
use crate::upstream::client::{ClientOptions, RotatingClient};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::regional::Regional;
use crate::watch::WatchMode;

/// Prints what a configuration means, and warns of what is most likely a mistake.
///
/// `to_config` has read all files but the CAs of the system: the client of the upstream
/// is built to read those.
pub(super) async fn check(config: Config, threads: usize) -> Result<ExitCode, StartupError> {
    let mut summary = Summary::default();
    summary.listeners(&config);
    summary.target(&config.target, &config.outbound);
    summary.limits(&config);
    summary.budget(config.budget.as_ref());
    summary.telemetry(&config, threads);
    match config.target {
        Target::Upstream(upstreams) => {
            let client = RotatingClient::new(upstreams.first(), config.outbound);
            client.map_err(StartupError::Misconfigured)?;
        }
        #[cfg(feature = "sandbox")]
        Target::Sandbox { .. } => {}
    }
    if let Some(budget) = &config.budget {
        let reachable = budget_store::probe(&budget.store).await;
        reachable.map_err(|why| {
            let store = &budget.store.address;
            StartupError::Misconfigured(format!("--budget-store: `{store}` cannot be used: {why}"))
        })?;
    }
    for unsupported in &config.telemetry.unsupported {
        warn(unsupported);
    }
    misspelt::in_environment().iter().for_each(warn);
    summary.warnings.iter().for_each(warn);
    let tried = match config.budget {
        None => "No port was opened, and no connection made.",
        Some(_) => "No port was opened, and no connection made but one to the budget store.",
    };
    let written = summary.write(tried, &mut io::stdout());
    written.map_err(|error| format!("cannot write the summary: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of the summary: a word, and what it means here.
#[derive(Debug, Default)]
struct Summary {
    lines: Vec<(&'static str, String)>,
    warnings: Vec<String>,
}

impl Summary {
    fn add(&mut self, name: &'static str, text: impl Display) {
        self.lines.push((name, text.to_string()));
    }

    fn listeners(&mut self, config: &Config) {
        let protocol = match &config.tls {
            Some(_) => "TLS",
            None => "without TLS",
        };
        self.add(
            "callers",
            format_args!("{}, {protocol}", config.listeners.callers),
        );
        if let Some(tls) = &config.tls {
            self.served_certificate(tls);
        }
        let or_off = |address: Option<ListenAddress>, flag: &str| match address {
            Some(address) => format!("{address}, without TLS"),
            None => format!("off (--{flag})"),
        };
        self.add("health", or_off(config.listeners.health, "health-listen"));
        self.add(
            "metrics",
            or_off(config.listeners.metrics, "metrics-listen"),
        );
    }

    fn served_certificate(&mut self, tls: &Tls) {
        let leaf = tls.leaf();
        self.certificate("certificate", "--tls-cert", leaf.as_ref());
        let clients = match tls.client_ca() {
            Some(file) => format!("need a certificate of a CA in {file}"),
            None => "need no certificate".to_owned(),
        };
        self.add("clients", clients);
    }

    fn certificate(
        &mut self,
        name: &'static str,
        flag: &str,
        certificate: Option<&CertificateDer<'_>>,
    ) {
        let Some(certificate) = certificate.and_then(Certificate::read) else {
            return self.add(name, "its names and its end cannot be read");
        };
        let problem = certificate.problem.as_ref();
        let problem = problem.map(|problem| format!("{flag}: the certificate {problem}"));
        self.warnings.extend(problem);
        self.add(name, certificate);
    }

    fn target(&mut self, target: &Target, outbound: &ClientOptions) {
        match target {
            Target::Upstream(upstreams) => self.upstreams(upstreams, outbound),
            #[cfg(feature = "sandbox")]
            Target::Sandbox { listen, .. } => {
                let place = listen.map_or_else(
                    || "at 127.0.0.1:8080 or the next free port".to_owned(),
                    |address| format!("at {address}"),
                );
                self.add(
                    "upstream",
                    format_args!("the sandbox inside the gateway, {place}"),
                );
            }
        }
    }

    fn upstreams(&mut self, upstreams: &Regional<Endpoint>, outbound: &ClientOptions) {
        for (index, of) in upstreams.iter().enumerate() {
            let (name, url) = (of.region.map(|region| region.name), &of.value);
            match name {
                None => self.add("upstream", url),
                Some(name) if index == 0 && upstreams.has_choice() => {
                    self.add("upstream", format_args!("{url} ({name}, the default)"));
                }
                Some(name) => self.add("upstream", format_args!("{url} ({name})")),
            }
        }
        let is_secure = upstreams.first().is_secure();
        let protocol = if outbound.http2 && is_secure {
            "HTTP/2 if the upstream offers it, else HTTP/1.1"
        } else {
            "HTTP/1.1"
        };
        self.add("protocol", protocol);
        let trusted = match &outbound.authorities {
            _ if !is_secure => "no TLS".to_owned(),
            Some(authorities) => format!("{} CAs of --upstream-ca", authorities.len()),
            None => "CAs of the system".to_owned(),
        };
        self.add("trusted", trusted);
        if let Some(identity) = &outbound.identity {
            let flag = "--upstream-client-cert";
            self.certificate("presented", flag, identity.chain.first());
        }
        let proxy = outbound.proxy.as_ref();
        self.add(
            "proxy",
            proxy.map_or_else(|| "none".to_owned(), ToString::to_string),
        );
    }

    fn limits(&mut self, config: &Config) {
        let limits = &config.limits;
        let deadlines = limits.calls.deadlines;
        let (default, max) = (text(deadlines.default), text(deadlines.max));
        self.add(
            "deadlines",
            format_args!("{default} unless the caller sets one, at most {max}"),
        );
        let memory = limits.calls.message_memory >> 20;
        let in_flight = limits.calls.max_in_flight;
        self.add(
            "calls",
            format_args!("{in_flight} at once, {memory}MiB for their messages"),
        );
        let (ids, batches) = (limits.bulk.max_ids, limits.bulk.concurrency);
        let merged = limits.bulk_merge_window.map_or_else(
            || "not shared with others".to_owned(),
            |window| format!("shared with others within {}", text(window)),
        );
        self.add(
            "bulk calls",
            format_args!("{ids} ids, {batches} batches at once, {merged}"),
        );
        self.add(
            "streams",
            format_args!("{} idle", text(limits.bulk.stream_idle)),
        );
        self.add("watches", watches(limits));
        let requests = match limits.token_requests_per_minute {
            0 => "no limit".to_owned(),
            requests => format!("{requests} a minute for each token"),
        };
        let reads = if limits.share_reads { "" } else { "not " };
        self.add(
            "requests",
            format_args!("{requests}; identical reads are {reads}shared"),
        );
        let timeouts = config.shutdown.terminated;
        let (pause, drain) = (text(timeouts.lame_duck), text(timeouts.drain_timeout));
        self.add(
            "shutdown",
            format_args!("lame duck {pause}, then at most {drain} for calls"),
        );
    }

    fn budget(&mut self, budget: Option<&SharedBudget>) {
        let Some(budget) = budget else {
            return self.add(
                "budget store",
                "none: each replica limits the requests alone",
            );
        };
        let (store, timeout) = (&budget.store.address, text(budget.store.timeout));
        self.add(
            "budget store",
            format_args!("{store}, responded; at most {timeout} for a call"),
        );
        let names = if budget.has_secret {
            "hashed with the secret of --budget-secret"
        } else {
            "hashed without a secret (--budget-secret)"
        };
        self.add("tokens", names);
    }

    fn telemetry(&mut self, config: &Config, threads: usize) {
        let destination = |to: &Option<Destination>| match to {
            Some(to) => format!("{} to {}", to.protocol, to.url),
            None => "not exported".to_owned(),
        };
        let telemetry = &config.telemetry;
        self.add("traces", destination(&telemetry.traces));
        self.add("OTLP metrics", destination(&telemetry.metrics));
        let format = match config.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        self.add("log", format_args!("{format}, {}", config.log_filter));
        self.add("threads", threads);
    }

    fn write(&self, tried: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "The settings are valid. {tried}\n")?;
        for (name, text) in &self.lines {
            writeln!(out, "{name:<12}  {text}")?;
        }
        out.flush()
    }
}

/// What the settings of watches mean.
fn watches(limits: &Limits) -> String {
    let (watch, open) = (&limits.watch, limits.calls.max_watches);
    let poll = text(watch.poll_interval);
    let learn = match watch.mode {
        WatchMode::Auto => format!(
            "by {} channels for each token, or a read every {poll}",
            watch.channels
        ),
        WatchMode::Poll => format!("by a read every {poll}"),
    };
    format!(
        "{open} at once, {learn}; a message at least every {}",
        text(watch.heartbeat)
    )
}

fn text(duration: Duration) -> String {
    format_duration(duration).to_string()
}
