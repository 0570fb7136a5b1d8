//! The request message, taken whole before anything is done with it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tonic::Code;

use super::MAX_REQUEST;
use super::elements::Lists;
use super::refusal::refuse;
use crate::batch::{self, BulkLimits};
use crate::deadline::Deadline;
use crate::error::{Error, Reason, Violation};
use crate::memory::Held;
use crate::record::Record;

/// How long a request message may take after its headers, where its deadline
/// is not sooner. It is there with them, as a rule; who sends it byte by byte
/// would keep others from the place.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// How many elements a list of a request may have that is not cut into
/// batches: more than what fits into a URL, or into what the vendor takes.
const MAX_ELEMENTS: usize = 10_000;

/// Takes the message of a call, within its bounds of time, memory, length and
/// elements, and hands the call on with it.
pub(super) async fn taken<F: Future<Output = Response>>(
    bulk: BulkLimits,
    mut request: Box<Request>,
    next: impl FnOnce(Box<Request>) -> F,
) -> Response {
    // What is no RPC is refused unread.
    let Some(lists) = Lists::of(request.uri().path()) else {
        return next(request).await;
    };
    let extensions = request.extensions();
    let (Some(deadline), Some(held)) = (
        extensions.get::<Deadline>().cloned(),
        extensions.get::<Held>().cloned(),
    ) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let body = std::mem::take(request.body_mut());
    let message = match timeout(ARRIVAL, whole(body, &held)).await {
        Err(_) => Err(late()),
        Ok(message) => message,
    };
    let checked = message.and_then(|message| fits(lists, &message, bulk).map(|()| message));
    match checked {
        Ok(message) => {
            *request.body_mut() = Body::from(message);
            next(request).await
        }
        Err(error) => refuse(
            error,
            &deadline,
            request.extensions().get::<Record>().cloned(),
        ),
    }
}

/// Reads a message to its end, and the end of the call's body after it.
///
/// Less than a message is given as it is: tonic says what is wrong with it.
async fn whole(mut body: Body, held: &Held) -> Result<Bytes, Error> {
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // What breaks off is less than a message.
        let Ok(frame) = frame else { break };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        held.take(piece.len()).map_err(|_| Error::NoMemory)?;
        message.extend_from_slice(&piece);
        if let Some(prefix) = message.get(1..PREFIX) {
            let length = prefix
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte));
            if length > MAX_REQUEST {
                return Err(too_large());
            }
            if message.len() > PREFIX + length {
                return Err(more_than_one());
            }
        }
    }
    Ok(message.freeze())
}

/// Checks how many elements the lists of a message have.
fn fits(lists: &Lists, message: &[u8], bulk: BulkLimits) -> Result<(), Error> {
    // A compressed message is none that is accepted.
    let Some((&[0, ..], message)) = message.split_at_checked(PREFIX) else {
        return Ok(());
    };
    match lists.longest(message) {
        Some((list, count)) if batch::is_bulk(&lists.request) => bulk.check(list, count),
        Some((list, count)) if count > MAX_ELEMENTS => {
            let wrong = format!("must have at most {MAX_ELEMENTS} elements; it has {count}");
            Err(Error::Invalid(vec![Violation::new(list, wrong)]))
        }
        _ => Ok(()),
    }
}

fn late() -> Error {
    let text = format!(
        "the request message did not arrive within {} s of its headers; nothing was sent",
        ARRIVAL.as_secs()
    );
    Error::Protocol(Reason::DeadlineExceeded, Code::DeadlineExceeded, text)
}

fn too_large() -> Error {
    let text = format!(
        "the request is larger than the {MAX_REQUEST} bytes that the gateway accepts; make several \
         calls"
    );
    Error::Protocol(Reason::MessageTooLarge, Code::ResourceExhausted, text)
}

fn more_than_one() -> Error {
    let text = "the call has more than one message, of which nothing was sent; each is a call of \
                its own";
    Error::Protocol(
        Reason::MalformedRequest,
        Code::Unimplemented,
        text.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::memory::Memory;

    async fn read(pieces: &[&'static [u8]], memory: usize) -> Result<Bytes, Error> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, std::io::Error>(*piece))
            .collect();
        whole(
            Body::from_stream(stream::iter(pieces)),
            &Memory::new(memory).held(),
        )
        .await
    }

    #[tokio::test]
    async fn a_message_is_put_together_from_its_pieces() {
        let message = read(&[&[0, 0], &[], &[0, 0, 3, 1], &[2, 3]], 100)
            .await
            .unwrap();
        assert_eq!(message.as_ref(), [0, 0, 0, 0, 3, 1, 2, 3]);
        assert_eq!(read(&[&[0, 0, 0]], 100).await.unwrap().as_ref(), [0, 0, 0]);
        assert_eq!(read(&[], 100).await.unwrap().as_ref(), b"");
    }

    #[tokio::test]
    async fn more_than_one_message_or_memory_is_refused_before_its_end() {
        let error = read(&[&[0, 0, 0, 0, 1, 1, 0], &[0]], 100)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Protocol(_, Code::Unimplemented, _)),
            "{error:?}"
        );
        let error = read(&[&[0, 0, 64, 0, 1]], 100).await.unwrap_err();
        assert!(
            matches!(&error, Error::Protocol(_, Code::ResourceExhausted, _)),
            "{error:?}"
        );
        let error = read(&[&[0, 0, 0, 0, 90], &[0; 90]], 100).await.unwrap_err();
        assert!(matches!(&error, Error::NoMemory), "{error:?}");
    }
}
