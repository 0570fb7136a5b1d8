//! Translates an RPC to a REST request, and the REST response to the RPC's.
//!
//! The build generates the constants of each operation ([`Spec`]) from the
//! proto's annotations; this module interprets them. It knows no operation by
//! name, and of the models only what `prune.rs` lists.

mod decode;
mod encode;
mod generated;
mod prune;
mod template;

use bytes::Bytes;
use http::Method;
use prost::Message;
use serde::Serialize;

use crate::json::{Model, ModelField};

pub use decode::{Decoded, decode};
pub(crate) use encode::invalid_element_reason;
pub use encode::{MAX_ID_BYTES, check, encode};
pub use generated::SPECS;
pub(crate) use prune::{PrunedFields, user_in_self_uri};
pub use template::RequestTemplate;

/// The request message of an RPC that maps to one REST operation of the vendor.
///
/// The build generates the implementations.
pub trait Operation: Serialize + Send + Sync + 'static {
    /// The response message of the RPC.
    type Response: Message + Default + 'static;
    /// The mapping to REST.
    const SPEC: &'static Spec;
}

/// The mapping of one operation: constants generated from the proto.
#[derive(Debug)]
pub struct Spec {
    /// The name of the RPC, for example `GetUserPresence`.
    pub name: &'static str,
    /// The full name of the RPC, for example
    /// `genesys.presence.v1.PresenceService/GetUserPresence`.
    pub rpc: &'static str,
    /// The full name of the request message.
    pub request: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path with the names of its variables: `/api/v2/presence/sources/{sourceId}`.
    pub template: &'static str,
    /// The name of a request's span: its method and its template.
    pub span: &'static str,
    /// The path, in segments.
    pub path: &'static [Segment],
    /// The fields of the query, in this order.
    pub query: &'static [Field],
    /// The field that is the body.
    pub body: Option<Field>,
    /// Whether the body is a list; an empty one is sent as `[]`.
    pub body_is_list: bool,
    /// The shape of the response.
    pub shape: ResponseShape,
    /// The full name of the response message.
    pub response: &'static str,
    /// The response message.
    pub model: &'static Model,
    /// The permissions that the upstream requires, if any.
    pub permissions: Option<Permissions>,
    /// Whether a request with an unknown outcome may be repeated.
    pub is_repeatable: bool,
    /// Whether the operation changes nothing at the vendor that callers know of.
    pub is_read: bool,
}

/// The two names of a field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in the proto, for callers: `user_id`.
    pub proto: &'static str,
    /// The name in JSON, for the vendor: `userId`.
    pub json: &'static str,
}

/// A segment of a path.
#[derive(Debug)]
pub enum Segment {
    /// Constant text, which may contain slashes.
    Literal(&'static str),
    /// A field whose percent-encoded value is one segment.
    Variable(Field),
}

/// The shape of a successful response.
#[derive(Debug)]
pub enum ResponseShape {
    /// A body that is ignored.
    Empty,
    /// An object: the response.
    Object,
    /// A bare array: this field of the response.
    List(&'static ModelField),
}

/// The permissions that an operation requires.
#[derive(Debug)]
pub struct Permissions {
    /// `ANY` (one is enough) or `ALL`.
    pub mode: &'static str,
    /// The permissions in the vendor's notation.
    pub names: &'static [&'static str],
    /// When they are required; empty if always.
    pub condition: &'static str,
}

/// A field of a request and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The path of the field in the request message: `body.presence_definition.id`.
    pub field: String,
    /// What is wrong; completes a sentence that starts with the field.
    pub description: String,
}

impl Violation {
    /// A violation of `field`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// A REST request, complete except for the caller's token.
#[derive(Debug, Clone)]
pub struct RestRequest {
    /// The operation that it performs.
    pub spec: &'static Spec,
    /// The path and the query, percent-encoded.
    pub path_and_query: String,
    /// The JSON body, if the operation has one.
    pub body: Option<Bytes>,
}
