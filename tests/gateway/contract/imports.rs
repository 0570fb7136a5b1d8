//! Imports in `src/` point one way: a file imports its own room, and rooms on
//! lower floors. ARCHITECTURE.md lists the floors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

/// The rooms, by floor, from the top down. A room is a file of `src/` with its
/// folder. Rooms of one floor do not import each other.
const FLOORS: [&[&str]; 14] = [
    &["cli"],
    &["config"],
    &["server"],
    &["grpc"],
    &["bulk"],
    &["context"],
    &["rpc", "upstream"],
    &["access_log"],
    &["telemetry", "memory"],
    &["credentials", "deadline", "fair_share"],
    &["error"],
    &["operation"],
    &["fields", "json"],
    &[
        "args",
        "jitter",
        "logging",
        "proto",
        "sandbox",
        "tls",
        "token_key",
    ],
];

/// The permitted imports of a higher room: from, to, and the reason.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "proto",
    "operation",
    "generated code implements the trait `Operation` for the messages",
)];

#[test]
fn no_file_imports_a_room_above_its_own() {
    let mut wrong = Vec::new();
    for (path, room) in sources() {
        for target in imports(&path) {
            let is_exception = EXCEPTIONS
                .iter()
                .any(|(from, to, _)| (*from, *to) == (room.as_str(), target.as_str()));
            if target != room && floor(&target) <= floor(&room) && !is_exception {
                let path = path.display();
                wrong.push(format!(
                    "{path} imports crate::{target}, which is not below {room}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    for (from, to, reason) in EXCEPTIONS {
        let mut files = sources().into_iter().filter(|(_, room)| room == from);
        let is_needed = files.any(|(path, _)| imports(&path).contains(to));
        assert!(is_needed, "{from} does not import {to} ({reason})");
    }
}

#[test]
fn the_table_of_floors_in_the_architecture_page_is_current() {
    let (_, section) = ARCHITECTURE.split_once("\n## Floors\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let (floor, row) = line.strip_prefix("| ")?.split_once(" | ")?;
        let floor: usize = floor.parse().ok()?;
        let (rooms, _) = row.split_once(" | ")?;
        let rooms = rooms.split(", ").map(|room| room.trim_matches('`'));
        Some((floor, rooms.collect::<BTreeSet<_>>()))
    });
    let documented: Vec<_> = rows.collect();
    let floors = FLOORS.iter().map(|rooms| rooms.iter().copied().collect());
    let expected: Vec<_> = (1..).zip(floors).collect();
    assert_eq!(documented, expected, "in ARCHITECTURE.md, \"Floors\"");
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
fn every_floor_has_only_rooms_that_exist() {
    let rooms: BTreeSet<String> = sources().into_iter().map(|(_, room)| room).collect();
    // Crates of the workspace, re-exported as rooms.
    let crates = ["args", "sandbox"].map(str::to_owned);
    for room in FLOORS.into_iter().flatten() {
        let is_known = rooms.contains(*room) || crates.contains(&(*room).to_owned());
        assert!(is_known, "there is no src/{room}.rs");
    }
}

/// The index of a room's floor, 0 at the top.
fn floor(room: &str) -> usize {
    let floor = FLOORS.iter().position(|rooms| rooms.contains(&room));
    floor.unwrap_or_else(|| panic!("src/{room}.rs has no floor: add it to FLOORS"))
}

/// The files of `src/` with their rooms, without unit tests, `lib.rs` and `main.rs`.
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
    let with_room = found.into_iter().map(|path| {
        let first = path.strip_prefix(&src).unwrap().iter().next().unwrap();
        let room = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        (path, room)
    });
    with_room.collect()
}

/// The rooms that a file names after `crate::`, without its unit tests and comments.
fn imports(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
    let rooms = paths.map(|path| {
        let end = path.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        path[..end.unwrap_or(path.len())].to_owned()
    });
    rooms.collect()
}
