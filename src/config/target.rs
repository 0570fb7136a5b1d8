//! Where calls are forwarded to.

use clap::Args;

use crate::args::{ConfigErrors, from_environment, parse_bool};
use crate::sandbox;
use crate::upstream::endpoint::Endpoint;

/// The flags of it; exactly one of the three ways is to be given.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArgs {
    /// The vendor's region to forward to, such as us-east-1
    #[arg(long, env = "PRESENCE_GATEWAY_REGION")]
    region: Option<String>,

    /// The URL to forward to, with a path prefix if need be
    #[arg(long, value_name = "URL", env = "PRESENCE_GATEWAY_UPSTREAM_URL")]
    upstream_url: Option<String>,

    /// Forward to a simulated vendor inside the gateway, for development
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

/// Where calls are forwarded to.
#[derive(Debug)]
pub enum Target {
    /// The vendor's API, or something in its place.
    Upstream(Endpoint),
    /// A simulated vendor inside the gateway.
    Sandbox(Box<sandbox::Settings>),
}

impl TargetArgs {
    /// Where the flags say that calls go.
    pub(super) fn read(&self, problems: &mut ConfigErrors) -> Option<Target> {
        let is_sandbox = problems.parse("sandbox", &self.sandbox, parse_bool)?;
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
                let base = Endpoint::of_url(url, allow);
                // It may hold a password, although it must not.
                let shown = if url.contains('@') { "…" } else { url };
                problems
                    .parse("upstream-url", shown, |_| base)
                    .map(Target::Upstream)
            }
            (None, None, true) => {
                let args: sandbox::Args = from_environment(problems)?;
                let mut wrong = ConfigErrors::default();
                let settings = sandbox::Settings::read(&args, &mut wrong);
                for problem in wrong.into_vec() {
                    // No flag of `serve`: here they are variables alone.
                    problems.add(format!("the sandbox's {problem}"));
                }
                Some(Target::Sandbox(Box::new(settings)))
            }
            (region, url, is_sandbox) => {
                let given = [
                    region.is_some().then_some("--region"),
                    url.is_some().then_some("--upstream-url"),
                    is_sandbox.then_some("--sandbox"),
                ];
                let given: Vec<&str> = given.into_iter().flatten().collect();
                problems.add(match given.as_slice() {
                    [] => "no upstream: give one of --region, --upstream-url, --sandbox".to_owned(),
                    given => format!(
                        "more than one upstream: give one of {} (each may also come from the \
                         environment)",
                        given.join(", ")
                    ),
                });
                None
            }
        }
    }
}
