//! One call over one connection.
//!
//! It speaks gRPC over hyper itself: client libraries turn each transport
//! failure into a status, which would look like one of the gateway.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

use super::outcome::Outcome;
use super::query::Query;
use super::received::Received;

/// The result of one attempt.
pub(super) enum Attempt {
    /// The call ended.
    Exit(Outcome),
    /// The gateway did not process the call: it may be sent again.
    Unsent,
}

/// Sends one call and reads its result.
pub(super) async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    query: &Query,
    token: &HeaderValue,
    deadline: Duration,
) -> Attempt {
    let Some(request) = request(query, token, deadline) else {
        return Attempt::Exit(Outcome::NoStatus("no request"));
    };
    match connection.try_send_request(request).await {
        Ok(answer) => match read(answer, query).await {
            Ok(outcome) => Attempt::Exit(outcome),
            Err(error) => lost(&error),
        },
        // hyper returns the request only if no part of it was sent.
        Err(error) if error.message().is_some() => Attempt::Unsent,
        Err(error) => lost(error.error()),
    }
}

fn request(query: &Query, token: &HeaderValue, deadline: Duration) -> Option<Request<Full<Bytes>>> {
    let request = Request::post(query.uri())
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header("grpc-timeout", format!("{}m", deadline.as_millis()))
        .header(header::AUTHORIZATION, token)
        .body(Full::new(query.message.clone()));
    request.ok()
}

async fn read(answer: http::Response<Incoming>, query: &Query) -> Result<Outcome, hyper::Error> {
    if answer.status() != StatusCode::OK {
        return Ok(Outcome::NoStatus("an HTTP status in place of gRPC's"));
    }
    let (head, mut body) = answer.into_parts();
    // A trailers-only response has its status in the headers.
    let mut end = Outcome::from_headers(&head.headers);
    let mut received = Received::of(query);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => received.push(&data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    end = Outcome::from_headers(&trailers);
                }
            }
        }
    }
    Ok(match end {
        Some(Ok(())) if received.is_complete() => Outcome::Answered,
        Some(Ok(())) => Outcome::WrongAnswer,
        Some(Err(refused)) => refused,
        None => Outcome::NoStatus("an answer without a status"),
    })
}

/// Sends one call and returns the response message with its frame prefix.
///
/// # Errors
///
/// If the call has no OK status.
pub async fn message(
    connection: &mut SendRequest<Full<Bytes>>,
    query: &Query,
    token: &HeaderValue,
) -> Result<Bytes, String> {
    let request = request(query, token, Duration::from_secs(10)).ok_or("no request")?;
    let answer = connection.send_request(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let head = format!("{} {:?}", answer.status(), answer.headers());
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| format!("{head}: {error}"))?;
    let end = body.trailers().and_then(Outcome::from_headers);
    match end {
        Some(Ok(())) => Ok(body.to_bytes()),
        end => Err(format!("{head}, {end:?}")),
    }
}

/// The result of a call whose connection or stream failed.
fn lost(error: &hyper::Error) -> Attempt {
    let Some(error) = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>())
    else {
        return Attempt::Exit(Outcome::NoStatus("the connection ended"));
    };
    let is_unseen = error.is_remote()
        && match error.reason() {
            // GOAWAY with a lower last stream id: the peer did not process the call.
            Some(Reason::NO_ERROR) => error.is_go_away(),
            Some(Reason::REFUSED_STREAM) => error.is_reset(),
            _ => false,
        };
    if is_unseen {
        return Attempt::Unsent;
    }
    Attempt::Exit(Outcome::NoStatus(if error.is_reset() {
        "the stream was reset"
    } else if error.is_go_away() {
        "the connection was given up with an error"
    } else {
        "the connection broke"
    }))
}

#[cfg(test)]
mod tests;
