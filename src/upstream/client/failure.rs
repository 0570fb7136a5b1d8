//! What an error of HTTP/2 says about the request, and about the protocol.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;

use h2::Reason;
use rustls::{AlertDescription, PeerMisbehaved};

use super::{Protocol, RotatingClient};
use crate::error::Error;

impl RotatingClient {
    /// Finds after a failure by HTTP/2 whether the upstream still offers it.
    pub(in crate::upstream) fn http2_failed(&self, error: &reqwest::Error) {
        if requires_http1(error) {
            self.switch_to(Protocol::Http1);
        } else {
            self.negotiate_again();
        }
    }
}

fn requires_http1(error: &reqwest::Error) -> bool {
    let of_stream = http2_error(error).and_then(h2::Error::reason);
    // Offered HTTP/2 alone, a server of HTTP/1.1 refuses the handshake, or chooses HTTP/1.1
    // all the same (Apache 2.4).
    let refused = [
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        PeerMisbehaved::SelectedUnofferedApplicationProtocol.into(),
    ];
    of_stream == Some(Reason::HTTP_1_1_REQUIRED)
        || causes(error)
            .filter_map(|cause| cause.downcast_ref())
            .any(|cause| refused.contains(cause))
}

/// The error of a request that the upstream, at this address, has not processed, if it says
/// so: then even a write can be repeated (RFC 9113, section 8.7).
pub(in crate::upstream) fn not_processed(error: &reqwest::Error, authority: &str) -> Option<Error> {
    let error = http2_error(error).filter(|error| error.is_remote())?;
    let reason = error.reason()?;
    // h2 fails those requests alone that are beyond the last one that the upstream has
    // accepted; others go on (0.4.20, `Inner::recv_go_away`).
    let how = match (error.is_go_away(), reason) {
        (true, reason) => format!("ended the connection (GOAWAY, {reason})"),
        (false, Reason::REFUSED_STREAM) => "refused the stream (REFUSED_STREAM)".to_owned(),
        (false, _) => return None,
    };
    Some(Error::NotProcessed {
        why: format!("{authority} {how}, and"),
        is_end: error.is_go_away() && reason == Reason::NO_ERROR,
    })
}

fn http2_error(error: &reqwest::Error) -> Option<&h2::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    successors(error.source(), |&cause| {
        // An I/O error contains another one that is not its source.
        let inner = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        }
    })
}
