//! Reads by hand, without a vendor.

mod failing;
mod refused;

use super::*;

fn user(number: usize) -> Arc<str> {
    format!("u{number}").into()
}

/// Reads of a token with 300 requests a minute, which want so many users now.
fn reads(users: usize, now: Instant) -> Reads {
    let mut reads = Reads::new(&Settings::default());
    for number in 0..users {
        reads.want(&user(number), Cause::Snapshot, now);
    }
    reads
}

/// A vendor that answers each batch with one of these users in the same way.
struct Vendor<'a> {
    wrong: &'a [usize],
    fault: Fault,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    read: Vec<Arc<str>>,
    refused: Vec<Arc<str>>,
    batches: usize,
    seconds: u64,
    /// After how many seconds half of the users were read.
    half: u64,
}

/// Reads until nothing is wanted, or for an hour.
fn run(reads: &mut Reads, vendor: &Vendor<'_>, begin: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let all = reads.wanted.len();
    let mut now = begin;
    while now < begin + Duration::from_hours(1) {
        // A request takes 80 ms, and those of one moment are answered in any order.
        let mut batches: Vec<_> = std::iter::from_fn(|| reads.take(now, &|_| true)).collect();
        fastrand::shuffle(&mut batches);
        let is_idle = batches.is_empty();
        for batch in batches {
            outcome.batches += 1;
            let is_wrong = |(user, _): &&(Arc<str>, Cause)| {
                vendor.wrong.iter().any(|&wrong| *user == self::user(wrong))
            };
            let is_refused = batch.iter().any(|user| is_wrong(&user));
            let users = || batch.iter().map(|(user, _)| user);
            let begun = reads.end(users());
            let end = now + Duration::from_millis(80);
            if is_refused {
                let fault = vendor.fault.clone();
                let refused = reads.fail((batch.len(), begun), &batch, fault, end);
                for user in &refused {
                    reads.cancel(user);
                }
                outcome.refused.extend(refused);
            } else {
                reads.succeed(users(), end);
                // A witness is read once more.
                let new = users().filter(|user| !outcome.read.contains(user));
                let new: Vec<_> = new.cloned().collect();
                outcome.read.extend(new);
            }
        }
        if outcome.read.len() < all / 2 {
            outcome.half = (now - begin).as_secs();
        }
        if is_idle {
            let Some(next) = reads.next(now) else { break };
            now = next;
        } else {
            now += Duration::from_millis(80);
        }
    }
    outcome.seconds = (now - begin).as_secs();
    outcome
}

#[test]
fn users_whose_notifications_cannot_be_read_share_paced_reads() {
    let begin = Instant::now();
    let mut reads = reads(0, begin);
    let mut batches = 0;
    for step in 0..600 {
        let now = begin + Duration::from_millis(100) * step;
        let number = usize::try_from(step).unwrap() % 100;
        reads.want_paced(&user(number), Cause::Change, now);
        while let Some(batch) = reads.take(now, &|_| true) {
            reads.end(batch.iter().map(|(user, _)| user));
            batches += 1;
        }
    }
    // A burst of 12, and one a second.
    assert!((66..=72).contains(&batches), "{batches} in a minute");
    // Users who are read for another reason do not wait for them.
    let now = begin + Duration::from_mins(1);
    for number in 200..250 {
        reads.want(&user(number), Cause::Resync, now);
    }
    assert_eq!(
        reads.take(now, &|_| true).map(|batch| batch.len()),
        Some(50)
    );
}

#[test]
fn a_user_who_changes_all_the_time_is_read_all_the_same() {
    let begin = Instant::now();
    let mut reads = reads(0, begin);
    let times = (0..100).map(|step| begin + Duration::from_millis(10) * step);
    let read = times.filter(|&now| {
        reads.want_paced(&user(1), Cause::Change, now);
        reads.take(now, &|_| true).is_some()
    });
    assert_eq!(read.count(), 1);
}

#[test]
fn a_read_that_is_due_later_waits() {
    let now = Instant::now();
    let mut reads = reads(0, now);
    let due = now + Duration::from_secs(30);
    (0..60).for_each(|number| reads.want_at(&user(number), Cause::Resync, due, now));
    assert!(reads.is_wanted("u1"));
    assert_eq!(reads.next(now), Some(now + PATIENCE).max(Some(due)));
    assert!(reads.take(due - LINGER, &|_| true).is_none());
    assert_eq!(
        reads.take(due, &|_| true).map(|batch| batch.len()),
        Some(50)
    );
    assert!(reads.take(due, &|_| true).is_none());
    assert_eq!(reads.next(due), Some(due + LINGER));
    // An earlier reason counts.
    reads.want(&user(55), Cause::Resync, due);
    let rest = reads.take(due + LINGER, &|_| true);
    assert_eq!(rest.map(|batch| batch.len()), Some(10));
}
