//! The key by which users' ids are compared.

use std::collections::{HashMap, HashSet};

use foldhash::quality::RandomState;

/// Ids as keys.
pub(super) type IdMap<V> = HashMap<IdKey, V, RandomState>;
pub(super) type IdSet = HashSet<IdKey, RandomState>;

/// The length of a UUID with hyphens.
const UUID: usize = 36;

/// An id in lower case: ids are UUIDs, in either case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum IdKey {
    /// An id that is no longer than a UUID, with its length. It needs no memory of its
    /// own.
    Short(usize, [u8; UUID]),
    Long(Box<str>),
}

impl IdKey {
    pub(super) fn of(id: &str) -> Self {
        let mut short = [0; UUID];
        let Some(start) = short.get_mut(..id.len()) else {
            return Self::Long(id.to_ascii_lowercase().into());
        };
        start.copy_from_slice(id.as_bytes());
        short.make_ascii_lowercase();
        Self::Short(id.len(), short)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_with_zeros_at_its_end_is_another_id() {
        assert_ne!(IdKey::of("id"), IdKey::of("id\0"));
    }

    proptest! {
        #[test]
        fn ids_have_the_same_key_if_only_their_case_differs(
            a in "[0-9a-fA-F]{8}-[0-9aA]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-f]{12}|[aA-]{0,3}|.{30,40}",
            at in 0..40_usize,
            new in any::<char>(),
        ) {
            let changed: String = a.chars().enumerate().map(|(n, c)| if n == at { new } else { c }).collect();
            for b in [a.to_ascii_uppercase(), a.to_ascii_lowercase(), changed] {
                prop_assert_eq!(IdKey::of(&a) == IdKey::of(&b), a.eq_ignore_ascii_case(&b), "{} {}", a, b);
            }
        }
    }
}
