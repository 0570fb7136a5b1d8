//! docs/api.md, the API reference: generated from the protos and their comments.
//! Its examples are kept from the page, and run against the sandbox.

mod examples;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use presence_gateway::operation::MAX_ID_BYTES;
use presence_gateway::proto;
use presence_gateway::proto::comments::{RpcComment, paragraphs};
use presence_gateway::rpc::{DEFAULT_MAX_BULK_IDS, MAX_REQUEST, MAX_STREAM_MESSAGE, Rpc};
use presence_gateway::server::limits::MAX_REQUEST_ELEMENTS;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use crate::support::vendor_api::{http, permissions};
use crate::support::{all_methods, generated, path};

const FILE: &str = "docs/api.md";

static PAGE: LazyLock<String> = LazyLock::new(|| generated::read(FILE, generate));

const PACKAGE: &str = "genesys.presence.v1";

/// A message that is in no response, but in the details of an error.
const ERROR_DETAIL: &str = "genesys.presence.v1.BulkWriteReport";

const HEAD: &str = "\
# API reference

For developers of callers: each RPC with its REST request, permissions, fields, errors and an example, then the messages.

A test generates this page from the protos in [proto](../proto), their comments and the examples of the program. To regenerate it: `just generate`. `presence-gateway call RPC --describe` prints the same in a terminal.

- All services are in the package `genesys.presence.v1`. [operations.md](operations.md) has their RPCs in one table, and the mapping of messages to the vendor's JSON.
- An example is the request in JSON. `presence-gateway call RPC 'JSON' --token any` makes the call, and a test makes all of them to the [sandbox](sandbox.md). Replace `<id>` by the id of a resource that you created by the POST of the same kind.
- Every RPC can fail with an error of the token, the rate limit, the gateway's limits or the deadline. Each section lists the other errors to expect; [errors.md](errors.md) has all, with what to do about each.
";

/// Returns the page.
fn generate(_: &str) -> String {
    let limits = format!(
        "- A request has at most {} MiB, an id at most {MAX_ID_BYTES} bytes, and a list at most \
         {MAX_REQUEST_ELEMENTS} elements, unless its section has another limit. \
         [configuration.md](configuration.md#a-call) has all limits.\n",
        MAX_REQUEST >> 20
    );
    let mut parts = vec![format!("{HEAD}{limits}")];
    let mut last = None;
    for rpc in all_methods() {
        let service = rpc.parent_service().clone();
        if last.as_ref() != Some(&service) {
            let text = paragraphs(&service.parent_file(), service.path()).join("\n\n");
            parts.push(format!("## {}\n\n{text}\n", service.name()));
            last = Some(service);
        }
        parts.push(section(&rpc, examples::of(&rpc)));
    }
    parts.push("## Messages\n\nAn unset field of a response has no value from the vendor; an unset field of a request is not sent.\n".to_owned());
    for (name, message) in messages() {
        let text = paragraphs(&message.parent_file(), message.path()).join("\n\n");
        parts.push(format!("### {name}\n\n{text}\n\n{}", fields(&message, "")));
        parts.extend(message.child_enums().map(|kind| values(&kind)));
    }
    parts.join("\n")
}

/// Returns the section of an RPC.
fn section(rpc: &MethodDescriptor, example: &str) -> String {
    let comment = RpcComment::new(rpc);
    let result = comment.result.as_deref();
    let is_watch = is_watch(rpc);
    let result = result.unwrap_or(if is_watch {
        "the latest presence of each user as it changes, states and failures."
    } else {
        "one message for each batch."
    });
    let request_line;
    let (request, stream, path, errors) = if is_watch {
        let errors = "INVALID_ARGUMENT, ABORTED (`STREAM_IDLE`)".to_owned();
        (
            "and the Notifications API",
            "stream of ",
            String::new(),
            errors,
        )
    } else if rpc.is_client_streaming() {
        let errors = "INVALID_ARGUMENT, ABORTED (`STREAM_IDLE`)".to_owned();
        ("for each batch", "stream of ", String::new(), errors)
    } else {
        let (verb, path, _) = http(rpc);
        let errors = errors(rpc, &verb, &path);
        request_line = format!("`{verb} {path}`");
        (request_line.as_str(), "", path, errors)
    };
    let response = match rpc.output() {
        output if output.fields().len() == 0 => "empty.".to_owned(),
        output => format!("{stream}{}, {result}", kind(&Kind::Message(output))),
    };
    format!(
        "### {name}\n\n{text}\n\n\
         - Vendor operation: `{operation}`, {request}\n\
         - Permissions: {permissions}\n\
         - Retries: {retries}.\n\
         - Response: {response}\n\
         - Errors: {errors}.\n\
         {limit}\n{fields}\n```json\n{example}\n```\n",
        name = rpc.name(),
        text = comment.text.join("\n\n"),
        operation = comment.operation,
        permissions = comment.permissions,
        retries = retries(rpc),
        limit = limit(rpc),
        fields = fields(&rpc.input(), &path),
    )
}

/// Returns the errors of a unary RPC, besides those of every RPC.
fn errors(rpc: &MethodDescriptor, verb: &str, path: &str) -> String {
    let (has_fields, is_write) = (rpc.input().fields().len() > 0, verb != "GET");
    let conflict = if verb == "POST" {
        "ALREADY_EXISTS"
    } else {
        "ABORTED"
    };
    let report = "and a failed batch has a [BulkWriteReport](#bulkwritereport)";
    let errors = [
        (has_fields, "INVALID_ARGUMENT"),
        (permissions(rpc).is_some(), "PERMISSION_DENIED"),
        (path.contains('{'), "NOT_FOUND"),
        (is_write, conflict),
        (is_write, "UNKNOWN (`OUTCOME_UNKNOWN`)"),
        (is_write && is_bulk(rpc), report),
    ];
    let errors = errors
        .into_iter()
        .filter_map(|(applies, error)| applies.then_some(error));
    let errors = errors.collect::<Vec<_>>().join(", ");
    if errors.is_empty() {
        "no others".to_owned()
    } else {
        errors
    }
}

/// Returns who may retry an RPC, by its idempotency level.
fn retries(rpc: &MethodDescriptor) -> &'static str {
    let options = rpc.options();
    let level = options.get_field_by_name("idempotency_level").unwrap();
    match level.as_enum_number() {
        Some(1) => "safe, a read",
        Some(2) => "safe, an idempotent write",
        _ => "not safe; the gateway retries it only if the request was not sent",
    }
}

/// Whether an RPC returns a stream, and takes none.
fn is_watch(rpc: &MethodDescriptor) -> bool {
    rpc.is_server_streaming() && !rpc.is_client_streaming()
}

fn is_bulk(rpc: &MethodDescriptor) -> bool {
    Rpc::find(&path(rpc)).unwrap().is_bulk
}

/// Returns the line with the limit of a bulk RPC or a stream.
fn limit(rpc: &MethodDescriptor) -> String {
    let elements =
        format!("- Limit: `--max-bulk-ids` elements ({DEFAULT_MAX_BULK_IDS} by default)");
    match rpc.is_client_streaming() {
        true => format!(
            "{elements} and {} KiB in each message.\n",
            MAX_STREAM_MESSAGE >> 10
        ),
        false if is_bulk(rpc) || is_watch(rpc) => format!("{elements}.\n"),
        false => String::new(),
    }
}

/// Returns the table of a message's fields. In a request with this path, its
/// variables and the body are required.
fn fields(message: &MessageDescriptor, path: &str) -> String {
    let row = |field: FieldDescriptor| {
        let (name, json) = (field.name(), field.json_name());
        // The JSON name, where it is not the usual one.
        let is_usual = json.eq_ignore_ascii_case(&name.replace('_', ""));
        let json = if is_usual {
            String::new()
        } else {
            format!(", in JSON `{json}`")
        };
        let list = if field.is_list() { "list of " } else { "" };
        let is_body = !path.is_empty() && name == "body" && !field.is_list();
        let is_required = is_body || path.contains(&format!("{{{name}}}"));
        let required = if is_required { ", required" } else { "" };
        let text = paragraphs(&field.parent_message().parent_file(), field.path()).join(" ");
        format!(
            "| `{name}`{json} | {list}{}{required} | {text} |\n",
            kind(&field.kind())
        )
    };
    let rows: String = message.fields().map(row).collect();
    if rows.is_empty() {
        return "The request has no fields.\n".to_owned();
    }
    format!("| field | type | meaning |\n|---|---|---|\n{rows}")
}

/// Returns the section of an enumeration in a message, without the value that is not used.
fn values(kind: &EnumDescriptor) -> String {
    let (name, file) = (name_of(kind), kind.parent_file());
    let text = paragraphs(&file, kind.path()).join("\n\n");
    let values = kind.values().filter(|value| value.number() != 0);
    let rows = values.map(|value| {
        let text = paragraphs(&file, value.path()).join(" ");
        format!("| `{}` | {} | {text} |\n", value.name(), value.number())
    });
    let rows: String = rows.collect();
    format!("### {name}\n\n{text}\n\n| value | number | meaning |\n|---|---|---|\n{rows}")
}

/// Returns the name of an enumeration, with the message that it is in.
fn name_of(kind: &EnumDescriptor) -> &str {
    let name = kind.full_name().strip_prefix(PACKAGE);
    name.and_then(|name| name.strip_prefix('.')).unwrap()
}

/// Returns the name of a type, with a link to a message of the package.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(entry) if entry.is_map_entry() => "map of `string` to `string`".to_owned(),
        Kind::Message(message) if message.package_name() == PACKAGE => {
            let name = message.name();
            format!("[{name}](#{})", name.to_lowercase())
        }
        Kind::Message(message) => format!("`{}`", message.full_name()),
        Kind::Enum(kind) => {
            let name = name_of(kind);
            format!("[{name}](#{})", name.replace('.', "").to_lowercase())
        }
        scalar => format!("`{scalar:?}`").to_lowercase(),
    }
}

/// Returns all messages in responses, request bodies and errors, by name.
fn messages() -> BTreeMap<String, MessageDescriptor> {
    let parts = |message: &MessageDescriptor| {
        let kinds = message.fields().map(|field| field.kind());
        kinds
            .filter_map(|kind| kind.as_message().cloned())
            .collect::<Vec<_>>()
    };
    let mut queue = vec![proto::pool().get_message_by_name(ERROR_DETAIL).unwrap()];
    for rpc in all_methods() {
        queue.push(rpc.output());
        queue.extend(parts(&rpc.input()));
    }
    let mut messages = BTreeMap::new();
    while let Some(message) = queue.pop() {
        let is_shown = message.package_name() == PACKAGE && message.fields().len() > 0;
        if is_shown && !message.is_map_entry() && !messages.contains_key(message.name()) {
            queue.extend(parts(&message));
            messages.insert(message.name().to_owned(), message);
        }
    }
    messages
}

#[test]
fn the_api_reference_matches_the_protos() {
    generated::assert_current(FILE, &PAGE, generate);
}
