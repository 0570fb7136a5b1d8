//! The command `call`: a client that makes one call to a running gateway, and that
//! lists and describes what can be called.

mod address;
pub(super) mod arguments;
mod channel;
pub mod codec;
mod deadline;
mod describe;
mod diagnosis;
mod dial;
pub mod examples;
mod failure;
mod id_reader;
mod json;
mod list;
mod lister;
mod prepare;
mod recorded;
mod request;
mod responses;
pub(super) mod rpc_name;
mod stream;
mod template;
mod tls;
mod token;
mod watch;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Code, Request, Status};

use super::exit::{self, EXIT_USAGE};
use super::{misspelt, runtime};
use channel::Client;
use deadline::{Deadline, response};
use failure::Failure;
use prepare::PreparedCall;
use tls::TlsArgs;
use token::Token;

/// The flags of `call`.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// The RPC, in any case: GetUserPresence
    rpc: Option<String>,

    /// The request as JSON; `-` reads it from the standard input [default: {}]
    // A list, so that a request that a shell has split is reported as such.
    #[arg(num_args = 0.., value_name = "REQUEST")]
    request: Vec<String>,

    /// List the RPCs, with a line about each; with --json, as a JSON list
    #[arg(long, conflicts_with_all = ["rpc", "describe"])]
    list: bool,

    /// Describe the RPC: its messages, its permissions, and a request to paste; calls nothing
    #[arg(long, conflicts_with = "json")]
    describe: bool,

    /// For programs: print the response in one line, and an error as a google.rpc.Status in JSON
    #[arg(long)]
    json: bool,

    /// The address of the gateway, by default with port 50051; `https://` before it, or any of the
    /// TLS flags, selects TLS
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    #[arg(env = ADDRESS, hide_env_values = true)]
    address: String,

    /// The bearer token; the variable keeps it out of the list of processes
    #[arg(long, env = "PRESENCE_GATEWAY_TOKEN", hide_env_values = true)]
    token: Option<Token>,

    /// The region to call, of those that the gateway serves [default: the gateway's first]
    #[arg(long)]
    region: Option<String>,

    /// How long to wait for the response [default: 30s; no limit for a stream]
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,

    /// For a stream of ids: a file with an id on each line; `-` reads them from the standard input
    #[arg(long, value_name = "FILE")]
    ids: Option<String>,

    #[command(flatten)]
    tls: TlsArgs,
}

/// The variable with the address.
const ADDRESS: &str = "PRESENCE_GATEWAY_ADDRESS";

/// Runs `call`: prints the response as JSON to the standard output, or an
/// error with its details to the standard error stream. `errors` are those of the
/// command line that are known already.
#[must_use]
pub fn call(args: &CallArgs, errors: Vec<String>) -> ExitCode {
    if !errors.is_empty() {
        let others = PreparedCall::new(args).err().unwrap_or_default();
        return reject(&[errors, others].concat(), args.json);
    }
    if args.list {
        return print(&if args.json {
            list::json()
        } else {
            list::list()
        });
    }
    if args.describe {
        let rpc = args.rpc.as_deref().ok_or_else(prepare::no_rpc);
        return match rpc.and_then(rpc_name::find) {
            Ok(rpc) => print(&describe::describe(&rpc)),
            Err(problem) => reject(&[problem], false),
        };
    }
    if !args.json {
        let misspelt = misspelt::of_command("call");
        let warning = |misspelt| report(format_args!("warning: {misspelt}"));
        misspelt.iter().for_each(warning);
    }
    match PreparedCall::new(args) {
        Ok(prepared) => exit::exit_code(runtime::run(1, async { Ok(send(prepared).await) })),
        Err(problems) => reject(&problems, args.json),
    }
}

/// Prints a text that the caller asked for.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader, such as `head`, needs no more lines.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            report(format_args!("cannot write to the standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Reports what is wrong with a command line that makes no call.
fn reject(problems: &[String], is_json: bool) -> ExitCode {
    if is_json {
        let status = Status::new(Code::InvalidArgument, problems.join("\n"));
        let _ = io::stderr().write_all(Failure::from(status).json().as_bytes());
    } else {
        problems.iter().for_each(report);
    }
    EXIT_USAGE.into()
}

fn report(problem: impl Display) {
    let problem = failure::printable(&problem.to_string()).replace('\n', "\n  ");
    let _ = writeln!(io::stderr(), "presence-gateway call: {problem}");
}

async fn send(call: PreparedCall) -> ExitCode {
    let (method, mut request) = (call.method, call.request);
    let deadline = Deadline::after(call.timeout);
    let response = match call.gateway.connect(deadline).await {
        Ok(client) => {
            deadline.set_timeout(&mut request);
            if method.is_client_streaming() {
                let is_json = call.is_json;
                return stream::run(client, &method, request, call.ids, deadline, is_json).await;
            }
            if method.is_server_streaming() {
                return watch::run(client, &method, request, deadline, call.is_json).await;
            }
            unary(client, &method, request, deadline).await
        }
        Err(failure) => Err(failure),
    };
    let is_pretty = !call.is_json && io::stdout().is_terminal();
    let printed = response.and_then(|response| {
        let json = json::to_json(&response, is_pretty);
        json.map_err(|error| Failure::from(Status::internal(error.to_string())))
    });
    match printed {
        Ok(response) => match writeln!(io::stdout(), "{response}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                report(format_args!("cannot write the response: {error}"));
                ExitCode::FAILURE
            }
        },
        Err(failure) => {
            let text = failure.print(&method, call.is_json);
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::FAILURE
        }
    }
}

async fn unary(
    mut client: Client,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    deadline: Deadline,
) -> Result<DynamicMessage, Failure> {
    let request = request.map(|request| request.encode_to_vec());
    let path = channel::path(method)?;
    let called = client.grpc.unary(request, path, codec::Raw);
    match deadline.limit(response(method), called).await {
        Ok(response) => DynamicMessage::decode(method.output(), response.into_inner().as_slice())
            .map_err(|error| {
                Status::internal(format!("the response cannot be decoded: {error}")).into()
            }),
        Err(status) => Err(client.explain(status).await),
    }
}
