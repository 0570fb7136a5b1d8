//! Path patterns of rules.

/// Whether a path contains `wanted`, or matches it as a pattern.
pub(super) fn path_fits(wanted: &str, path: &str) -> bool {
    let Some((start, rest)) = wanted.split_once('*') else {
        return path.contains(wanted);
    };
    let Some(mut left) = path.strip_prefix(start) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_path() {
        for (pattern, path, fits) in [
            ("bulk", "/a/bulk/b", true),
            ("/a*", "/a/bulk", true),
            ("*bulk", "/a/bulk", true),
            ("*bulk", "/a/bulk/b", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/c", false),
            ("/a/*/*/d", "/a/b/c/d", true),
            ("/a/*/x/*", "/a/b/c/d", false),
            ("*", "", true),
        ] {
            assert_eq!(path_fits(pattern, path), fits, "{pattern} {path}");
        }
    }
}
