//! The table: for each fault, the outcome of every kind of call and its number of
//! attempts.

use tonic::Code::*;

use crate::support::faults::fault::Content::*;
use crate::support::faults::fault::Fault::{self, *};
use crate::support::faults::fault::VendorResponse::{self, *};
use crate::support::faults::outcome::Outcome::{self, *};

/// A fault, and the outcome of each kind of call.
pub struct Row {
    pub name: &'static str,
    pub fault: Fault,
    /// The retry delay of the error in seconds, if it has one.
    pub retry_after: Option<u64>,
    /// The deadline of each call, in seconds.
    pub deadline: u64,
    /// Whether the call is a retry of its client, which the gateway does not retry.
    pub is_client_retry: bool,
    /// The outcomes of GET, PUT, PATCH, POST, DELETE, bulk read and bulk write.
    pub cells: [Cell; 7],
}

/// The outcome of a call, and its number of attempts.
pub type Cell = (Outcome, usize);

const fn row(name: &'static str, fault: Fault, cells: [Cell; 7]) -> Row {
    Row {
        name,
        fault,
        retry_after: None,
        deadline: 30,
        is_client_retry: false,
        cells,
    }
}

impl Row {
    const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// For faults that the gateway would retry until the deadline.
    const fn client_retry(mut self) -> Self {
        self.is_client_retry = true;
        self
    }

    /// For faults that last as long as the call: so long that a busy machine has sent
    /// the request by then, and less than the gateway waits for a connection.
    const fn until_the_deadline(mut self) -> Self {
        self.deadline = 8;
        self
    }
}

/// A response with a complete head.
const fn status(status: u16, content: crate::support::faults::fault::Content) -> Fault {
    Responds(Whole(status, None, content))
}

/// A vendor error with a `Retry-After`.
const fn retry_after(status: u16, when: &'static str) -> Fault {
    Responds(Whole(status, Some(when), ApiError))
}

/// A response of these bytes.
const fn raw(answer: &'static str) -> Fault {
    Responds(VendorResponse::Raw(answer))
}

/// The same outcome for all calls.
const fn all(outcome: Outcome, attempts: usize) -> [Cell; 7] {
    [(outcome, attempts); 7]
}

/// An unreadable response of success: a write was applied. A DELETE needs no body
/// and succeeds.
const UNREADABLE: [Cell; 7] = unreadable(Unreadable);
const HTML: [Cell; 7] = unreadable(HtmlPage);
const NOT_GZIP: [Cell; 7] = unreadable(NotGzip);
const TOO_LARGE: [Cell; 7] = unreadable(TooLarge);

/// A response of which not even the status can be read. A retry would get the same.
const UNREADABLE_HEAD: [Cell; 7] = [
    (HeadTooLarge, 1),
    (Unsure, 1),
    (Unsure, 1),
    (Unsure, 1),
    (Unsure, 1),
    (HeadTooLarge, 1),
    (Unsure, 1),
];

const fn unreadable(read: Outcome) -> [Cell; 7] {
    let once = (read, 1);
    [once, once, once, once, (Done, 1), once, once]
}

/// Success. A bulk call sends two batches, one after the other.
const DONE: [Cell; 7] = [
    (Done, 1),
    (Done, 1),
    (Done, 1),
    (Done, 1),
    (Done, 1),
    (Done, 2),
    (Done, 2),
];

#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // The request is never sent: safe to retry for any call.
    row("refused connection",                Refused,             all(Unreached, 3)),
    row("no such host",                      NoSuchHost,          all(Unreached, 3)),
    row("hangs up in the handshake",         HangsUpInHandshake,  all(Unreached, 3)),
    row("certificate of an unknown authority", UnknownAuthority,  all(Unreached, 3)),
    row("never shakes hands",                NeverShakesHands,
    //   GET             PUT              PATCH            POST             DELETE           bulk read        bulk write
        [(TooLate, 1),   (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (NotSent, 1)]).until_the_deadline(),

    // The request is sent, and the response is incomplete.
    //   GET             PUT              PATCH            POST             DELETE           bulk read        bulk write
    row("cut before the answer",             raw(""),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Unsure, 3),     (Lost, 3),       (Unsure, 1)]),
    row("cut in the head",                   raw("HTTP/1.1 200 OK\r\ncontent-le"),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Unsure, 3),     (Lost, 3),       (Unsure, 1)]),
    row("not HTTP",                          raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Unsure, 3),     (Lost, 3),       (Unsure, 1)]),
    row("cut in the body",                   status(200, CutInBody),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Done, 1),       (Lost, 3),       (Unsure, 1)]),
    row("cut between chunks",                status(200, CutInChunks),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Done, 1),       (Lost, 3),       (Unsure, 1)]),
    row("never answers",                     Responds(Never),
        [(TooLate, 1),   (UnsureLate, 1), (UnsureLate, 1), (UnsureLate, 1), (UnsureLate, 1), (TooLate, 1),    (UnsureLate, 1)]).until_the_deadline(),
    row("drips a head without an end",       Responds(DripsHead),
        [(TooLate, 1),   (UnsureLate, 1), (UnsureLate, 1), (UnsureLate, 1), (UnsureLate, 1), (TooLate, 1),    (UnsureLate, 1)]).until_the_deadline(),
    row("drips a body without an end",       status(200, Drips),
        [(TooLate, 1),   (UnsureLate, 1), (UnsureLate, 1), (UnsureLate, 1), (Done, 1),       (TooLate, 1),    (UnsureLate, 1)]).until_the_deadline(),
    row("drips, and ends in time",           status(200, DripsToEnd), DONE),
    row("drips an error without an end",     status(400, Drips),  all(Is(InvalidArgument), 1)).until_the_deadline(),
    row("cut in an error",                   status(400, CutInBody), all(Is(InvalidArgument), 1)),

    // The response has a status of success, and mostly an unreadable body.
    row("HTML with 200",                     status(200, Html),               HTML),
    row("HTML with 200, of no type",         status(200, Text("\n <html>")),  HTML),
    row("nothing with 200",                  status(200, NoBody),             UNREADABLE),
    row("nothing with 204",                  status(204, NoBody),             UNREADABLE),
    row("a number",                          status(200, Text("5")),          UNREADABLE),
    row("null",                              status(200, Text("null")),       UNREADABLE),
    row("half of an answer",                 status(200, Text("[{\"id\":")),  UNREADABLE),
    row("an array in an array",              status(200, Text("[[]]")),       UNREADABLE),
    row("oversized, declared",               status(200, Oversized),          UNREADABLE),
    row("oversized, undeclared",             status(200, OversizedInChunks),  UNREADABLE),
    row("compressed",                        status(200, Compressed),         DONE),
    row("compressed, cut or garbled",        status(200, BrokenGzip),         UNREADABLE),
    row("compressed bomb",                   status(200, Bomb),               TOO_LARGE),
    row("compressed, not by gzip",           status(200, Brotli),             NOT_GZIP),
    row("a head of 101 lines",               Responds(HeadLines(101)),        UNREADABLE_HEAD),
    row("a head of 5 MB",                    Responds(LongLine(5_000_000)),   UNREADABLE_HEAD),

    // The response is a redirect.
    row("300", status(300, Redirect), all(Redirected, 1)),
    row("301", status(301, Redirect), all(Redirected, 1)),
    row("302", status(302, Redirect), all(Redirected, 1)),
    row("303", status(303, Redirect), all(Redirected, 1)),
    row("304", status(304, Redirect), all(Redirected, 1)),
    row("307", status(307, Redirect), all(Redirected, 1)),
    row("308", status(308, Redirect), all(Redirected, 1)),

    // The response is an error: of the vendor, or of a proxy before it.
    row("400, vendor's", status(400, ApiError), all(Is(InvalidArgument), 1)),
    row("400",           status(400, NoBody),   all(Is(InvalidArgument), 1)),
    row("401, vendor's", status(401, ApiError), all(Is(Unauthenticated), 1)),
    row("401",           status(401, NoBody),   all(Is(Unauthenticated), 1)),
    row("402, vendor's", status(402, ApiError), all(Is(FailedPrecondition), 1)),
    row("402",           status(402, NoBody),   all(Is(FailedPrecondition), 1)),
    row("403, vendor's", status(403, ApiError), all(Is(PermissionDenied), 1)),
    row("403",           status(403, NoBody),   all(Is(PermissionDenied), 1)),
    row("404, vendor's", status(404, ApiError), all(Is(NotFound), 1)),
    row("404",           status(404, NoBody),   all(Is(Internal), 1)),
    row("404, HTML",     status(404, Html),     all(Is(Internal), 1)),
    row("405, vendor's", status(405, ApiError), all(Is(FailedPrecondition), 1)),
    row("405",           status(405, NoBody),   all(Is(FailedPrecondition), 1)),
    row("408, vendor's", status(408, ApiError), all(Is(Unavailable), 1)),
    //   GET                   PUT                  PATCH                POST                 DELETE               bulk read            bulk write
    row("408",           status(408, NoBody),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]),
    //   GET               PUT               PATCH             POST                 DELETE            bulk read         bulk write
    row("409, vendor's", status(409, ApiError),
        [(Is(Aborted), 1), (Is(Aborted), 1), (Is(Aborted), 1), (Is(AlreadyExists), 1), (Is(Aborted), 1), (Is(Aborted), 1), (Is(Aborted), 1)]),
    row("409",           status(409, NoBody),
        [(Is(Aborted), 1), (Is(Aborted), 1), (Is(Aborted), 1), (Is(AlreadyExists), 1), (Is(Aborted), 1), (Is(Aborted), 1), (Is(Aborted), 1)]),
    row("412, vendor's", status(412, ApiError), all(Is(FailedPrecondition), 1)),
    row("412",           status(412, NoBody),   all(Is(FailedPrecondition), 1)),
    row("413, vendor's", status(413, ApiError), all(Is(InvalidArgument), 1)),
    row("413",           status(413, NoBody),   all(Is(InvalidArgument), 1)),
    row("414, vendor's", status(414, ApiError), all(Is(InvalidArgument), 1)),
    row("414",           status(414, NoBody),   all(Is(InvalidArgument), 1)),
    row("415, vendor's", status(415, ApiError), all(Is(Internal), 1)),
    row("415",           status(415, NoBody),   all(Is(Internal), 1)),
    row("422, vendor's", status(422, ApiError), all(Is(InvalidArgument), 1)),
    row("422",           status(422, NoBody),   all(Is(InvalidArgument), 1)),
    row("499, vendor's", status(499, ApiError), all(Is(FailedPrecondition), 1)),
    row("499",           status(499, NoBody),   all(Is(FailedPrecondition), 1)),
    row("500, vendor's", status(500, ApiError), all(Is(Internal), 1)),
    row("500",           status(500, NoBody),   all(Is(Internal), 1)),
    row("501, vendor's", status(501, ApiError), all(Is(Unimplemented), 1)),
    row("501",           status(501, NoBody),   all(Is(Unimplemented), 1)),
    //   GET                   PUT                  PATCH                POST                 DELETE               bulk read                bulk write
    row("502, vendor's", status(502, ApiError),
        [(Is(Unavailable), 3), (Unsure, 3),         (Unsure, 1),         (Unsure, 1),         (Unsure, 3),         (Is(Unavailable), 3),    (Unsure, 1)]),
    row("502",           status(502, NoBody),
        [(Is(Unavailable), 3), (Unsure, 3),         (Unsure, 1),         (Unsure, 1),         (Unsure, 3),         (Is(Unavailable), 3),    (Unsure, 1)]),
    row("502, HTML",     status(502, Html),
        [(Is(Unavailable), 3), (Unsure, 3),         (Unsure, 1),         (Unsure, 1),         (Unsure, 3),         (Is(Unavailable), 3),    (Unsure, 1)]),
    row("503, vendor's", status(503, ApiError),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]),
    row("503",           status(503, NoBody),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]),
    row("504, vendor's", status(504, ApiError),
        [(Is(DeadlineExceeded), 3), (UnsureLate, 3), (UnsureLate, 1),    (UnsureLate, 1),     (UnsureLate, 3),     (Is(DeadlineExceeded), 3), (UnsureLate, 1)]),
    row("504",           status(504, NoBody),
        [(Is(DeadlineExceeded), 3), (UnsureLate, 3), (UnsureLate, 1),    (UnsureLate, 1),     (UnsureLate, 3),     (Is(DeadlineExceeded), 3), (UnsureLate, 1)]),
    row("507, vendor's", status(507, ApiError), all(Is(Internal), 1)),
    row("507",           status(507, NoBody),   all(Is(Internal), 1)),
    row("400, oversized, declared",   status(400, Oversized),         all(Is(InvalidArgument), 1)),
    row("400, oversized, undeclared", status(400, OversizedInChunks), all(Is(InvalidArgument), 1)),
    row("400, compressed",            status(400, Compressed),        all(Is(InvalidArgument), 1)),
    row("400, compressed, not by gzip", status(400, Brotli),          all(Is(InvalidArgument), 1)),
    row("404, vendor's, compressed",  status(404, ApiErrorCompressed), all(Is(NotFound), 1)),
    row("400, compressed bomb",       status(400, Bomb),              all(Is(InvalidArgument), 1)),

    // The response is a temporary error. The gateway retries within the deadline.
    row("429, vendor's",            status(429, ApiError),      all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("429",                      status(429, NoBody),        all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("429, Retry-After none",    retry_after(429, "0"),      all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("429, Retry-After short",   retry_after(429, "1"),      all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("429, Retry-After passed",  retry_after(429, "Wed, 21 Oct 2015 07:28:00 GMT"),
                                                                all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("429, Retry-After long",    retry_after(429, "3600"),   all(Is(ResourceExhausted), 1)).retry_after(3600),
    row("429, Retry-After absurd",  retry_after(429, "99999999999999999999"),
                                                                all(Is(ResourceExhausted), 1)).retry_after(86_400),
    row("429, Retry-After malformed", retry_after(429, "soon"), all(Is(ResourceExhausted), 1)).retry_after(1).client_retry(),
    row("503, Retry-After short",   retry_after(503, "1"),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]).retry_after(1),
    row("503, Retry-After long",    retry_after(503, "3600"),   all(Is(Unavailable), 1)).retry_after(3600),
    row("503, Retry-After malformed", retry_after(503, "soon"),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]),
    // `Retry-After` has no meaning with these.
    row("500, Retry-After short",   retry_after(500, "1"),      all(Is(Internal), 1)),
    row("502, Retry-After long",    retry_after(502, "3600"),
        [(Is(Unavailable), 3), (Unsure, 3),         (Unsure, 1),         (Unsure, 1),         (Unsure, 3),         (Is(Unavailable), 3),    (Unsure, 1)]),
];
