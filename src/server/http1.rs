//! Answers HTTP/1 on a port for gRPC, which needs HTTP/2: whoever opens the port in a
//! browser, or calls it with curl, learns what it is.

use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::limits::MAX_HTTP1_REQUEST;
use super::listener::tls::HANDSHAKE;

/// How to use the port, for the answers to requests that are no calls.
pub(super) fn usage(has_tls: bool) -> String {
    let (scheme, plaintext, certificate) = if has_tls {
        let certificate = "\
If its certificate is not of a CA of your system, add --tls-ca FILE; to grpcurl, -cacert FILE.
";
        ("https://", "", certificate)
    } else {
        ("", "-plaintext ", "")
    };
    format!(
        "\
This is the presence gateway, a gRPC server. To see what it serves, and to call it:

  presence-gateway call --list
  presence-gateway call GetSystempresences --token TOKEN --address {scheme}HOST:PORT

Any gRPC client can call it, and server reflection is on:

  grpcurl {plaintext}HOST:PORT list
{certificate}"
    )
}

/// What was wrong with a request on a port that serves HTTP/2.
pub(crate) const NEEDS_HTTP2: &str = "gRPC needs HTTP/2, and this request is HTTP/1.\n\n";

/// What was wrong with a request without TLS on a port that uses it.
pub(crate) const NEEDS_TLS: &str = "This port uses TLS, and this request does not.\n\n";

/// The length of the beginning of a line at which it counts as a request, though its
/// end is not known: a line is kept in memory until then.
const LONG_LINE: usize = 8 * 1024;

/// Answers a request in HTTP/1 with a 400, and closes any other connection. `read` are
/// the bytes that were read already.
///
/// A client of TLS gets the response too. It takes it for what it is, no TLS: "wrong
/// version number", "first record does not look like a TLS handshake". Without one it
/// would report a broken connection.
///
/// The caller limits the time.
pub(super) async fn reject<S>(
    stream: S,
    read: Vec<u8>,
    problem: &str,
    has_tls: bool,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, mut writer) = io::split(stream);
    let mut reader = reader.take(MAX_HTTP1_REQUEST);
    let method = if read.first() == Some(&HANDSHAKE) {
        Some(Vec::new())
    } else {
        method(&mut reader, read).await?
    };
    let Some(method) = method else {
        return Ok(());
    };
    let mut body = problem.to_owned() + &usage(has_tls);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    if method.eq_ignore_ascii_case(b"HEAD") {
        body.clear();
    }
    writer.write_all((head + &body).as_bytes()).await?;
    writer.shutdown().await?;
    // To close with unread bytes would reset the connection, and the client could lose
    // the response.
    io::copy(&mut reader, &mut io::sink()).await?;
    Ok(())
}

/// The method of a request in HTTP/1; `None` if the first line is of something else.
async fn method(
    reader: &mut (impl AsyncRead + Unpin),
    mut read: Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        // Empty lines may stand before a request (RFC 9112, section 2.2).
        let start = read.iter().position(|byte| !b"\r\n".contains(byte));
        let line = &read[start.unwrap_or(read.len())..];
        let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let version = line[..end]
                .trim_ascii_end()
                .rsplit(|byte| *byte == b' ')
                .next();
            let version = version.unwrap_or_default().to_ascii_uppercase();
            let is_http1 = matches!(&version[..], b"HTTP/1.1" | b"HTTP/1.0");
            return Ok(is_http1.then(|| method.to_vec()));
        }
        if read.len() > LONG_LINE {
            let is_path = line
                .get(method.len()..)
                .is_some_and(|it| it.starts_with(b" /"));
            return Ok(is_path.then(|| method.to_vec()));
        }
        // A method comes first; most other protocols are discovered here.
        if !line.first().is_none_or(u8::is_ascii_alphabetic)
            || reader.read_buf(&mut read).await? == 0
        {
            return Ok(None);
        }
    }
}
