//! The flags of connections to the upstream.

use super::Target;
use crate::args::{ConfigErrors, parse_bool};
use crate::tls::pem::{self, Identity};
use crate::upstream::client::ClientOptions;
use crate::upstream::proxy::Proxy;
use clap::Args;

/// The flags, as given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Upstream")]
pub(super) struct OutboundArgs {
    /// Trust the CAs in this PEM file for the upstream, instead of the system's
    #[arg(long, value_name = "FILE", env = "PRESENCE_GATEWAY_UPSTREAM_CA")]
    #[arg(hide_short_help = true)]
    upstream_ca: Option<String>,

    /// Client certificate for the upstream (mutual TLS), a PEM file
    #[arg(long, value_name = "FILE")]
    #[arg(env = "PRESENCE_GATEWAY_UPSTREAM_CLIENT_CERT")]
    #[arg(hide_short_help = true)]
    upstream_client_cert: Option<String>,

    /// Private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    #[arg(env = "PRESENCE_GATEWAY_UPSTREAM_CLIENT_KEY")]
    #[arg(hide_short_help = true)]
    upstream_client_key: Option<String>,

    /// HTTP proxy for all requests to the upstream; proxies of the environment are ignored
    #[arg(long, value_name = "URL")]
    #[arg(env = "PRESENCE_GATEWAY_UPSTREAM_PROXY", hide_env_values = true)]
    #[arg(hide_short_help = true)]
    upstream_proxy: Option<String>,

    /// Use HTTP/2 with an upstream that offers it, over a few connections; else HTTP/1.1
    #[arg(long, value_name = "BOOL", env = "PRESENCE_GATEWAY_UPSTREAM_HTTP2")]
    #[arg(default_value_t = true.to_string())]
    #[arg(default_missing_value = "true", num_args = 0..=1)]
    #[arg(require_equals = true)]
    #[arg(hide_short_help = true)]
    upstream_http2: String,
}

impl OutboundArgs {
    /// Parses the flags for a target; `None` if one is wrong.
    pub(super) fn parse(
        &self,
        target: Option<&Target>,
        errors: &mut ConfigErrors,
    ) -> Option<ClientOptions> {
        let mut outbound = ClientOptions::default();
        let known = errors.count();
        if let Some(path) = &self.upstream_ca {
            outbound.authorities = errors.parse("upstream-ca", path, pem::authorities);
        }
        let identity = Identity::from_files(
            (
                "--upstream-client-cert",
                self.upstream_client_cert.as_deref(),
            ),
            ("--upstream-client-key", self.upstream_client_key.as_deref()),
        );
        outbound.identity = errors.take_all(identity).flatten();
        let http2 = errors.parse("upstream-http2", &self.upstream_http2, parse_bool);
        outbound.http2 = http2.unwrap_or_default();
        if let Some(raw) = &self.upstream_proxy {
            // The text before an `@` may be a password.
            let shown = if raw.contains('@') { "…" } else { raw };
            outbound.proxy = errors.parse("upstream-proxy", shown, |_| Proxy::parse(raw));
        }
        if errors.count() == known {
            self.check_use(target, &outbound, errors);
        }
        (errors.count() == known).then_some(outbound)
    }

    /// Reports flags that the target would ignore, or that cannot work with it:
    /// an operator who sets one believes that it has an effect.
    fn check_use(
        &self,
        target: Option<&Target>,
        outbound: &ClientOptions,
        errors: &mut ConfigErrors,
    ) {
        let flags = [
            ("upstream-ca", &self.upstream_ca),
            ("upstream-client-cert", &self.upstream_client_cert),
            ("upstream-proxy", &self.upstream_proxy),
        ];
        let Some(target) = target else { return };
        let (useless, why) = match target.endpoint() {
            None => (&flags[..], "the sandbox is inside the gateway"),
            // Another machine's loopback is not the gateway's: the requests, with
            // their tokens, would cross the network in the clear.
            Some(base)
                if base.is_loopback()
                    && !base.is_secure()
                    && outbound
                        .proxy
                        .as_ref()
                        .is_some_and(|proxy| !proxy.is_loopback()) =>
            {
                errors.add(format!(
                    "--upstream-proxy: cannot be used with `{base}`, which the gateway reaches \
                     without a network"
                ));
                return;
            }
            // A proxy forwards plain http too.
            Some(base) if !base.is_secure() => (&flags[..2], "the upstream is plain http"),
            // reqwest takes the brackets for a part of the name
            // (seanmonstar/reqwest#3094).
            Some(base) if self.upstream_proxy.is_some() && base.host_port().0.starts_with('[') => {
                errors.add(format!(
                    "--upstream-proxy: cannot be used with `{base}`: TLS through a proxy needs \
                     a host name or an IPv4 address"
                ));
                return;
            }
            Some(_) => return,
        };
        for (flag, _) in useless.iter().filter(|(_, value)| value.is_some()) {
            errors.add(format!("--{flag}: has no effect, because {why}"));
        }
    }
}
