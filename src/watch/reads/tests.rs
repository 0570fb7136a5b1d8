//! Reads by hand, without a vendor.

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

/// A vendor that refuses each batch with one of these users.
struct Vendor<'a> {
    wrong: &'a [usize],
    refusal: Refusal,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    read: Vec<Arc<str>>,
    refused: Vec<Arc<str>>,
    batches: usize,
    /// The most batches within a second.
    seconds: u64,
}

/// Reads until nothing is wanted.
fn run(reads: &mut Reads, vendor: &Vendor<'_>, begin: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let mut now = begin;
    loop {
        while let Some(batch) = reads.take(now, |_| true) {
            outcome.batches += 1;
            let is_wrong = |(user, _): &&(Arc<str>, Cause)| {
                vendor.wrong.iter().any(|&wrong| *user == self::user(wrong))
            };
            let is_refused = batch.iter().any(|user| is_wrong(&user));
            let users = || batch.iter().map(|(user, _)| user);
            reads.end(users());
            if !is_refused {
                reads.succeed(users());
                outcome.read.extend(users().cloned());
            } else if reads.refuse(batch.len(), &batch, vendor.refusal, now) {
                outcome.refused.extend(users().cloned());
            }
        }
        let Some(next) = reads.next(now) else { break };
        now = next;
    }
    outcome.seconds = (now - begin).as_secs();
    outcome
}

#[test]
fn a_wrong_id_costs_only_itself_and_a_few_reads() {
    for wrong in [&[0][..], &[17], &[49], &[3, 49], &[20, 21]] {
        let now = Instant::now();
        let mut reads = reads(50, now);
        let refusal = Refusal::WrongId;
        let outcome = run(&mut reads, &Vendor { wrong, refusal }, now);
        let expected: Vec<Arc<str>> = wrong.iter().map(|&wrong| user(wrong)).collect();
        assert_eq!(outcome.refused, expected);
        assert_eq!(outcome.read.len(), 50 - wrong.len(), "{wrong:?}");
        assert!(
            outcome.batches <= 13 * wrong.len(),
            "{wrong:?}: {outcome:?}"
        );
        // No more than one in a second, so that calls have the other requests.
        let fewest = u64::try_from(outcome.batches).unwrap() - 2;
        assert!(outcome.seconds >= fewest, "{wrong:?}: {outcome:?}");

        // Who is watched anew is tried at once, and alone.
        reads.want(&user(wrong[0]), Cause::Snapshot, now);
        for number in 50..60 {
            reads.want(&user(number), Cause::Snapshot, now);
        }
        let later = now + Duration::from_mins(2);
        let outcome = run(&mut reads, &Vendor { wrong, refusal }, later);
        assert_eq!((outcome.batches, outcome.read.len()), (2, 10));
        assert_eq!(outcome.refused, expected[..1]);
    }
}

#[test]
fn a_refusal_that_may_pass_stands_only_after_a_while() {
    let now = Instant::now();
    let mut reads = reads(1, now);
    let refusal = Refusal::Unclear;
    let wrong = &[0];
    let outcome = run(&mut reads, &Vendor { wrong, refusal }, now);
    assert_eq!((outcome.batches, outcome.refused.len()), (5, 1));
    assert!((13..=17).contains(&outcome.seconds), "{outcome:?}");
}

#[test]
fn a_refusal_that_passes_costs_nobody() {
    for refusal in [Refusal::WrongId, Refusal::Unclear, Refusal::OfToken] {
        let now = Instant::now();
        let mut reads = reads(50, now);
        let batch = reads.take(now, |_| true).unwrap();
        reads.end(batch.iter().map(|(user, _)| user));
        assert!(!reads.refuse(50, &batch, refusal, now));
        let vendor = Vendor {
            wrong: &[],
            refusal,
        };
        let outcome = run(&mut reads, &vendor, now);
        assert_eq!(outcome.read.len(), 50);
        assert!(outcome.batches <= 2, "{outcome:?}");
    }
}

#[test]
fn a_token_that_may_read_nobody_is_not_searched_for_a_wrong_id() {
    let now = Instant::now();
    let mut reads = reads(50, now);
    let refusal = Refusal::OfToken;
    let outcome = run(
        &mut reads,
        &Vendor {
            wrong: &[7],
            refusal,
        },
        now,
    );
    assert_eq!((outcome.batches, outcome.refused.len()), (5, 50));
}

#[test]
fn a_user_who_left_does_not_make_another_one_stand_alone() {
    let now = Instant::now();
    let mut reads = reads(2, now);
    let later = now + LINGER;
    let batch = reads.take(later, |_| true).unwrap();
    reads.end(batch.iter().map(|(user, _)| user));
    assert!(!reads.refuse(2, &batch[..1], Refusal::WrongId, later));
    assert!(reads.is_wanted("u0"));
}

#[test]
fn failures_of_one_moment_count_once() {
    fastrand::seed(1);
    let now = Instant::now();
    let mut reads = reads(400, now);
    let begun: Vec<_> = std::iter::from_fn(|| reads.take(now, |_| true)).collect();
    assert_eq!(begun.len(), 8);
    let mut failed = now;
    for batch in begun {
        failed += Duration::from_millis(300);
        let begun = reads.end(batch.iter().map(|(user, _)| user));
        reads.back_off(begun, None, failed);
        for (user, cause) in batch {
            reads.want_again(&user, cause, failed);
        }
    }
    // One second at most, as after the first failure.
    assert!(reads.take(failed, |_| true).is_some());

    // The next one is another step.
    let begun = Some(failed);
    reads.back_off(begun, None, failed + Duration::from_secs(1));
    assert!(
        reads
            .take(failed + Duration::from_secs(2) - LINGER, |_| true)
            .is_none()
    );
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
        while let Some(batch) = reads.take(now, |_| true) {
            reads.end(batch.iter().map(|(user, _)| user));
            batches += 1;
        }
    }
    assert!((55..=61).contains(&batches), "{batches} in a minute");
    // Users who are read for another reason do not wait for them.
    let now = begin + Duration::from_mins(1);
    for number in 200..250 {
        reads.want(&user(number), Cause::Resync, now);
    }
    assert_eq!(reads.take(now, |_| true).map(|batch| batch.len()), Some(50));
}

#[test]
fn a_user_who_changes_all_the_time_is_read_all_the_same() {
    let begin = Instant::now();
    let mut reads = reads(0, begin);
    let times = (0..100).map(|step| begin + Duration::from_millis(10) * step);
    let read = times.filter(|&now| {
        reads.want_paced(&user(1), Cause::Change, now);
        reads.take(now, |_| true).is_some()
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
    assert!(reads.take(due - LINGER, |_| true).is_none());
    assert_eq!(reads.take(due, |_| true).map(|batch| batch.len()), Some(50));
    assert!(reads.take(due, |_| true).is_none());
    assert_eq!(reads.next(due), Some(due + LINGER));
    // An earlier reason counts.
    reads.want(&user(55), Cause::Resync, due);
    let rest = reads.take(due + LINGER, |_| true);
    assert_eq!(rest.map(|batch| batch.len()), Some(10));
}

#[test]
fn a_long_delay_of_one_batch_is_none_of_all_reads() {
    let now = Instant::now();
    let mut reads = reads(50, now);
    let begun = reads.take(now, |_| true).map(|_| now);
    reads.back_off(begun, Some(Duration::from_hours(24)), now);
    reads.batches = 0;
    reads.want(&user(99), Cause::Resync, now);
    let later = now + Duration::from_mins(1);
    assert!(reads.take(later - LINGER, |_| true).is_none());
    assert!(reads.take(later, |_| true).is_some());
}
