//! What a failed connection most likely means, and what to do.

mod certificate;
mod handshake;
mod http;
mod spoken;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::channel::Gateway;
use super::deadline::Deadline;
use super::dial::{CONNECT_TIMEOUT, dial};
use super::failure::Failure;
use super::recorded::Record;

pub(super) use handshake::{handshake, without_http2};
pub(super) use http::not_grpc;
pub(super) use spoken::Spoken;

/// How the address is given, for hints.
const ADDRESS: &str = "--address HOST:PORT or the variable PRESENCE_GATEWAY_ADDRESS";

/// How long to wait for the answer to a question about what a peer is.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(1);

/// A failure to connect: what happened, and a hint.
fn unavailable(gateway: &Gateway, what: &str, hint: impl Into<String>) -> Failure {
    let address = gateway.address.authority();
    let mut hint = hint.into();
    if gateway.address.is_default_port {
        let port = gateway.address.port;
        hint = format!(
            "{hint}\nThe address names no port, so it is that of the gateway's default, {port}."
        );
    }
    Failure::new(
        Code::Unavailable,
        format!("cannot call {address}: {what}"),
        hint,
    )
}

/// The name of the host does not resolve.
pub(super) fn unresolved(gateway: &Gateway, error: &io::Error) -> Failure {
    let host = &gateway.address.host;
    let what = format!("the name `{host}` has no address ({error})");
    let hint = format!("check the name in {ADDRESS}, and that this machine's DNS knows it");
    unavailable(gateway, &what, hint)
}

/// There is no TCP connection.
pub(super) fn unconnected(gateway: &Gateway, error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut causes = std::iter::successors(Some(error), |cause| cause.source());
    let cause = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    let kind = cause.map_or(io::ErrorKind::Other, io::Error::kind);
    match kind {
        io::ErrorKind::ConnectionRefused => unavailable(
            gateway,
            "nothing listens there (connection refused)",
            format!(
                "start a gateway (`presence-gateway serve --sandbox` serves a simulated one), or \
                 give the address of another by {ADDRESS}"
            ),
        ),
        io::ErrorKind::TimedOut => silent(gateway),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => unavailable(
            gateway,
            &format!("there is no way to that host ({kind})"),
            format!("check the address ({ADDRESS}), the network and the VPN of this machine"),
        ),
        _ => {
            let text = cause.map_or_else(|| error.to_string(), ToString::to_string);
            unavailable(gateway, &text, format!("check the address ({ADDRESS})"))
        }
    }
}

/// The host does not answer.
pub(super) fn silent(gateway: &Gateway) -> Failure {
    unavailable(
        gateway,
        &format!("no answer within {CONNECT_TIMEOUT:?}"),
        format!(
            "the host is down or not reachable from here, or a firewall drops the connection; \
             check the address ({ADDRESS})"
        ),
    )
}

/// The peer does not answer the first message of TLS.
pub(super) fn silent_handshake(gateway: &Gateway) -> Failure {
    unavailable(
        gateway,
        &format!("connected, but no TLS handshake within {CONNECT_TIMEOUT:?}"),
        no_tls(gateway),
    )
}

/// The deadline passed in the TLS handshake, if the failure has no hint of its own.
pub(super) fn late_handshake(gateway: &Gateway, mut failure: Failure) -> Failure {
    if failure.status.code() == Code::DeadlineExceeded {
        failure.hint.get_or_insert_with(|| no_tls(gateway));
    }
    failure
}

/// What the silence of a peer in the TLS handshake may mean.
fn no_tls(gateway: &Gateway) -> String {
    format!(
        "nothing was received in time: what listens there may have no TLS; try `http://{}` \
         without TLS flags",
        gateway.address.authority()
    )
}

/// The peer has sent nothing until the deadline passed.
pub(super) fn mute(gateway: &Gateway, status: Status) -> Failure {
    let address = gateway.address.authority();
    let hint = format!(
        "{address} accepted the connection and has sent nothing at all: what listens there may \
         not be a gateway, or it hangs"
    );
    Failure {
        status,
        hint: Some(hint),
    }
}

/// The connection broke.
pub(super) async fn broken(gateway: &Gateway, record: &Record, causes: &str) -> Failure {
    let authority = gateway.address.authority();
    let mut spoken = Spoken::of(&record.first());
    if let Some(tls) = &gateway.tls {
        let error = match record.tls_error() {
            None if spoken == Spoken::Nothing => match question_tls(gateway).await {
                Ok(error) => error,
                Err(failure) => return failure,
            },
            error => error,
        };
        if let Some(error) = error {
            return handshake::alert(gateway, tls, &error);
        }
    } else if spoken == Spoken::Nothing {
        spoken = question(gateway).await;
    }
    let other = format!(
        "give the address of a gateway by {ADDRESS}; {}",
        spoken::OUR_PORTS
    );
    match spoken {
        Spoken::Tls => unavailable(
            gateway,
            "what listens there speaks TLS",
            format!("begin the address with `https://`: `--address https://{authority}`"),
        ),
        Spoken::Http1(line) => unavailable(
            gateway,
            &format!("what listens there speaks HTTP/1.1 (`{line}`), and gRPC needs HTTP/2"),
            other,
        ),
        Spoken::Other(text) => unavailable(
            gateway,
            &format!("what listens there does not speak gRPC; it begins with `{text}`"),
            other,
        ),
        Spoken::Http2 => unavailable(
            gateway,
            &format!("the connection ended before the response ({causes})"),
            "the gateway, or a proxy before it, stopped or closed the connection; a write may \
             have been applied: read before you repeat it",
        ),
        Spoken::Nothing if gateway.tls.is_some() => unavailable(
            gateway,
            &format!("the connection ended without an answer ({causes})"),
            "the gateway may require a client certificate (--tls-cert, --tls-key), or is no \
             gateway",
        ),
        Spoken::Nothing => unavailable(
            gateway,
            &format!("the connection ended without an answer ({causes})"),
            format!(
                "it may need TLS (`--address https://{authority}`), or not be a gateway; {}",
                spoken::OUR_PORTS
            ),
        ),
    }
}

/// Asks a peer that closed the connection without a word, in HTTP/1.1, what it
/// speaks. `OPTIONS *` is HTTP's question without an effect.
async fn question(gateway: &Gateway) -> Spoken {
    let Gateway { address, .. } = gateway;
    let asked = async {
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        let host = address.authority();
        let request = format!("OPTIONS * HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 256];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        Ok::<_, io::Error>(answer)
    };
    match timeout(QUESTION_TIMEOUT, asked).await {
        Ok(Ok(answer)) => Spoken::of(&answer),
        _ => Spoken::Nothing,
    }
}

/// Connects once more with TLS, and only reads. A peer that rejects a certificate says
/// so after the handshake, and closes the connection: a write to it can fail before
/// that is read.
async fn question_tls(gateway: &Gateway) -> Result<Option<rustls::Error>, Failure> {
    let (mut stream, record) = dial(gateway, Deadline::after(None)).await?;
    let _ = timeout(QUESTION_TIMEOUT, stream.read(&mut [0; 64])).await;
    Ok(record.tls_error())
}
