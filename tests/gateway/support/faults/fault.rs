//! What the vendor does to a request.

use std::future::pending;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::column::Column;
use super::gzip;
use crate::support::CORRELATION_ID;

/// What is wrong between the gateway and the vendor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Refused,
    NoSuchHost,
    NeverShakesHands,
    HangsUpInHandshake,
    UnknownAuthority,
    /// The request arrives, and this is the answer.
    Responds(VendorResponse),
}

/// An answer of the vendor's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum VendorResponse {
    /// These bytes, and the end of the connection.
    Raw(&'static str),
    /// A head of so many lines, and nothing else wrong.
    HeadLines(usize),
    /// A head with one line of so many bytes.
    LongLine(usize),
    Never,
    DripsHead,
    /// A status, a `Retry-After`, and a body.
    Whole(u16, Option<&'static str>, Content),
}

/// What follows the head of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    NoBody,
    /// The vendor's error.
    ApiError,
    /// The target of a redirect.
    Redirect,
    Html,
    Text(&'static str),
    CutInBody,
    CutInChunks,
    Drips,
    /// What was asked for, byte by byte.
    DripsToEnd,
    Oversized,
    OversizedInChunks,
    /// What was asked for, compressed.
    Compressed,
    /// The vendor's error, compressed.
    ApiErrorCompressed,
    /// Named as compressed in a way that the gateway does not read.
    Brotli,
    /// Named as compressed, and cut or garbled.
    BrokenGzip,
    Bomb,
}

impl Fault {
    /// The answer's status, where it has one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Responds(VendorResponse::Whole(status, _, _)) => Some(status),
            _ => None,
        }
    }

    /// Whether the answer bears the vendor's error.
    pub fn is_vendors(self) -> bool {
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

/// Rare enough that nothing is done by the deadline, and often enough that no
/// timeout between two bytes would notice.
const DRIP: Duration = Duration::from_millis(50);

/// More than the gateway reads of any answer.
const TOO_LARGE: usize = 8 * 1024 * 1024 + 1;

/// Answers a request that bore the token `token`.
pub async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: VendorResponse,
    column: &Column,
    token: &str,
) -> std::io::Result<()> {
    let (status, when, content) = match answer {
        VendorResponse::Raw(answer) => return stream.write_all(answer.as_bytes()).await,
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
            let length = column.answer.len() + 10;
            let head = format!("content-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            for byte in format!("{}{}", " ".repeat(10), column.answer).bytes() {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                sleep(DRIP / 5).await;
            }
            Ok(())
        }
        Content::Oversized => {
            // It need not be sent: its declaration says enough.
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
            let answer = gzip::wrapped(column.answer);
            sized(stream, "content-encoding: gzip\r\n", &answer).await
        }
        Content::ApiErrorCompressed => {
            let body = gzip::wrapped(&error(status, column));
            sized(stream, "Content-Encoding: X-GZIP\r\n", &body).await
        }
        Content::Brotli => {
            let answer = column.answer.as_bytes();
            sized(stream, "content-encoding: br\r\n", answer).await
        }
        Content::BrokenGzip => {
            let mut answer = gzip::wrapped(column.answer);
            // A byte of the checksum.
            let place = answer.len() - 8;
            answer[place] ^= 1;
            sized(stream, "content-encoding: gzip\r\n", &answer).await
        }
        Content::Bomb => sized(stream, "content-encoding: gzip\r\n", &gzip::bomb()).await,
    }
}

/// The vendor's error.
fn error(status: u16, column: &Column) -> String {
    let body = json!({
        "code": "some.vendor.code", "message": "the vendor's words", "status": status,
        "contextId": "another", "errors": [],
        "details": [{"fieldName": column.field[0], "errorCode": "some.wrong"}],
    });
    body.to_string()
}

/// The rest of the head, and the whole body.
async fn sized(
    stream: &mut (impl AsyncWrite + Unpin),
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let head = format!("{headers}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

/// A byte now and then, until nobody reads any more.
async fn drip(stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    loop {
        stream.write_all(b" ").await?;
        stream.flush().await?;
        sleep(DRIP).await;
    }
}
