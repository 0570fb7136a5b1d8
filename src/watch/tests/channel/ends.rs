//! Connections that end by the vendor's word, or because nobody needs them.

use std::time::Duration;

use super::{Slot, addition, written};
use crate::watch::channel::Action;

/// Longer than the delay of what nobody needs any more.
const LATER: Duration = Duration::from_secs(40);

#[test]
fn an_end_that_is_announced_before_the_first_answer_is_remembered() {
    let mut slot = Slot::new();
    slot.add(&["u1"]);
    let (_, all) = slot.connect_until_subscription();
    slot.slot.closing(1);
    slot.permit(&all);
    slot.assert_covers(&["u1"], &[]);
    let begin = slot.now;
    assert_eq!(slot.next(), Action::Open("0".to_owned()));
    assert!(slot.now - begin <= Duration::from_secs(5));
    // It is the end of that connection alone.
    slot.open();
    slot.connect();
    slot.wait(LATER);
    assert_eq!(slot.act(), None);
}

#[test]
fn a_channel_without_users_is_closed_after_some_time() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.remove("u1");
    slot.remove("u2");
    assert_eq!((slot.act(), slot.slot.close(slot.now)), (None, None));
    slot.now = slot.slot.next(slot.now).expect("the time of its end");
    assert_eq!(slot.slot.close(slot.now), Some(1));
    assert_eq!(slot.slot.close(slot.now), None);
    assert!(!slot.slot.is_connected());
    assert_eq!(slot.slot.next(slot.now), None);
    // The next user gets another one.
    slot.add(&["u3"]);
    assert_eq!(slot.next(), Action::Create);
}

#[test]
fn connections_that_are_built_while_all_users_leave_are_closed() {
    let mut slot = Slot::live(&["u1"]);
    slot.wait(LATER);
    slot.slot.closing(1);
    let (_, all) = slot.connect_until_subscription();
    slot.remove("u1");
    slot.wait(LATER);
    assert_eq!(slot.slot.close(slot.now), None, "an answer is on its way");
    slot.reject(503);
    assert_eq!(slot.slot.close(slot.now), Some(1));
    assert_eq!(slot.act(), None);

    let mut slot = Slot::new();
    slot.add(&["u1"]);
    assert_eq!(slot.next(), Action::Create);
    slot.remove("u1");
    slot.wait(LATER);
    assert_eq!(slot.slot.close(slot.now), None);
    slot.create();
    assert_eq!((slot.act(), slot.slot.close(slot.now)), (None, None));
    assert_eq!(all, ["u1"]);
}

#[test]
fn users_who_come_back_in_time_keep_their_channel() {
    let mut slot = Slot::live(&["u1"]);
    slot.remove("u1");
    slot.wait(Duration::from_secs(10));
    slot.add(&["u1"]);
    slot.wait(LATER);
    assert_eq!((slot.act(), slot.slot.close(slot.now)), (None, None));
    slot.assert_covers(&["u1"], &[]);
}

#[test]
fn new_users_do_not_shorten_the_delay_after_a_failure() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2"]);
    assert_eq!(slot.next(), addition("0", &["u2"]));
    slot.reject(503);
    // From the second failure on, the delay is at least a second.
    let (_, all) = written(slot.next());
    slot.add(&["u3"]);
    slot.reject(503);
    assert_eq!(all, ["u1", "u2"]);
    slot.add(&["u4"]);
    slot.wait(Duration::from_millis(900));
    assert_eq!(slot.act(), None);
    let (_, all) = written(slot.next());
    assert_eq!(all, ["u1", "u2", "u3", "u4"]);
    // A success ends the delays.
    slot.permit(&all);
    slot.add(&["u5"]);
    slot.wait(Duration::from_millis(20));
    assert_eq!(slot.act(), Some(addition("0", &["u5"])));
}
