//! The key by which users' ids are compared.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

// Callers choose the ids, but each table belongs to few calls and has a seed of its own:
// ids that collide would slow down these calls alone.
pub(super) type IdMap<V> = HashMap<IdKey, V, RandomState>;
pub(super) type IdSet = HashSet<IdKey, RandomState>;

/// The length of a UUID with hyphens.
const UUID_LENGTH: u8 = 36;

/// An id in lower case: ids are UUIDs, in either case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum IdKey {
    /// An id that is no longer than a UUID, followed by zeros: the length distinguishes
    /// it from an id that ends with zeros. It needs no memory of its own.
    Short(u8, [u8; UUID_LENGTH as usize]),
    /// Any other id.
    Long(Box<str>),
}

impl IdKey {
    pub(super) fn of(id: &str) -> Self {
        match u8::try_from(id.len()) {
            Ok(length @ 0..=UUID_LENGTH) => {
                let mut short = [0; UUID_LENGTH as usize];
                short[..id.len()].copy_from_slice(id.as_bytes());
                short.make_ascii_lowercase();
                Self::Short(length, short)
            }
            _ => Self::Long(id.to_ascii_lowercase().into()),
        }
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
            a in "[0-9a-fA-F]{8}-[0-9aA]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-f]{12}|[aA-]{0,3}|[a-cA-C]{35,38}|.{30,40}",
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
