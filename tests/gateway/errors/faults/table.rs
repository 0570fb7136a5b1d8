//! The table: for each fault what every verb comes to, and after how many attempts.

use tonic::Code::*;

use crate::support::faults::fault::Content::*;
use crate::support::faults::fault::Fault::{self, *};
use crate::support::faults::fault::VendorResponse::{self, *};
use crate::support::faults::outcome::Outcome::{self, *};

/// A fault, and what is told of it.
pub struct Row {
    pub name: &'static str,
    pub fault: Fault,
    /// The seconds after which a repetition may help, where that is told.
    pub retry_after: Option<u64>,
    /// How long each call has, in seconds.
    pub deadline: u64,
    /// Whether the caller repeats the call by itself.
    pub is_repeated: bool,
    /// What becomes of GET, PUT, PATCH, POST, DELETE, bulk read and bulk write.
    pub cells: [Cell; 7],
}

/// What a call comes to, and after how many attempts.
pub type Cell = (Outcome, usize);

const fn row(name: &'static str, fault: Fault, cells: [Cell; 7]) -> Row {
    Row {
        name,
        fault,
        retry_after: None,
        deadline: 30,
        is_repeated: false,
        cells,
    }
}

impl Row {
    const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// For faults that the gateway waits out until the deadline.
    const fn repeated(mut self) -> Self {
        self.is_repeated = true;
        self
    }

    /// For faults that last as long as the call.
    const fn until_the_deadline(mut self) -> Self {
        self.deadline = 2;
        self
    }
}

/// An answer whose head is whole.
const fn status(status: u16, content: crate::support::faults::fault::Content) -> Fault {
    Responds(Whole(status, None, content))
}

/// An answer that says when to come back.
const fn after(status: u16, when: &'static str) -> Fault {
    Responds(Whole(status, Some(when), ApiError))
}

const fn raw(answer: &'static str) -> Fault {
    Responds(VendorResponse::Raw(answer))
}

/// No verb is better off than another.
const fn all(outcome: Outcome, attempts: usize) -> [Cell; 7] {
    [(outcome, attempts); 7]
}

/// A write that is applied, with an answer that is no use to its caller. A
/// DELETE promises none that it would miss.
const GARBLED: [Cell; 7] = garbled(Unreadable);
const ZIPPED: [Cell; 7] = garbled(NotGzip);
const TOO_LARGE: [Cell; 7] = garbled(TooLarge);

/// Nothing is known of the answer, not even its status; it would be the same
/// another time.
const ILLEGIBLE: [Cell; 7] = [
    (HeadTooLarge, 1),
    (Unsure, 1),
    (Unsure, 1),
    (Unsure, 1),
    (Unsure, 1),
    (HeadTooLarge, 1),
    (Unsure, 1),
];

const fn garbled(read: Outcome) -> [Cell; 7] {
    let once = (read, 1);
    [once, once, once, once, (Done, 1), once, once]
}

/// A bulk call has two batches, one after the other.
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
    // It never leaves: safe to repeat, whatever it is.
    row("refused connection",                Refused,             all(Unreached, 3)),
    row("no such host",                      NoSuchHost,          all(Unreached, 3)),
    row("hangs up in the handshake",         HangsUpInHandshake,  all(Unreached, 3)),
    row("certificate of an unknown authority", UnknownAuthority,  all(Unreached, 3)),
    row("never shakes hands",                NeverShakesHands,
    //   GET             PUT              PATCH            POST             DELETE           bulk read        bulk write
        [(TooLate, 1),   (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (TooLate, 1),    (NotSent, 1)]).until_the_deadline(),

    // It leaves, and no whole answer comes.
    //   GET             PUT              PATCH            POST             DELETE           bulk read        bulk write
    row("cut before the answer",             raw(""),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Unsure, 3),     (Lost, 3),       (Unsure, 1)]),
    row("cut in the head",                   raw("HTTP/1.1 200 OK\r\ncontent-le"),
        [(Lost, 3),      (Unsure, 3),     (Unsure, 1),     (Unsure, 1),     (Unsure, 3),     (Lost, 3),       (Unsure, 1)]),
    row("no HTTP",                           raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
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
    row("drips a refusal without an end",    status(400, Drips),  all(Is(InvalidArgument), 1)).until_the_deadline(),
    row("cut in a refusal",                  status(400, CutInBody), all(Is(InvalidArgument), 1)),

    // It is answered with success, and nothing that could be one.
    row("HTML with 200",                     status(200, Html),               GARBLED),
    row("nothing with 200",                  status(200, NoBody),             GARBLED),
    row("nothing with 204",                  status(204, NoBody),             GARBLED),
    row("a number",                          status(200, Text("5")),          GARBLED),
    row("null",                              status(200, Text("null")),       GARBLED),
    row("half of an answer",                 status(200, Text("[{\"id\":")),  GARBLED),
    row("an array in an array",              status(200, Text("[[]]")),       GARBLED),
    row("oversized, declared",               status(200, Oversized),          GARBLED),
    row("oversized, undeclared",             status(200, OversizedInChunks),  GARBLED),
    row("compressed",                        status(200, Compressed),         DONE),
    row("compressed, cut or garbled",        status(200, BrokenGzip),         GARBLED),
    row("compressed bomb",                   status(200, Bomb),               TOO_LARGE),
    row("compressed, not by gzip",           status(200, Brotli),             ZIPPED),
    row("a head of 101 lines",               Responds(HeadLines(101)),        ILLEGIBLE),
    row("a head of 5 MB",                    Responds(LongLine(5_000_000)),   ILLEGIBLE),

    // It is redirected.
    row("300", status(300, Redirect), all(Redirected, 1)),
    row("301", status(301, Redirect), all(Redirected, 1)),
    row("302", status(302, Redirect), all(Redirected, 1)),
    row("303", status(303, Redirect), all(Redirected, 1)),
    row("304", status(304, Redirect), all(Redirected, 1)),
    row("307", status(307, Redirect), all(Redirected, 1)),
    row("308", status(308, Redirect), all(Redirected, 1)),

    // It is refused: by the vendor, and by something before it.
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

    // It is refused for now. The gateway comes back as often as there is time.
    row("429, vendor's",            status(429, ApiError), all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("429",                      status(429, NoBody),   all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("429, Retry-After none",    after(429, "0"),       all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("429, Retry-After short",   after(429, "1"),       all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("429, Retry-After passed",  after(429, "Wed, 21 Oct 2015 07:28:00 GMT"),
                                                           all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("429, Retry-After long",    after(429, "3600"),    all(Is(ResourceExhausted), 1)).retry_after(3600),
    row("429, Retry-After absurd",  after(429, "99999999999999999999"),
                                                           all(Is(ResourceExhausted), 1)).retry_after(86_400),
    row("429, Retry-After malformed", after(429, "soon"),  all(Is(ResourceExhausted), 1)).retry_after(1).repeated(),
    row("503, Retry-After short",   after(503, "1"),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]).retry_after(1),
    row("503, Retry-After long",    after(503, "3600"),    all(Is(Unavailable), 1)).retry_after(3600),
    row("503, Retry-After malformed", after(503, "soon"),
        [(Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1), (Is(Unavailable), 1), (Is(Unavailable), 3), (Is(Unavailable), 3), (Is(Unavailable), 1)]),
    // A date is not asked for by these, and means nothing with them.
    row("500, Retry-After short",   after(500, "1"),       all(Is(Internal), 1)),
    row("502, Retry-After long",    after(502, "3600"),
        [(Is(Unavailable), 3), (Unsure, 3),         (Unsure, 1),         (Unsure, 1),         (Unsure, 3),         (Is(Unavailable), 3),    (Unsure, 1)]),
];
