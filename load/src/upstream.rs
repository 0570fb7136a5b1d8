//! A simulated vendor for load: presences of any user after a latency, or an
//! injected fault; and counts of requests by sender and token.

mod body;
mod connections;
mod fault;
mod listener;
mod report;
mod response;
mod sliding_count;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, header};
use hyper::body::Incoming;
use tokio::time::sleep;

use crate::precise_timer::PreciseTimer;
use body::Body;
use connections::Connections;
pub use connections::Protocol;
use fault::{Fault, Faults};
use report::Counts;
pub use report::Report;

/// The path of the report; all others are the vendor's.
pub const REPORT: &str = "/report";

/// The sender that gets lists wrapped in an object, because it reads no bare array.
pub const WRAPPING_SENDER: &str = "/wrapped";

/// The extra latency of a delayed response.
const DELAY: Duration = Duration::from_secs(3);

/// The flags of `upstream`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The address and port to serve on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The latency of each response
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    latency: Duration,

    /// The probability of each fault, for example `503=0.01,drip=0.005`: 503, 429, cut (before
    /// the response), break (within it), drip, delay
    #[arg(long, default_value = "")]
    faults: Faults,

    #[command(flatten)]
    tls: tls::Flags,
}

/// Serves until the process is killed. Prints its address as the first line of
/// the standard output, and that of TLS, if any, as the second.
///
/// # Errors
///
/// If the address is in use.
pub async fn run(args: Args) -> Result<(), String> {
    let (plain, address) = listener::listen(args.listen)?;
    let tls = match (args.tls.tls_listen, &args.tls.tls_ca) {
        (Some(address), Some(ca)) => {
            let (listener, address) = listener::listen(address)?;
            Some((listener, address, tls::acceptor(ca, &args.tls.alpn)?))
        }
        _ => None,
    };
    let vendor = Arc::new(Vendor {
        timer: PreciseTimer::start().map_err(|error| error.to_string())?,
        latency: args.latency,
        faults: args.faults,
        counts: Counts::default(),
        connections: Connections::default(),
    });
    println!("{address}");
    if let Some((listener, address, acceptor)) = tls {
        println!("{address}");
        tokio::spawn(listener::tls(listener, acceptor, Arc::clone(&vendor)));
    }
    listener::plain(plain, vendor).await;
    Ok(())
}

#[derive(Debug)]
struct Vendor {
    timer: PreciseTimer,
    latency: Duration,
    faults: Faults,
    counts: Counts,
    connections: Connections,
}

/// Serves a request. An error closes the connection, or the stream of HTTP/2.
async fn serve(vendor: Arc<Vendor>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    if request.uri().path() == REPORT {
        let report = vendor.counts.report(vendor.connections.report());
        return Ok(response::json(report.to_json()));
    }
    // The path begins with the name of the sender.
    let (sender, path) = response::split(request.uri().path());
    let token = request.headers().get(header::AUTHORIZATION);
    let Some(token) = token.filter(|_| !path.is_empty()) else {
        return Ok(response::refused());
    };
    let _in_flight = vendor.counts.begin(sender, token.as_bytes());
    let fault = vendor.faults.next();
    if let Some(fault) = fault {
        vendor.counts.fault(fault);
    }
    if !vendor.latency.is_zero() {
        vendor
            .timer
            .wait_until(Instant::now() + vendor.latency)
            .await;
    }
    match fault {
        Some(Fault::Unavailable) => return Ok(response::unavailable()),
        Some(Fault::TooMany) => return Ok(response::too_many()),
        Some(Fault::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Delay) => sleep(DELAY).await,
        Some(Fault::Break | Fault::Drip) | None => {}
    }
    let wraps_lists = sender == WRAPPING_SENDER;
    let answer = response::to(path, request.uri().query(), wraps_lists);
    Ok(match fault {
        Some(Fault::Break) => answer.map(Body::broken),
        Some(Fault::Drip) => answer.map(Body::dripping),
        _ => answer,
    })
}
