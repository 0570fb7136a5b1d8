//! Why the store cannot be used: the library's errors, as operators can act on them.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::CertificateError;

use super::address::{Kind, StoreAddress};

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// To open a connection.
    Connect,
    /// A request on an open one.
    Request,
}

/// An error of a server that responds, but cannot be used.
pub(super) fn unusable(why: &str) -> RedisError {
    (ErrorKind::Client, "unusable", why.to_owned()).into()
}

/// What an error of the store means, without the texts of keys or credentials.
pub(super) fn describe(error: &RedisError, address: &StoreAddress, attempt: Attempt) -> String {
    if let Some(error) = tls_error(error) {
        return describe_tls(error);
    }
    if error.is_timeout() {
        return match attempt {
            Attempt::Connect => no_connection(address),
            Attempt::Request => "it does not respond".to_owned(),
        };
    }
    if error.is_connection_dropped() && !error.is_connection_refusal() {
        return match attempt {
            Attempt::Request => "it closed the connection".to_owned(),
            Attempt::Connect if address.is_secure() => "it closes new connections".to_owned(),
            Attempt::Connect => format!(
                "it closes new connections, as a server with TLS does: write `{}` for one",
                address.scheme(true)
            ),
        };
    }
    let text = error.to_string();
    let advice = match error.kind() {
        ErrorKind::Client if error.detail().is_some() => error.detail().unwrap_or_default(),
        ErrorKind::Parse => "what listens there does not speak the Redis protocol",
        ErrorKind::AuthenticationFailed => "it rejects the user or password",
        ErrorKind::MasterNameNotFoundBySentinel => {
            "the Sentinels know no primary of the name in the URL"
        }
        ErrorKind::ClusterConnectionNotFound => {
            "no node of the cluster responds, or it has no slots"
        }
        ErrorKind::Server(ServerErrorKind::ReadOnly) => "it is a read-only replica",
        ErrorKind::Server(ServerErrorKind::NoPerm) => return needs_permissions(address),
        ErrorKind::Server(ServerErrorKind::ClusterDown) => "the cluster is down",
        ErrorKind::Server(ServerErrorKind::BusyLoading) => "it is loading its data",
        ErrorKind::Server(ServerErrorKind::MasterDown) => "it is a replica that lost its primary",
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => {
            "it is a node of a cluster: write `redis-cluster://`"
        }
        _ => match error.code() {
            Some("NOAUTH") => "it requires a password",
            Some("WRONGPASS") => "it rejects the user or password",
            Some("OOM") => "it is out of memory",
            Some("MISCONF") => "it cannot save its data, and rejects writes",
            _ if text.contains("cluster support disabled") => {
                "it is no cluster: write `redis://` for a single server"
            }
            _ if text.contains("switch database") => "it does not have the database of the URL",
            _ => &text,
        },
    };
    advice.to_owned()
}

/// The permissions that a user needs, by docs/shared-budget.md.
fn needs_permissions(address: &StoreAddress) -> String {
    let more = match &address.kind {
        Kind::Server if address.database != 0 => " +select",
        Kind::Server => "",
        Kind::Sentinel { .. } if address.database != 0 => " +role +select",
        Kind::Sentinel { .. } => " +role",
        Kind::Cluster => " +cluster +ping",
    };
    format!(
        "its ACL does not let the user run the script: the user needs \
         `+evalsha +eval +time +get +set +del{more} ~presence-gateway:*`"
    )
}

/// The error of TLS that a connection has failed with.
fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    // The library's source is the pointer to the error, not the error.
    let source = error
        .source()?
        .downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    source
        .downcast_ref::<io::Error>()?
        .get_ref()?
        .downcast_ref()
}

/// Why there is no connection, if nothing comes in time.
pub(super) fn no_connection(address: &StoreAddress) -> String {
    let advice = if address.is_secure() {
        "; a server without TLS does not respond to `rediss` either"
    } else {
        ""
    };
    format!("it does not respond to a new connection{advice}")
}

fn describe_tls(error: &rustls::Error) -> String {
    use rustls::AlertDescription::CertificateRequired;
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no CA that is trusted has issued its certificate: give its CA by --budget-store-ca"
                .to_owned()
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("{error}; Sentinels and clusters announce addresses of their own"),
        InvalidMessage(_) => {
            "it does not speak TLS: write `redis` instead of `rediss` in the URL".to_owned()
        }
        AlertReceived(CertificateRequired) => {
            "it requires a client certificate, which the gateway does not have: set \
             `tls-auth-clients no` there"
                .to_owned()
        }
        error => error.to_string(),
    }
}
