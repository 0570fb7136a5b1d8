//! Answers that come late, and users who come and go meanwhile.

use std::time::Duration;

use super::{Slot, addition, sorted, written};
use crate::watch::channel::{Action, POLL_AFTER};

/// Longer than any delay of a subscription.
const LATER: Duration = Duration::from_secs(40);

/// Longer than a connection must last to count as one that lasts.
const LONG: Duration = Duration::from_mins(5);

#[test]
fn an_answer_of_a_lost_connection_says_nothing_of_the_next_one() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.wait(LONG);
    slot.add(&["u3"]);
    assert_eq!(slot.next(), addition("0", &["u3"]));
    let lost = slot.end(1).lost;
    assert_eq!(sorted(&lost), ["u1", "u2", "u3"]);
    assert_eq!(slot.next(), Action::Open("0".to_owned()));
    slot.open();
    assert_eq!(slot.act(), None, "one subscription at a time");
    // The answer of the first connection.
    let late = slot.permit(&["u3"]);
    assert!(late.covered.is_empty());
    slot.assert_covers(&[], &["u1", "u2", "u3"]);
    // That of the second one is about all.
    let (_, all) = slot.connect_until_subscription();
    assert_eq!(all, ["u1", "u2", "u3"]);
    let first = slot.permit(&all);
    assert_eq!(sorted(&first.covered), ["u1", "u2", "u3"]);
    slot.assert_covers(&["u1", "u2", "u3"], &[]);
}

#[test]
fn a_failure_of_a_lost_connection_says_nothing_of_the_next_one() {
    for status in [404, 500, 403] {
        let mut slot = Slot::live(&["u1"]);
        slot.wait(LONG);
        slot.add(&["u2"]);
        assert_eq!(slot.next(), addition("0", &["u2"]));
        slot.end(1);
        assert_eq!(slot.next(), Action::Open("0".to_owned()));
        slot.open();
        let late = slot.reject(status);
        assert_eq!(late.replaced, None, "{status}");
        let first = slot.connect();
        assert_eq!(sorted(&first.covered), ["u1", "u2"], "{status}");
    }
}

#[test]
fn an_answer_of_a_replaced_channel_says_nothing_of_the_next_one() {
    let mut slot = Slot::new();
    slot.life = Some(LONG);
    slot.add(&["u1"]);
    slot.connect();
    // Until the channel is near its end.
    let mut users = vec!["u1".to_owned()];
    let creation = loop {
        slot.wait(Duration::from_secs(1));
        match slot.act() {
            None => {}
            Some(write @ Action::Subscribe { .. }) => users.extend(written(write).1),
            Some(action) => break action,
        }
        if users.len() == 1 {
            slot.add(&["u2"]);
        }
    };
    assert_eq!((creation, users.len()), (Action::Create, 2));
    slot.create();
    assert_eq!(slot.next(), Action::Open("1".to_owned()));
    slot.open();
    // The answer about the first channel adds to the first connection.
    let late = slot.permit(&["u2"]);
    assert_eq!((sorted(&late.covered), late.replaced), (vec!["u2"], None));
    let (channel, all) = slot.connect_until_subscription();
    assert_eq!((channel.as_str(), all.len()), ("1", 2));
    let first = slot.permit(&all);
    assert_eq!(first.replaced, Some(1));
    assert_eq!(sorted(&first.covered), ["u1", "u2"]);
}

#[test]
fn a_user_who_comes_back_while_the_topic_is_removed_gets_it_again() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.remove("u2");
    let (_, rest) = written(slot.next());
    assert_eq!(rest, ["u1"]);
    slot.add(&["u2"]);
    slot.assert_covers(&["u1"], &["u2"]);
    slot.permit(&rest);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    let effect = slot.permit(&["u2"]);
    assert_eq!(sorted(&effect.covered), ["u2"]);
    slot.assert_covers(&["u1", "u2"], &[]);
}

#[test]
fn a_user_who_comes_back_while_a_connection_is_replaced_gets_the_topic_again() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.wait(LONG);
    assert_eq!(slot.act(), None);
    slot.slot.closing(1);
    slot.remove("u2");
    let (_, rest) = slot.connect_until_subscription();
    assert_eq!(rest, ["u1"]);
    slot.add(&["u2"]);
    slot.assert_covers(&["u1"], &["u2"]);
    let effect = slot.permit(&rest);
    assert_eq!(sorted(&effect.lost), ["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
}

#[test]
fn a_user_who_comes_back_before_the_topic_is_removed_costs_nothing() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.remove("u2");
    slot.wait(Duration::from_secs(10));
    slot.add(&["u2"]);
    slot.assert_covers(&["u1", "u2"], &[]);
    slot.wait(LATER);
    assert_eq!(slot.act(), None);
}

#[test]
fn a_user_who_leaves_while_the_topic_is_added_loses_it_later() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    slot.remove("u2");
    assert!(slot.permit(&["u2"]).covered.is_empty(), "nobody to read");
    let (_, rest) = written(slot.next());
    assert_eq!(rest, ["u1"]);
    slot.permit(&rest);
    slot.wait(LATER);
    assert_eq!(slot.act(), None);
}

#[test]
fn a_connection_keeps_its_channel_when_those_before_it_end() {
    let mut slot = Slot::live(&["u1"]);
    // Each connection is young, and ends while the next one is subscribed.
    for generation in 1..=3 {
        slot.slot.closing(generation);
        let (channel, all) = slot.connect_until_subscription();
        assert_eq!(channel, "0");
        slot.end(generation);
        slot.permit(&all);
        slot.assert_covers(&["u1"], &[]);
    }
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
}

#[test]
fn users_who_come_while_a_connection_is_replaced_use_the_old_one() {
    let mut slot = Slot::live(&["u1"]);
    slot.wait(LONG);
    slot.add(&["u2"]);
    slot.wait(Duration::from_millis(30));
    slot.slot.closing(1);
    assert_eq!(slot.act(), Some(addition("0", &["u2"])));
    slot.permit(&["u2"]);
    slot.assert_covers(&["u1", "u2"], &[]);
    // Those who come while the new one fails, too.
    let (_, all) = slot.connect_until_subscription();
    slot.add(&["u3"]);
    assert_eq!(slot.reject(503).replaced, Some(2));
    assert_eq!(all.len(), 2);
    slot.wait(Duration::from_millis(30));
    assert_eq!(slot.next(), addition("0", &["u3"]));
}

#[test]
fn a_connection_whose_subscriptions_end_before_the_first_answer_is_given_up() {
    let mut slot = Slot::new();
    slot.add(&["u1"]);
    let (_, all) = slot.connect_until_subscription();
    assert_eq!(slot.slot.unsubscribed(1, slot.now).replaced, Some(1));
    assert!(slot.permit(&all).covered.is_empty());
    slot.assert_covers(&[], &["u1"]);
    assert_eq!(slot.next(), Action::Create);
}

#[test]
fn a_channel_that_is_gone_is_replaced_and_its_users_are_stale() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    let effect = slot.reject(404);
    assert_eq!(effect.replaced, Some(1));
    assert_eq!(sorted(&effect.lost), ["u1", "u2"]);
    assert_eq!(slot.next(), Action::Create);
}

#[test]
fn after_a_subscription_that_failed_all_topics_are_written() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    // What the vendor has of it is not known. Users wait for a success, and are polled.
    let begin = slot.now;
    while slot.now < begin + POLL_AFTER {
        assert!(!slot.polls("u2"));
        slot.reject(503);
        let (_, all) = written(slot.next());
        assert_eq!(all, ["u1", "u2"]);
    }
    assert!(slot.polls("u2") && !slot.polls("u1"));
    // A replacement that failed may have removed the topic of u1 for a while.
    let effect = slot.permit(&["u1", "u2"]);
    assert_eq!(sorted(&effect.covered), ["u1", "u2"]);
    assert!(!slot.polls("u2") && !slot.slot.polls_any(slot.now));
}

#[test]
fn topics_that_the_vendor_does_not_take_are_not_written_with_others() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.add(&["u3"]);
    assert_eq!(slot.next(), addition("0", &["u3"]));
    slot.reject(400);
    assert!(slot.polls("u3"));
    slot.add(&["u4"]);
    assert_eq!(slot.next(), addition("0", &["u4"]));
    slot.permit(&["u4"]);
    slot.remove("u2");
    let (_, rest) = written(slot.next());
    assert_eq!(rest, ["u1", "u4"]);
    slot.permit(&rest);
    // The next connection tries again, after all others.
    slot.end(1);
    let (_, all) = slot.connect_until_subscription();
    assert_eq!(all, ["u1", "u4"]);
    slot.permit(&all);
    assert_eq!(slot.next(), addition("0", &["u3"]));
    slot.permit(&["u3"]);
    slot.assert_covers(&["u1", "u3", "u4"], &[]);
}

#[test]
fn users_whose_subscription_has_no_answer_are_polled() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    assert!(!slot.polls("u2"));
    slot.now = slot.slot.next(slot.now).expect("a time to poll");
    assert!(slot.polls("u2") && !slot.polls("u1"));
    slot.permit(&["u2"]);
    assert!(!slot.slot.polls_any(slot.now));
}

#[test]
fn a_replacement_that_failed_may_have_cost_topics_and_an_addition_has_not() {
    for (status, covered) in [(500, vec!["u1"]), (400, vec![])] {
        let mut slot = Slot::live(&["u1", "u2"]);
        slot.wait(LONG);
        slot.remove("u2");
        let write = slot.next();
        assert!(matches!(write, Action::Subscribe { replaces: true, .. }));
        slot.reject(status);
        slot.add(&["u3"]);
        let (_, users) = slot.connect_until_subscription();
        let effect = slot.permit(&users);
        let expected = covered.iter().copied().chain(["u3"]);
        let expected: Vec<_> = expected.collect();
        assert_eq!(sorted(&effect.covered), expected, "{status}");
    }
    let mut slot = Slot::live(&["u1"]);
    slot.wait(LONG);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    slot.reject(500);
    let effect = slot.connect();
    assert_eq!(sorted(&effect.covered), ["u2"]);
}
