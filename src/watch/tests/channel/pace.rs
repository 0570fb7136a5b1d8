//! How often connections are built when they do not last.

use std::time::Duration;

use super::Slot;

/// How many connections become live within some minutes, if this happens to each of them
/// as soon as it is live.
fn connections(mut slot: Slot, minutes: u64, happens: impl Fn(&mut Slot)) -> u64 {
    let end = slot.begin + Duration::from_mins(minutes);
    while slot.now < end {
        happens(&mut slot);
        slot.connect();
    }
    slot.generation
}

#[test]
fn a_vendor_that_announces_the_end_of_each_connection_gets_few() {
    let closing = |slot: &mut Slot| slot.slot.closing(slot.generation);
    let first = connections(Slot::live(&["u1"]), 1, closing);
    assert!((4..=9).contains(&first), "{first} in the first minute");
    let all = connections(Slot::live(&["u1"]), 60, closing);
    assert!(all < 135, "{all} in an hour");
}

#[test]
fn channels_of_a_short_life_are_made_seldom() {
    for life in [0, 1, 30] {
        let mut slot = Slot::new();
        slot.life = Some(Duration::from_secs(life));
        slot.add(&["u1"]);
        slot.connect();
        let all = connections(slot, 60, |_| {});
        assert!(all < 135, "{all} in an hour, of {life} s each");
    }
}

#[test]
fn a_vendor_that_ends_each_connection_gets_few() {
    let all = connections(Slot::live(&["u1"]), 60, |slot| {
        slot.end(slot.generation);
    });
    assert!(all < 135, "{all} in an hour");
    let mut slot = Slot::live(&["u1"]);
    let unsubscribed = |slot: &mut Slot| {
        slot.slot.unsubscribed(slot.generation, slot.now);
    };
    slot.life = Some(Duration::from_hours(24));
    let all = connections(slot, 60, unsubscribed);
    assert!(all < 135, "{all} in an hour");
}

#[test]
fn a_connection_that_lasts_ends_the_delays() {
    let mut slot = Slot::live(&["u1"]);
    for _ in 0..20 {
        slot.end(slot.generation);
        slot.connect();
    }
    slot.wait(Duration::from_mins(1));
    let before = slot.now;
    slot.end(slot.generation);
    slot.connect();
    let delay = slot.now - before;
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
}

#[test]
fn two_connections_that_do_not_last_are_the_most_of_one_channel() {
    let mut slot = Slot::live(&["u1"]);
    for _ in 0..4 {
        slot.end(slot.generation);
        slot.connect();
    }
    assert_eq!(slot.channels, 3);
    // One that lasts shows that its channel is usable.
    for _ in 0..4 {
        slot.wait(Duration::from_mins(2));
        slot.end(slot.generation);
        slot.connect();
    }
    assert_eq!(slot.channels, 3);
}
