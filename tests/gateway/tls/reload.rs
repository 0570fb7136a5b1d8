//! Certificates that change while the gateway serves.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tonic_health::pb::health_check_response::ServingStatus::Serving;

use super::{channel, client_config, handshake};
use crate::lifecycle::health::check;
use crate::support::certificates::{Authority, IssuedCertificate, TempDir};
use crate::support::process::ServerProcess as Program;

/// Files as Kubernetes mounts a secret: each is a link through a link to a folder,
/// and a change replaces only that link.
struct Secret {
    folder: TempDir,
    version: usize,
}

impl Secret {
    fn new(issued: &IssuedCertificate, client_ca: &str) -> Self {
        let mut secret = Self {
            folder: TempDir::new(),
            version: 0,
        };
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            let link = secret.folder.path().join(name);
            symlink(format!("..data/{name}"), link).unwrap();
        }
        secret.change(&issued.cert, &issued.key, client_ca);
        secret
    }

    fn change(&mut self, cert: &str, key: &str, client_ca: &str) {
        self.version += 1;
        let version = format!("version-{}", self.version);
        for (name, contents) in [("tls.crt", cert), ("tls.key", key), ("ca.crt", client_ca)] {
            self.folder.file(&format!("{version}/{name}"), contents);
        }
        let new = self.folder.path().join("..new");
        symlink(version, &new).unwrap();
        std::fs::rename(new, self.folder.path().join("..data")).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Counts the log lines of this level about the TLS files.
fn reload_lines(lines: &[String], level: &str) -> usize {
    let lines = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let matching = lines.filter(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == level && message.starts_with("TLS files")
    });
    matching.count()
}

async fn wait_for_reload_lines(gateway: &Program, level: &'static str, count: usize) {
    let log = gateway.log.clone();
    let what = format!("{count} lines of level {level}");
    let wait = move || log.wait_until(&what, |lines| reload_lines(lines, level) == count);
    spawn_blocking(wait).await.unwrap();
}

/// Waits until `condition` holds, which has no event, without taking the processor from
/// the gateway.
async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "timed out waiting for {what}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_loaded_and_no_connection_is_dropped() {
    let (old, new, clients) = (Authority::new(), Authority::new(), Authority::new());
    let client = clients.issue(&["caller"]);
    let mut secret = Secret::new(&old.local(), &clients.pem);
    let (cert, key, ca) = (
        secret.path("tls.crt"),
        secret.path("tls.key"),
        secret.path("ca.crt"),
    );
    let flags = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
    ];
    let gateway = Program::start(&[&["serve", "--sandbox"][..], &flags].concat(), &[]);
    let address = gateway.address.as_str();
    let before = channel(address, &client_config(&old, Some(&client)))
        .await
        .unwrap();
    assert_eq!(check(&before, "").await.unwrap(), Serving);

    // The server's and the clients' authority change.
    let others = Authority::new();
    let other = others.issue(&["caller"]);
    let issued = new.local();
    secret.change(&issued.cert, &issued.key, &others.pem);
    wait_until("the new certificate", async || {
        handshake(address, client_config(&new, Some(&other)))
            .await
            .is_ok()
    })
    .await;
    wait_for_reload_lines(&gateway, "INFO", 1).await;
    handshake(address, client_config(&new, Some(&client)))
        .await
        .unwrap_err();
    handshake(address, client_config(&old, Some(&other)))
        .await
        .unwrap_err();
    assert_eq!(check(&before, "").await.unwrap(), Serving);

    // A mismatched key: the old files stay in use.
    secret.change(&issued.cert, &old.local().key, &others.pem);
    wait_for_reload_lines(&gateway, "WARN", 1).await;
    handshake(address, client_config(&new, Some(&other)))
        .await
        .unwrap();
    let lines = gateway.log.lines();
    let warning = lines.iter().find(|line| line.contains("WARN")).unwrap();
    assert!(
        warning.contains("--tls-key") && warning.contains("tls.key"),
        "{warning}"
    );
    assert!(!warning.contains("PRIVATE"), "{warning}");

    // Correct files again; the warning was logged once for all checks.
    let again = old.local();
    secret.change(&again.cert, &again.key, &others.pem);
    wait_until("the old authority", async || {
        handshake(address, client_config(&old, Some(&other)))
            .await
            .is_ok()
    })
    .await;
    wait_for_reload_lines(&gateway, "INFO", 2).await;
    assert_eq!(reload_lines(&gateway.log.lines(), "WARN"), 1);
    assert_eq!(check(&before, "").await.unwrap(), Serving);
}
