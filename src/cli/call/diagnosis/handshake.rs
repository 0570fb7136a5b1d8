//! A TLS handshake that failed.

use std::io;

use rustls::{AlertDescription, Error};

use super::certificate;
use super::spoken::{OUR_PORTS, Spoken};
use super::unavailable;
use crate::cli::call::channel::Gateway;
use crate::cli::call::failure::Failure;
use crate::cli::call::recorded::tls_error;
use crate::cli::call::tls::ClientTls;

/// The handshake failed, of which the peer's first bytes are known.
pub(in crate::cli::call) fn handshake(
    gateway: &Gateway,
    tls: &ClientTls,
    error: &io::Error,
    first: &[u8],
) -> Failure {
    let authority = gateway.address.authority();
    let plain = format!("try it without TLS: `--address http://{authority}`, and no TLS flags");
    match (Spoken::of(first), tls_error(error)) {
        (Spoken::Http2, _) => unavailable(
            gateway,
            "what listens there has no TLS, but speaks HTTP/2",
            plain,
        ),
        (Spoken::Http1(line), _) => unavailable(
            gateway,
            &format!("what listens there speaks HTTP/1.1 without TLS (`{line}`), not gRPC"),
            OUR_PORTS,
        ),
        (Spoken::Other(text), _) => unavailable(
            gateway,
            &format!("what listens there does not speak TLS; it begins with `{text}`"),
            OUR_PORTS,
        ),
        (Spoken::Nothing, _) => unavailable(
            gateway,
            &format!("the peer ended the TLS handshake without an answer ({error})"),
            format!("it may have no TLS; {plain}"),
        ),
        (_, Some(Error::InvalidCertificate(wrong))) => {
            let (what, hint) = certificate::explain(gateway, tls, wrong);
            unavailable(gateway, &what, hint)
        }
        (_, Some(error)) => alert(gateway, tls, error),
        (_, None) => unavailable(
            gateway,
            &format!("the TLS handshake failed ({error})"),
            format!("the peer broke it off; {plain}"),
        ),
    }
}

/// The peer ended the connection with an alert, or violated the protocol.
pub(super) fn alert(gateway: &Gateway, tls: &ClientTls, error: &Error) -> Failure {
    use AlertDescription as Alert;

    let Error::AlertReceived(alert) = error else {
        let what = format!("the TLS handshake failed ({error})");
        let hint = "what listens there may not speak TLS, or a proxy changes the connection";
        return unavailable(gateway, &what, hint);
    };
    let certificate = "--tls-cert FILE and --tls-key FILE";
    match alert {
        Alert::NoApplicationProtocol => without_http2(gateway),
        Alert::UnrecognisedName => unavailable(
            gateway,
            &format!(
                "the server has no certificate for the name `{}`",
                gateway.address.host
            ),
            "give the name that it has by --tls-server-name NAME",
        ),
        Alert::CertificateRequired => unavailable(
            gateway,
            "the gateway requires a client certificate",
            format!(
                "give one of a CA that the gateway trusts (its --tls-client-ca), by {certificate}"
            ),
        ),
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            unavailable(
                gateway,
                &format!("the server refuses the TLS handshake ({alert:?})"),
                if tls.has_certificate {
                    "it may have no version or cipher suite in common: TLS 1.2 and 1.3 are supported"
                    .to_owned()
                } else {
                    format!(
                        "it may require a client certificate ({certificate}), or have no version or \
                     cipher suite in common: TLS 1.2 and 1.3 are supported"
                    )
                },
            )
        }
        _ if tls.has_certificate => unavailable(
            gateway,
            &format!("the server rejects the client certificate of --tls-cert ({alert:?})"),
            "it must be valid now, for client authentication, and of a CA in the gateway's \
             --tls-client-ca",
        ),
        _ => unavailable(
            gateway,
            &format!("the server ended TLS with an alert ({alert:?})"),
            format!("it may require a client certificate: {certificate}"),
        ),
    }
}

/// The peer speaks TLS, but not HTTP/2.
pub(in crate::cli::call) fn without_http2(gateway: &Gateway) -> Failure {
    unavailable(
        gateway,
        "what listens there speaks TLS, but does not offer HTTP/2 (ALPN `h2`), which gRPC needs",
        format!(
            "it may be a web server, or a proxy or load balancer that must be set to HTTP/2 \
             towards its clients; {OUR_PORTS}"
        ),
    )
}
