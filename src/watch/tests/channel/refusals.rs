//! Writes that are refused because of one of their topics.

use std::time::Duration;

use super::{Slot, addition, written};
use crate::watch::channel::Action;

#[test]
fn a_refused_topic_is_found_by_halves_before_the_connection_is_live() {
    let mut slot = Slot::new();
    let users: Vec<String> = (0..100).map(|number| format!("u{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    slot.add(&users);
    let (_, mut all) = slot.connect_until_subscription();
    for count in [100, 50, 25, 13, 7, 4, 2, 1] {
        assert_eq!(all.len(), count);
        assert_eq!(slot.reject(400).replaced, None, "the connection goes on");
        let begin = slot.now;
        all = written(slot.next()).1;
        assert_eq!(slot.now, begin, "at once");
    }
    // The next one is taken; then twice as many each time.
    let mut writes = 0;
    loop {
        slot.permit(&all);
        match slot.next() {
            Action::Subscribe { users, .. } => {
                all = users.iter().map(ToString::to_string).collect();
            }
            action => panic!("{action:?}"),
        }
        writes += 1;
        if slot.slot.topics() == 99 {
            break;
        }
    }
    assert!(writes <= 8, "{writes}");
    assert_eq!(all.len(), 1, "the refused one, once more and alone");
    slot.reject(400);
    assert!(slot.polls(&all[0]), "it is polled");
    slot.wait(Duration::from_mins(5));
    assert_eq!(slot.act(), None);
}

#[test]
fn users_who_leave_during_a_search_are_no_suspects() {
    let mut slot = Slot::live(&["u1"]);
    slot.add(&["u2", "u3"]);
    assert_eq!(written(slot.next()).1, ["u2", "u3"]);
    slot.remove("u3");
    slot.reject(400);
    // It may have been because of the other one.
    assert!(!slot.polls("u2"));
    assert_eq!(slot.next(), addition("0", &["u2"]));
    slot.permit(&["u2"]);
    slot.assert_covers(&["u1", "u2"], &[]);
}

#[test]
fn topics_of_a_connection_that_is_replaced_are_not_taken_from_it_by_halves() {
    let mut slot = Slot::live(&["u1", "u2"]);
    slot.slot.closing(1);
    let (channel, all) = slot.connect_until_subscription();
    assert_eq!((channel.as_str(), all.len()), ("0", 2));
    assert_eq!(slot.reject(400).replaced, Some(2));
    slot.assert_covers(&["u1", "u2"], &[]);
    // Another channel has no topics to lose.
    assert_eq!(slot.act(), Some(Action::Create));
    slot.create();
    let (channel, all) = slot.connect_until_subscription();
    assert_eq!((channel.as_str(), all.len()), ("1", 1));
    let effect = slot.permit(&all);
    assert_eq!(effect.replaced, Some(1));
    assert_eq!(effect.lost.len(), 1, "the other one waits");
    let (_, rest) = written(slot.next());
    slot.permit(&rest);
    slot.assert_covers(&["u1", "u2"], &[]);
}

#[test]
fn after_four_refused_topics_writes_of_a_live_connection_are_delayed() {
    let mut slot = Slot::live(&["u0"]);
    let mut delays = Vec::new();
    for number in 1..=9 {
        slot.add(&[&format!("u{number}")]);
        // One that waits, so that there is something to write next.
        slot.add(&[&format!("v{number}")]);
    }
    let mut begin = slot.now;
    let mut alone = 0;
    while alone < 9 {
        let (_, users) = written(slot.next());
        if alone >= 4 {
            delays.push(slot.now - begin);
        }
        begin = slot.now;
        alone += usize::from(users.len() == 1);
        slot.reject(403);
    }
    assert!(
        delays
            .iter()
            .skip(1)
            .all(|delay| *delay >= Duration::from_secs(1)),
        "{delays:?}"
    );
}
