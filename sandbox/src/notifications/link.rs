//! The bounded queue between a channel and its socket.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bounds::MAX_QUEUED;

/// What a frame costs besides its text, so that empty ones count too.
const FRAME: usize = 64;

/// What a socket does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// A text of this many bytes, which is made when it is sent.
    Huge(usize),
    /// Nothing is read and nothing is sent from now on, for this time or for good.
    Silence(Option<Duration>),
    /// A close frame with this code; the connection ends when the client has answered.
    Close(u16),
    /// The connection ends without a close frame.
    Cut,
}

impl Frame {
    fn cost(&self) -> usize {
        FRAME
            + match self {
                Self::Text(text) => text.len(),
                Self::Binary(bytes) => bytes.len(),
                _ => 0,
            }
    }

    /// Whether the connection ends by it.
    fn is_end(&self) -> bool {
        matches!(self, Self::Close(_) | Self::Cut)
    }
}

/// The connection of a channel, as the state sees it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    outbox: Mutex<Outbox>,
    /// Woken when there is something new to do.
    pub(crate) wake: Notify,
    /// Woken when the connection ends whatever it is doing.
    pub(crate) abort: Notify,
}

impl Link {
    /// Queues a frame. A client that is too slow for its events is disconnected.
    pub(crate) fn push(&self, frame: Frame) {
        self.with(|outbox| outbox.push(frame));
    }

    /// Queues a frame for later. Those in between overtake it.
    pub(crate) fn push_at(&self, due: Instant, frame: Frame) {
        self.with(|outbox| outbox.push_at(due, frame));
    }

    /// Queues a frame behind the next one.
    pub(crate) fn hold(&self, frame: Frame) {
        self.with(|outbox| outbox.hold(frame));
    }

    /// The next frame that is due.
    pub(crate) fn pop(&self, now: Instant) -> Option<Frame> {
        self.outbox.lock().pop(now)
    }

    /// When the next delayed frame is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let outbox = self.outbox.lock();
        outbox.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes what is due, and returns the end of the connection if it is among it. The
    /// rest is lost.
    pub(crate) fn pop_end(&self, now: Instant) -> Option<Frame> {
        let mut outbox = self.outbox.lock();
        while let Some(frame) = outbox.pop(now) {
            if frame.is_end() {
                return Some(frame);
            }
            outbox.lost += 1;
        }
        None
    }

    /// Ends or begins a silence, in which what comes is lost.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.outbox.lock().silent = silent;
    }

    /// How many texts were dropped, because of a silence or of a slow client.
    pub(crate) fn lost(&self) -> u64 {
        self.outbox.lock().lost
    }

    fn with(&self, change: impl FnOnce(&mut Outbox)) {
        let has_overflowed = {
            let mut outbox = self.outbox.lock();
            let was_over = outbox.over;
            change(&mut outbox);
            outbox.over && !was_over
        };
        if has_overflowed {
            self.abort.notify_one();
        }
        self.wake.notify_one();
    }
}

/// The frames of a link.
#[derive(Debug, Default)]
struct Outbox {
    ready: VecDeque<Frame>,
    later: BTreeMap<(Instant, u64), Frame>,
    held: Option<Frame>,
    /// The cost of all of them.
    bytes: usize,
    /// The number of delayed frames that there ever were.
    delayed: u64,
    lost: u64,
    silent: bool,
    /// Whether the client was too slow.
    over: bool,
}

impl Outbox {
    fn push(&mut self, frame: Frame) {
        if !self.admit(&frame) {
            return;
        }
        // It begins at once, so that nothing comes between.
        self.silent |= matches!(frame, Frame::Silence(_));
        self.ready.push_back(frame);
        self.ready.extend(self.held.take());
    }

    fn push_at(&mut self, due: Instant, frame: Frame) {
        if self.admit(&frame) {
            self.later.insert((due, self.delayed), frame);
            self.delayed += 1;
        }
    }

    fn hold(&mut self, frame: Frame) {
        if self.held.is_some() {
            self.push(frame);
        } else if self.admit(&frame) {
            self.held = Some(frame);
        }
    }

    /// Counts a frame, unless it is lost.
    fn admit(&mut self, frame: &Frame) -> bool {
        if self.over || self.silent && !frame.is_end() {
            self.lost += u64::from(!frame.is_end());
            return false;
        }
        if self.bytes + frame.cost() > MAX_QUEUED {
            self.lost += (self.ready.len() + self.later.len()) as u64 + 1;
            self.ready.clear();
            self.later.clear();
            self.held = None;
            self.bytes = 0;
            self.over = true;
            return false;
        }
        self.bytes += frame.cost();
        true
    }

    fn pop(&mut self, now: Instant) -> Option<Frame> {
        let delayed = self.later.first_entry();
        let frame = match delayed.filter(|entry| entry.key().0 <= now) {
            Some(entry) => entry.remove(),
            None => self.ready.pop_front()?,
        };
        self.bytes -= frame.cost();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> Frame {
        Frame::Text(name.to_owned())
    }

    fn popped(link: &Link, now: Instant) -> Vec<Frame> {
        std::iter::from_fn(|| link.pop(now)).collect()
    }

    #[test]
    fn a_held_frame_follows_the_next_one_and_a_delayed_one_is_overtaken() {
        let (link, now) = (Link::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        link.hold(text("held"));
        link.push_at(later, text("late"));
        assert_eq!(popped(&link, now), []);
        link.push(text("next"));
        assert_eq!(popped(&link, now), [text("next"), text("held")]);
        assert_eq!(link.due(), Some(later));
        assert_eq!(popped(&link, later), [text("late")]);
        // Each pair changes places.
        for name in ["1", "2", "3"] {
            link.hold(text(name));
        }
        assert_eq!(popped(&link, now), [text("2"), text("1")]);
    }

    #[test]
    fn a_slow_client_is_disconnected_and_its_queue_dropped() {
        let (link, now) = (Link::default(), Instant::now());
        let long = text(&"x".repeat(MAX_QUEUED / 4));
        for _ in 0..3 {
            link.push(long.clone());
        }
        assert_eq!(link.lost(), 0);
        link.push(long.clone());
        assert_eq!((link.lost(), popped(&link, now)), (4, vec![]));
        link.push(text("more"));
        assert_eq!((link.lost(), popped(&link, now)), (5, vec![]));
        assert!(link.outbox.lock().over);
    }

    #[test]
    fn a_popped_frame_makes_room_for_another() {
        let (link, now) = (Link::default(), Instant::now());
        let half = text(&"x".repeat(MAX_QUEUED / 2 - FRAME));
        for _ in 0..100 {
            link.push(half.clone());
            link.push_at(now, half.clone());
            assert_eq!(popped(&link, now).len(), 2);
        }
        assert_eq!(link.lost(), 0);
    }

    #[test]
    fn a_silent_link_drops_everything_but_its_end() {
        let (link, now) = (Link::default(), Instant::now());
        link.push(text("before"));
        link.push(Frame::Silence(None));
        link.push(text("meanwhile"));
        assert_eq!(popped(&link, now), [text("before"), Frame::Silence(None)]);
        assert_eq!(link.lost(), 1);
        link.push(Frame::Close(1000));
        assert_eq!(link.pop_end(now), Some(Frame::Close(1000)));
        link.set_silent(false);
        link.push(text("after"));
        assert_eq!(popped(&link, now), [text("after")]);
        link.push(text("late"));
        assert_eq!((link.pop_end(now), link.lost()), (None, 2));
    }
}
