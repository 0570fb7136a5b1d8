//! The table of the faults of notifications, and of the occasions for them.

use std::fmt::Write as _;

use super::{Action, Change, Raw};
use crate::misbehave::words::Word;

/// When a rule for notifications applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Channel,
    Subscribe,
    Connect,
    Event,
    Heartbeat,
    Pong,
    Now,
}

/// All occasions, with what they are.
#[rustfmt::skip]
pub(crate) const OCCASIONS: [(On, &str, &str); 7] = [
    (On::Event, "event", "an event is about to be sent"),
    (On::Heartbeat, "heartbeat", "a heartbeat is about to be sent"),
    (On::Pong, "pong", "the answer to a client's ping is about to be sent"),
    (On::Connect, "connect", "a WebSocket was opened"),
    (On::Now, "now", "at once, for all channels that match; the rule is not kept"),
    (On::Channel, "channel", "a channel was made"),
    (On::Subscribe, "subscribe", "a topic is about to be subscribed"),
];

/// What a fault of notifications does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Means {
    Delay,
    /// An action without a value.
    Plain(Action),
    Huge,
    Date,
    Spelling,
    SocketClosing,
    Silence,
    Close,
    Expires,
    Uri,
}

/// The occasions of a text that is about to be sent.
const TEXTS: &[On] = &[On::Event, On::Heartbeat, On::Pong];
/// The occasions of a channel that is connected.
const OPEN: &[On] = &[On::Event, On::Heartbeat, On::Pong, On::Connect, On::Now];
const EVENT: &[On] = &[On::Event];

const fn word(
    written: &'static str,
    means: Means,
    on: &'static [On],
    description: &'static str,
) -> (Word<Means>, &'static [On]) {
    let word = Word {
        written,
        description,
        means,
    };
    (word, on)
}

/// All faults of notifications, each with its occasions.
#[rustfmt::skip]
pub(crate) static WORDS: [(Word<Means>, &[On]); 26] = [
    word("delay=250ms", Means::Delay, OPEN, "all of it happens later, up to 1h; what comes in between overtakes it"),
    word("drop", Means::Plain(Action::Drop), TEXTS, "the text is lost"),
    word("duplicate", Means::Plain(Action::Duplicate), TEXTS, "the text comes twice"),
    word("swap", Means::Plain(Action::Swap), TEXTS, "the text comes behind the next one"),
    word("date=TEXT, date", Means::Date, EVENT, "the event has this `modifiedDate`, or none"),
    word("spelling=HOW", Means::Spelling, EVENT, "`systemPresence` is `spaced` (On Queue), `joined` (OnQueue), `lower` (on_queue) or `new`"),
    word("recase", Means::Plain(Action::Change(Change::Recase)), EVENT, "the topic has the user's id in capitals, or else in small letters"),
    word("unknown-field", Means::Plain(Action::Change(Change::UnknownField)), EVENT, "an undocumented field in every object"),
    word("null-body", Means::Plain(Action::Change(Change::NullBody)), EVENT, "null as the body of the event"),
    word("wrong-shape", Means::Plain(Action::Change(Change::WrongShape)), TEXTS, "an array instead of an object"),
    word("half-json", Means::Plain(Action::Raw(Raw::HalfJson)), TEXTS, "the first half of the text"),
    word("binary", Means::Plain(Action::Raw(Raw::Binary)), TEXTS, "the same bytes in a binary message"),
    word("garbage", Means::Plain(Action::Raw(Raw::Garbage)), OPEN, "a text that is not JSON"),
    word("empty", Means::Plain(Action::Raw(Raw::Empty)), OPEN, "an empty text"),
    word("huge, huge=BYTES", Means::Huge, OPEN, "a text of 10 MiB, or of this many bytes up to 64 MiB"),
    word("stranger", Means::Plain(Action::Stranger), OPEN, "one more event, of a user that nobody subscribed"),
    word("socket-closing, socket-closing=60s", Means::SocketClosing, OPEN, "`v2.system.socket_closing`; the socket is closed a minute later, or after this time"),
    word("no-longer-subscribed", Means::Plain(Action::NoLongerSubscribed), OPEN, "`v2.system.no_longer_subscribed`; the channel has no topics any more"),
    word("token-revoked", Means::Plain(Action::TokenRevoked), OPEN, "`v2.system.token_revoked`; the token gets 401, as do the sockets of its channels, which are closed"),
    word("silence, silence=30s", Means::Silence, OPEN, "nothing is sent, read or answered any more, or for this time; it is lost"),
    word("close=CODE", Means::Close, OPEN, "the socket is closed with this code"),
    word("cut", Means::Plain(Action::Cut), OPEN, "the connection ends without a close frame"),
    word("expire", Means::Plain(Action::Expire), &[On::Now], "the channel is closed and gone, as after its 24 hours"),
    word("expires=30s", Means::Expires, &[On::Channel], "the channel lives for this time, up to 24h"),
    word("uri=URI", Means::Uri, &[On::Channel], "the channel has this `connectUri`, in which `*` is its id"),
    word("reject", Means::Plain(Action::Reject), &[On::Subscribe], "the topic is forbidden"),
];

/// Finds a fault by name, with its occasions.
pub(super) fn find(name: &str) -> Option<&'static (Word<Means>, &'static [On])> {
    WORDS.iter().find(|(word, _)| word.name() == name)
}

/// Whether notifications have a fault of this name.
pub(crate) fn is_word(name: &str) -> bool {
    find(name).is_some()
}

/// The names of the faults of an occasion.
pub(super) fn names(on: On) -> String {
    let faults = WORDS
        .iter()
        .filter(|(_, occasions)| occasions.contains(&on));
    let names: Vec<&str> = faults.map(|(word, _)| word.name()).collect();
    names.join(", ")
}

/// The names of some occasions.
pub(crate) fn occasions(of: &[On]) -> Vec<&'static str> {
    let some = OCCASIONS.iter().filter(|(on, ..)| of.contains(on));
    some.map(|(_, name, _)| *name).collect()
}

impl On {
    /// The occasion of this name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = OCCASIONS.iter().find(|(_, known, _)| *known == name);
        found.map(|(on, ..)| *on).ok_or_else(|| {
            let names = OCCASIONS.map(|(_, name, _)| name).join(", ");
            format!("is not when a rule applies. There are {names}")
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        let found = OCCASIONS.iter().find(|(on, ..)| *on == self);
        found.map_or("", |(_, name, _)| name)
    }
}

/// The list of faults and of occasions.
pub(crate) fn help() -> String {
    let mut help = String::from("Behaviours of rules with `on=`, and when each is possible:\n");
    for (word, on) in &WORDS {
        let on = occasions(on).join(" ");
        let _ = writeln!(help, "  {:<15} {} ({on})", word.written, word.description);
    }
    help.push_str("`on` is one of:\n");
    for (_, name, meaning) in OCCASIONS {
        let _ = writeln!(help, "  {name:<15} {meaning}");
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_and_found_and_every_occasion_has_one() {
        let help = help();
        for (word, on) in &WORDS {
            assert!(help.contains(&format!("  {} ", word.written)), "{help}");
            assert_eq!(find(word.name()).unwrap().0.written, word.written);
            assert_eq!(occasions(on).len(), on.len());
        }
        for (on, name, _) in OCCASIONS {
            assert!(!names(on).is_empty(), "{name}");
            assert_eq!((On::named(name), on.name()), (Ok(on), name));
        }
        let wrong = On::named("never").unwrap_err();
        assert!(
            wrong.contains("There are event, heartbeat, pong, connect, now"),
            "{wrong}"
        );
    }
}
