//! "Did you mean": which of the known names are near a wrong one.

/// How near a name must be to be meant: 1 is equal.
const NEAR: f64 = 0.8;

/// How near a name counts that contains the wrong one.
const CONTAINS: f64 = 0.9;

/// The names, the nearest first.
pub(crate) fn sorted<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names
        .into_iter()
        .map(|name| (near(wrong, name), name))
        .collect();
    // Stable, so that equally near names keep their order.
    names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    names.into_iter().map(|(_, name)| name).collect()
}

/// Whether a name may be the one that was meant.
pub(crate) fn is_near(wrong: &str, name: &str) -> bool {
    near(wrong, name) >= NEAR
}

/// How near two names are, whatever their case and their separators.
fn near(wrong: &str, name: &str) -> f64 {
    let (wrong, name) = (plain(wrong), plain(name));
    let similar = strsim::jaro_winkler(&wrong, &name);
    if wrong.len() > 2 && name.contains(&wrong) {
        similar.max(CONTAINS)
    } else {
        similar
    }
}

/// A name as its letters and digits in lower case: `getUserPresence`,
/// `get_user_presence` and `GetUserPresence` are equal.
pub(crate) fn plain(name: &str) -> String {
    let name = name.chars().filter(|letter| letter.is_alphanumeric());
    name.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_first() {
        for (wrong, expected) in [
            ("usrId", "userId"),
            ("id", "id"),
            ("presence", "presenceDefinition"),
            ("source_ID", "sourceId"),
        ] {
            let names = ["sourceId", "presenceDefinition", "id", "userId"];
            let sorted = sorted(wrong, names);
            assert_eq!(sorted.len(), names.len());
            assert_eq!(sorted[0], expected, "{wrong}: {sorted:?}");
            assert!(is_near(wrong, expected), "{wrong}");
        }
        assert!(!is_near("colour", "userId"));
    }
}
