//! Where the store is: the parts of its URL.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, TlsCertificates};

/// The forms of the URL.
const FORMS: &str = "`redis://[user:password@]host[:6379][/database]` (`rediss://` for TLS), \
                     `redis-sentinel://[user:password@]host[:26379],host,…/primary[/database]` or \
                     `redis-cluster://[user:password@]host[:6379],host,…`";

/// A password, which no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The first line of a file's text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Whether it has no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What the hosts of the URL are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// One server.
    Server,
    /// Sentinels, which name the server that is the primary at present.
    Sentinel { primary: String },
    /// Some of the nodes of a cluster, which name the others.
    Cluster,
}

/// Where the store is, and how it is logged in to. As text it is its URL without
/// the user and the password.
#[derive(Debug, Clone)]
pub struct StoreAddress {
    pub(super) kind: Kind,
    is_secure: bool,
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) database: i64,
    /// The CAs to trust instead of the system's, as PEM.
    authorities: Option<Vec<u8>>,
}

impl StoreAddress {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// As the end of a sentence that begins with the URL.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let login = if url.contains('@') {
                ", with `/`, `@`, `:` and `?` of a user or password percent-encoded"
            } else {
                ""
            };
            format!("{why}; the forms are {FORMS}{login}")
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("has no scheme"))?;
        let (is_secure, kind) = match scheme.to_ascii_lowercase().as_str() {
            "redis" => (false, "server"),
            "rediss" => (true, "server"),
            "redis-sentinel" => (false, "sentinel"),
            "rediss-sentinel" => (true, "sentinel"),
            "redis-cluster" => (false, "cluster"),
            "rediss-cluster" => (true, "cluster"),
            "valkey" => return Err(wrong("is written `redis://…` for Valkey too")),
            "valkeys" => return Err(wrong("is written `rediss://…` for Valkey too")),
            "http" | "https" => {
                return Err(wrong(
                    "is an HTTP address; the store speaks the Redis protocol",
                ));
            }
            _ => return Err(wrong("has an unknown scheme")),
        };
        if rest.contains(['?', '#']) {
            return Err(wrong("must hold no query or fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let (user, password) = match login {
            None => (None, None),
            Some(login) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let password = (!password.is_empty())
                    .then(|| decoded(password))
                    .transpose();
                let user = (!user.is_empty()).then(|| decoded(user)).transpose();
                (
                    user.map_err(|why| wrong(&why))?,
                    password.map_err(|why| wrong(&why))?,
                )
            }
        };
        let port = if kind == "sentinel" { 26_379 } else { 6_379 };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|host| host_port(host, port))
            .collect::<Result<_, _>>()
            .map_err(|why| wrong(&why))?;
        let (primary, database) = match (kind, path.split_once('/')) {
            ("sentinel", None) => (path, ""),
            ("sentinel", Some((primary, database))) => (primary, database),
            _ => ("", path),
        };
        let kind = match kind {
            "server" if hosts.len() > 1 => {
                return Err(wrong("has several hosts, which a single server has not"));
            }
            "server" => Kind::Server,
            "cluster" if !database.is_empty() && database != "0" => {
                return Err(wrong("has a database, which a cluster has not"));
            }
            "cluster" => Kind::Cluster,
            _ if primary.is_empty() => {
                return Err(wrong(
                    "lacks the name of the primary that the Sentinels watch",
                ));
            }
            _ => Kind::Sentinel {
                primary: decoded(primary).map_err(|why| wrong(&why))?,
            },
        };
        let database = match database {
            "" => 0,
            number => number
                .parse::<u16>()
                .map(i64::from)
                .map_err(|_| wrong("has a database that is no number"))?,
        };
        Ok(Self {
            kind,
            is_secure,
            hosts,
            user,
            password: password.map(Password),
            database,
            authorities: None,
        })
    }

    /// Whether the URL holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether the URL names a user.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// Whether it is reached with TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Logs in with this password.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        Self {
            password: Some(password),
            ..self
        }
    }

    /// Trusts these CAs, as PEM, instead of the system's.
    #[must_use]
    pub fn with_authorities(self, pem: Vec<u8>) -> Self {
        Self {
            authorities: Some(pem),
            ..self
        }
    }

    /// The scheme of such a store, with TLS or without.
    pub(super) fn scheme(&self, is_secure: bool) -> String {
        let secure = if is_secure { "s" } else { "" };
        let kind = match &self.kind {
            Kind::Server => "",
            Kind::Sentinel { .. } => "-sentinel",
            Kind::Cluster => "-cluster",
        };
        format!("redis{secure}{kind}://")
    }

    /// The address of one of the hosts.
    pub(super) fn addr(&self, index: usize) -> ConnectionAddr {
        let (host, port) = self.hosts[index].clone();
        if self.is_secure {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    /// The CAs, if it is reached with TLS: those that are set, or the system's.
    pub(super) fn certificates(&self) -> Option<TlsCertificates> {
        self.is_secure.then(|| TlsCertificates {
            client_tls: None,
            root_cert: self.authorities.clone(),
        })
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme(self.is_secure))?;
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let (open, close) = if host.contains(':') {
                ("[", "]")
            } else {
                ("", "")
            };
            write!(f, "{comma}{open}{host}{close}:{port}")?;
        }
        if let Kind::Sentinel { primary } = &self.kind {
            write!(f, "/{primary}")?;
        }
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

fn decoded(part: &str) -> Result<String, String> {
    let decoded = percent_decode_str(part).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| "has percent-encoded bytes that are no UTF-8".to_owned())
}

fn host_port(raw: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match raw.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, port.strip_prefix(':').or(Some(""))),
        None => match raw.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (raw, None),
        },
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("has a host without a name".to_owned());
    }
    let port = match port {
        None => default,
        Some(port) => port
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or("has a port that is no number from 1 to 65535")?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
