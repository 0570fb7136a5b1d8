//! Mistakes in the flags, the token and the address.

use super::{Mistake, RPC, TOKEN, USER, rejected};

pub const MISTAKES: &[Mistake] = &[
    // Flags.
    rejected(
        "a flag of grpcurl",
        &["-plaintext", RPC],
        &["no flag `-plaintext`", "without TLS"],
    ),
    rejected(
        "the request by a flag",
        &[RPC, "-d", "{}"],
        &["no flag `-d`", "call RPC '{…}'"],
    ),
    rejected(
        "the token as a header",
        &[RPC, "-H", "authorization: Bearer any"],
        &["no flag `-H`", "--token TOKEN", "PRESENCE_GATEWAY_TOKEN"],
    ),
    rejected(
        "a field as a flag",
        &[USER, "--user-id", "a"],
        &["no flag `--user-id`", "'{\"userId\": …}'"],
    ),
    rejected(
        "a misspelt flag",
        &[RPC, "--addr", "a"],
        &["no flag `--addr`; did you mean `--address`?"],
    ),
    rejected(
        "the beginning of a field as a flag",
        &[USER, "--user", "a"],
        &["no flag `--user`", "'{\"userId\": …}'"],
    ),
    rejected(
        "a flag like no other",
        &[USER, "--colour"],
        &["there is no flag `--colour`\n", "--help lists the flags"],
    ),
    rejected(
        "more output",
        &[USER, "--verbose"],
        &["no flag `--verbose`", "leave it out"],
    ),
    rejected(
        "an RPC that is listed",
        &["--list", USER],
        &["`presence-gateway call GetUserPresencesPurecloud --describe`"],
    ),
    rejected(
        "the sandbox of the gateway",
        &[USER, "--sandbox"],
        &["no flag `--sandbox`", "`presence-gateway serve --sandbox`"],
    ),
    rejected(
        "no certificate checks",
        &[RPC, "--insecure"],
        &["no flag `--insecure`", "--tls-ca FILE"],
    ),
    rejected(
        "a deadline without a unit",
        &[RPC, "--deadline", "5"],
        &["--deadline: `5`", "`5s`"],
    ),
    rejected(
        "a negative deadline",
        &[RPC, "--deadline", "-5s"],
        &["--deadline: `-5s` is not a duration"],
    ),
    rejected(
        "a deadline of nothing",
        &[RPC, "--deadline", "0s"],
        &["--deadline: `0s` leaves no time for a response"],
    ),
    rejected(
        "a flag given twice",
        &[RPC, "--deadline", "1s", "--token", "a", "--deadline=x"],
        &["--deadline: given more than once"],
    ),
    rejected(
        "ids for a unary RPC",
        &[USER, "--ids", "-"],
        &[
            "--ids: GetUserPresencesPurecloud takes no stream of ids",
            "StreamUsersPresencesPurecloudBulk",
        ],
    ),
    rejected(
        "a stream without ids",
        &["StreamUsersPresencesPurecloudBulk"],
        &[
            "--ids: StreamUsersPresencesPurecloudBulk needs ids",
            "one on each line",
        ],
    ),
    rejected(
        "a region without a name",
        &[RPC, "--region"],
        &["--region has no value"],
    ),
    rejected(
        "a region that no header may have",
        &[RPC, "--region", "eu\ncentral"],
        &["--region: `eu", "characters that no header may have"],
    ),
    // The token.
    rejected(
        "no token",
        &[RPC],
        &[
            "no token",
            "--token TOKEN",
            "PRESENCE_GATEWAY_TOKEN",
            "`--token any`",
        ],
    )
    .with(&[]),
    rejected(
        "a misspelt variable",
        &[RPC],
        &[
            "warning: PRESENCE_GATEWAY_TOKN is no setting",
            "a similar one is PRESENCE_GATEWAY_TOKEN",
            "warning: PRESENCEGATEWAY_ADDRESS is no setting",
            "no token",
        ],
    )
    .with(&[
        ("PRESENCE_GATEWAY_TOKN", "x"),
        ("PRESENCEGATEWAY_ADDRESS", "y"),
    ]),
    rejected(
        "an empty token",
        &[RPC, "--token", ""],
        &["the token is empty", "is the variable set"],
    )
    .with(&[]),
    rejected(
        "a token without a value",
        &[RPC, "--token"],
        &["--token has no value"],
    )
    .with(&[]),
    rejected(
        "another scheme than Bearer",
        &[RPC, "--token", "Basic YWJj"],
        &["the scheme `Basic`", "takes a bearer token"],
    )
    .with(&[]),
    rejected(
        "a token in two lines",
        &[RPC],
        &["number 5", "the end of a line", "in one piece"],
    )
    .with(&[("PRESENCE_GATEWAY_TOKEN", "abcd\nefgh\n")]),
    rejected(
        "a variable in single quotes",
        &[RPC, "--token", "$TOKEN"],
        &["`$`", "double quotes"],
    )
    .with(&[]),
    // The address.
    rejected(
        "the scheme grpc",
        &[RPC, "--address", "grpc://gateway:50051"],
        &[
            "--address: `grpc://gateway:50051` begins with `grpc://`",
            "write `gateway:50051`",
        ],
    ),
    rejected(
        "the target of a gRPC library",
        &[RPC],
        &[
            "PRESENCE_GATEWAY_ADDRESS: `dns:///gateway:50051`",
            "write `gateway:50051`",
        ],
    )
    .with(&[TOKEN, ("PRESENCE_GATEWAY_ADDRESS", "dns:///gateway:50051")]),
    rejected(
        "the address with a path",
        &[RPC, "--address", "http://gateway:50051/api/v2"],
        &["has a path", "write `http://gateway:50051`"],
    ),
    rejected(
        "a port alone",
        &[RPC, "--address", "50051"],
        &["write `127.0.0.1:50051`"],
    ),
    rejected(
        "a port out of range",
        &[RPC, "--address", "gateway:500510"],
        &["from 1 to 65535"],
    ),
    rejected(
        "an IPv6 address without brackets",
        &[RPC, "--address", "fe80::1:50051"],
        &["in brackets, `[fe80::1]:50051`"],
    ),
    rejected(
        "TLS flags for plain http",
        &[RPC, "--address", "http://gateway", "--tls-ca", "{ca}"],
        &["--tls-ca: ", "begin it with `https://`"],
    ),
    rejected(
        "a CA file without a certificate",
        &[RPC, "--tls-ca", "{broken}"],
        &["--tls-ca: `{broken}` holds no certificate in PEM"],
    ),
    rejected(
        "a client certificate without its key",
        &[RPC, "--tls-cert", "{client-cert}"],
        &["--tls-cert: `{client-cert}` needs --tls-key too"],
    ),
    rejected(
        "files that do not exist",
        &[RPC, "--tls-cert", "/no/cert", "--tls-ca", "/no/ca"],
        &[
            "--tls-ca: `/no/ca` cannot be read",
            "--tls-cert: `/no/cert` cannot be read",
            "--tls-cert: `/no/cert` needs --tls-key too",
        ],
    ),
    rejected(
        "several mistakes at once",
        &["GetUsrPresence", "--address", "50051", "--deadline", "5"],
        &["no RPC", "--address: ", "no token", "--deadline: "],
    )
    .with(&[]),
];
