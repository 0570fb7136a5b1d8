//! The faults of the vendor, and the responses that carry them.

use std::future::pending;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::column::Column;
use super::gzip;
use crate::support::CORRELATION_ID;

/// A fault between the gateway and the vendor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Refused,
    NoSuchHost,
    NeverShakesHands,
    HangsUpInHandshake,
    UnknownAuthority,
    /// The request arrives and gets this response.
    Responds(VendorResponse),
}

/// A response of the vendor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum VendorResponse {
    /// These bytes, then the end of the connection.
    Raw(&'static str),
    /// A valid response with this number of header lines.
    HeadLines(usize),
    /// A valid response with a header of this size.
    LongLine(usize),
    Never,
    DripsHead,
    /// A status, a `Retry-After`, and a body.
    Whole(u16, Option<&'static str>, Content),
}

/// The body of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    NoBody,
    /// The vendor's error body.
    ApiError,
    /// No body, and a `Location`.
    Redirect,
    Html,
    Text(&'static str),
    CutInBody,
    CutInChunks,
    Drips,
    /// The successful body, byte by byte.
    DripsToEnd,
    Oversized,
    OversizedInChunks,
    /// The successful body, compressed.
    Compressed,
    /// The vendor's error body, compressed.
    ApiErrorCompressed,
    /// With the encoding `br`, which the gateway does not support.
    Brotli,
    /// Gzip with a wrong checksum.
    BrokenGzip,
    Bomb,
}

impl Fault {
    /// The HTTP status of the response, if any.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Responds(VendorResponse::Whole(status, _, _)) => Some(status),
            _ => None,
        }
    }

    /// Whether the response has the vendor's error body.
    pub fn has_api_error(self) -> bool {
        matches!(
            self,
            Self::Responds(VendorResponse::Whole(
                _,
                _,
                Content::ApiError | Content::ApiErrorCompressed
            ))
        )
    }
}

/// Slow enough that no body is complete at the deadline; fast enough that no
/// timeout between two bytes would fire.
const DRIP: Duration = Duration::from_millis(50);

/// Larger than the gateway reads of any response.
const TOO_LARGE: usize = 8 * 1024 * 1024 + 1;

/// Responds to a request with this token.
pub async fn respond(
    stream: &mut (impl AsyncWrite + Unpin),
    response: VendorResponse,
    column: &Column,
    token: &str,
) -> std::io::Result<()> {
    let (status, when, content) = match response {
        VendorResponse::Raw(bytes) => return stream.write_all(bytes.as_bytes()).await,
        VendorResponse::HeadLines(lines) => {
            let lines = "x-line: of many\r\n".repeat(lines - 1);
            let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\n{{}}");
            return stream.write_all(head.as_bytes()).await;
        }
        VendorResponse::LongLine(length) => {
            let line = "x".repeat(length);
            let head =
                format!("HTTP/1.1 200 OK\r\nx-long: {line}\r\ncontent-length: 2\r\n\r\n{{}}");
            return stream.write_all(head.as_bytes()).await;
        }
        VendorResponse::Never => pending().await,
        VendorResponse::DripsHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-drip: ").await?;
            return drip(stream).await;
        }
        VendorResponse::Whole(status, when, content) => (status, when, content),
    };
    let retry_after = when.map(|when| format!("retry-after: {when}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} Some Words\r\nconnection: close\r\nININ-Correlation-Id: \
         {CORRELATION_ID}\r\n{}",
        retry_after.unwrap_or_default()
    );
    stream.write_all(head.as_bytes()).await?;
    body(stream, content, status, column, token).await?;
    stream.shutdown().await
}

async fn body(
    stream: &mut (impl AsyncWrite + Unpin),
    content: Content,
    status: u16,
    column: &Column,
    token: &str,
) -> std::io::Result<()> {
    match content {
        Content::NoBody if status == 204 => stream.write_all(b"\r\n").await,
        Content::NoBody => sized(stream, "", b"").await,
        Content::ApiError => sized(stream, "", error(status, column).as_bytes()).await,
        Content::Redirect => {
            let location = format!("location: /elsewhere?token={token}\r\n");
            sized(stream, &location, b"").await
        }
        Content::Html => {
            let html = format!("<!doctype html><title>{token}</title>");
            sized(stream, "content-type: text/html\r\n", html.as_bytes()).await
        }
        Content::Text(text) => sized(stream, "", text.as_bytes()).await,
        Content::CutInBody => {
            let half = format!("content-length: 1000\r\n\r\n{{\"code\":\"{token}");
            stream.write_all(half.as_bytes()).await
        }
        Content::CutInChunks => {
            let half = "transfer-encoding: chunked\r\n\r\n9\r\n{\"id\":\"p\"\r\n";
            stream.write_all(half.as_bytes()).await
        }
        Content::Drips => {
            stream.write_all(b"content-length: 100000\r\n\r\n").await?;
            drip(stream).await
        }
        Content::DripsToEnd => {
            let length = column.body.len() + 10;
            let head = format!("content-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            for byte in format!("{}{}", " ".repeat(10), column.body).bytes() {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                sleep(DRIP / 5).await;
            }
            Ok(())
        }
        Content::Oversized => {
            // The declared length is enough; the body is not sent.
            let head = format!("content-length: {TOO_LARGE}\r\n\r\n{{\"x\":\"{token}");
            stream.write_all(head.as_bytes()).await?;
            pending().await
        }
        Content::OversizedInChunks => {
            stream
                .write_all(b"transfer-encoding: chunked\r\n\r\n")
                .await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..=TOO_LARGE / 0x10000 {
                stream.write_all(chunk.as_bytes()).await?;
            }
            pending().await
        }
        Content::Compressed => {
            let body = gzip::stored(column.body);
            sized(stream, "content-encoding: gzip\r\n", &body).await
        }
        Content::ApiErrorCompressed => {
            let body = gzip::stored(&error(status, column));
            sized(stream, "Content-Encoding: X-GZIP\r\n", &body).await
        }
        Content::Brotli => {
            let body = column.body.as_bytes();
            sized(stream, "content-encoding: br\r\n", body).await
        }
        Content::BrokenGzip => {
            let mut body = gzip::stored(column.body);
            // A byte of the checksum.
            let position = body.len() - 8;
            body[position] ^= 1;
            sized(stream, "content-encoding: gzip\r\n", &body).await
        }
        Content::Bomb => sized(stream, "content-encoding: gzip\r\n", &gzip::bomb()).await,
    }
}

/// The vendor's error body.
fn error(status: u16, column: &Column) -> String {
    let body = json!({
        "code": "some.vendor.code", "message": "the vendor's words", "status": status,
        "contextId": "another", "errors": [],
        "details": [{"fieldName": column.field[0], "errorCode": "some.wrong"}],
    });
    body.to_string()
}

/// Writes the rest of the head and the whole body.
async fn sized(
    stream: &mut (impl AsyncWrite + Unpin),
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let head = format!("{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

/// Writes a byte per `DRIP` until the connection closes.
async fn drip(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    loop {
        stream.write_all(b" ").await?;
        stream.flush().await?;
        sleep(DRIP).await;
    }
}
