//! Samples the vendor's responses that are searched for fields that the proto
//! does not have.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many of the first responses of each RPC are searched.
const FIRST: u32 = 8;

/// One of this many later responses is searched: a search costs as much as
/// decoding, and a change of the vendor's API does not go away.
const INTERVAL: u32 = 64;

/// Samples the responses of one RPC.
#[derive(Debug, Default)]
pub(crate) struct DriftSampler(AtomicU32);

impl DriftSampler {
    /// Counts a response; returns whether it is in the sample.
    pub(super) fn is_due(&self) -> bool {
        let before = self.0.fetch_add(1, Relaxed);
        before < FIRST || before.is_multiple_of(INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_responses_are_sampled_and_then_one_per_interval() {
        let sampler = DriftSampler::default();
        let due = |count: usize| (0..count).filter(|_| sampler.is_due()).count();
        assert_eq!(due(8), 8);
        assert_eq!(due(640), 10);
        assert!(
            DriftSampler::default().is_due(),
            "each RPC has its own sampler"
        );
    }
}
