//! The upstream that calls are forwarded to.

use clap::Args;

#[cfg(feature = "sandbox")]
use crate::args::from_environment;
use crate::args::{ConfigErrors, parse_bool};
#[cfg(feature = "sandbox")]
use crate::sandbox;
use crate::upstream::endpoint::Endpoint;

/// The flags that select the upstream. Exactly one of the first three is required.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArgs {
    /// The vendor's region to forward to, such as us-east-1
    #[arg(long, env = "PRESENCE_GATEWAY_REGION")]
    region: Option<String>,

    /// The URL to forward to, with a path prefix if need be
    #[arg(long, value_name = "URL", env = "PRESENCE_GATEWAY_UPSTREAM_URL")]
    upstream_url: Option<String>,

    /// Forward to a simulated vendor inside the gateway, for development
    #[cfg(feature = "sandbox")]
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SANDBOX")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    sandbox: String,

    /// Allow an upstream URL of plain http that is not on this machine
    #[arg(
        long,
        value_name = "BOOL",
        env = "PRESENCE_GATEWAY_ALLOW_INSECURE_UPSTREAM"
    )]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    allow_insecure_upstream: String,
}

/// The upstream that calls are forwarded to.
#[derive(Debug)]
pub enum Target {
    /// The vendor's API, or a replacement for it.
    Upstream(Endpoint),
    /// The simulated vendor inside the gateway.
    #[cfg(feature = "sandbox")]
    Sandbox(Box<sandbox::Settings>),
}

impl TargetArgs {
    /// The upstream that the flags select.
    pub(super) fn read(&self, problems: &mut ConfigErrors) -> Option<Target> {
        let is_sandbox = self.is_sandbox(problems)?;
        let allow = problems.parse(
            "allow-insecure-upstream",
            &self.allow_insecure_upstream,
            parse_bool,
        )?;
        match (&self.region, &self.upstream_url, is_sandbox) {
            (Some(region), None, false) => problems
                .parse("region", region, Endpoint::of_region)
                .map(Target::Upstream),
            (None, Some(url), false) => {
                let endpoint = Endpoint::of_url(url, allow);
                // The URL may hold a password, although it must not.
                let shown = if url.contains('@') { "…" } else { url };
                problems
                    .parse("upstream-url", shown, |_| endpoint)
                    .map(Target::Upstream)
            }
            #[cfg(feature = "sandbox")]
            (None, None, true) => sandbox(problems),
            (region, url, is_sandbox) => {
                problems.add(not_one(region.is_some(), url.is_some(), is_sandbox));
                None
            }
        }
    }

    #[cfg(feature = "sandbox")]
    fn is_sandbox(&self, problems: &mut ConfigErrors) -> Option<bool> {
        problems.parse("sandbox", &self.sandbox, parse_bool)
    }

    #[cfg(not(feature = "sandbox"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the same signature as with the sandbox"
    )]
    fn is_sandbox(&self, _: &mut ConfigErrors) -> Option<bool> {
        Some(false)
    }
}

/// The sandbox with the settings of its variables.
#[cfg(feature = "sandbox")]
fn sandbox(problems: &mut ConfigErrors) -> Option<Target> {
    let args: sandbox::Args = from_environment(problems)?;
    let mut wrong = ConfigErrors::default();
    let settings = sandbox::Settings::read(&args, &mut wrong);
    for problem in wrong.into_vec() {
        // `serve` has no flags for these settings, only variables.
        problems.add(format!("the sandbox's {problem}"));
    }
    Some(Target::Sandbox(Box::new(settings)))
}

/// The error for no upstream, or for several.
fn not_one(region: bool, url: bool, sandbox: bool) -> String {
    let flags = if cfg!(feature = "sandbox") {
        "--region, --upstream-url, --sandbox"
    } else {
        "--region, --upstream-url"
    };
    let given = [
        region.then_some("--region"),
        url.then_some("--upstream-url"),
        sandbox.then_some("--sandbox"),
    ];
    let given: Vec<&str> = given.into_iter().flatten().collect();
    match given.as_slice() {
        [] => format!("no upstream: give one of {flags}"),
        given => format!(
            "more than one upstream: give one of {} (each may also come from the environment)",
            given.join(", ")
        ),
    }
}
