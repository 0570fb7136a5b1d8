//! The flags of the way to the vendor.

use super::Target;
use crate::args::ConfigErrors;
use crate::tls::pem::{self, Identity};
use crate::upstream::client::{ClientOptions, proxy};
use clap::Args;

/// The flags of the way to the vendor, as they are given.
#[derive(Debug, Clone, Args)]
pub(super) struct OutboundArgs {
    /// Trust the authorities in this PEM file towards the upstream, and not those of the system
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_UPSTREAM_CA")]
    upstream_ca: Option<String>,

    /// Show the certificate in this PEM file to the upstream
    #[arg(
        long,
        value_name = "FILE",
        env = "PRESENCE_GATEWAY_UPSTREAM_CLIENT_CERT"
    )]
    upstream_client_cert: Option<String>,

    /// The private key of that certificate, a PEM file
    #[arg(
        long,
        value_name = "FILE",
        env = "PRESENCE_GATEWAY_UPSTREAM_CLIENT_KEY"
    )]
    upstream_client_key: Option<String>,

    /// Send all requests to the upstream through this HTTP proxy; none is taken from elsewhere
    #[arg(
        long,
        value_name = "URL",
        env = "PRESENCE_GATEWAY_UPSTREAM_PROXY",
        hide_env_values = true
    )]
    upstream_proxy: Option<String>,
}

impl OutboundArgs {
    /// Reads them for a target, where that is known.
    pub(super) fn read(
        &self,
        target: Option<&Target>,
        problems: &mut ConfigErrors,
    ) -> Option<ClientOptions> {
        let mut outbound = ClientOptions::default();
        let known = problems.count();
        if let Some(path) = &self.upstream_ca {
            outbound.authorities = problems.parse("upstream-ca", path, pem::authorities);
        }
        let identity = Identity::from_files(
            (
                "--upstream-client-cert",
                self.upstream_client_cert.as_deref(),
            ),
            ("--upstream-client-key", self.upstream_client_key.as_deref()),
        );
        outbound.identity = problems.take(identity).flatten();
        if let Some(raw) = &self.upstream_proxy {
            // What stands before an `@` may be a password.
            let shown = if raw.contains('@') { "…" } else { raw };
            match proxy(raw) {
                Ok(proxy) => outbound.proxy = Some(proxy),
                Err(wrong) => problems.add(format!("--upstream-proxy: `{shown}` {wrong}")),
            }
        }
        if problems.count() == known {
            self.check_use(target, problems);
        }
        (problems.count() == known).then_some(outbound)
    }

    /// What would be ignored is a mistake.
    fn check_use(&self, target: Option<&Target>, problems: &mut ConfigErrors) {
        let of_tls = [
            ("upstream-ca", &self.upstream_ca),
            ("upstream-client-cert", &self.upstream_client_cert),
        ];
        let useless = |flag: &str, why: &str| format!("--{flag}: is of no use, because {why}");
        match target {
            #[cfg(feature = "sandbox")]
            Some(Target::Sandbox(_)) => {
                let of_all = of_tls
                    .into_iter()
                    .chain([("upstream-proxy", &self.upstream_proxy)]);
                for (flag, _) in of_all.filter(|(_, value)| value.is_some()) {
                    problems.add(useless(flag, "the sandbox is inside the gateway"));
                }
            }
            Some(Target::Upstream(base)) if !base.is_secure() => {
                for (flag, _) in of_tls.into_iter().filter(|(_, value)| value.is_some()) {
                    problems.add(useless(flag, "the upstream is plain http"));
                }
            }
            _ => {}
        }
    }
}
