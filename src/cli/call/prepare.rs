//! Turns the flags of `call` into a call that can be sent.

use std::io;
use std::time::Duration;

use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

use super::channel::Gateway;
use super::id_reader::{IdReader, STANDARD_INPUT};
use super::{CallArgs, Token};
use crate::args::parse_duration;
use crate::proto;

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
}

impl PreparedCall {
    /// Checks the flags; the error names the first that is wrong.
    pub(super) fn new(args: &CallArgs) -> Result<Self, String> {
        let method = find_method(&args.rpc)?;
        if args.request == STANDARD_INPUT && args.ids.as_deref() == Some(STANDARD_INPUT) {
            return Err("--ids: the standard input is already used for the request".to_owned());
        }
        let message = message(&args.request, &method)?;
        let is_stream = method.is_client_streaming();
        let timeout = match &args.deadline {
            Some(raw) => {
                let timeout = parse_duration(raw);
                Some(timeout.map_err(|wrong| format!("--deadline: `{raw}` {wrong}"))?)
            }
            None => (!is_stream).then_some(DEFAULT_DEADLINE),
        };
        let ids = ids(args, &method, &message)?;
        let gateway = Gateway::new(&args.address, &args.tls)?;
        let mut request = Request::new(message);
        if let Some(Token(token)) = &args.token {
            let mut value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| "the token has characters that no header may have".to_owned())?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(Self {
            gateway,
            method,
            request,
            ids,
            timeout,
        })
    }
}

/// Finds an RPC by its name, with or without its service.
fn find_method(name: &str) -> Result<MethodDescriptor, String> {
    let mut methods: Vec<_> = proto::methods().collect();
    let wanted = name.rsplit(['/', '.']).next().unwrap_or(name);
    if let Some(found) = methods.iter().position(|method| method.name() == wanted) {
        return Ok(methods.swap_remove(found));
    }
    let names: Vec<&str> = methods.iter().map(MethodDescriptor::name).collect();
    Err(format!(
        "there is no RPC `{name}`; the RPCs are\n  {}",
        names.join("\n  ")
    ))
}

/// The request message, from JSON or from the standard input.
fn message(json: &str, method: &MethodDescriptor) -> Result<DynamicMessage, String> {
    let json = match json {
        STANDARD_INPUT => io::read_to_string(io::stdin()).map_err(|error| error.to_string())?,
        json => json.to_owned(),
    };
    let mut json = serde_json::Deserializer::from_str(&json);
    DynamicMessage::deserialize(method.input(), &mut json)
        .and_then(|message| json.end().map(|()| message))
        .map_err(|error| format!("the request is not a {}: {error}", method.input().name()))
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
        Some(_) => Err(format!("--ids: {name} is no stream")),
        None if method.is_client_streaming() && !has_ids(request) => Err(format!(
            "--ids: {name} needs ids: give a file with one on each line, `-` for the standard \
             input, or `ids` in the request"
        )),
        None => Ok(None),
    }
}

fn has_ids(request: &DynamicMessage) -> bool {
    let ids = request.get_field_by_name("ids");
    ids.is_some_and(|ids| ids.as_list().is_some_and(|ids| !ids.is_empty()))
}
