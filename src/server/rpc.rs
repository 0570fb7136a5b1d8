//! The RPCs that there are, by their paths.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::proto;

/// An RPC of the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rpc {
    /// Its full name.
    pub name: &'static str,
    /// Whether its messages are streams, in both directions.
    pub is_stream: bool,
}

impl Rpc {
    /// The RPC at this path, if there is one.
    pub(super) fn at(path: &str) -> Option<Self> {
        static RPCS: LazyLock<HashMap<String, bool>> = LazyLock::new(|| {
            let services = proto::pool().services();
            let rpcs = services.flat_map(|service| service.methods().collect::<Vec<_>>());
            rpcs.map(|rpc| {
                let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
                (path, rpc.is_client_streaming())
            })
            .collect()
        });
        let (path, &is_stream) = RPCS.get_key_value(path)?;
        let name = path.trim_start_matches('/');
        Some(Self { name, is_stream })
    }
}
