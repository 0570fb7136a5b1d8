//! A certificate of the server that the verifier rejects.

use jiff::Timestamp;
use rustls::CertificateError as Wrong;
use rustls::pki_types::UnixTime;
use webpki::EndEntityCert;

use crate::cli::call::channel::Gateway;
use crate::cli::call::tls::ClientTls;

/// What is wrong with the certificate, and a hint.
pub(super) fn explain(gateway: &Gateway, tls: &ClientTls, wrong: &Wrong) -> (String, String) {
    match wrong {
        // The last two: a trusted CA has the name of the issuer, but another key.
        Wrong::UnknownIssuer
        | Wrong::BadSignature
        | Wrong::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => untrusted(tls),
        Wrong::UnsupportedSignatureAlgorithmContext { .. } => (
            "the server's certificate is signed by an algorithm that is not supported".to_owned(),
            "issue one with ECDSA, Ed25519 or RSA of 2048 bits or more, and SHA-256 or longer"
                .to_owned(),
        ),
        Wrong::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().map(|name| name_alone(name)).collect();
            other_name(gateway, tls, &names)
        }
        Wrong::NotValidForName => other_name(gateway, tls, &[]),
        Wrong::ExpiredContext { not_after, .. } => (
            format!("the server's certificate expired on {}", date(*not_after)),
            "renew it (--tls-cert of the gateway); or the clock of this machine is wrong"
                .to_owned(),
        ),
        Wrong::NotValidYetContext { not_before, .. } => (
            format!(
                "the server's certificate is valid only from {}",
                date(*not_before)
            ),
            "the clock of this machine, or of the one that issued it, is wrong".to_owned(),
        ),
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => (
            "the certificate is not for a server".to_owned(),
            "the gateway needs one with the extended key usage of server authentication, or none"
                .to_owned(),
        ),
        Wrong::Other(error) => match error.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => own_authority(tls),
            Some(webpki::Error::UnsupportedCertVersion) => (
                "the server's certificate is of an old version of X.509".to_owned(),
                "issue one of version 3, with its names as subjectAltName".to_owned(),
            ),
            _ => rejected(wrong),
        },
        _ => rejected(wrong),
    }
}

fn rejected(wrong: &Wrong) -> (String, String) {
    (
        format!("the server's certificate is rejected: {wrong}"),
        "give the gateway another certificate; docs/tls.md has what is supported".to_owned(),
    )
}

/// A certificate of an issuer that is not trusted.
fn untrusted(tls: &ClientTls) -> (String, String) {
    let is_self_signed = is_self_signed(tls);
    let what = if is_self_signed {
        "the server's certificate is self-signed, and not trusted here"
    } else {
        "the server's certificate is of a CA that is not trusted here"
    };
    let hint = match (&tls.ca_file, is_self_signed) {
        (None, true) => {
            "if it is the gateway's, trust it: --tls-ca FILE with this very certificate \
                         (PEM), which is its own authority"
                .to_owned()
        }
        (None, false) => {
            "give the CA that issued it: --tls-ca FILE (PEM); or the gateway does not \
                          send its intermediate certificates"
                .to_owned()
        }
        (Some(file), true) => format!(
            "`{file}` (--tls-ca) has other certificates: it must have this very certificate"
        ),
        (Some(file), false) => format!(
            "`{file}` (--tls-ca) has other CAs: it must have the CA that issued the certificate; \
             or the gateway does not send its intermediate certificates"
        ),
    };
    (what.to_owned(), hint)
}

/// A certificate of a CA that the server uses for itself.
fn own_authority(tls: &ClientTls) -> (String, String) {
    let what = if is_self_signed(tls) {
        "the server's certificate is self-signed and marked as a CA, so it is not accepted as a \
         server's, even with --tls-ca"
    } else {
        "the server's certificate is that of a CA, which is not accepted as a server's"
    };
    (
        what.to_owned(),
        "issue one that is no CA: `openssl req -x509` makes it with \
         `-addext basicConstraints=critical,CA:FALSE`; then trust it by --tls-ca FILE"
            .to_owned(),
    )
}

/// A certificate for other names.
fn other_name(gateway: &Gateway, tls: &ClientTls, names: &[String]) -> (String, String) {
    let host = &gateway.address.host;
    let wanted = match &tls.name {
        Some(name) => format!("`{}` (--tls-server-name)", name.to_str()),
        None => format!("`{host}`"),
    };
    match names {
        [] => (
            format!("the server's certificate is not for {wanted}: it has no names"),
            "issue one with its names as subjectAltName; the common name (CN) does not count"
                .to_owned(),
        ),
        [first, ..] => {
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            (
                format!(
                    "the server's certificate is not for {wanted}, but for {}",
                    listed.join(", ")
                ),
                format!(
                    "if that is the gateway, give a name that it has: --tls-server-name {first}"
                ),
            )
        }
    }
}

/// The name in webpki's notation of it: `DnsName("localhost")`.
fn name_alone(presented: &str) -> String {
    let inner = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"').to_owned()
}

/// Whether the server's certificate names itself as its issuer.
fn is_self_signed(tls: &ClientTls) -> bool {
    let peer = tls.peer.lock();
    let certificate = peer
        .as_ref()
        .and_then(|der| EndEntityCert::try_from(der).ok());
    certificate.is_some_and(|certificate| certificate.issuer() == certificate.subject())
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "an unknown date".to_owned(), |t| t.to_string())
}
