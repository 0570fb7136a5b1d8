//! Imports in `src/` point one way: a file imports its own module, and modules of
//! lower levels. ARCHITECTURE.md lists the levels.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

/// The modules, by level: level 1 first. A module is a file of `src/` with its folder.
/// Modules of one level do not import each other.
const LEVELS: [&[&str]; 15] = [
    &[
        "args",
        "jitter",
        "logging",
        "nearest",
        "proto",
        "sandbox",
        "tls",
        "token_key",
        "user_agent",
    ],
    &["fields", "json"],
    &["operation"],
    &["error"],
    &["credentials", "deadline", "fair_share"],
    &["telemetry", "memory"],
    &["access_log"],
    &["rpc", "upstream"],
    &["context"],
    &["bulk"],
    &["watch"],
    &["grpc"],
    &["server"],
    &["config"],
    &["cli"],
];

#[test]
fn no_file_imports_a_module_above_its_own() {
    let mut wrong = Vec::new();
    for (path, module) in sources() {
        for target in imports(&path) {
            if target != module && level(&target) >= level(&module) {
                let path = path.display();
                wrong.push(format!(
                    "{path} imports crate::{target}, which is not below {module}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_levels_in_the_architecture_page_is_current() {
    let (_, section) = ARCHITECTURE.split_once("\n## Levels\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let (level, row) = line.strip_prefix("| ")?.split_once(" | ")?;
        let level: usize = level.parse().ok()?;
        let (modules, _) = row.split_once(" | ")?;
        let modules = modules.split(", ").map(|module| module.trim_matches('`'));
        Some((level, modules.collect::<BTreeSet<_>>()))
    });
    let documented: Vec<_> = rows.collect();
    let levels = LEVELS
        .iter()
        .map(|modules| modules.iter().copied().collect());
    let mut expected: Vec<_> = (1..).zip(levels).collect();
    expected.reverse();
    assert_eq!(documented, expected, "in ARCHITECTURE.md, \"Levels\"");
}

#[test]
fn the_architecture_page_names_only_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = ARCHITECTURE.split('`').skip(1).step_by(2);
    let is_file = |name: &str| [".rs", "/"].iter().any(|end| name.ends_with(end));
    let files = named.filter(|name| is_file(name));
    let exists = |name: &str| root.join(name).exists() || root.join("src").join(name).exists();
    let gone: Vec<_> = files.filter(|name| !exists(name)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}");
}

#[test]
fn every_level_has_only_modules_that_exist() {
    let modules: BTreeSet<String> = sources().into_iter().map(|(_, module)| module).collect();
    // Crates of the workspace, re-exported as modules.
    let crates = ["args", "sandbox"].map(str::to_owned);
    for module in LEVELS.into_iter().flatten() {
        let is_known = modules.contains(*module) || crates.contains(&(*module).to_owned());
        assert!(is_known, "there is no src/{module}.rs");
    }
}

/// The index of a module's level, 0 at the bottom.
fn level(module: &str) -> usize {
    let level = LEVELS.iter().position(|modules| modules.contains(&module));
    level.unwrap_or_else(|| panic!("src/{module}.rs has no level: add it to LEVELS"))
}

/// The files of `src/` with their modules, without unit tests, `lib.rs` and `main.rs`.
fn sources() -> Vec<(PathBuf, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap();
            match name.to_str().unwrap() {
                "tests" | "lib" | "main" => {}
                _ if path.is_dir() => visit(&path, found),
                _ => found.push(path),
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&src, &mut found);
    let with_module = found.into_iter().map(|path| {
        let first = path.strip_prefix(&src).unwrap().iter().next().unwrap();
        let module = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        (path, module)
    });
    with_module.collect()
}

/// The modules that a file names after `crate::`, without its unit tests and comments.
fn imports(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
    let modules = paths.map(|path| {
        let end = path.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        path[..end.unwrap_or(path.len())].to_owned()
    });
    modules.collect()
}
