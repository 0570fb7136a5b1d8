//! Answers HTTP/1 on a port for gRPC, which needs HTTP/2: whoever opens the port in a
//! browser, or calls it with curl, learns what it is.

use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::limits::MAX_HTTP1_REQUEST;
use super::listener::tls::HANDSHAKE;

/// How to use the port, for the answers to requests that are no calls.
pub(super) const USAGE: &str = "\
This is the presence gateway, a gRPC server. To see what it serves, and to call it:

  presence-gateway call --list
  presence-gateway call GetSystempresences --token TOKEN --address ADDRESS

ADDRESS is the host and the port, with https:// before it if the port uses TLS. Any
gRPC client can call it, and server reflection is on: grpcurl ADDRESS list
";

/// What was wrong with a request on a port that serves HTTP/2.
pub(crate) const NEEDS_HTTP2: &str = "gRPC needs HTTP/2, and this request is HTTP/1.\n\n";

/// What was wrong with a request without TLS on a port that uses it.
pub(crate) const NEEDS_TLS: &str = "This port uses TLS, and this request does not.\n\n";

/// Answers a request in HTTP/1 with a 400, and closes any other connection. `read` are
/// the bytes that were read already.
///
/// A client of TLS gets the response too. It takes it for what it is, no TLS: "wrong
/// version number", "first record does not look like a TLS handshake". Without one it
/// would report a broken connection.
///
/// The caller limits the time.
pub(super) async fn reject<S>(stream: S, read: Vec<u8>, problem: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, mut writer) = io::split(stream);
    let mut reader = reader.take(MAX_HTTP1_REQUEST);
    if read.first() != Some(&HANDSHAKE) && !is_http1(&mut reader, read).await? {
        return Ok(());
    }
    let length = problem.len() + USAGE.len();
    let response = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{problem}{USAGE}"
    );
    writer.write_all(response.as_bytes()).await?;
    writer.shutdown().await?;
    // To close with unread bytes would reset the connection, and the client could lose
    // the response.
    io::copy(&mut reader, &mut io::sink()).await?;
    Ok(())
}

/// Whether the first line is that of a request in HTTP/1.
async fn is_http1(reader: &mut (impl AsyncRead + Unpin), mut read: Vec<u8>) -> io::Result<bool> {
    loop {
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line = read[..end].trim_ascii_end();
            return Ok(line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"));
        }
        // A method comes first; most other protocols are discovered here.
        let is_method = |byte: &u8| byte.is_ascii_uppercase();
        if !read.first().is_none_or(is_method) || reader.read_buf(&mut read).await? == 0 {
            return Ok(false);
        }
    }
}
