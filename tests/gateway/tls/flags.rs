//! Unusable files are configuration errors, and reported with all others.

use crate::support::certificates::{Authority, TempDir};
use crate::support::process::run;

#[test]
fn every_unusable_file_is_reported_with_the_reason() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let issued = authority.local();
    let cert = folder.file("cert.pem", &issued.cert);
    let key = folder.file("key.pem", &issued.key);
    let other = folder.file("other.pem", &authority.local().key);
    let empty = folder.file("empty.pem", "");
    let missing = folder.path().join("missing.pem");
    let missing = missing.to_str().unwrap();
    let problems = |flags: &[&str]| -> Vec<String> {
        let refused = run(&[&["serve", "--sandbox"], flags].concat(), &[]);
        let problems = refused.config_errors();
        problems
            .into_iter()
            .map(|problem| problem.replace(folder.path().to_str().unwrap(), ""))
            .collect()
    };
    assert_eq!(
        problems(&["--tls-cert", missing, "--tls-key", &key, "--max-bulk-ids=0"]),
        [
            "--tls-cert: `/missing.pem` cannot be read: No such file or directory (os error 2)",
            "--max-bulk-ids: `0` is not a whole number from 1 to 100000",
        ]
    );
    assert_eq!(
        problems(&[
            "--tls-cert",
            &key,
            "--tls-key",
            &cert,
            "--tls-client-ca",
            &empty
        ]),
        [
            "--tls-cert: `/key.pem` holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)",
            "--tls-key: `/cert.pem` holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`, \
             without a password)",
            "--tls-client-ca: `/empty.pem` holds no certificate in PEM (`-----BEGIN \
             CERTIFICATE-----`)",
        ]
    );
    assert_eq!(
        problems(&["--tls-cert", &cert, "--tls-key", &other]),
        ["--tls-key: `/other.pem` is not the key of the certificate"]
    );
    for (alone, needs) in [
        (
            ["--tls-cert", &cert],
            "--tls-cert: `/cert.pem` needs --tls-key too",
        ),
        (
            ["--tls-key", &key],
            "--tls-key: `/key.pem` needs --tls-cert too",
        ),
        (
            ["--tls-client-ca", &cert],
            "--tls-client-ca: `/cert.pem` needs --tls-cert and --tls-key too",
        ),
    ] {
        assert_eq!(problems(&alone), [needs]);
    }
    let missing = folder.path().join("missing.pem").display().to_string();
    assert_eq!(
        problems(&["--tls-cert", &missing]),
        [
            "--tls-cert: `/missing.pem` cannot be read: No such file or directory (os error 2)",
            "--tls-cert: `/missing.pem` needs --tls-key too",
        ]
    );
}

#[test]
fn the_client_reports_wrong_flags() {
    let folder = TempDir::new();
    let empty = folder.file("empty.pem", "");
    let call = |flags: &[&str]| run(&[&["call", "GetSystempresences"], flags].concat(), &[]);
    for (flags, message) in [
        (&["--tls-ca", &empty][..], "--tls-ca: `"),
        (&["--tls-ca", "/no/file"], "cannot be read"),
        (&["--tls-cert", &empty], "needs --tls-key too"),
        (&["--tls-server-name", "a b"], "--tls-server-name: `a b`"),
        (
            &["--tls-server-name", "a", "--address", "http://127.0.0.1:1"],
            "selects no TLS; begin it with `https://`",
        ),
        (
            &["--address", "ftp://127.0.0.1:1"],
            "or `https://127.0.0.1:1` for TLS",
        ),
    ] {
        let refused = call(flags);
        assert_eq!(refused.code, Some(64), "{refused:#?}");
        assert!(refused.stderr.contains(message), "{refused:#?}");
    }
}
