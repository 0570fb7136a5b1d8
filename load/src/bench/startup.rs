//! The time from the start of a gateway to SERVING.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::builds::GATEWAY_FLAGS;
use super::series::Series;
use crate::scenario::process::Process;
use crate::scenario::table::Figures;
use crate::scenario::{ANYWHERE, Settings};

/// The limit, in milliseconds.
const LIMIT: f64 = 50.0;

/// The number of starts.
const STARTS: usize = 11;

/// The longest time to wait.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A framed `HealthCheckRequest` for the whole server.
const QUESTION: &[u8] = &[0; 5];

/// A framed `HealthCheckResponse` with SERVING.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

pub(super) async fn run(settings: &Settings) -> Result<Figures, String> {
    let mut took = Series::default();
    for _ in 0..STARTS {
        took.add(one(settings).await?.as_secs_f64() * 1000.0);
    }
    let mut figures = Figures::new("start");
    let median = took.median();
    figures.expect(
        "from its start to SERVING",
        &format!("≤ {LIMIT} ms"),
        &format!("{} ms", took.summary(1)),
        median <= LIMIT,
    );
    Ok(figures)
}

async fn one(settings: &Settings) -> Result<Duration, String> {
    let free = TcpListener::bind(ANYWHERE).and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| error.to_string())?;
    let log = File::create(settings.logs.join("start.log")).map_err(|error| error.to_string())?;
    let listen = address.to_string();
    let mut arguments = vec!["serve", "--listen", &listen];
    // With TLS, as in front of the vendor; nothing is sent there.
    arguments.extend(["--region", "us-east-1"]);
    arguments.extend(GATEWAY_FLAGS);
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let begun = Instant::now();
    let variables = [("TOKIO_WORKER_THREADS", "1")];
    let mut process = Process::start(&settings.gateway, &arguments, &variables, log)?;
    while is_serving(address).await.is_none() {
        if begun.elapsed() > TIMEOUT {
            return Err("a gateway does not serve; see start.log".to_owned());
        }
        sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed();
    process.terminate()?;
    process.ended().await?;
    Ok(took)
}

/// Calls the standard health service.
async fn is_serving(address: SocketAddr) -> Option<()> {
    let stream = TcpStream::connect(address).await.ok()?;
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.ok()?;
    tokio::spawn(async { drop(connection.await) });
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from_static(QUESTION)));
    let answer = sender.send_request(request.ok()?).await.ok()?;
    let message = answer.into_body().collect().await.ok()?.to_bytes();
    (message == SERVING).then_some(())
}
