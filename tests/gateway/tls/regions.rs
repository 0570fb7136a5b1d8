//! The regions' own hosts, by their names: behind a proxy of the test, which plays
//! every host with a certificate of its authority.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;

use super::upstream::{ANSWER, HTTP1, acceptor, read_head};
use crate::support::certificates::{Authority, TempDir};
use crate::support::process::{ServerProcess, run};
use crate::support::raw_http::{RawVendor, read_request};

/// The hosts of two regions.
const HOSTS: [&str; 2] = ["api.mypurecloud.com", "api.mypurecloud.de"];

/// Starts a proxy that answers in place of the hosts that it should open tunnels to.
/// Returns it with the list of the tunnels.
async fn proxy(authority: &Authority) -> (RawVendor, Arc<Mutex<Vec<String>>>) {
    let acceptor = acceptor(&authority.issue(&HOSTS), None);
    let targets = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&targets);
    let proxy = RawVendor::start(move |mut stream| {
        let (acceptor, targets) = (acceptor.clone(), Arc::clone(&targets));
        async move {
            let head = read_request(&mut stream).await;
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            targets.lock().push(target);
            let opened = b"HTTP/1.1 200 Connection established\r\n\r\n";
            stream.write_all(opened).await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_head(&mut stream).await;
                let _ = stream.write_all(ANSWER).await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await;
    (proxy, seen)
}

#[tokio::test]
async fn each_region_is_called_at_its_host_and_shown_by_its_address() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let (proxy, tunnels) = proxy(&authority).await;
    let ca = folder.file("ca.pem", &authority.pem);
    let proxy = format!("http://{}", proxy.address);
    let (log, metrics) = spawn_blocking(move || {
        let serve = ["serve", "--upstream-proxy", &proxy, "--upstream-ca", &ca];
        // None of the tunnels only negotiates.
        let serve = [&serve[..], &[HTTP1]].concat();
        let metrics = ["--metrics-listen", "127.0.0.1:0"];
        let regions = [("PRESENCE_GATEWAY_REGION", "us_east_1, mypurecloud.de")];
        let gateway = ServerProcess::start(&[&serve[..], &metrics].concat(), &regions);
        let call = ["call", "GetPresenceSettings", "--token", "any", "--address"];
        let call = [&call[..], &[gateway.address.as_str()]].concat();
        for region in [
            &[][..],
            &["--region", "EU-central-1"],
            &["--region", "us-east-1"],
        ] {
            let called = run(&[&call[..], region].concat(), &[]);
            assert_eq!(called.code, Some(0), "{called:#?}");
        }
        let refused = run(&[&call[..], &["--region", "eu-west-1"]].concat(), &[]);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        let first: Value = serde_json::from_str(&gateway.log.lines()[0]).unwrap();
        let mut scrape = TcpStream::connect(first["metrics"].as_str().unwrap()).unwrap();
        let get = b"GET /metrics HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n";
        scrape.write_all(get).unwrap();
        let page = io::read_to_string(scrape).unwrap();
        gateway.signal("TERM");
        (gateway.wait().1, page)
    })
    .await
    .unwrap();
    let expected = [HOSTS[0], HOSTS[1], HOSTS[0]].map(|host| format!("{host}:443"));
    assert_eq!(*tunnels.lock(), expected);

    let log: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(log[0]["message"], "serving");
    assert_eq!(log[0]["regions"], "us-east-1, eu-central-1");
    let upstream = "https://api.mypurecloud.com, https://api.mypurecloud.de";
    assert_eq!(log[0]["upstream"], upstream);
    let calls = log.iter().filter(|line| line["message"] == "call");
    let regions: Vec<&Value> = calls.map(|line| &line["region"]).collect();
    let (us, eu) = (&Value::from("us-east-1"), &Value::from("eu-central-1"));
    assert_eq!(regions, [us, eu, us, &Value::Null]);

    for (host, count) in [(HOSTS[0], "2"), (HOSTS[1], "1")] {
        let is_it = |line: &&str| {
            line.starts_with("http_client_request_duration_seconds_count{")
                && line.contains(&format!("server_address=\"{host}\""))
        };
        let line = metrics
            .lines()
            .find(is_it)
            .unwrap_or_else(|| panic!("{host}: {metrics}"));
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
}
