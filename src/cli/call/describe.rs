//! `call RPC --describe`: the RPC, its messages, and a request to paste.

use std::fmt::Write;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use textwrap::Options;

use super::examples::{ID, example};
use super::list::is_deprecated;
use super::template::template_text;
use crate::operation::SPECS;
use crate::operation::{Segment, Spec};
use crate::proto::TIMESTAMP;
use crate::proto::comments::{RpcComment, paragraphs};

/// The width of the text, in columns.
const WIDTH: usize = 88;

/// The indent of a fact behind its name.
const FACT_INDENT: &str = "                  ";

/// The indent of a value of an enumeration.
const VALUE_INDENT: &str = "        ";

/// The package whose messages are described.
const PACKAGE: &str = "genesys.presence.v1";

/// Describes an RPC.
pub(super) fn describe(rpc: &MethodDescriptor) -> String {
    let comment = RpcComment::new(rpc);
    let spec = SPECS.iter().find(|spec| spec.name == rpc.name()).copied();
    let rest = match spec {
        Some(spec) => format!(", {} {}", spec.method, spec.template),
        None if rpc.is_client_streaming() => ", for each batch of ids".to_owned(),
        None => ", and the Notifications API".to_owned(),
    };
    let mark = if is_deprecated(rpc) {
        ", deprecated"
    } else {
        ""
    };
    let streams = match (rpc.is_client_streaming(), rpc.is_server_streaming()) {
        (true, _) => "both ways: ids in, by --ids FILE; a message for each batch out",
        (false, true) => "out: the latest presence of each user as it changes, until Ctrl-C",
        (false, false) => "no",
    };
    let service = rpc.parent_service();
    let mut text = format!("{}, an RPC of {}{mark}\n", rpc.name(), service.name());
    for paragraph in &comment.text {
        // `write!` to a `String` cannot fail.
        let _ = write!(text, "\n{}\n", wrap(paragraph, ""));
    }
    let fact = |name: &str, fact: &str| {
        let options = Options::new(WIDTH).subsequent_indent(FACT_INDENT);
        textwrap::fill(&format!("{name:<18}{fact}"), options) + "\n"
    };
    text.push('\n');
    text += &fact("Vendor operation:", &format!("{}{rest}", comment.operation));
    text += &fact("Permissions:", &comment.permissions);
    text += &fact("Streams:", streams);
    if let Some(result) = &comment.result {
        text += &fact("Returns:", result);
    }
    let mut described: Vec<MessageDescriptor> = Vec::new();
    for (title, message) in messages(rpc) {
        if described.contains(&message) {
            let _ = write!(text, "\n{title}{}, as above\n", message.name());
            continue;
        }
        described.push(message.clone());
        let _ = write!(text, "\n{title}{}\n", message.name());
        text += &fields(
            &message,
            spec.filter(|spec| spec.request == message.full_name()),
        );
    }
    text + &requests(rpc)
}

/// The requests to paste.
fn requests(rpc: &MethodDescriptor) -> String {
    let name = rpc.name();
    let mut text = String::new();
    if rpc.input().fields().len() > 0 {
        let all = template_text(&rpc.input()).unwrap_or_default();
        let _ = write!(
            text,
            "\nThe request as JSON, with all that a caller may set; leave out what you do not need:\n\
             {}\n",
            textwrap::indent(&all, "  ")
        );
    }
    let Some(example) = example(name) else {
        return text;
    };
    let note = if example.contains(ID) {
        format!(";\nreplace {ID} by an id that you created")
    } else {
        String::new()
    };
    text + &format!(
        "\nExample, for a gateway on its sandbox (`presence-gateway serve --sandbox`){note}:\n  \
         presence-gateway call {name} '{example}' --token any\n"
    )
}

/// The request, the response, and the messages in them, each once, with its title.
fn messages(rpc: &MethodDescriptor) -> Vec<(&'static str, MessageDescriptor)> {
    let mut found = Vec::new();
    for (title, message) in [("Request: ", rpc.input()), ("Response: ", rpc.output())] {
        let mut queue = vec![(title, message)];
        while let Some((title, message)) = queue.pop() {
            if found.iter().any(|(_, known)| *known == message) {
                // Of a message that is the response and in the request.
                if !title.is_empty() {
                    found.push((title, message));
                }
                continue;
            }
            let inner: Vec<_> = message.fields().filter_map(|field| inner(&field)).collect();
            queue.extend(inner.into_iter().rev().map(|message| ("", message)));
            found.push((title, message));
        }
    }
    found
}

/// The message of a field, if it is one of the protos of this API.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let message = field.kind().as_message().cloned()?;
    (message.package_name() == PACKAGE && !message.is_map_entry()).then_some(message)
}

/// The fields of a message; of a request, those of its path are required.
fn fields(message: &MessageDescriptor, request: Option<&Spec>) -> String {
    if message.fields().len() == 0 {
        return "  no fields\n".to_owned();
    }
    let field = |field: FieldDescriptor| {
        let comment = paragraphs(&field.parent_message().parent_file(), field.path()).join(" ");
        let required = match request {
            Some(spec) if is_required(spec, field.name()) => ", required",
            _ => "",
        };
        let (name, kind) = (field.json_name(), kind(&field));
        let text = wrap(&comment, "      ");
        let values: String = values(&field)
            .map(|(name, comment)| wrap(&format!("{name}: {comment}"), VALUE_INDENT) + "\n")
            .collect();
        format!("  {name}: {kind}{required}\n{text}\n{values}")
    };
    message.fields().map(field).collect()
}

/// The names and the comments of the values of a field that is an enumeration, without
/// the one that is not used.
fn values(field: &FieldDescriptor) -> impl Iterator<Item = (String, String)> {
    let kind = field.kind().as_enum().cloned().into_iter();
    let values = kind.flat_map(|kind| kind.values().collect::<Vec<_>>());
    let values = values.filter(|value| value.number() != 0);
    values.map(|value| {
        let file = value.parent_enum().parent_file();
        let comment = paragraphs(&file, value.path()).join(" ");
        (value.name().to_owned(), comment)
    })
}

/// Whether a request must have a field: a variable of the path, or the body.
fn is_required(spec: &Spec, name: &str) -> bool {
    let is_variable =
        |segment: &Segment| matches!(segment, Segment::Variable(field) if field.proto == name);
    let is_body = spec.body.is_some_and(|body| body.proto == name) && !spec.body_is_list;
    is_body || spec.path.iter().any(is_variable)
}

/// The type of a field in JSON.
pub(super) fn kind(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => {
            return "object with any names and text values".to_owned();
        }
        Kind::Message(message) if message.full_name() == TIMESTAMP => "date-time".to_owned(),
        Kind::Message(message) if message.package_name() == PACKAGE => message.name().to_owned(),
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(_) => "one of these texts".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::String => "text".to_owned(),
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => "whole number".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    if field.is_list() {
        format!("list of {kind}")
    } else {
        kind
    }
}

/// Wraps a text, with an indent before each of its lines.
fn wrap(text: &str, indent: &str) -> String {
    let options = Options::new(WIDTH)
        .initial_indent(indent)
        .subsequent_indent(indent);
    textwrap::fill(text, options)
}
