//! One RPC as a REST call, and the answer back as its response.
//!
//! The build reads the proto's annotations and writes the constants of each
//! operation ([`Spec`]); this file interprets them. Nothing here knows a single
//! operation by name.

mod decode;
mod encode;
mod prune;
mod unknown_fields;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use decode::decode;
pub(crate) use encode::wrong_element;
pub use encode::{MAX_ID_BYTES, check, encode};
pub(crate) use prune::PrunedFields;
pub(crate) use unknown_fields::unknown_fields;

/// A request that stands for a REST call of the vendor's.
///
/// Implemented by the build for the request message of every RPC.
pub trait Operation: Serialize + Send + Sync + 'static {
    /// What the RPC answers with.
    type Response: DeserializeOwned + Default + Send + 'static;
    /// How the request becomes a REST call, and the answer a response.
    const SPEC: &'static Spec;
}

/// How one operation is mapped. Constants, made from the proto.
#[derive(Debug)]
pub struct Spec {
    /// The name of the RPC, such as `GetUserPresence`.
    pub name: &'static str,
    /// The full name of the RPC, such as `genesys.presence.v1.PresenceService/GetUserPresence`.
    pub rpc: &'static str,
    /// The full name of the request message.
    pub request: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path with the names of its variables: `/api/v2/presence/sources/{sourceId}`.
    pub template: &'static str,
    /// What a request is called in a trace: its method and its template.
    pub span: &'static str,
    /// The path, piece by piece.
    pub path: &'static [Segment],
    /// The fields that go into the query, in this order.
    pub query: &'static [Field],
    /// The field that is the body.
    pub body: Option<Field>,
    /// Whether the body is a list, of which none is `[]`.
    pub body_is_list: bool,
    /// What the upstream answers with.
    pub shape: ResponseShape,
    /// The full name of the response message.
    pub response: &'static str,
    /// The permissions that the upstream asks for; `None` where it asks for none.
    pub permissions: Option<Permissions>,
    /// Whether it may be sent again when nothing tells what became of it.
    pub is_repeatable: bool,
}

impl Spec {
    /// Whether the call leaves the vendor's state as it is.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

/// A field in its two spellings.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in the proto, which callers know: `user_id`.
    pub proto: &'static str,
    /// The name in JSON, which the vendor knows: `userId`.
    pub json: &'static str,
}

/// A piece of a path.
#[derive(Debug)]
pub enum Segment {
    /// Text that stands in every path.
    Literal(&'static str),
    /// A field whose value is one segment, whatever it holds.
    Variable(Field),
}

/// What the upstream answers with where it succeeds.
#[derive(Debug)]
pub enum ResponseShape {
    /// Nothing that we would read.
    Empty,
    /// An object, which is the response.
    Object,
    /// A bare array, which is this field of the response.
    List(Field),
}

/// The permissions that an operation needs.
#[derive(Debug)]
pub struct Permissions {
    /// `ANY` (one of them is enough) or `ALL`.
    pub mode: &'static str,
    /// The permissions in the vendor's notation.
    pub names: &'static [&'static str],
    /// When they are needed; empty where they always are.
    pub condition: &'static str,
}

/// A REST call, ready to be sent with a caller's token.
#[derive(Debug, Clone)]
pub struct RestRequest {
    /// The operation that it stands for.
    pub spec: &'static Spec,
    /// The path and the query, percent-encoded.
    pub path_and_query: String,
    /// The JSON body, where the operation has one.
    pub body: Option<Bytes>,
}
