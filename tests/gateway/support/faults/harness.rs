//! A gateway before a vendor that does wrong, and what becomes of its callers.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tonic::Status;

use super::column::{Column, columns};
use super::fault::{self, Fault};
use super::outcome::{ErrorContent, Outcome};
use crate::errors::faults::table::{Cell, Row};
use crate::support::log::CapturedLog;
use crate::support::raw_http::{RawVendor, read_request};
use crate::support::{CORRELATION_ID, Gateway, JsonResponse, Limits, NO_RETRIES, rpc_status};

/// What every token begins with, and what is in no output.
const SECRET: &str = "s3cret";

fn token(row: usize, column: usize) -> String {
    format!("{SECRET}-{row}-{column}")
}

/// More than a call takes that does not wait for its deadline of 30 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often each token was seen.
type Attempts = Arc<Mutex<HashMap<String, usize>>>;

/// A vendor that does to a request what the row says that its token names.
async fn answering(rows: &'static [Row], asked: &Attempts) -> RawVendor {
    let asked = Arc::clone(asked);
    let columns = Arc::new(columns());
    RawVendor::start(move |mut stream| {
        let (asked, columns) = (Arc::clone(&asked), Arc::clone(&columns));
        async move {
            let head = read_request(&mut stream).await;
            let token = head
                .lines()
                .find_map(|line| line.strip_prefix("authorization: bearer "));
            let token = token.expect("a request without a token").to_owned();
            *asked.lock().entry(token.clone()).or_default() += 1;
            let mut place = token
                .split('-')
                .skip(1)
                .map(|n| n.parse::<usize>().unwrap());
            let row = &rows[place.next().unwrap()];
            let column = &columns[place.next().unwrap()];
            if let Fault::Responds(answer) = row.fault {
                // The gateway may have seen enough before the end.
                let _ = fault::answer(&mut stream, answer, column, &token).await;
            }
        }
    })
    .await
}

/// A vendor whose certificate is of an authority that nobody knows.
async fn unknown() -> RawVendor {
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
            let shaken = acceptor.accept(stream).await;
            assert!(shaken.is_err(), "the gateway trusts anybody");
        }
    })
    .await
}

/// Where the gateway finds the vendor of some rows, and what counts connections.
async fn vendor(
    rows: &'static [Row],
    fault: Fault,
    asked: &Attempts,
) -> (String, Option<RawVendor>) {
    let vendor = match fault {
        Fault::Refused => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let nobody = listener.local_addr().unwrap();
            return (format!("http://{nobody}"), None);
        }
        Fault::NoSuchHost => return ("https://presence.invalid".to_owned(), None),
        Fault::NeverShakesHands => {
            RawVendor::start(async |stream| {
                let _stream = stream;
                pending::<()>().await;
            })
            .await
        }
        Fault::HangsUpInHandshake => RawVendor::start(async |_| {}).await,
        Fault::UnknownAuthority => unknown().await,
        Fault::Responds(_) => {
            let vendor = answering(rows, asked).await;
            return (vendor.url(), None);
        }
    };
    (format!("https://{}", vendor.address), Some(vendor))
}

/// Lets every caller meet the rows at these places, all at once; gives what
/// was not as the table says. Rows that play together have the same kind of
/// fault and the same deadline.
pub fn run_rows(rows: &'static [Row], places: &[usize]) -> Vec<String> {
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
        runtime.block_on(meet(rows, places, &log))
    });
    // With it end all calls, so that the log is complete.
    drop(runtime);
    if log.text().contains(SECRET) {
        wrong.push(format!("{}: a token is in the log", rows[places[0]].name));
    }
    wrong
}

async fn meet(rows: &'static [Row], places: &[usize], log: &CapturedLog) -> Vec<String> {
    let first = &rows[places[0]];
    let asked = Attempts::default();
    let (upstream, connections) = vendor(rows, first.fault, &asked).await;
    let limits = Limits {
        // One batch after the other.
        concurrency: 1,
        token_requests: 300,
        default_deadline: Duration::from_secs(first.deadline),
        ..Limits::default()
    };
    let gateway = Gateway::start_at_with(&upstream, limits).await;
    let columns = columns();
    let cells = places
        .iter()
        .flat_map(|&row| (0..columns.len()).map(move |column| (row, column)));
    let calls = cells.map(async |(row, column)| {
        let (name, token) = (&columns[column].name, token(row, column));
        let begun = Instant::now();
        let answer = call(&gateway, &rows[row], &columns[column], &token).await;
        let took = begun.elapsed();
        let cell = rows[row].cells[column];
        let mut wrong = check(answer, &rows[row], &columns[column], cell);
        let attempts = match rows[row].fault {
            Fault::Responds(_) => asked.lock().get(&token).copied().unwrap_or(0),
            _ => logged(log, columns[column].rpc),
        };
        if attempts != cell.1 {
            wrong.push(format!("{attempts} attempts instead of {}", cell.1));
        }
        // A wait that does not fit the time left is not begun.
        if took > PATIENCE {
            wrong.push(format!("it took {took:?}"));
        }
        let place = format!("{} x {name}", rows[row].name);
        wrong
            .into_iter()
            .map(|wrong| format!("{place}: {wrong}"))
            .collect::<Vec<_>>()
    });
    let mut wrong = join_all(calls).await.concat();
    if let Some(vendor) = connections {
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
    let answer = gateway.call_with_metadata(column.rpc, column.request.clone(), metadata);
    answer.await
}

/// How often the vendor was called in a call of this RPC, as the log says.
fn logged(log: &CapturedLog, rpc: &str) -> usize {
    let lines = log.text();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_the_call = |line: &Value| {
        line["method"]
            .as_str()
            .is_some_and(|name| name.ends_with(rpc))
    };
    let line = { lines }.find(of_the_call);
    let line = line.unwrap_or_else(|| panic!("no line in the log for {rpc}"));
    usize::try_from(line["upstream_calls"].as_u64().unwrap()).unwrap()
}

/// Compares what a caller was told with what it should have been.
fn check(
    answer: Result<JsonResponse, Status>,
    row: &Row,
    column: &Column,
    cell: Cell,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let (outcome, _) = cell;
    let expected = outcome.expected_error(row, column);
    let shown = match answer {
        Ok(answer) => {
            if outcome != Outcome::Done {
                wrong.push(format!("OK instead of {outcome:?}"));
            }
            let id = answer.metadata.get("inin-correlation-id");
            if id.is_none_or(|id| id != CORRELATION_ID) {
                wrong.push(format!("the correlation id is {id:?}"));
            }
            format!("{answer:?}")
        }
        Err(status) => {
            let told = ErrorContent::from_status(&status, expected.says());
            if told != expected {
                wrong.push(format!(
                    "{outcome:?} should be\n{expected:#?}\nbut is\n{told:#?}"
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
