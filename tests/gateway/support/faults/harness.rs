//! Runs rows of the fault table: a gateway in front of a faulty vendor, and a
//! call of each column.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tonic::Status;

use super::column::{Column, columns};
use super::fault::{self, Fault};
use super::outcome::{ErrorContent, Outcome};
use crate::errors::faults::table::{Cell, Row};
use crate::support::log::CapturedLog;
use crate::support::raw_http::{RawVendor, read_request};
use crate::support::{
    CORRELATION_ID, ClosedPort, Gateway, JsonResponse, Limits, NO_RETRIES, rpc_status,
};

/// The prefix of every token; no output may contain it.
const SECRET: &str = "s3cret";

fn token(row: usize, column: usize) -> String {
    format!("{SECRET}-{row}-{column}")
}

/// Longer than any call takes that does not wait for its deadline of 30 s, also on a
/// busy machine.
const MAX_DURATION: Duration = Duration::from_secs(29);

/// The requests per token.
type Attempts = Arc<Mutex<HashMap<String, usize>>>;

/// Starts a vendor that responds with the fault of the row in the token.
async fn faulty_vendor(rows: &'static [Row], attempts: &Attempts) -> RawVendor {
    let attempts = Arc::clone(attempts);
    let columns = Arc::new(columns());
    RawVendor::start(move |mut stream| {
        let (attempts, columns) = (Arc::clone(&attempts), Arc::clone(&columns));
        async move {
            let head = read_request(&mut stream).await;
            let token = head
                .lines()
                .find_map(|line| line.strip_prefix("authorization: bearer "));
            let token = token.expect("a request without a token").to_owned();
            *attempts.lock().entry(token.clone()).or_default() += 1;
            let mut cell = token
                .split('-')
                .skip(1)
                .map(|n| n.parse::<usize>().unwrap());
            let row = &rows[cell.next().unwrap()];
            let column = &columns[cell.next().unwrap()];
            if let Fault::Responds(response) = row.fault {
                // The gateway may close the connection before the end.
                let _ = fault::respond(&mut stream, response, column, &token).await;
            }
        }
    })
    .await
}

/// Starts a vendor with a certificate of an untrusted authority.
async fn untrusted_vendor() -> RawVendor {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Issuer::new(authority, KeyPair::generate().unwrap());
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    RawVendor::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let handshake = acceptor.accept(stream).await;
            assert!(handshake.is_err(), "the gateway trusts any certificate");
        }
    })
    .await
}

/// The vendor of a fault.
#[derive(Default)]
struct FaultyUpstream {
    url: String,
    /// The listener that counts connections, if any.
    counting: Option<RawVendor>,
    _closed: Option<ClosedPort>,
}

/// Starts the vendor of a fault.
async fn vendor(rows: &'static [Row], fault: Fault, attempts: &Attempts) -> FaultyUpstream {
    let vendor = match fault {
        Fault::Refused => {
            let closed = ClosedPort::new();
            return FaultyUpstream {
                url: format!("http://{}", closed.address),
                _closed: Some(closed),
                ..FaultyUpstream::default()
            };
        }
        Fault::NoSuchHost => {
            return FaultyUpstream {
                url: "https://presence.invalid".to_owned(),
                ..FaultyUpstream::default()
            };
        }
        Fault::NeverShakesHands => {
            RawVendor::start(async |stream| {
                let _stream = stream;
                pending::<()>().await;
            })
            .await
        }
        Fault::HangsUpInHandshake => RawVendor::start(async |_| {}).await,
        Fault::UnknownAuthority => untrusted_vendor().await,
        Fault::Responds(_) => {
            let vendor = faulty_vendor(rows, attempts).await;
            return FaultyUpstream {
                url: vendor.url(),
                ..FaultyUpstream::default()
            };
        }
    };
    FaultyUpstream {
        url: format!("https://{}", vendor.address),
        counting: Some(vendor),
        ..FaultyUpstream::default()
    }
}

/// Makes all calls of these rows at once; returns the differences from the
/// table. The rows have the same kind of fault and the same deadline.
pub fn run_rows(rows: &'static [Row], indexes: &[usize]) -> Vec<String> {
    let log = CapturedLog::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(log.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let mut wrong = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(run_calls(rows, indexes, &log))
    });
    // Ends all calls, so that the log is complete.
    drop(runtime);
    if log.text().contains(SECRET) {
        wrong.push(format!("{}: a token is in the log", rows[indexes[0]].name));
    }
    wrong
}

async fn run_calls(rows: &'static [Row], indexes: &[usize], log: &CapturedLog) -> Vec<String> {
    let first = &rows[indexes[0]];
    let attempts = Attempts::default();
    let upstream = vendor(rows, first.fault, &attempts).await;
    let limits = Limits {
        // One batch at a time.
        concurrency: 1,
        token_requests: 300,
        default_deadline: Duration::from_secs(first.deadline),
        ..Limits::default()
    };
    let gateway = Gateway::start_at_with(&upstream.url, limits).await;
    let columns = columns();
    let cells = indexes
        .iter()
        .flat_map(|&row| (0..columns.len()).map(move |column| (row, column)));
    let calls = cells.map(async |(row, column)| {
        let (name, token) = (&columns[column].name, token(row, column));
        let start = Instant::now();
        let result = call(&gateway, &rows[row], &columns[column], &token).await;
        let took = start.elapsed();
        let cell = rows[row].cells[column];
        let mut wrong = check(result, &rows[row], &columns[column], cell);
        let count = match rows[row].fault {
            Fault::Responds(_) => attempts.lock().get(&token).copied().unwrap_or(0),
            _ => logged_attempts(log, columns[column].rpc),
        };
        if count != cell.1 {
            wrong.push(format!("{count} attempts instead of {}", cell.1));
        }
        // The gateway does not start a wait that exceeds the deadline.
        if took > MAX_DURATION {
            wrong.push(format!("it took {took:?}"));
        }
        let place = format!("{} x {name}", rows[row].name);
        wrong
            .into_iter()
            .map(|wrong| format!("{place}: {wrong}"))
            .collect::<Vec<_>>()
    });
    let mut wrong = join_all(calls).await.concat();
    if let Some(vendor) = upstream.counting {
        let attempts = first.cells.iter().map(|cell| cell.1).sum::<usize>();
        if vendor.connections() != attempts {
            let connections = vendor.connections();
            wrong.push(format!(
                "{}: {connections} connections for {attempts} attempts",
                first.name
            ));
        }
    }
    wrong
}

async fn call(
    gateway: &Gateway,
    row: &Row,
    column: &Column,
    token: &str,
) -> Result<JsonResponse, Status> {
    let authorization = format!("Bearer {token}");
    let metadata = [("authorization", authorization.as_str()), NO_RETRIES];
    let metadata = &metadata[..=usize::from(row.is_client_retry)];
    let call = gateway.call_with_metadata(column.rpc, column.request.clone(), metadata);
    call.await
}

/// The requests of a call of this RPC, from the access log.
fn logged_attempts(log: &CapturedLog, rpc: &str) -> usize {
    let lines = log.text();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_of_call = |line: &Value| {
        line["method"]
            .as_str()
            .is_some_and(|name| name.ends_with(rpc))
    };
    let line = { lines }.find(is_of_call);
    let line = line.unwrap_or_else(|| panic!("no line in the log for {rpc}"));
    usize::try_from(line["upstream_calls"].as_u64().unwrap()).unwrap()
}

/// Compares the result of a call with its cell; returns the differences.
fn check(
    result: Result<JsonResponse, Status>,
    row: &Row,
    column: &Column,
    cell: Cell,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let (outcome, _) = cell;
    let expected = outcome.expected_error(row, column);
    let shown = match result {
        Ok(response) => {
            if outcome != Outcome::Done {
                wrong.push(format!("OK instead of {outcome:?}"));
            }
            let id = response.metadata.get("inin-correlation-id");
            if id.is_none_or(|id| id != CORRELATION_ID) {
                wrong.push(format!("the correlation id is {id:?}"));
            }
            format!("{response:?}")
        }
        Err(status) => {
            let actual = ErrorContent::from_status(&status, expected.message());
            if actual != expected {
                wrong.push(format!(
                    "{outcome:?} should be\n{expected:#?}\nbut is\n{actual:#?}"
                ));
            }
            let details = String::from_utf8_lossy(status.details()).into_owned();
            format!("{status:?} {details} {:?}", rpc_status(&status))
        }
    };
    if shown.contains(SECRET) {
        wrong.push(format!("the token is in {shown}"));
    }
    wrong
}
