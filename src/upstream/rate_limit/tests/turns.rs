//! The turns of a budget store in a token's queue.

use super::super::window::{TokenWindow, TokenWindows};
use super::*;
use crate::upstream::budget_store::{StoreTime, Turn};

/// A turn at this second, by both clocks.
fn turn(start: Instant, second: u64) -> Turn {
    Turn {
        start: start + Duration::from_secs(second),
        counted: start + Duration::from_secs(second),
        stored: Some(StoreTime::from_ticks(second)),
    }
}

fn seconds(window: &TokenWindow, start: Instant) -> Vec<u64> {
    let turns = window.turns.iter();
    turns.map(|turn| (turn.start - start).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_in_the_queue_uses_the_earliest_turn() {
    let now = Instant::now();
    let mut window = TokenWindow::default();
    window.queue.extend([0, 1]);
    window.add_turns(&[turn(now, 5), turn(now, 7)]);
    assert_eq!(
        window.earliest_start(0, now, 10),
        now + Duration::from_secs(5)
    );
    // A request that is sent again goes to the front, with a later turn of its own.
    window.queue.push_front(0);
    window.add_turns(&[turn(now, 6)]);
    assert_eq!(seconds(&window, now), [5, 6, 7]);
    assert_eq!(
        window.earliest_start(2, now, 10),
        now + Duration::from_secs(7)
    );
}

#[tokio::test(start_paused = true)]
async fn those_behind_a_request_that_leaves_move_up_and_the_last_turn_goes_back() {
    let now = Instant::now();
    let mut window = TokenWindow::default();
    window.queue.extend([0, 1, 2]);
    window.add_turns(&[turn(now, 1), turn(now, 2), turn(now, 3)]);
    window.queue.pop_front();
    assert_eq!(window.unused_turns(), [StoreTime::from_ticks(3)]);
    assert_eq!(seconds(&window, now), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_returns_is_sent_what_it_lacks_once() {
    let now = Instant::now();
    let mut windows = TokenWindows::default();
    let window = windows.tokens.entry(token("a")).or_default();
    window.sent.extend([now, now]);
    window.stored.extend([Some(StoreTime::from_ticks(8)), None]);
    window.queue.push_back(0);
    window.add_turns(&[turn(now, 9)]);
    let clock = |_| StoreTime::from_ticks(7);
    let mut of_token = |all| {
        let starts = windows.starts(&clock, all).pop();
        starts.map(|(_, starts)| (starts.known, starts.add))
    };
    let ticks = |ticks: &[u64]| ticks.iter().map(|&it| StoreTime::from_ticks(it)).collect();
    let (none, own) = (Vec::new(), ticks(&[7]));
    assert_eq!(of_token(false), Some((none, own)), "what was counted alone");
    assert_eq!(of_token(false), None, "it has been sent");
    let all = ticks(&[8, 7, 9]);
    assert_eq!(of_token(true), Some((all, Vec::new())), "to an empty store");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_clock_was_set_back_is_sent_again_by_the_new_time() {
    let now = Instant::now();
    let mut windows = TokenWindows::default();
    let window = windows.tokens.entry(token("a")).or_default();
    let hour = 3600 * 25_000;
    window.sent.push_back(now);
    window
        .stored
        .push_back(Some(StoreTime::from_ticks(2 * hour)));
    window.last_start = Some(StoreTime::from_ticks(2 * hour));
    window.queue.push_back(0);
    window.add_turns(&[turn(now, 2 * hour)]);
    let clock = |_| StoreTime::from_ticks(hour);
    let (_, starts) = windows.starts(&clock, true).pop().unwrap();
    assert_eq!(starts.add, [StoreTime::from_ticks(hour)]);
    assert_eq!(starts.known, [StoreTime::from_ticks(hour)], "its turn too");
}
