//! The RPCs of the gateway: one static descriptor for each.

mod repeated_fields;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::proto;
use repeated_fields::RepeatedFields;

/// The largest request message, in bytes: gRPC's customary limit, and about ten
/// times what the vendor accepts.
pub const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// The largest message of a request stream, in bytes: 5000 vendor ids with some
/// room. The gateway holds such a message while it requests its ids.
pub const MAX_STREAM_MESSAGE: usize = 256 * 1024;

/// How many ids or updates a bulk call may hold unless `--max-bulk-ids` says
/// otherwise.
pub const DEFAULT_MAX_BULK_IDS: usize = 5000;

/// The field that every bulk RPC has in its request, and no other RPC.
const BULK: &str = "allow_partial_results";

/// An RPC as the proto describes it.
#[derive(Debug)]
pub struct Rpc {
    /// The full name: `genesys.presence.v1.PresenceService/GetUserPresence`.
    pub name: String,
    /// Whether it streams: in both directions, or only responses if it is a watch.
    pub is_stream: bool,
    /// Whether it is a watch: a message in, and a stream without an end out.
    pub is_watch: bool,
    /// Whether its list is cut into batches, so that `--max-bulk-ids` limits it.
    pub is_bulk: bool,
    /// The repeated fields of its request.
    pub(crate) repeated: RepeatedFields,
}

impl Rpc {
    /// The full name of its service.
    #[must_use]
    pub fn service(&self) -> &str {
        let service = self.name.split_once('/');
        service.map_or("", |(service, _)| service)
    }

    /// The RPC at this path, if there is one.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Self> {
        static RPCS: LazyLock<HashMap<String, Rpc>> = LazyLock::new(|| {
            let rpcs = proto::methods().map(|method| {
                let rpc = Rpc {
                    name: format!("{}/{}", method.parent_service().full_name(), method.name()),
                    is_stream: method.is_client_streaming() || method.is_server_streaming(),
                    is_watch: method.is_server_streaming() && !method.is_client_streaming(),
                    is_bulk: method.input().get_field_by_name(BULK).is_some(),
                    repeated: RepeatedFields::new(&method.input()),
                };
                (format!("/{}", rpc.name), rpc)
            });
            rpcs.collect()
        });
        RPCS.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;
    use crate::proto::v1::{
        GetUsersPresenceBulkRequest, GetUsersPresencesPurecloudBulkRequest,
        PutUsersPresencesBulkRequest,
    };

    #[test]
    fn only_rpcs_that_are_split_into_batches_are_bulk() {
        let names = proto::methods()
            .map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()));
        let bulk = names.filter(|name| Rpc::find(&format!("/{name}")).unwrap().is_bulk);
        assert_eq!(
            bulk.collect::<Vec<_>>(),
            [
                GetUsersPresenceBulkRequest::SPEC.rpc,
                GetUsersPresencesPurecloudBulkRequest::SPEC.rpc,
                PutUsersPresencesBulkRequest::SPEC.rpc,
            ]
        );
    }

    #[test]
    fn an_rpc_is_found_only_by_its_path() {
        let rpc = Rpc::find("/genesys.presence.v1.PresenceStreamService/StreamUsersPresenceBulk");
        let rpc = rpc.unwrap();
        assert!(rpc.is_stream && !rpc.is_bulk);
        assert_eq!(rpc.service(), "genesys.presence.v1.PresenceStreamService");
        assert!(Rpc::find(&rpc.name).is_none(), "a path begins with a slash");
        assert!(Rpc::find("/no.such.Service/Rpc").is_none());
    }
}
