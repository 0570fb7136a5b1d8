//! The fault table: whatever goes wrong between the gateway and the vendor,
//! every kind of call gets the right answer after the right number of attempts.

pub mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use crate::support::faults::fault::{Content, Fault, VendorResponse};
use crate::support::faults::harness;
use parking_lot::Mutex;
use table::TABLE;

/// How many rows share a gateway. Each may take 14 of its 100 retries.
const TOGETHER: usize = 7;

/// The rows in groups that meet their faults together, the slowest first.
fn groups() -> Vec<Vec<usize>> {
    let (mut answered, mut groups) = (BTreeMap::<u64, Vec<usize>>::new(), Vec::new());
    for (place, row) in TABLE.iter().enumerate() {
        match row.fault {
            Fault::Responds(_) => answered.entry(row.deadline).or_default().push(place),
            _ => groups.push(vec![place]),
        }
    }
    for rows in answered.values() {
        groups.extend(rows.rchunks(TOGETHER).map(<[usize]>::to_vec));
    }
    groups
}

#[test]
fn every_fault_is_told_to_every_caller_as_the_contract_says() {
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for group in groups() {
            let wrong = &wrong;
            scope.spawn(move || {
                let found = harness::run_rows(TABLE, &group);
                wrong.lock().extend(found);
            });
        }
    });
    let wrong = wrong.into_inner();
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
}

/// The HTTP statuses that docs/callers.md names in its table of errors.
fn documented() -> BTreeSet<u16> {
    let page = include_str!("../../../docs/callers.md");
    let (_, table) = page
        .split_once("| HTTP | gRPC |\n")
        .expect("docs/callers.md has no table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let http = rows.filter_map(|row| row.split('|').nth(1));
    http.flat_map(|http| http.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The statuses of the fault table with this content.
fn statuses(with: impl Fn(Content) -> bool) -> BTreeSet<u16> {
    let answers = TABLE.iter().filter_map(|row| match row.fault {
        Fault::Responds(VendorResponse::Whole(status, None, content)) if with(content) => {
            Some(status)
        }
        _ => None,
    });
    answers.collect()
}

#[test]
fn every_status_that_is_documented_has_its_rows() {
    // The contract's, beside those that stand for "other 4xx" and "other 5xx".
    let contract = [
        400, 401, 403, 404, 408, 409, 412, 413, 414, 415, 422, 429, 500, 501, 502, 503, 504,
    ];
    let documented = documented();
    assert_eq!(documented, BTreeSet::from(contract), "in docs/callers.md");
    for (with, shown) in [
        (
            "the vendor's body",
            statuses(|content| content == Content::ApiError),
        ),
        ("no body", statuses(|content| content == Content::NoBody)),
    ] {
        let missing: Vec<_> = documented.difference(&shown).collect();
        assert!(missing.is_empty(), "no row with {with} for {missing:?}");
        for other in [400..500, 500..600] {
            let has_other = { other.clone() }
                .any(|status| shown.contains(&status) && !documented.contains(&status));
            assert!(has_other, "no row with {with} for another of {other:?}");
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
