//! The constants of each operation, which `build/emit.rs` writes.

use super::{Field, Operation, Permissions, ResponseShape, Segment, Spec};
use crate::json::{FieldKind, ModelField, models};
#[allow(clippy::wildcard_imports, reason = "two messages per RPC")]
use crate::proto::v1::*;

include!(concat!(env!("OUT_DIR"), "/operations.rs"));
