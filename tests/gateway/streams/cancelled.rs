//! Streams that their caller cancels.

use std::future::pending;

use serde_json::Value;
use tokio::task::{spawn_blocking, yield_now};

use crate::support::process::ServerProcess;
use crate::support::stream_caller::{STREAMS, StreamCall};
use crate::support::{Gateway, Vendor};

/// Enough streams that each side is the first to end in some.
const CANCELLED: usize = 40;

#[tokio::test]
async fn a_cancelled_stream_is_logged_as_cancelled() {
    let vendor = Vendor::start(|_| pending()).await;
    let upstream = format!("http://{}", vendor.address);
    let serving = ServerProcess::start(&["serve", "--upstream-url", &upstream], &[]);
    let gateway = Gateway::connect(serving.address.parse().unwrap()).await;

    for number in 1..=CANCELLED {
        let mut stream = StreamCall::open(&gateway, STREAMS[1]).await;
        stream.send(vec![format!("user-{number}")]).await;
        while vendor.received().len() < number {
            yield_now().await;
        }
        stream.cancel();
    }

    let logged = logged(&serving).await;
    assert_eq!(logged, vec!["CANCELLED"; CANCELLED]);
}

/// Waits until all streams are logged; returns their statuses.
async fn logged(serving: &ServerProcess) -> Vec<String> {
    let log = serving.log.clone();
    let all = |lines: &[String]| statuses(lines).len() == CANCELLED;
    let wait = spawn_blocking(move || log.wait_until("a line of each stream", all));
    wait.await.unwrap();
    statuses(&serving.log.lines())
}

/// The statuses of the streams that are logged.
fn statuses(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let streams = lines.filter(|line: &Value| {
        line["method"]
            .as_str()
            .is_some_and(|method| method.ends_with(STREAMS[1]))
    });
    streams
        .map(|line| line["status"].as_str().unwrap().to_owned())
        .collect()
}
