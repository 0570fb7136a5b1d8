//! The texts of the help, beside those of the flags.

/// A text of a build with the sandbox, and the text instead of it.
#[cfg(feature = "sandbox")]
macro_rules! with_sandbox {
    ($text:literal, $otherwise:literal) => {
        $text
    };
}
#[cfg(not(feature = "sandbox"))]
macro_rules! with_sandbox {
    ($text:literal, $otherwise:literal) => {
        $otherwise
    };
}

/// The version, with the commit of the build and what the build leaves out.
pub(super) const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("PRESENCE_GATEWAY_COMMIT"),
    with_sandbox!(")", ", without the sandbox)")
);

/// Below the commands.
pub(super) const PROGRAM: &str = concat!(
    with_sandbox!(
        "\
Try it, without an account at Genesys Cloud:
  presence-gateway serve --sandbox
  presence-gateway call GetSystempresences --token any

",
        ""
    ),
    "\
In front of Genesys Cloud:
  presence-gateway serve --region us-east-1 --listen 0.0.0.0:50051

Exit codes: 0 for success, 1 for a failure, 64 for a wrong command line or variable."
);

/// Below the flags that `-h` shows.
pub(super) const SHORT: &str = "\
These are the flags that are used most; each is also a variable. `--help` has all of them.";

/// Below the flags of `serve`.
pub(super) const SERVE: &str = concat!(
    with_sandbox!(
        "Exactly one of --region, --upstream-url and --sandbox is required.",
        "Exactly one of --region and --upstream-url is required."
    ),
    " A flag overrides its variable.
A switch is set by its name alone, or by `=true` and `=false`. Durations have units: `250ms`,
`5s`, `2m`.

Other variables:
  RUST_LOG                     filters the log: `warn`, `presence_gateway=debug`; default: info
  TOKIO_WORKER_THREADS         the number of threads; default: one for each core
  OTEL_*                       traces and metrics over OTLP; off unless
                               OTEL_EXPORTER_OTLP_ENDPOINT names a collector; see docs/telemetry.md
",
    with_sandbox!(
        "  PRESENCE_GATEWAY_SANDBOX_*   the settings of the sandbox, see \
`presence-gateway sandbox --help`
",
        ""
    ),
    "
SIGTERM and Ctrl-C shut it down: health turns NOT_SERVING, connections are accepted for
--lame-duck, then calls in flight have --drain-timeout to finish. A second signal stops it at once.",
    with_sandbox!(
        "
On a terminal, Ctrl-C ends a gateway on its sandbox without delay, unless these flags are given.",
        ""
    )
);

/// Below the flags of `call` that `-h` shows.
pub(super) const SHORT_CALL: &str = "`--help` has examples, the variables and the exit codes.";

/// Below the flags of `call`.
pub(super) const CALL: &str = "\
Examples:
  presence-gateway call --list
  presence-gateway call GetUserPresence --describe
  presence-gateway call GetUserPresence '{\"userId\": \"…\", \"sourceId\": \"PURECLOUD\"}'
  presence-gateway call GetUsersPresencesPurecloudBulk '{\"id\": [\"…\", \"…\"]}' --json
  presence-gateway call PutUsersPresencesBulk - < updates.json
  presence-gateway call StreamUsersPresencesPurecloudBulk --ids users.txt > presences.jsonl
  presence-gateway call GetSystempresences --address https://gateway.example:50051

Every call needs a token; a gateway on its sandbox accepts any, such as `--token any`.

Ctrl-C and SIGTERM end a stream after the current lines are complete. It then prints how many ids
are done, missing and failed; the other ids were not sent or not answered. A second signal stops it
at once.

Exit codes: 0 for a response, 1 for an error status, which is printed with its details, 64 for a
command line that makes no call, and 130 or 143 for a stream that Ctrl-C or SIGTERM ended.";

/// Below the arguments of `completions`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  presence-gateway completions bash > ~/.local/share/bash-completion/completions/presence-gateway
  presence-gateway completions zsh > \"${fpath[1]}/_presence-gateway\"
  presence-gateway completions fish > ~/.config/fish/completions/presence-gateway.fish";

/// Below the arguments of `man`.
pub(super) const MAN: &str = "\
Example:
  presence-gateway man ~/.local/share/man/man1
  man presence-gateway-serve";
