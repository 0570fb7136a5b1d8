//! The fault table: for each fault between gateway and vendor, every kind of call
//! returns the expected status after the expected number of attempts.

pub mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::thread;

use crate::support::faults::fault::{Content, Fault, VendorResponse};
use crate::support::faults::harness;
use parking_lot::Mutex;
use table::TABLE;

/// The rows that share a gateway: each may use 14 of its 100 retries.
const ROWS_PER_GATEWAY: usize = 7;

/// The rows in groups that run against one gateway, those with a short deadline first.
fn groups() -> Vec<Vec<usize>> {
    let (mut by_deadline, mut groups) = (BTreeMap::<u64, Vec<usize>>::new(), Vec::new());
    for (index, row) in TABLE.iter().enumerate() {
        match row.fault {
            Fault::Responds(_) => by_deadline.entry(row.deadline).or_default().push(index),
            _ => groups.push(vec![index]),
        }
    }
    for rows in by_deadline.values() {
        groups.extend(rows.rchunks(ROWS_PER_GATEWAY).map(<[usize]>::to_vec));
    }
    groups
}

#[test]
fn every_fault_returns_its_status_to_every_kind_of_call() {
    let failures = Mutex::new(Vec::new());
    let groups = Mutex::new(VecDeque::from(groups()));
    // As many at a time as the machine can run: hundreds of calls at once would take
    // the processor away from those whose deadline runs.
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers.max(2) {
            scope.spawn(|| {
                let next = || groups.lock().pop_front();
                while let Some(group) = next() {
                    let found = harness::run_rows(TABLE, &group);
                    failures.lock().extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner();
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} failures:\n{}",
        failures.join("\n")
    );
}

/// The HTTP statuses in the table of errors of docs/errors.md.
fn documented_statuses() -> BTreeSet<u16> {
    let page = include_str!("../../../docs/errors.md");
    let (_, table) = page
        .split_once("| HTTP | gRPC | what to do |\n")
        .expect("docs/errors.md has no table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let http = rows.filter_map(|row| row.split('|').nth(1));
    http.flat_map(|http| http.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The statuses of the fault table with such a content.
fn statuses(is_content: impl Fn(Content) -> bool) -> BTreeSet<u16> {
    let answers = TABLE.iter().filter_map(|row| match row.fault {
        Fault::Responds(VendorResponse::Whole(status, None, content)) if is_content(content) => {
            Some(status)
        }
        _ => None,
    });
    answers.collect()
}

#[test]
fn every_documented_status_has_rows() {
    // All but those that stand for "other 4xx" and "other 5xx".
    let contract = [
        400, 401, 403, 404, 408, 409, 412, 413, 414, 415, 422, 429, 500, 501, 502, 503, 504,
    ];
    let documented = documented_statuses();
    assert_eq!(documented, BTreeSet::from(contract), "in docs/errors.md");
    for (content, covered) in [
        (
            "a vendor error body",
            statuses(|content| content == Content::ApiError),
        ),
        ("no body", statuses(|content| content == Content::NoBody)),
    ] {
        let missing: Vec<_> = documented.difference(&covered).collect();
        assert!(missing.is_empty(), "no row with {content} for {missing:?}");
        for other in [400..500, 500..600] {
            let has_other = { other.clone() }
                .any(|status| covered.contains(&status) && !documented.contains(&status));
            assert!(has_other, "no row with {content} for another of {other:?}");
        }
    }
    let redirects = statuses(|content| content == Content::Redirect);
    assert!(redirects.iter().all(|status| (300..400).contains(status)) && !redirects.is_empty());
}

#[test]
fn no_two_rows_have_the_same_name() {
    let names: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len());
}
