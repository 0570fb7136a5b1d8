//! Turns the flags of `call` into a call that can be sent.

use std::env;
use std::time::Duration;

use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

use super::channel::Gateway;
use super::id_reader::{IdReader, STANDARD_INPUT};
use super::token::Token;
use super::{ADDRESS, CallArgs, request, rpc_name};
use crate::args::{ConfigErrors, parse_duration};
use crate::proto;
use crate::upstream::regional::REGION_METADATA;

/// How long a unary call waits for its response, unless `--deadline` says so.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// A call that is ready to be sent.
pub(super) struct PreparedCall {
    pub gateway: Gateway,
    pub method: MethodDescriptor,
    pub request: Request<DynamicMessage>,
    pub ids: Option<IdReader>,
    /// How long to wait for the response, if there is a limit.
    pub timeout: Option<Duration>,
    /// Whether the output is for programs.
    pub is_json: bool,
}

impl PreparedCall {
    /// Checks the flags; the error has all that is wrong.
    pub(super) fn new(args: &CallArgs) -> Result<Self, Vec<String>> {
        let mut errors = ConfigErrors::default();
        let rpc = args.rpc.as_deref().ok_or_else(no_rpc);
        let method = errors.take(rpc.and_then(rpc_name::find));
        let call = method.and_then(|method| {
            let (message, ids) = errors.take(input(args, &method))?;
            Some((method, message, ids))
        });
        let setting = match env::var(ADDRESS) {
            Ok(value) if value == args.address => ADDRESS,
            _ => "--address",
        };
        let gateway = errors.take_all(Gateway::new(setting, &args.address, &args.tls));
        let token = errors.take(Token::clean(args.token.as_ref()).and_then(|token| bearer(&token)));
        let region = args.region.as_deref();
        let region = region.map(|raw| errors.parse("region", raw, region_value));
        let given = args.deadline.as_deref();
        let timeout = given.map(|raw| errors.parse("deadline", raw, parse_deadline));
        match (call, gateway, token) {
            (Some((method, message, ids)), Some(gateway), Some(token)) if errors.count() == 0 => {
                let is_stream = method.is_client_streaming() || method.is_server_streaming();
                let default = (!is_stream).then_some(DEFAULT_DEADLINE);
                let mut request = Request::new(message);
                request.metadata_mut().insert("authorization", token);
                if let Some(region) = region.flatten() {
                    request.metadata_mut().insert(REGION_METADATA, region);
                }
                Ok(Self {
                    gateway,
                    method,
                    request,
                    ids,
                    timeout: timeout.flatten().or(default),
                    is_json: args.json,
                })
            }
            _ => Err(errors.into_vec()),
        }
    }
}

/// What is wrong without an RPC.
pub(super) fn no_rpc() -> String {
    "which RPC? `presence-gateway call --list` lists them, and `presence-gateway call --help` has \
     examples"
        .to_owned()
}

fn parse_deadline(raw: &str) -> Result<Duration, String> {
    let deadline = Some(parse_duration(raw)?).filter(|deadline| !deadline.is_zero());
    deadline.ok_or_else(|| "leaves no time for a response: give more than 0s".to_owned())
}

/// The value of `authorization`.
fn bearer(token: &str) -> Result<AsciiMetadataValue, String> {
    let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| "the token has characters that no header may have".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The value of the metadata that chooses a region. The gateway knows which it serves,
/// and rejects another one with its list.
fn region_value(raw: &str) -> Result<AsciiMetadataValue, String> {
    AsciiMetadataValue::try_from(raw)
        .map_err(|_| "has characters that no header may have".to_owned())
}

/// The request, and the ids of a stream.
fn input(
    args: &CallArgs,
    method: &MethodDescriptor,
) -> Result<(DynamicMessage, Option<IdReader>), String> {
    let is_input = |value: &String| value == STANDARD_INPUT;
    if args.request.first().is_some_and(is_input) && args.ids.as_ref().is_some_and(is_input) {
        return Err("--ids: the standard input is already used for the request".to_owned());
    }
    let message = request::read(&args.request, method)?;
    let ids = ids(args, method, &message)?;
    Ok((message, ids))
}

/// Opens the ids of a stream, which come from `--ids`, the request, or both.
fn ids(
    args: &CallArgs,
    method: &MethodDescriptor,
    request: &DynamicMessage,
) -> Result<Option<IdReader>, String> {
    let name = method.name();
    match &args.ids {
        Some(file) if method.is_client_streaming() => {
            let ids = IdReader::open(file);
            ids.map(Some)
                .map_err(|error| format!("--ids: `{file}`: {error}"))
        }
        Some(_) if method.is_server_streaming() => Err(format!(
            "--ids: {name} takes its ids in the request: '{{\"ids\": […]}}'"
        )),
        Some(_) => Err(format!(
            "--ids: {name} takes no stream of ids; those that do are {}",
            streams().join(" and ")
        )),
        None if method.is_client_streaming() && !has_ids(request) => Err(format!(
            "--ids: {name} needs ids: give a file with one on each line, `-` for the standard \
             input, or `ids` in the request"
        )),
        None => Ok(None),
    }
}

/// The names of the streams of ids.
fn streams() -> Vec<String> {
    let streams = proto::methods().filter(MethodDescriptor::is_client_streaming);
    streams.map(|stream| stream.name().to_owned()).collect()
}

fn has_ids(request: &DynamicMessage) -> bool {
    let ids = request.get_field_by_name("ids");
    ids.is_some_and(|ids| ids.as_list().is_some_and(|ids| !ids.is_empty()))
}
