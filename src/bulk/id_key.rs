//! The key by which users' ids are compared.

use std::collections::{HashMap, HashSet};

use foldhash::quality::RandomState;

/// Ids as keys.
pub(super) type IdMap<V> = HashMap<IdKey, V, RandomState>;
pub(super) type IdSet = HashSet<IdKey, RandomState>;

/// A user: ids are UUIDs, in either case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum IdKey {
    /// An id in the usual form of a UUID, which needs no memory of its own.
    Uuid(u64, u64),
    /// Any other id, in lower case.
    Other(Box<str>),
}

impl IdKey {
    pub(super) fn of(id: &str) -> Self {
        uuid(id.as_bytes()).map_or_else(
            || Self::Other(id.to_ascii_lowercase().into()),
            |(high, low)| Self::Uuid(high, low),
        )
    }
}

/// The value of 32 hexadecimal digits with hyphens after 8, 12, 16 and 20 of them.
fn uuid(id: &[u8]) -> Option<(u64, u64)> {
    let id: &[u8; 36] = id.try_into().ok()?;
    let has_hyphens = [8, 13, 18, 23].iter().all(|&at| id[at] == b'-');
    let mut is_hex = true;
    let mut digits = |parts: [&[u8]; 3]| {
        parts.into_iter().flatten().fold(0, |value, &digit| {
            let digit = HEX[usize::from(digit)];
            is_hex &= digit != NOT_HEX;
            value << 4 | u64::from(digit)
        })
    };
    let high = digits([&id[..8], &id[9..13], &id[14..18]]);
    let low = digits([&id[19..23], &id[24..], &[]]);
    (has_hyphens && is_hex).then_some((high, low))
}

/// The value of each byte that is a hexadecimal digit.
const HEX: [u8; 256] = {
    let mut values = [NOT_HEX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};
const NOT_HEX: u8 = 0xff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    #[test]
    fn a_uuid_is_kept_as_its_value() {
        let value = IdKey::Uuid(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef);
        assert_eq!(IdKey::of(ID), value);
        assert_eq!(IdKey::of(&ID.to_uppercase()), value);
    }

    #[test]
    fn another_form_of_a_uuid_is_another_id() {
        for other in [
            &ID.replace('-', ""),
            &format!("{{{ID}}}"),
            &ID.replace("3-4", "34-"),
            &ID.replace('f', "g"),
            &ID.replace('0', "-"),
            &ID.replacen('0', " ", 1),
        ] {
            assert_eq!(IdKey::of(other), IdKey::Other(other.as_str().into()));
        }
    }

    proptest! {
        #[test]
        fn ids_have_the_same_key_if_only_their_case_differs(
            a in "[0-9a-fA-F]{8}-[0-9aA]{4}-[0-9a-f]{4}-[0-9A-F]{4}-[0-9a-f]{12}|[aA-]{1,3}|.{36}",
            at in 0..36_usize,
            new in any::<char>(),
        ) {
            let changed: String = a.chars().enumerate().map(|(n, c)| if n == at { new } else { c }).collect();
            for b in [a.to_ascii_uppercase(), a.to_ascii_lowercase(), changed] {
                prop_assert_eq!(IdKey::of(&a) == IdKey::of(&b), a.eq_ignore_ascii_case(&b), "{} {}", a, b);
            }
        }
    }
}
