//! The files that name the version of the program name that of Cargo.toml.

use std::fs;
use std::path::Path;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Each file with the texts that stand before a version. `Cargo.lock` is held by
/// `--locked`. The measurements in docs/ name the version that was measured.
const PLACES: [(&str, &[&str]); 7] = [
    ("README.md", &["\nVersion "]),
    (
        "deploy/Dockerfile",
        &["presence-gateway:", "\nARG VERSION="],
    ),
    ("deploy/README.md", &["presence-gateway:", "?ref=v"]),
    (
        "deploy/chart/Chart.yaml",
        &["\nversion: ", "\nappVersion: "],
    ),
    (
        "deploy/overlays/production/kustomization.yaml",
        &["newTag: "],
    ),
    ("deploy/overlays/sandbox/kustomization.yaml", &["newTag: "]),
    (
        "fuzz/Cargo.lock",
        &[
            "name = \"presence-gateway\"\nversion = \"",
            "name = \"presence-gateway-args\"\nversion = \"",
            "name = \"presence-gateway-sandbox\"\nversion = \"",
        ],
    ),
];

/// The versions after a text; a port or a placeholder is none.
fn versions_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let rest = text.split(before).skip(1);
    let versions = rest.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-+".contains(c));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    });
    versions.filter(|version| {
        version.starts_with(|c: char| c.is_ascii_digit()) && version.matches('.').count() >= 2
    })
}

#[test]
fn every_file_names_the_version_of_the_program() {
    for (file, texts) in PLACES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(path).unwrap();
        for before in texts {
            let mut versions = versions_after(&text, before).peekable();
            assert!(
                versions.peek().is_some(),
                "{file} has no version after {before:?}"
            );
            for version in versions {
                assert_eq!(version, VERSION, "in {file}, after {before:?}");
            }
        }
    }
}
