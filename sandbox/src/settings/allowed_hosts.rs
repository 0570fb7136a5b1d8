//! The host names by which the control endpoints may be used.

use std::net::IpAddr;

/// Host names, in lower case. One that begins with a dot stands for all names below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Parses names that are separated by commas.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let names = raw.split(',').map(|name| name.trim().to_ascii_lowercase());
        let names: Vec<String> = names.collect();
        if names.iter().all(|name| is_name(name) || is_address(name)) {
            Ok(Self(names))
        } else {
            Err(
                "is no list of host names without ports, separated by commas, for example \
                 `sandbox.example.com,.internal`"
                    .to_owned(),
            )
        }
    }

    /// Whether a host, with or without a port, is allowed: because it is listed, or
    /// because no name server of somebody else can direct it to this machine. Those are
    /// addresses, and names without a dot.
    pub(crate) fn admit(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let is_listed = |listed: &String| {
            name == *listed || (listed.starts_with('.') && name.ends_with(listed))
        };
        is_address(&name) || !name.contains('.') || self.0.iter().any(is_listed)
    }
}

/// The name or the address of a host that may have a port.
fn without_port(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default()
}

fn is_address(name: &str) -> bool {
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        !part.is_empty() && part.chars().all(letters)
    };
    let mut parts = name.strip_prefix('.').unwrap_or(name).split('.');
    parts.all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_if_it_is_listed_or_no_name_server_can_change_it() {
        let hosts = AllowedHosts::parse("Sandbox.example.com, .localhost,127.0.0.1").unwrap();
        for (host, allowed) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("app.localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("192.168.1.5", true),
            ("[::1]:8080", true),
            ("sandbox:8080", true),
            ("sandbox.example.COM:8080", true),
            ("other.sandbox.example.com", false),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8080", false),
            ("notlocalhost.example", false),
            ("localhost.", false),
        ] {
            assert_eq!(hosts.admit(host), allowed, "{host}");
        }
    }

    #[test]
    fn a_list_has_names_alone() {
        for raw in ["a", "a.b", ".b", "a, .b", "a_b-1.c,::1,[::1]"] {
            assert!(AllowedHosts::parse(raw).is_ok(), "{raw}");
        }
        for raw in [
            "", ",", "a,", "a:8080", "http://a", "*.b", "a..b", ".", "a b",
        ] {
            let error = AllowedHosts::parse(raw).unwrap_err();
            assert!(error.starts_with("is no list of host names"), "{raw}");
        }
    }
}
