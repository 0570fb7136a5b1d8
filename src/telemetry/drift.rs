//! Which answers of the vendor are searched for fields that the proto does
//! not know.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::proto;

/// How many of the first answers of each RPC are searched.
const FIRST: u32 = 8;

/// Of the later ones, one of so many: searching costs as much as reading, and
/// a change of the vendor's API stays.
const EVERY: u32 = 64;

/// The sample: how many answers each RPC had.
#[derive(Debug)]
pub(super) struct Sample(HashMap<String, AtomicU32>);

impl Sample {
    pub(super) fn new() -> Self {
        let services = proto::pool().services();
        let rpcs = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let names = rpcs.map(|rpc| format!("{}/{}", rpc.parent_service().full_name(), rpc.name()));
        Self(names.map(|name| (name, AtomicU32::new(0))).collect())
    }

    /// Whether this answer of an RPC is in the sample.
    pub(super) fn is_due(&self, rpc: &str) -> bool {
        self.0.get(rpc).is_some_and(|answers| {
            let before = answers.fetch_add(1, Relaxed);
            before < FIRST || before.is_multiple_of(EVERY)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answers_of_each_rpc_are_searched_and_then_some() {
        let sample = Sample::new();
        let due = |rpc: &str, count: usize| (0..count).filter(|_| sample.is_due(rpc)).count();
        let rpc = "genesys.presence.v1.PresenceService/GetUserPresence";
        assert_eq!(due(rpc, 8), 8);
        assert_eq!(due(rpc, 640), 10);
        assert_eq!(
            due("genesys.presence.v1.PresenceService/GetSystempresences", 8),
            8
        );
        assert_eq!(due("no.Such/Rpc", 8), 0);
    }
}
