//! The address of the gateway, as callers write it.

use std::net::Ipv6Addr;

/// The port of an address that names none: that of `serve` without `--listen`.
const DEFAULT_PORT: u16 = 50051;

/// Where the gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
    /// Whether the address names no port.
    pub is_default_port: bool,
    /// Whether `https://` or `http://` stands before it, if either does.
    pub is_secure: Option<bool>,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    ///
    /// The text continues a sentence that begins with the name of the setting.
    pub(super) fn parse(given: &str) -> Result<Self, String> {
        let text = given.trim();
        if text.contains('@') {
            return Err(
                "`…` has a user or a password, which gRPC does not use: give the token by \
                        --token, and here only HOST:PORT"
                    .to_owned(),
            );
        }
        let wrong = |what: String| format!("`{given}` {what}");
        let (is_secure, rest) = scheme(text).map_err(wrong)?;
        let authority = rest.trim_end_matches('/');
        if let Some(end) = authority.find(['/', '?', '#']) {
            let scheme = &text[..text.len() - rest.len()];
            return Err(wrong(format!(
                "has a path, and a gRPC server has none: write `{scheme}{}`",
                &authority[..end]
            )));
        }
        let (host, port) = host_and_port(authority).map_err(wrong)?;
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(wrong(
                "is not HOST:PORT, for example `127.0.0.1:50051`".to_owned(),
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(DEFAULT_PORT),
            is_default_port: port.is_none(),
            is_secure,
        })
    }

    /// Host and port, with brackets around an IPv6 address.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Whether the scheme of an address selects TLS, if it has one, and what follows it.
fn scheme(text: &str) -> Result<(Option<bool>, &str), String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.trim_start_matches('/');
        return match scheme.to_ascii_lowercase().as_str() {
            "http" => Ok((Some(false), rest)),
            "https" => Ok((Some(true), rest)),
            "unix" => {
                Err("is a Unix socket, and the gateway listens on TCP: write HOST:PORT".into())
            }
            scheme => Err(format!(
                "begins with `{scheme}://`: write `{host}`, or `https://{host}` for TLS"
            )),
        };
    }
    // The notation of gRPC's libraries: `dns:host:port`, `ipv6:[::1]:50051`.
    match text.split_once(':') {
        Some((scheme @ ("dns" | "ipv4" | "ipv6" | "passthrough" | "xds" | "unix"), host))
            if host.parse::<u16>().is_err() =>
        {
            Err(format!(
                "begins with `{scheme}:`: write `{host}`, or `https://{host}` for TLS"
            ))
        }
        _ => Ok((None, text)),
    }
}

/// The host, without brackets, and the port, if there is one.
fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or("lacks the bracket `]` after the IPv6 address")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(format!(
                "has `{host}` in brackets, which is no IPv6 address"
            ));
        }
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(self::port(port)?),
            None if rest.is_empty() => None,
            None => return Err("is not `[IPV6]:PORT`, for example `[::1]:50051`".to_owned()),
        };
        return Ok((host, port));
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Ok((authority, None));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if host.contains(':') => Err(format!(
            "has more than one colon: write an IPv6 address in brackets, `[{host}]:{port}`"
        )),
        // `:50051`, as servers write their own port.
        Some(("", port)) => Ok(("localhost", Some(self::port(port)?))),
        Some((host, port)) => Ok((host, Some(self::port(port)?))),
        None if authority.parse::<u16>().is_ok() => Err(format!(
            "is a port without a host: write `127.0.0.1:{authority}`"
        )),
        None => Ok((authority, None)),
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "has the port `{text}`, which is not a number from 1 to 65535"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<bool>) {
        let address = Address::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        (address.authority(), address.is_secure)
    }

    #[test]
    fn an_address_without_a_port_has_the_default_port() {
        for (text, authority, is_secure) in [
            ("gateway", "gateway:50051", None),
            ("10.0.0.1", "10.0.0.1:50051", None),
            ("::1", "[::1]:50051", None),
            ("[::1]", "[::1]:50051", None),
            ("http://gateway", "gateway:50051", Some(false)),
            ("https://gateway/", "gateway:50051", Some(true)),
        ] {
            assert_eq!(parsed(text), (authority.to_owned(), is_secure), "{text}");
            assert!(Address::parse(text).unwrap().is_default_port);
        }
    }

    #[test]
    fn an_address_with_a_port_keeps_it() {
        for (text, authority, is_secure) in [
            ("127.0.0.1:1", "127.0.0.1:1", None),
            (" gateway:443 ", "gateway:443", None),
            (":50052", "localhost:50052", None),
            ("dns:50052", "dns:50052", None),
            ("[2001:db8::1]:65535", "[2001:db8::1]:65535", None),
            (
                "HTTPS://gateway.example:443//",
                "gateway.example:443",
                Some(true),
            ),
        ] {
            assert_eq!(parsed(text), (authority.to_owned(), is_secure), "{text}");
            assert!(!Address::parse(text).unwrap().is_default_port);
        }
    }

    #[test]
    fn a_wrong_address_is_reported_with_the_right_one() {
        for (text, expected) in [
            ("", "is not HOST:PORT"),
            ("a b:1", "is not HOST:PORT"),
            ("https://", "is not HOST:PORT"),
            ("50051", "write `127.0.0.1:50051`"),
            ("gateway:", "has the port ``"),
            ("gateway:0", "not a number from 1 to 65535"),
            ("gateway:99999", "has the port `99999`"),
            ("gateway:grpc", "has the port `grpc`"),
            (
                "fe80::1:50051",
                "write an IPv6 address in brackets, `[fe80::1]:50051`",
            ),
            ("[::1:50051", "lacks the bracket"),
            ("[gateway]:1", "no IPv6 address"),
            ("http://gateway:1/api/v2", "write `http://gateway:1`"),
            ("gateway:1?x", "write `gateway:1`"),
            (
                "grpc://gateway:1",
                "write `gateway:1`, or `https://gateway:1` for TLS",
            ),
            (
                "dns:///gateway:1",
                "begins with `dns://`: write `gateway:1`",
            ),
            ("dns:gateway:1", "begins with `dns:`: write `gateway:1`"),
            ("unix:///run/gateway", "listens on TCP"),
        ] {
            let wrong = Address::parse(text).unwrap_err();
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
        let secret = Address::parse("http://user:s3cret@gateway").unwrap_err();
        assert!(!secret.contains("s3cret"), "{secret}");
    }
}
