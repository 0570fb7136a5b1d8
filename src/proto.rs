//! Code generated from the protos: messages and clients; and messages without a type.

pub mod comments;
mod encoded;
pub(crate) mod wire;

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};

/// The package `genesys.presence.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    rustdoc::all
)]
pub mod v1 {
    tonic::include_proto!("genesys.presence.v1");
}

pub use encoded::EncodedMessage;

/// The encoded descriptors of all protos, with annotations and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// The full name of the message for dates.
pub(crate) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The descriptors of all protos.
///
/// # Panics
///
/// Cannot: the build wrote [`DESCRIPTORS`].
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(DESCRIPTORS).unwrap_or_else(|error| panic!("{error}"))
    });
    &POOL
}

/// The message with this full name, which one of the protos has.
///
/// # Panics
///
/// If none has it.
pub(crate) fn message(name: &str) -> MessageDescriptor {
    let message = pool().get_message_by_name(name);
    message.unwrap_or_else(|| panic!("no message `{name}`"))
}

/// The RPCs of all services.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = pool().services();
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}
