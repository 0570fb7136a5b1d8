//! A tunnel through a proxy (`CONNECT`, RFC 9110, section 9.3.6).
//!
//! hyper-util's (0.1.21, after hyperium/hyper-util#315) takes the status 200
//! alone for a success, and says of a refusal neither its status nor whose it is.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::client::USER_AGENT;
use super::connector::BoxError;

/// How long a proxy may take to open a tunnel. It looks up a name for that,
/// with name servers that may be silent for 5 s, and connects.
pub const TUNNEL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of an answer that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What a proxy refused, and with which status.
#[derive(Debug, Clone)]
pub(super) struct ProxyRefusal {
    /// The host and port of the proxy, and never its user and password.
    proxy: String,
    /// The tunnel, or a request.
    what: &'static str,
    status: StatusCode,
}

impl ProxyRefusal {
    pub(super) fn of_tunnel(proxy: &str, status: StatusCode) -> Self {
        Self {
            proxy: proxy.to_owned(),
            what: "tunnel",
            status,
        }
    }

    pub(super) fn of_request(proxy: &str, status: StatusCode) -> Self {
        Self {
            what: "request",
            ..Self::of_tunnel(proxy, status)
        }
    }

    /// Whether it would be the same another time: it is for lack of a password
    /// or a right, and not of the vendor or of time.
    pub(super) fn is_final(&self) -> bool {
        let passes = matches!(self.status.as_u16(), 408 | 425 | 429);
        self.status.is_redirection() || self.status.is_client_error() && !passes
    }
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            proxy,
            what,
            status,
        } = self;
        write!(f, "the proxy {proxy} refused the {what} with {status}")
    }
}

impl Error for ProxyRefusal {}

/// Opens a tunnel to `target`, a host and a port, over a connection to a proxy.
///
/// # Errors
///
/// A [`ProxyRefusal`], or what kept the proxy from answering; both name it.
pub(super) async fn open<S>(
    stream: &mut S,
    target: &str,
    proxy: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let named = |kind, why: &dyn Display| io::Error::new(kind, format!("the proxy {proxy} {why}"));
    let Ok(answer) = timeout(TUNNEL_TIMEOUT, connect(stream, target, authorization)).await else {
        let why = format!("did not answer CONNECT within {TUNNEL_TIMEOUT:?}");
        return Err(named(io::ErrorKind::TimedOut, &why).into());
    };
    let status = answer.map_err(|error| named(error.kind(), &error))?;
    if status.is_success() {
        Ok(())
    } else {
        Err(ProxyRefusal::of_tunnel(proxy, status).into())
    }
}

/// Asks for a tunnel; gives the status of the answer.
async fn connect<S>(
    stream: &mut S,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> io::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n")
            .into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    loop {
        let status = status(&head(stream).await?)?;
        if !status.is_informational() {
            return Ok(status);
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn broken(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("broke the connection: {error}"))
}

/// Reads a head to its end and no byte further, for what follows is not the
/// proxy's. It is some hundred bytes, once for a connection.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD {
            let why = format!("answered CONNECT with a head larger than {MAX_HEAD} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut byte = [0];
        if stream.read(&mut byte).await.map_err(broken)? == 0 {
            let why = "closed the connection before its answer to CONNECT was whole";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        head.push(byte[0]);
    }
    Ok(head)
}

/// The status in the first line of a head.
fn status(head: &[u8]) -> io::Result<StatusCode> {
    let line = head.split(|&byte| byte == b'\r' || byte == b'\n').next();
    let code = line.and_then(|line| {
        let line = line.strip_prefix(b"HTTP/1.")?;
        match line {
            [b'0' | b'1', b' ', code @ ..] => code.split(|&byte| byte == b' ').next(),
            _ => None,
        }
    });
    let status = code.and_then(|code| StatusCode::from_bytes(code).ok());
    status.ok_or_else(|| {
        let why = "answered CONNECT with no HTTP/1.1";
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::duplex;
    use tokio::time::sleep;

    use super::*;

    const PROXY: &str = "proxy.example:3128";

    /// Opens a tunnel through a proxy that answers after so long.
    async fn opened(after: Duration, answer: &[u8]) -> Result<(), String> {
        let (mut near, mut far) = duplex(MAX_HEAD);
        let proxy = async {
            let mut request = [0; 1024];
            let length = far.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"CONNECT vendor.example:443 HTTP/1.1\r\n"));
            sleep(after).await;
            far.write_all(answer).await.unwrap();
            pending::<()>().await;
        };
        tokio::select! {
            opened = open(&mut near, "vendor.example:443", PROXY, None) => {
                opened.map_err(|error| error.to_string())
            }
            () = proxy => unreachable!("the proxy stays"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_may_take_longer_than_a_tcp_connect_and_has_a_bound_of_its_own() {
        let ok = b"HTTP/1.1 200 OK\r\n\r\n";
        opened(Duration::from_millis(3500), ok).await.unwrap();
        opened(Duration::from_millis(9999), ok).await.unwrap();
        assert_eq!(
            opened(Duration::from_millis(10_001), ok).await,
            Err(format!(
                "the proxy {PROXY} did not answer CONNECT within 10s"
            ))
        );
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_not_read_without_an_end() {
        let head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(MAX_HEAD));
        let refused = opened(Duration::ZERO, head.as_bytes()).await;
        let why = format!("answered CONNECT with a head larger than {MAX_HEAD} bytes");
        assert_eq!(refused, Err(format!("the proxy {PROXY} {why}")));
    }

    #[tokio::test]
    async fn a_refusal_is_final_where_it_is_for_lack_of_a_right() {
        for (code, is_final) in [
            (302, true),
            (400, true),
            (403, true),
            (407, true),
            (408, false),
            (429, false),
            (500, false),
            (502, false),
            (504, false),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            let refusal = ProxyRefusal::of_tunnel(PROXY, status);
            assert_eq!(refusal.is_final(), is_final, "{refusal}");
        }
    }
}
