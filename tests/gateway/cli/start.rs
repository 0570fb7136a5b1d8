//! What a server prints and binds when it starts.

use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;

use crate::support::certificates::{Authority, TempDir};
use crate::support::process::{ServerProcess, run};

#[test]
fn the_printed_example_call_works() {
    let mut gateway = ServerProcess::start(&["serve", "--sandbox"], &[]);
    assert_example_works(&gateway.quickstart());
}

#[test]
fn the_printed_example_call_works_without_users_too() {
    let none = [("PRESENCE_GATEWAY_SANDBOX_USERS", "0")];
    let mut gateway = ServerProcess::start(&["serve", "--sandbox"], &none);
    let response = run_example(&gateway.quickstart());
    assert!(response["systemPresences"].is_array(), "{response}");
}

#[test]
fn the_printed_example_call_works_over_tls_with_a_ca_and_a_name() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let issued = authority.local();
    let cert = folder.file("cert.pem", &issued.cert);
    let key = folder.file("key.pem", &issued.key);
    let ca = folder.file("ca.pem", &authority.pem);
    let serve = ["serve", "--sandbox", "--tls-cert", &cert, "--tls-key", &key];
    let mut gateway = ServerProcess::start(&serve, &[]);
    let greeting = gateway.quickstart();
    assert!(greeting.contains("--tls-ca CA.pem --tls-server-name NAME\n"));
    let named = greeting.replacen("CA.pem", &ca, 1);
    assert_example_works(&named.replacen("NAME", "localhost", 1));
}

fn assert_example_works(greeting: &str) {
    let presence = run_example(greeting);
    assert_eq!(
        presence["presenceDefinition"]["systemPresence"], "Available",
        "{presence}"
    );
}

/// Runs the printed command; returns the response.
fn run_example(greeting: &str) -> Value {
    let from = greeting.find("call Get").expect(greeting);
    let command = format!(
        "{} {}",
        env!("CARGO_BIN_EXE_presence-gateway"),
        greeting[from..].split("\n\n").next().unwrap()
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_port_in_use_is_reported_with_its_flag() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = occupied.local_addr().unwrap().to_string();
    let serve = |flag| {
        [
            "serve",
            "--sandbox",
            "--listen",
            "127.0.0.1:0",
            flag,
            &occupied,
        ]
    };
    for (flag, command) in [
        (
            "--listen",
            &["serve", "--sandbox", "--listen", &occupied][..],
        ),
        ("--listen", &["sandbox", "--listen", &occupied]),
        ("--health-listen", &serve("--health-listen")),
        ("--metrics-listen", &serve("--metrics-listen")),
    ] {
        let failed = run(command, &[]);
        assert_eq!(failed.code, Some(64), "{failed:#?}");
        assert!(
            failed
                .stderr
                .contains(&format!("{flag}: cannot listen on {occupied}")),
            "{failed:#?}"
        );
        assert!(failed.stderr.contains("another port"), "{failed:#?}");
    }
}

#[test]
fn the_sandbox_is_on_port_8080_or_the_next_free_one() {
    let by_default = [("PRESENCE_GATEWAY_SANDBOX_LISTEN", "")];
    let started = || ServerProcess::start(&["serve", "--sandbox"], &by_default);
    let mut gateways = [started(), started()];
    let ports = gateways.each_mut().map(|gateway| {
        let serving: Value = serde_json::from_str(&gateway.log.lines()[0]).unwrap();
        let url = serving["upstream"].as_str().unwrap().to_owned();
        let quickstart = gateway.quickstart();
        assert!(quickstart.contains(&format!("{url}/\n")), "{quickstart}");
        let port = url.strip_prefix("http://127.0.0.1:").expect(&url);
        port.parse::<u16>().unwrap()
    });
    assert!(ports.iter().all(|port| (8080..8180).contains(port)));
    assert_ne!(ports[0], ports[1]);
}

#[test]
fn the_variable_of_the_sandbox_chooses_its_address() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let serve = ["serve", "--sandbox", "--listen", "127.0.0.1:0"];
    let variable = [("PRESENCE_GATEWAY_SANDBOX_LISTEN", address.as_str())];
    let failed = run(&serve, &variable);
    assert_eq!(failed.code, Some(64), "{failed:#?}");
    let expected = format!("PRESENCE_GATEWAY_SANDBOX_LISTEN: cannot listen on {address}");
    assert!(failed.stderr.contains(&expected), "{failed:#?}");
    assert!(failed.stderr.contains("another port"), "{failed:#?}");

    for (address, called) in [
        ("127.0.0.2:0", "http://127.0.0.2:"),
        ("0.0.0.0:0", "http://127.0.0.1:"),
    ] {
        let variable = [("PRESENCE_GATEWAY_SANDBOX_LISTEN", address)];
        let gateway = ServerProcess::start(&["serve", "--sandbox"], &variable);
        let serving: Value = serde_json::from_str(&gateway.log.lines()[0]).unwrap();
        let upstream = serving["upstream"].as_str().unwrap();
        assert!(upstream.starts_with(called), "{serving}");
        let call = ["call", "GetSystempresences", "--token=any", "--address"];
        let answered = run(&[&call[..], &[&gateway.address]].concat(), &[]);
        assert_eq!(answered.code, Some(0), "{answered:#?}");
    }

    let wrong = [("PRESENCE_GATEWAY_SANDBOX_LISTEN", "nowhere")];
    let failed = run(&serve, &wrong);
    let errors = failed.config_errors();
    let expected = "PRESENCE_GATEWAY_SANDBOX_LISTEN: `nowhere` is not an ";
    assert!(errors[0].starts_with(expected), "{errors:?}");
}

#[test]
fn equal_ports_are_reported_before_one_is_bound() {
    let port = "127.0.0.1:50999";
    let command = ["serve", "--sandbox", "--listen", port];
    let command = [
        &command[..],
        &["--health-listen", port, "--metrics-listen", port],
    ]
    .concat();
    let failed = run(&command, &[]);
    assert_eq!(failed.code, Some(64), "{failed:#?}");
    for problem in [
        "--health-listen: `127.0.0.1:50999` is also the port of --listen",
        "--metrics-listen: `127.0.0.1:50999` is also the port of --listen",
        "--metrics-listen: `127.0.0.1:50999` is also the port of --health-listen",
    ] {
        assert!(failed.stderr.contains(problem), "{failed:#?}");
    }
}

#[test]
fn ports_that_overlap_are_reported_before_one_is_bound() {
    for (callers, health) in [
        (":50999", "127.0.0.1:50999"),
        ("localhost:50999", "0.0.0.0:50999"),
    ] {
        let flags = [
            "serve",
            "--sandbox",
            "--check",
            "--listen",
            callers,
            "--health-listen",
            health,
        ];
        let failed = run(&flags, &[]);
        let [error] = failed.config_errors()[..] else {
            panic!("{failed:#?}")
        };
        assert!(error.contains("is also the port of --listen"), "{error}");
    }
}

#[test]
fn the_port_of_the_sandbox_is_compared_with_the_others() {
    let sandbox = [("PRESENCE_GATEWAY_SANDBOX_LISTEN", "127.0.0.1:50999")];
    for flag in ["--listen", "--health-listen", "--metrics-listen"] {
        let port = format!("{flag}=:50999");
        let failed = run(&["serve", "--sandbox", "--check", &port], &sandbox);
        let expected = format!(
            "PRESENCE_GATEWAY_SANDBOX_LISTEN: `127.0.0.1:50999` is also the port of {flag}; give \
             another"
        );
        assert_eq!(failed.config_errors(), [expected]);
    }
}

#[test]
fn callers_are_served_on_localhost_and_on_all_addresses() {
    for (listen, variable) in [("localhost:0", "127.0.0.1"), (":0", "[::]")] {
        let flags = ["serve", "--sandbox", "--health-listen", listen];
        let gateway = ServerProcess::start(&flags, &[]);
        let line: Value = serde_json::from_str(&gateway.log.lines()[0]).unwrap();
        let (host, port) = line["health"].as_str().unwrap().rsplit_once(':').unwrap();
        // Where IPv6 is off, all addresses are those of IPv4.
        assert!(host == variable || host == "0.0.0.0", "{line}");
        TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    }
}

#[test]
fn a_separate_sandbox_is_an_upstream() {
    let sandbox = ServerProcess::start(&["sandbox"], &[]);
    let url = format!("http://{}", sandbox.address);
    let gateway = ServerProcess::start(&["serve", "--upstream-url", &url], &[]);
    let call = ["call", "GetSystempresences", "--token", "any", "--address"];
    let output = run(&[&call[..], &[&gateway.address]].concat(), &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(output.stdout.contains("ON_QUEUE"), "{output:#?}");
}

#[test]
fn the_version_has_the_commit() {
    let version = run(&["--version"], &[]).stdout;
    let (version, commit) = version.trim().split_once(" (commit ").expect(&version);
    assert_eq!(
        version,
        concat!("presence-gateway ", env!("CARGO_PKG_VERSION"))
    );
    assert!(commit.len() > 1 && commit.ends_with(')'), "{commit}");
}
