//! The upstream that calls are forwarded to.

use clap::Args;

#[cfg(feature = "sandbox")]
use crate::args::from_environment;
use crate::args::{ConfigErrors, parse_bool};
use crate::config::ListenAddress;
#[cfg(feature = "sandbox")]
use crate::sandbox;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::region::Region;
use crate::upstream::regional::Regional;

/// The flags that select the upstream. Exactly one of the first three is required.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Upstream")]
pub(super) struct TargetArgs {
    /// Genesys Cloud region to forward to, for example us-east-1; several, with commas or by
    /// several flags, for callers to choose from: the first is the default
    #[arg(long, env = "PRESENCE_GATEWAY_REGION")]
    region: Vec<String>,

    /// URL to forward to instead of a region; it may have a path prefix
    #[arg(long, value_name = "URL", env = "PRESENCE_GATEWAY_UPSTREAM_URL")]
    upstream_url: Option<String>,

    /// Forward to a simulated vendor inside the gateway, for development
    #[cfg(feature = "sandbox")]
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_SANDBOX")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    sandbox: String,

    /// Allow plain http to an upstream on another machine
    #[arg(long, value_name = "BOOL")]
    #[arg(env = "PRESENCE_GATEWAY_ALLOW_INSECURE_UPSTREAM")]
    #[arg(default_value = "false", default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    #[arg(hide_short_help = true)]
    allow_insecure_upstream: String,
}

/// The upstream that calls are forwarded to.
#[derive(Debug)]
pub enum Target {
    /// The vendor's API in each region, or a replacement for it.
    Upstream(Regional<Endpoint>),
    /// The simulated vendor inside the gateway.
    #[cfg(feature = "sandbox")]
    Sandbox {
        /// How the vendor is simulated.
        settings: Box<sandbox::Settings>,
        /// Where it is served, if that is configured.
        listen: Option<ListenAddress>,
    },
}

/// The variable with the sandbox's address. `sandbox` has a flag for it, `serve` has none.
#[cfg(feature = "sandbox")]
pub(crate) const SANDBOX_LISTEN: &str = "PRESENCE_GATEWAY_SANDBOX_LISTEN";

#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
struct SandboxListen {
    #[arg(long = "listen", env = SANDBOX_LISTEN)]
    address: Option<String>,
}

impl Target {
    /// Whether it is the simulated vendor.
    pub(super) fn is_sandbox(&self) -> bool {
        self.endpoint().is_none()
    }

    /// The address of the upstream, or of that of the first region: all regions are
    /// alike, https at the name of a host. `None` for the simulated vendor.
    #[cfg_attr(
        not(feature = "sandbox"),
        expect(clippy::unnecessary_wraps, reason = "a sandbox has none")
    )]
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Upstream(upstreams) => Some(upstreams.first()),
            #[cfg(feature = "sandbox")]
            Self::Sandbox { .. } => None,
        }
    }
}

impl Target {
    /// Where the sandbox inside the gateway is served, if that is configured.
    pub(super) fn sandbox_listen(&self) -> Option<ListenAddress> {
        match self {
            Self::Upstream(_) => None,
            #[cfg(feature = "sandbox")]
            Self::Sandbox { listen, .. } => *listen,
        }
    }
}

impl TargetArgs {
    /// Parses the flags; `None` if they select no upstream.
    pub(super) fn parse(&self, errors: &mut ConfigErrors) -> Option<Target> {
        #[cfg(feature = "sandbox")]
        let is_sandbox = errors.parse("sandbox", &self.sandbox, parse_bool)?;
        #[cfg(not(feature = "sandbox"))]
        let is_sandbox = false;
        let allow = errors.parse(
            "allow-insecure-upstream",
            &self.allow_insecure_upstream,
            parse_bool,
        )?;
        match (&self.region[..], &self.upstream_url, is_sandbox) {
            (regions @ [_, ..], None, false) => {
                parse_regions(regions, errors).map(Target::Upstream)
            }
            ([], Some(url), false) => {
                let endpoint = Endpoint::from_url(url, allow);
                // The URL may hold a password, although it must not.
                let shown = if url.contains('@') { "…" } else { url };
                errors
                    .parse("upstream-url", shown, |_| endpoint)
                    .map(|endpoint| Target::Upstream(Regional::without_regions(endpoint)))
            }
            #[cfg(feature = "sandbox")]
            ([], None, true) => sandbox(errors),
            (regions, url, is_sandbox) => {
                errors.add(not_one(!regions.is_empty(), url.is_some(), is_sandbox));
                None
            }
        }
    }
}

/// The regions of a list, each in any of its spellings. One that is given twice is
/// most likely a mistake for another one.
fn parse_regions(given: &[String], errors: &mut ConfigErrors) -> Option<Regional<Endpoint>> {
    let known = errors.count();
    let mut regions: Vec<(Region, Endpoint)> = Vec::new();
    for text in given.iter().flat_map(|list| list.split(',')).map(str::trim) {
        if text.is_empty() {
            let given = given.join(",");
            errors.add(format!("--region: a name is missing in `{given}`"));
            continue;
        }
        let Some(region) = errors.parse("region", text, Region::parse) else {
            continue;
        };
        if regions.iter().any(|(other, _)| *other == region) {
            let name = region.name;
            errors.add(format!(
                "--region: `{text}` is {name}, which is given twice"
            ));
        } else if let Some(endpoint) = errors.take(region.endpoint()) {
            regions.push((region, endpoint));
        }
    }
    (errors.count() == known).then(|| Regional::new(regions))?
}

/// The sandbox with the settings of its variables.
#[cfg(feature = "sandbox")]
fn sandbox(errors: &mut ConfigErrors) -> Option<Target> {
    let args: sandbox::Args = from_environment(errors)?;
    let listen: SandboxListen = from_environment(errors)?;
    let listen = listen.address;
    let listen = listen.and_then(|raw| errors.parse_as(SANDBOX_LISTEN, &raw, str::parse));
    let settings = sandbox::Settings::read(&args, errors);
    Some(Target::Sandbox {
        settings: Box::new(settings),
        listen,
    })
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
    if given.is_empty() {
        return format!("no upstream: give one of {flags}");
    }
    format!(
        "more than one upstream: give one of {} (each may also come from the environment)",
        given.join(", ")
    )
}
