//! The fixed limits of the server, each with its reason. `docs/configuration.md`
//! lists them for operators.

use std::time::Duration;

use crate::rpc::MAX_REQUEST;

// Messages and metadata of a call. `rpc.rs` has the largest messages, because
// the services need them too.

/// The metadata of one call, in bytes: enough for a call with the largest token
/// that a proxy lets through to get its status. If one call exceeds this by
/// far, hyper closes the connection with all calls on it.
pub const MAX_METADATA: u32 = 96 * 1024;

/// How long a message may take to arrive after its headers, unless its deadline
/// is earlier. Usually it arrives with them.
pub const REQUEST_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The elements of a list that is not cut into batches: more than fit into a
/// URL, and more than the vendor accepts.
pub const MAX_REQUEST_ELEMENTS: usize = 10_000;

/// How long after its deadline the pipeline ends a call that has not reached its
/// handler. A handler ends its call at the deadline, with a more exact status.
pub const DEADLINE_GRACE: Duration = Duration::from_millis(20);

/// The bytes of a response that are handed to hyper at once: one HTTP/2 frame.
pub const MAX_DATA_FRAME: usize = 16 * 1024;

// Connections.

/// Connections of callers. Each may hold about 100 KiB of metadata that is
/// still arriving, so this bounds memory that no permit covers.
pub const MAX_CONNECTIONS: usize = 4096;

/// The time for the TLS handshake and the preface of a connection. A gRPC client
/// sends its preface at once; probes and port scans connect and send nothing.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The bytes of a request in HTTP/1 that are read, to answer it with a 400: those of a
/// browser, with its cookies or a long address. The client of a larger one may miss the
/// response. Most of them are not kept.
pub const MAX_HTTP1_REQUEST: u64 = 64 * 1024;

/// The pause after `accept` failed, most likely because the process has too many
/// open files.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Concurrent calls of one connection: twice the default of `--max-in-flight`.
/// With a lower limit, clients would queue calls locally, and no rejection would
/// send them to another replica. Without a limit, one connection could open calls
/// faster than the gateway rejects them.
pub const MAX_STREAMS: u32 = 2048;

/// Calls that a client may reset before the gateway has looked at them: as many
/// as it may open. Their deadlines may pass all at once, while the gateway gets
/// no processor time. Closing the connection would break off its other calls,
/// some of which have changed something, and a reset call costs no more than a
/// rejected one.
pub const MAX_PENDING_RESETS: usize = MAX_STREAMS as usize;

/// Calls of one connection that may violate HTTP/2 before it is closed. Frames
/// that arrive after a response do not count: see `discard.rs`.
pub const MAX_ERROR_RESETS: usize = 256;

/// The interval of HTTP/2 pings. They detect a client that has vanished, whose
/// calls would go on, and one that stops in the middle of a frame.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// The time for the acknowledgement of a ping.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The age at which a connection gets GOAWAY, give or take a tenth. Clients keep a
/// connection as long as they can, so a new replica would get no connections.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_mins(5);

/// How long a connection without calls may last after GOAWAY. Most clients
/// close it at once; one that does not takes the place of another.
pub const IDLE_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after the drain of a connection its streams may take to deliver their
/// status.
pub const FINAL_STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Concurrent calls above which a connection is recycled: HTTP/2 allocates
/// about 1 KB for each, which is not freed before the connection ends.
pub const PEAK_STREAMS: usize = 256;

/// A connection that had more than [`PEAK_STREAMS`] calls gets GOAWAY when its
/// calls fall to its peak divided by this.
pub const RECYCLE_DIVISOR: usize = 16;

/// How long connections may last after their last call at shutdown: enough to
/// deliver statuses and to acknowledge GOAWAY. Clients that do neither do not
/// delay the end.
pub const GOAWAY_GRACE: Duration = Duration::from_secs(1);

// Requests whose response was sent before they had arrived.

/// The bytes that are discarded of one request: four of the largest messages. A
/// client that sends more does not read its responses.
pub const MAX_DISCARDED_BYTES: usize = 4 * MAX_REQUEST;

/// Requests that are discarded at once. One more resets the oldest.
pub const MAX_DISCARDED_REQUESTS: usize = 4096;

/// How long a discarded request and its connection may both be silent. The bytes
/// that the client sent before it got the response have arrived by then. The
/// connection counts too, because its bytes arrive in order: on a slow link, those
/// of other requests may come first.
pub const DISCARD_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

// Health and reflection, which need no token.

/// The largest request message of health and reflection, in bytes: a name and
/// little else.
pub const MAX_PUBLIC_REQUEST: usize = 16 * 1024;

/// Health checks whose message is arriving. They usually come in one piece; one
/// more evicts the oldest.
pub const MAX_HEALTH_CHECKS: usize = 1024;

/// Watches of health. Fewer than connections, because each takes memory until its
/// caller ends it.
pub const MAX_HEALTH_WATCHES: usize = 1024;

/// Streams of reflection. People and their tools open them, and each may hold as
/// many bytes as HTTP/2 flow control lets its client send.
pub const MAX_REFLECTION_STREAMS: usize = 64;

/// Connections to `--health-listen`: the probes of one node, some of them
/// impatient, and a person. One more closes the oldest.
pub const MAX_PROBES: usize = 64;

// Metrics.

/// Connections to `--metrics-listen`: some Prometheus servers and a person. One
/// more closes the oldest: a request is answered within moments, so that the
/// oldest has most likely sent none.
pub const MAX_SCRAPES: usize = 16;

/// The time for a connection to `--metrics-listen`: one request and its response.
pub const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

// TLS.

/// The interval at which the TLS files are read. They are small and cached by
/// the system. What replaces them, for example the kubelet, sends no
/// notification, and a link that moves to a new directory is no event of the
/// file.
pub const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(2);
