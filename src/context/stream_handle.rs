//! The handle by which a call controls its HTTP/2 stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::error::Error;

/// How long a caller may take to read a response after the deadline of its call.
/// Only callers that set no deadline still read: they do not know the gateway's
/// default deadline.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends the HTTP/2 stream of a call if the caller does not end it. Clones end
/// the same stream.
#[derive(Clone)]
pub struct StreamHandle(Arc<Mutex<Option<oneshot::Sender<StreamEnd>>>>);

/// What ends a stream.
pub(crate) enum StreamEnd {
    /// [`WRITE_TIMEOUT`] after the deadline of the call.
    ResetAfter(Deadline),
    /// The end of this future, which runs beside the response.
    Driver(BoxFuture<'static, ()>),
}

impl StreamHandle {
    /// A handle without a stream.
    #[must_use]
    pub fn detached() -> Self {
        Self::new().0
    }

    /// A handle, and where the executor of the stream receives its end.
    pub(crate) fn new() -> (Self, oneshot::Receiver<StreamEnd>) {
        let (sender, end) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), end)
    }

    /// Resets the stream [`WRITE_TIMEOUT`] after the deadline.
    /// This frees the memory of a response that the caller does not read.
    ///
    /// Nothing else would: hyper polls a response only while the caller grants
    /// flow-control window. A caller that grants none and keeps its connection
    /// alive would hold the call's permit as long as the connection.
    pub fn reset_after(&self, deadline: Deadline) {
        // Without an executor there is no stream to reset.
        let _ = self.send(StreamEnd::ResetAfter(deadline));
    }

    /// Runs `driver` beside the stream, whether or not its caller reads the
    /// response, and ends the stream with it. Drops `driver` if the stream ends
    /// first. An old connection stays open until such streams have ended.
    ///
    /// # Errors
    ///
    /// If there is no stream to run beside: the call runs under an executor
    /// that is not the server's, or another end was sent before.
    pub fn drive_alongside(&self, driver: BoxFuture<'static, ()>) -> Result<(), Error> {
        let sent = self.send(StreamEnd::Driver(driver));
        sent.map_err(|_| Error::NoStream)
    }

    fn send(&self, end: StreamEnd) -> Result<(), StreamEnd> {
        match self.0.lock().take() {
            Some(sender) => sender.send(end),
            None => Err(end),
        }
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamHandle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver() -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    #[test]
    fn a_driver_without_a_stream_is_an_error() {
        let detached = StreamHandle::detached().drive_alongside(driver());
        assert!(matches!(detached, Err(Error::NoStream)), "{detached:?}");

        let (handle, mut end) = StreamHandle::new();
        handle.drive_alongside(driver()).unwrap();
        let second = handle.clone().drive_alongside(driver());
        assert!(matches!(second, Err(Error::NoStream)), "{second:?}");
        assert!(matches!(end.try_recv(), Ok(StreamEnd::Driver(_))));
    }
}
