//! Reads that fail, and may succeed later.

use super::*;

const FAILED: Fault = Fault::Failed(None);

/// Lets a batch fail.
fn fail(reads: &mut Reads, batch: &[(Arc<str>, Cause)], fault: Fault, now: Instant) {
    let begun = reads.end(batch.iter().map(|(user, _)| user));
    assert_eq!(
        reads.fail((batch.len(), begun), batch, fault, now),
        Vec::<Arc<str>>::new()
    );
}

#[test]
fn failures_of_one_moment_count_once() {
    fastrand::seed(1);
    let now = Instant::now();
    let mut reads = reads(400, now);
    let begun: Vec<_> = std::iter::from_fn(|| reads.take(now, &|_| true)).collect();
    assert_eq!(begun.len(), 8);
    let mut failed = now;
    for batch in begun {
        failed += Duration::from_millis(300);
        fail(&mut reads, &batch, FAILED, failed);
    }
    // One second at most, as after the first failure.
    let probe = reads.take(failed, &|_| true).unwrap();

    // The next one is another step.
    fail(&mut reads, &probe, FAILED, failed + Duration::from_secs(1));
    let early = failed + Duration::from_secs(2) - LINGER;
    assert!(reads.take(early, &|_| true).is_none());
}

#[test]
fn while_nothing_can_be_read_one_user_at_a_time_is_tried() {
    let now = Instant::now();
    let mut reads = reads(350, now);
    let batch = reads.take(now, &|_| true).unwrap();
    fail(&mut reads, &batch, FAILED, now);
    let mut later = now;
    for _ in 0..10 {
        later += Duration::from_mins(1);
        let probe = reads.take(later, &|_| true).unwrap();
        assert_eq!(probe.len(), 1);
        assert!(reads.take(later, &|_| true).is_none());
        fail(&mut reads, &probe, FAILED, later);
    }
    // Then all are read as before.
    later += Duration::from_mins(1);
    let probe = reads.take(later, &|_| true).unwrap();
    reads.end(probe.iter().map(|(user, _)| user));
    reads.succeed(probe.iter().map(|(user, _)| user), later);
    let rest: Vec<_> = std::iter::from_fn(|| reads.take(later + LINGER, &|_| true)).collect();
    assert_eq!(rest.iter().map(Vec::len).sum::<usize>(), 349);
}

#[test]
fn a_user_whose_reads_fail_costs_only_itself() {
    for (users, wrong) in [(50, &[17][..]), (120, &[17]), (50, &[3, 49]), (1, &[0])] {
        let now = Instant::now();
        let mut reads = reads(users, now);
        let fault = FAILED;
        let outcome = run(&mut reads, &Vendor { wrong, fault }, now);
        assert_eq!(outcome.read.len(), users - wrong.len(), "{wrong:?}");
        assert_eq!(outcome.refused.len(), 0, "{wrong:?}");
        // The search, and one read a minute for the rest of the hour.
        assert!(outcome.batches < 24 + 70 * wrong.len(), "{outcome:?}");
    }
}

#[test]
fn a_long_delay_of_one_batch_is_none_of_all_reads() {
    for fault in [
        Fault::Failed(Some(Duration::from_hours(24))),
        Fault::Limited(Duration::from_hours(24)),
    ] {
        let now = Instant::now();
        let mut reads = reads(50, now);
        let batch = reads.take(now, &|_| true).unwrap();
        fail(&mut reads, &batch, fault, now);
        let later = now + Duration::from_mins(1);
        assert!(reads.take(later - LINGER, &|_| true).is_none());
        assert!(reads.take(later, &|_| true).is_some());
    }
}

#[test]
fn too_many_requests_are_the_fault_of_no_user() {
    let now = Instant::now();
    let mut reads = reads(50, now);
    for round in 0..5 {
        let now = now + Duration::from_mins(2) * round;
        let probe = reads.take(now, &|_| true).unwrap();
        let limited = Fault::Limited(Duration::from_secs(1));
        fail(&mut reads, &probe, limited, now);
        let now = now + Duration::from_mins(1);
        let probe = reads.take(now, &|_| true).unwrap();
        reads.end(probe.iter().map(|(user, _)| user));
        reads.succeed(probe.iter().map(|(user, _)| user), now);
        reads.want(&probe[0].0, Cause::Resync, now);
    }
    let later = now + Duration::from_mins(10);
    assert_eq!(reads.take(later, &|_| true).map(|it| it.len()), Some(50));
}

#[test]
fn a_probe_that_waits_for_its_pace_is_sent_later() {
    let now = Instant::now();
    let mut reads = reads(300, now);
    let refused = || Fault::Refused(403, "not.authorized".to_owned());
    while !reads.health.is_refused() {
        let batch = reads.take(now, &|_| true).unwrap();
        let begun = reads.end(batch.iter().map(|(user, _)| user));
        reads.fail((batch.len(), begun), &batch, refused(), now);
    }
    reads.health.back_off(Some(now), None, now);
    for _ in 0..60 {
        reads.pace.send(now);
    }
    let failed = reads.health.not_before.unwrap();
    assert_eq!(reads.take(failed, &|_| true), None);
    let paced = reads.pace.at().unwrap();
    assert!(paced > failed);
    let probe = reads.take(paced, &|_| true);
    assert_eq!(probe.map(|batch| batch.len()), Some(1));
}
