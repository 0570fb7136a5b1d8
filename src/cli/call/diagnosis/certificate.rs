//! A certificate of the server that the verifier rejects.

use jiff::Timestamp;
use rustls::CertificateError as Wrong;
use rustls::pki_types::UnixTime;
use webpki::EndEntityCert;

use crate::cli::call::channel::Gateway;
use crate::cli::call::tls::ClientTls;
use crate::tls::certificate::issuer_and_subject;
use crate::tls::pem;

/// How many CAs of a file are named.
const SHOWN: usize = 3;

/// What is wrong with the certificate, and a hint.
pub(super) fn explain(gateway: &Gateway, tls: &ClientTls, wrong: &Wrong) -> (String, String) {
    match wrong {
        Wrong::UnknownIssuer => untrusted(tls, false),
        // A trusted CA has the name of the issuer, but another key.
        Wrong::BadSignature | Wrong::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            untrusted(tls, true)
        }
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
fn untrusted(tls: &ClientTls, has_name: bool) -> (String, String) {
    let (issuer, subject) = names(tls);
    let Some(file) = &tls.ca_file else {
        return untrusted_by_the_system(tls, &issuer, &subject);
    };
    if is_self_signed(tls) {
        return (
            format!(
                "the server's certificate, of {subject}, is self-signed, and is not the one in \
                 --tls-ca"
            ),
            format!("`{file}` (--tls-ca) must have this very certificate (PEM)"),
        );
    }
    if has_name {
        return (
            format!(
                "the server's certificate, of {subject}, is not issued by the authority in \
                 --tls-ca: that has the name of the issuer, {issuer}, but another key"
            ),
            format!(
                "`{file}` (--tls-ca) may be an earlier CA of the same name: it must have the CA \
                 that issued the certificate"
            ),
        );
    }
    let known = authorities(file);
    (
        format!(
            "the server's certificate, of {subject}, is not issued by the authority in --tls-ca, \
             but by {issuer}"
        ),
        format!(
            "`{file}` (--tls-ca) has {known}: it must have {issuer}, or the gateway must send the \
             intermediate certificates up to one that it has"
        ),
    )
}

/// The same where the CAs of the system are trusted.
fn untrusted_by_the_system(tls: &ClientTls, issuer: &str, subject: &str) -> (String, String) {
    if is_self_signed(tls) {
        return (
            format!("the server's certificate, of {subject}, is self-signed, and not trusted here"),
            "if it is the gateway's, trust it: --tls-ca FILE with this very certificate (PEM), \
             which is its own authority"
                .to_owned(),
        );
    }
    (
        format!(
            "the server's certificate, of {subject}, is of a CA that is not trusted here: \
             {issuer}"
        ),
        "give the CA that issued it: --tls-ca FILE (PEM); or the gateway does not send its \
         intermediate certificates"
            .to_owned(),
    )
}

/// The issuer and the subject of the server's certificate.
fn names(tls: &ClientTls) -> (String, String) {
    let peer = tls.peer.lock();
    let names = peer.as_ref().and_then(|der| issuer_and_subject(der));
    let unknown = || "an unknown name".to_owned();
    names.unwrap_or_else(|| (unknown(), unknown()))
}

/// The names of the CAs in a file.
fn authorities(file: &str) -> String {
    let certificates = pem::file(file).and_then(|pem| pem::certificates(&pem));
    let certificates = certificates.unwrap_or_default().into_iter();
    let names = certificates.filter_map(|der| Some(issuer_and_subject(&der)?.1));
    let names: Vec<String> = names.take(SHOWN).collect();
    match names[..] {
        [] => "other CAs".to_owned(),
        _ => names.join(", "),
    }
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
