//! What `serve --sandbox` prints: how to call the gateway, and where its sandbox is.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::upstream::endpoint::Endpoint;

/// The command that calls a gateway on its sandbox, in lines that a shell joins. A
/// sandbox may have no user to ask for.
pub(super) fn call(address: SocketAddr, has_tls: bool, has_users: bool) -> String {
    let (scheme, flags) = if has_tls {
        (
            "https://",
            " \\\n    --tls-ca CA.pem --tls-server-name NAME",
        )
    } else {
        ("", "")
    };
    let program = std::env::args().next();
    let program = quoted(program.as_deref().unwrap_or("presence-gateway"));
    let address = reachable(address);
    let rpc = if has_users {
        "GetUserPresencesPurecloud \\\n    '{\"userId\": \"00000000-0000-4000-8000-000000000001\"}'"
    } else {
        "GetSystempresences"
    };
    format!(
        "{program} call {rpc} \\\n    \
         --token any --address {scheme}{address}{flags}"
    )
}

/// Prints how to call the gateway, and how to see and change its sandbox.
pub(super) fn print(address: SocketAddr, has_tls: bool, has_users: bool, sandbox: &Endpoint) {
    let hint = if has_tls {
        "CA.pem: the CA of the certificate, or itself if it is self-signed; NAME: a name in it. \
         With --tls-client-ca, add --tls-cert and --tls-key.\n\n"
    } else {
        ""
    };
    let call = call(address, has_tls, has_users);
    // A closed standard output is no reason to stop.
    let _ = writeln!(
        io::stdout(),
        "The gateway serves its sandbox on {address}. In another terminal:\n\n  \
         {call}\n\n\
         {hint}\
         Users, requests and faults of the sandbox, in a browser: {sandbox}/\n\
         As text, with commands: curl {sandbox}/sandbox\n"
    );
}

/// The address at which this machine reaches a server on `address`.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_is() {
        for word in ["target/debug/gateway", "/a b/it's", "$HOME;x", "*"] {
            let echo = format!("printf %s {}", quoted(word));
            let echo = std::process::Command::new("sh")
                .args(["-c", &echo])
                .output();
            assert_eq!(String::from_utf8(echo.unwrap().stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_server_on_all_addresses_is_called_on_loopback() {
        for (address, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let reached = reachable(address.parse().unwrap());
            assert_eq!(reached.to_string(), expected);
        }
    }
}
