//! One call over one connection.
//!
//! It speaks gRPC by itself: the customary clients make a status of their own
//! of each failure on the way, which could not be told from the gateway's.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

use super::outcome::Outcome;
use super::question::Question;

/// What became of a call on a connection.
pub(super) enum Asked {
    /// It ended.
    Ended(Outcome),
    /// The gateway did not look at it: it may be sent again.
    Unsent,
}

/// Asks a question.
pub(super) async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    question: &Question,
    token: &HeaderValue,
    deadline: Duration,
) -> Asked {
    let Some(request) = request(question, token, deadline) else {
        return Asked::Ended(Outcome::Lost("no request"));
    };
    match connection.try_send_request(request).await {
        Ok(answer) => match read(answer, question).await {
            Ok(outcome) => Asked::Ended(outcome),
            Err(error) => lost(&error),
        },
        // It was given back, so no part of it had left.
        Err(error) if error.message().is_some() => Asked::Unsent,
        Err(error) => lost(error.error()),
    }
}

fn request(
    question: &Question,
    token: &HeaderValue,
    deadline: Duration,
) -> Option<Request<Full<Bytes>>> {
    let request = Request::post(question.path)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header("grpc-timeout", format!("{}m", deadline.as_millis()))
        .header(header::AUTHORIZATION, token)
        .body(Full::new(question.message.clone()));
    request.ok()
}

async fn read(
    answer: http::Response<Incoming>,
    question: &Question,
) -> Result<Outcome, hyper::Error> {
    if answer.status() != StatusCode::OK {
        return Ok(Outcome::Lost("an HTTP status in place of gRPC's"));
    }
    let (head, mut body) = answer.into_parts();
    // A refusal has its status in the headers.
    let mut end = Outcome::of(&head.headers);
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    end = Outcome::of(&trailers);
                }
            }
        }
    }
    Ok(match end {
        Some(Ok(())) if question.is_answered_by(&message) => Outcome::Answered,
        Some(Ok(())) => Outcome::Wrong,
        Some(Err(refused)) => refused,
        None => Outcome::Lost("an answer without a status"),
    })
}

/// The message that a question is answered with, with its prefix, for who wants
/// to see it.
///
/// # Errors
///
/// If it is not answered.
pub async fn message(
    connection: &mut SendRequest<Full<Bytes>>,
    question: &Question,
    token: &HeaderValue,
) -> Result<Bytes, String> {
    let request = request(question, token, Duration::from_secs(10)).ok_or("no request")?;
    let answer = connection.send_request(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let head = format!("{} {:?}", answer.status(), answer.headers());
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| format!("{head}: {error}"))?;
    let end = body.trailers().and_then(Outcome::of);
    match end {
        Some(Ok(())) => Ok(body.to_bytes()),
        end => Err(format!("{head}, {end:?}")),
    }
}

/// What a failure on the way means for the call.
fn lost(error: &hyper::Error) -> Asked {
    let Some(error) = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>())
    else {
        return Asked::Ended(Outcome::Lost("the connection ended"));
    };
    let is_unseen = error.is_remote()
        && match error.reason() {
            // The peer went away, and said that it had not begun with this.
            Some(Reason::NO_ERROR) => error.is_go_away(),
            Some(Reason::REFUSED_STREAM) => error.is_reset(),
            _ => false,
        };
    if is_unseen {
        return Asked::Unsent;
    }
    Asked::Ended(Outcome::Lost(if error.is_reset() {
        "the stream was reset"
    } else if error.is_go_away() {
        "the connection was given up with an error"
    } else {
        "the connection broke"
    }))
}

#[cfg(test)]
mod tests;
