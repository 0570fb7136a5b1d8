//! Certificates that change while the gateway serves.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::Value;
use tonic_health::pb::health_check_response::ServingStatus::Serving;

use super::{channel, handshake, trusting};
use crate::lifecycle::health::check;
use crate::support::certificates::{Authority, IssuedCertificate, TempDir};
use crate::support::process::ServerProcess as Program;

/// As Kubernetes mounts a secret: the files are links through a link to a
/// folder, and a change moves that link alone.
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

/// Lines of the log that tell of a change of files.
fn told(gateway: &Program, level: &str) -> usize {
    let lines = gateway.log.lines();
    let lines = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_files = lines.filter(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == level && message.starts_with("TLS files")
    });
    of_files.count()
}

/// Waits for what a change leads to.
async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_no_connection_dropped() {
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
    let before = channel(address, &trusting(&old, Some(&client)))
        .await
        .unwrap();
    assert_eq!(check(&before, "").await.unwrap(), Serving);

    // Another authority on both sides.
    let others = Authority::new();
    let other = others.issue(&["caller"]);
    let issued = new.local();
    secret.change(&issued.cert, &issued.key, &others.pem);
    soon("the new certificate", async || {
        handshake(address, trusting(&new, Some(&other)))
            .await
            .is_ok()
    })
    .await;
    // The log is read by a thread of its own.
    soon("a line of it", async || told(&gateway, "INFO") == 1).await;
    handshake(address, trusting(&new, Some(&client)))
        .await
        .unwrap_err();
    handshake(address, trusting(&old, Some(&other)))
        .await
        .unwrap_err();
    assert_eq!(check(&before, "").await.unwrap(), Serving);

    // A key of another certificate: what was there stays.
    secret.change(&issued.cert, &old.local().key, &others.pem);
    soon("a warning", async || told(&gateway, "WARN") == 1).await;
    handshake(address, trusting(&new, Some(&other)))
        .await
        .unwrap();
    let lines = gateway.log.lines();
    let warning = lines.iter().find(|line| line.contains("WARN")).unwrap();
    assert!(
        warning.contains("--tls-key") && warning.contains("tls.key"),
        "{warning}"
    );
    assert!(!warning.contains("PRIVATE"), "{warning}");

    // Mended; the warning was said once, in as many looks as there were.
    let again = old.local();
    secret.change(&again.cert, &again.key, &others.pem);
    soon("the old authority again", async || {
        handshake(address, trusting(&old, Some(&other)))
            .await
            .is_ok()
    })
    .await;
    soon("a line of it", async || told(&gateway, "INFO") == 2).await;
    assert_eq!(told(&gateway, "WARN"), 1);
    assert_eq!(check(&before, "").await.unwrap(), Serving);
}
