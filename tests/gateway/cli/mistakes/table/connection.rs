//! Wrong servers, and wrong certificates.

use super::{Mistake, RPC, failed};

pub const MISTAKES: &[Mistake] = &[
    // The connection.
    failed(
        "nothing listens there",
        &[RPC, "--address", "{closed}"],
        &[
            "UNAVAILABLE: cannot call {closed}",
            "nothing listens there",
            "serve --sandbox",
            "--address",
        ],
    ),
    failed(
        "a name that does not exist",
        &[RPC, "--address", "no-such-host.invalid"],
        &[
            "cannot call no-such-host.invalid:50051",
            "`no-such-host.invalid` has no address",
            "names no port",
        ],
    ),
    failed(
        "a gateway that does not answer",
        &[RPC, "--address", "{silent}", "--deadline", "300ms"],
        &[
            "DEADLINE_EXCEEDED: ",
            "--deadline 300ms",
            "{silent} accepted the connection",
            "nothing at all",
        ],
    ),
    failed(
        "TLS to a server that does not answer",
        &[RPC, "--address", "https://{silent}", "--deadline", "300ms"],
        &[
            "DEADLINE_EXCEEDED: ",
            "--deadline 300ms",
            "{silent}, which accepted the connection, answered in the TLS handshake",
            "nothing was received in time",
            "http://{silent}",
        ],
    ),
    failed(
        "TLS to a plain port",
        &[RPC, "--address", "https://{gateway}"],
        &[
            "cannot call {gateway}",
            "has no TLS",
            "--address http://{gateway}",
        ],
    ),
    failed(
        "plain to a TLS port",
        &[RPC, "--address", "http://{tls}"],
        &["cannot call {tls}", "speaks TLS", "--address https://{tls}"],
    ),
    failed(
        "the port of the sandbox",
        &[RPC, "--address", "{sandbox}"],
        &[
            "cannot call {sandbox}",
            "speaks HTTP/1.1",
            "the port of `serve --listen`",
        ],
    ),
    failed(
        "the port of the metrics",
        &[RPC, "--address", "{metrics}"],
        &[
            "cannot call {metrics}",
            "speaks HTTP/1.1",
            "--metrics-listen",
        ],
    ),
    failed(
        "a web server",
        &[RPC, "--address", "{web}"],
        &[
            "cannot call {web}",
            "`HTTP/1.1 400 Bad Request`",
            "gRPC needs HTTP/2",
        ],
    ),
    failed(
        "a server of SSH",
        &[RPC, "--address", "{ssh}"],
        &["cannot call {ssh}", "`SSH-2.0-OpenSSH_9.2`"],
    ),
    failed(
        "TLS to a server of SSH",
        &[RPC, "--address", "https://{ssh}"],
        &[
            "cannot call {ssh}",
            "does not speak TLS",
            "`SSH-2.0-OpenSSH_9.2`",
        ],
    ),
    failed(
        "a web server with TLS",
        &[
            RPC,
            "--address",
            "https://{https}",
            "--tls-ca",
            "{ca}",
            "--tls-server-name",
            "localhost",
        ],
        &["cannot call {https}", "does not offer HTTP/2", "web server"],
    ),
    failed(
        "a proxy whose upstream is down",
        &[RPC, "--address", "{proxy}"],
        &[
            "UNAVAILABLE: ",
            "{proxy} is not gRPC: HTTP 502, text/html of `nginx/1.22.1`",
            "cannot reach",
        ],
    ),
    // Certificates.
    failed(
        "a CA that the system does not know",
        &[RPC, "--address", "https://{tls}"],
        &[
            "cannot call {tls}",
            "of a CA that is not trusted here: `CN=test authority`",
            "--tls-ca FILE",
        ],
    ),
    failed(
        "another CA",
        &[RPC, "--address", "{tls}", "--tls-ca", "{named-ca}"],
        &[
            "cannot call {tls}",
            "not issued by the authority in --tls-ca, but by `CN=test authority`",
            "`{named-ca}` (--tls-ca) has `CN=Another CA`",
        ],
    ),
    failed(
        "another CA of the same name",
        &[RPC, "--address", "{tls}", "--tls-ca", "{other-ca}"],
        &[
            "cannot call {tls}",
            "not issued by the authority in --tls-ca: that has the name of the issuer, \
             `CN=test authority`, but another key",
            "`{other-ca}` (--tls-ca) may be an earlier CA",
        ],
    ),
    failed(
        "a self-signed certificate",
        &[RPC, "--address", "https://{self-signed}"],
        &[
            "cannot call {self-signed}",
            "of `CN=localhost`, is self-signed",
            "--tls-ca FILE",
            "its own authority",
        ],
    ),
    failed(
        "another self-signed certificate",
        &[RPC, "--address", "{self-signed}", "--tls-ca", "{self-cert}"],
        &["cannot call {self-signed}", "`{self-cert}` (--tls-ca)"],
    ),
    failed(
        "a self-signed certificate that is a CA",
        &[RPC, "--address", "https://{own-authority}"],
        &["cannot call {own-authority}", "marked as a CA", "CA:FALSE"],
    ),
    failed(
        "a certificate for another name",
        &[RPC, "--address", "{named}", "--tls-ca", "{ca}"],
        &[
            "cannot call {named}",
            "not for `localhost`, but for `gateway.example`",
            "--tls-server-name gateway.example",
        ],
    ),
    failed(
        "an expired certificate",
        &[RPC, "--address", "{expired}", "--tls-ca", "{expired-cert}"],
        &[
            "cannot call {expired}",
            "expired on 2021-01-01",
            "renew it",
            "clock",
        ],
    ),
    failed(
        "no client certificate",
        &[RPC, "--address", "{mtls}", "--tls-ca", "{ca}"],
        &[
            "cannot call {mtls}",
            "requires a client certificate",
            "--tls-cert",
            "--tls-client-ca",
        ],
    ),
    failed(
        "a client certificate of another CA",
        &[
            RPC,
            "--address",
            "{mtls}",
            "--tls-ca",
            "{ca}",
            "--tls-cert",
            "{client-cert}",
            "--tls-key",
            "{client-key}",
        ],
        &[
            "cannot call {mtls}",
            "rejects the client certificate",
            "--tls-client-ca",
        ],
    ),
];
