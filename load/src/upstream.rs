//! A simulated vendor for load: presences of any user after a latency, or an
//! injected fault; and counts of requests by sender and token.

mod body;
mod fault;
mod report;
mod response;
mod sliding_count;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::sleep;

use crate::precise_timer::PreciseTimer;
use body::Body;
use fault::{Fault, Faults};
use report::Counts;
pub use report::Report;

/// The path of the report; all others are the vendor's.
pub const REPORT: &str = "/report";

/// The sender that gets lists wrapped in an object, because it reads no bare array.
pub const WRAPPING_SENDER: &str = "/wrapped";

/// The extra latency of a delayed response.
const DELAY: Duration = Duration::from_secs(3);

/// The backlog of the listener: a gateway that starts opens a connection per
/// call at once.
const BACKLOG: u32 = 4096;

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
}

/// Serves until the process is killed. Prints its address as the first line of
/// the standard output.
///
/// # Errors
///
/// If the address is in use.
pub async fn run(args: Args) -> Result<(), String> {
    let listener = listen(args.listen).map_err(|error| format!("{}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("{address}");
    let vendor = Arc::new(Vendor {
        timer: PreciseTimer::start().map_err(|error| error.to_string())?,
        latency: args.latency,
        faults: args.faults,
        counts: Counts::default(),
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                let vendor = Arc::clone(&vendor);
                let service = service_fn(move |request| serve(Arc::clone(&vendor), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A connection error is an injected fault.
                tokio::spawn(async { drop(connection.await) });
            }
            Err(error) => {
                eprintln!("load: cannot accept: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[derive(Debug)]
struct Vendor {
    timer: PreciseTimer,
    latency: Duration,
    faults: Faults,
    counts: Counts,
}

/// Serves a request. An error closes the connection.
async fn serve(vendor: Arc<Vendor>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    if request.uri().path() == REPORT {
        return Ok(response::json(vendor.counts.report().to_json()));
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
