//! Reads that the vendor refuses.

use super::*;

fn refused() -> Fault {
    Fault::Refused(403, "not.authorized".to_owned())
}

fn run_refused(users: usize, wrong: &[usize]) -> Outcome {
    let now = Instant::now();
    let fault = refused();
    run(&mut reads(users, now), &Vendor { wrong, fault }, now)
}

#[test]
fn a_refused_user_costs_only_itself_and_a_few_reads() {
    for wrong in [&[0][..], &[17], &[49], &[3, 49], &[20, 21]] {
        let outcome = run_refused(50, wrong);
        let mut refused = outcome.refused.clone();
        refused.sort_unstable();
        let expected: Vec<Arc<str>> = wrong.iter().map(|&wrong| user(wrong)).collect();
        assert_eq!(refused, expected);
        assert_eq!(outcome.read.len(), 50 - wrong.len(), "{wrong:?}");
        // The batch, four parts of each of three sizes, and four repetitions; with two of
        // them, a probe after each few.
        let most = [17, 40][wrong.len() - 1];
        assert!(outcome.batches <= most, "{wrong:?}: {outcome:?}");
        assert!((13..=30).contains(&outcome.seconds), "{outcome:?}");
    }
}

#[test]
fn a_refused_user_who_is_watched_anew_is_tried_anew_and_alone() {
    let now = Instant::now();
    let (wrong, fault) = (&[17][..], refused());
    let vendor = Vendor { wrong, fault };
    let mut reads = reads(50, now);
    run(&mut reads, &vendor, now);
    let later = now + Duration::from_mins(2);
    for number in [17].into_iter().chain(50..60) {
        reads.want(&user(number), Cause::Snapshot, later);
    }
    let alone = reads.take(later + LINGER, &|user| user == "u17").unwrap();
    assert_eq!(alone, [(user(17), Cause::Snapshot)]);
    reads.end(alone.iter().map(|(user, _)| user));
    reads.want(&user(17), Cause::Snapshot, later);
    let outcome = run(&mut reads, &vendor, later + LINGER);
    assert_eq!((outcome.batches, outcome.read.len()), (6, 10));
    assert_eq!(outcome.refused, [user(17)]);
}

#[test]
fn who_wants_a_refused_user_shortens_no_delay() {
    let now = Instant::now();
    let mut reads = reads(1, now);
    for step in 0..600 {
        let now = now + Duration::from_millis(10) * step;
        reads.want(&user(0), Cause::Resync, now);
        reads.want_paced(&user(0), Cause::Change, now);
        if let Some(batch) = reads.take(now, &|_| true) {
            let begun = reads.end(batch.iter().map(|(user, _)| user));
            let stands = reads.fail((1, begun), &batch, refused(), now);
            assert_eq!(stands, Vec::<Arc<str>>::new(), "after {step} steps");
        }
    }
}

#[test]
fn one_refused_user_in_each_batch_delays_the_others_little() {
    let wrong: Vec<usize> = (0..20).map(|batch| batch * 50 + batch).collect();
    let outcome = run_refused(1000, &wrong);
    assert_eq!((outcome.read.len(), outcome.refused.len()), (980, 20));
    assert!(outcome.half < 60, "{outcome:?}");
    assert!(outcome.seconds < 6 * 60, "{outcome:?}");
}

#[test]
fn a_token_that_may_read_nobody_is_not_searched() {
    for users in [60, 1000, 5000] {
        let wrong: Vec<usize> = (0..users).collect();
        let outcome = run_refused(users, &wrong);
        assert_eq!(outcome.refused.len(), users);
        assert!((15..=24).contains(&outcome.seconds), "{}", outcome.seconds);
        assert!(outcome.batches <= 40, "{users}: {}", outcome.batches);
    }
}

#[test]
fn a_token_that_may_read_some_reads_these() {
    // Those whom it may not read come first.
    let wrong: Vec<usize> = (0..400).collect();
    let outcome = run_refused(500, &wrong);
    assert_eq!((outcome.read.len(), outcome.refused.len()), (100, 400));
    // Few enough, so that each is tried.
    let wrong: Vec<usize> = (0..25).collect();
    let outcome = run_refused(26, &wrong);
    assert_eq!((outcome.read.len(), outcome.refused.len()), (1, 25));
}

#[test]
fn a_refusal_that_passes_costs_nobody() {
    let now = Instant::now();
    let mut reads = reads(50, now);
    let batch = reads.take(now, &|_| true).unwrap();
    let begun = reads.end(batch.iter().map(|(user, _)| user));
    reads.fail((50, begun), &batch, refused(), now);
    let (wrong, fault) = (&[][..], refused());
    let outcome = run(&mut reads, &Vendor { wrong, fault }, now);
    assert_eq!((outcome.read.len(), outcome.batches), (50, 4));
}

#[test]
fn a_user_who_left_does_not_make_another_one_stand_alone() {
    let now = Instant::now();
    let mut reads = reads(2, now);
    let later = now + LINGER;
    let batch = reads.take(later, &|_| true).unwrap();
    let begun = reads.end(batch.iter().map(|(user, _)| user));
    reads.fail((2, begun), &batch[..1], refused(), later);
    assert!(reads.is_wanted("u0"));
    assert_eq!(reads.suspects.attempts("u0"), 0);
}

#[test]
fn the_search_for_refused_users_does_not_delay_other_paced_reads() {
    let now = Instant::now();
    let mut reads = reads(100, now);
    for _ in 0..2 {
        let batch = reads.take(now, &|_| true).unwrap();
        let begun = reads.end(batch.iter().map(|(user, _)| user));
        reads.fail((50, begun), &batch, refused(), now);
    }
    reads.want_paced(&user(200), Cause::Change, now);
    let later = now + LINGER;
    let batches = std::iter::from_fn(|| {
        let batch = reads.take(later, &|_| true)?;
        let begun = reads.end(batch.iter().map(|(user, _)| user));
        if batch[0].0 == user(200) {
            return Some(batch.len());
        }
        reads.succeed([].into_iter(), later);
        reads.fail((batch.len(), begun), &batch, refused(), later);
        Some(0)
    });
    let batches: Vec<usize> = batches.collect();
    assert_eq!(batches.iter().position(|&size| size == 1), Some(0));
}
