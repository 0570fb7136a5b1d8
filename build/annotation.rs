//! Parses the annotations of each RPC, and rejects those that cannot be mapped.
//!
//! The annotations are the only description of the upstream API. Everything that
//! the interpreter (`src/operation.rs`) relies on is checked at build time; an
//! error names the RPC and the field.

use std::fmt;

use prost_reflect::{
    Cardinality, DescriptorPool, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};

use super::rule::{is_repeatable, list, pattern, permissions, rule, text};
use super::{fields, model};

/// The package whose services are mapped.
pub const PACKAGE: &str = "genesys.presence.v1";

/// One RPC and its REST request.
pub struct Operation {
    pub rpc: MethodDescriptor,
    /// The HTTP method, in upper case.
    pub method: &'static str,
    pub path: Vec<Segment>,
    pub body: Option<FieldDescriptor>,
    /// The query parameters, in the order of the proto.
    pub query: Vec<FieldDescriptor>,
    pub response: Response,
    pub permissions: Option<Permissions>,
    /// Whether the request is idempotent.
    pub is_repeatable: bool,
}

/// A part of a path template.
pub enum Segment {
    /// Constant text, slashes included.
    Literal(String),
    /// A field whose value is one segment.
    Variable(FieldDescriptor),
}

/// The form of the upstream's response body.
pub enum Response {
    /// No body: the response message has no field of the vendor's.
    Nothing,
    /// An object: the response message itself.
    Object,
    /// A bare array: this field of the response message.
    List(FieldDescriptor),
}

/// The permissions that the upstream documents.
pub struct Permissions {
    /// `ANY` or `ALL`.
    pub mode: &'static str,
    pub names: Vec<String>,
    pub condition: String,
}

/// An annotation that cannot be mapped.
#[derive(Debug)]
pub struct InvalidAnnotation {
    rpc: String,
    reason: String,
}

impl fmt::Display for InvalidAnnotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rpc, self.reason)
    }
}

/// Parses the RPCs of every service of [`PACKAGE`], in the order of the proto,
/// without the gateway's own streams.
///
/// # Errors
///
/// Returns all invalid annotations, at most one per RPC.
pub fn parse(pool: &DescriptorPool) -> Result<Vec<Operation>, Vec<InvalidAnnotation>> {
    let mut operations = Vec::new();
    let mut errors = Vec::new();
    for rpc in pool
        .services()
        .filter(|s| s.package_name() == PACKAGE)
        .flat_map(|service| methods(&service))
        .filter(|rpc| !is_stream(rpc))
    {
        let name = rpc.full_name().to_owned();
        match operation(rpc) {
            Ok(operation) => operations.push(operation),
            Err(reason) => errors.push(InvalidAnnotation { rpc: name, reason }),
        }
    }
    if errors.is_empty() {
        Ok(operations)
    } else {
        Err(errors)
    }
}

/// Whether a field is the gateway's own, and not part of the REST request.
pub fn is_gateway_only(field: &FieldDescriptor) -> bool {
    let option = field
        .parent_pool()
        .get_extension_by_name(&format!("{PACKAGE}.gateway_only"));
    option.is_some_and(|option| field.options().get_extension(&option).as_bool() == Some(true))
}

/// Whether an RPC is a stream of the gateway's own, without a REST operation.
fn is_stream(rpc: &MethodDescriptor) -> bool {
    let is_annotated = rpc
        .parent_pool()
        .get_extension_by_name("google.api.http")
        .is_some_and(|annotation| rpc.options().has_extension(&annotation));
    (rpc.is_client_streaming() || rpc.is_server_streaming()) && !is_annotated
}

fn methods(service: &prost_reflect::ServiceDescriptor) -> Vec<MethodDescriptor> {
    service.methods().collect()
}

fn operation(rpc: MethodDescriptor) -> Result<Operation, String> {
    let rule = rule(&rpc)?;
    if rpc.is_client_streaming() || rpc.is_server_streaming() {
        return Err("a streaming RPC cannot be one REST call; take the annotation away".into());
    }
    if !list(&rule, "additional_bindings").is_empty() {
        return Err("additional_bindings: an RPC is one REST call; keep one binding".into());
    }
    let (method, template) = pattern(&rule)?;
    let input = rpc.input();
    let path = fields::path(&template, &input)?;
    let body = fields::body(&text(&rule, "body"), method, &input)?;
    let query = fields::query(&input, &path, body.as_ref())?;
    let response = fields::response(&text(&rule, "response_body"), &rpc.output())?;
    let permissions = permissions(&rpc)?;
    for model in body.iter().filter_map(model_of).chain([rpc.output()]) {
        model::check(&model)?;
    }
    let is_repeatable = is_repeatable(&rpc, method, body.as_ref())?;
    Ok(Operation {
        rpc,
        method,
        path,
        body,
        query,
        response,
        permissions,
        is_repeatable,
    })
}

/// The message type of a field, if it has one.
pub fn model_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    field.kind().as_message().cloned()
}

/// Whether a field is a list that is the whole request body.
pub fn is_body_list(body: Option<&FieldDescriptor>, field: &FieldDescriptor) -> bool {
    body == Some(field) && field.cardinality() == Cardinality::Repeated
}
