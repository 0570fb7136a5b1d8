//! The table of faults, from which they are parsed and listed.

use std::fmt::Write as _;

use super::{Change, End};

/// One fault.
#[derive(Debug)]
pub(crate) struct Word<M = Means> {
    /// Its syntax; an alternative follows a comma.
    pub(crate) written: &'static str,
    /// Its effect, for the list in error messages.
    pub(crate) description: &'static str,
    pub(super) means: M,
}

/// The effect of a word on a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Status,
    Code,
    RetryAfter,
    Delay,
    Before,
    After,
    Change(Change),
    DropSome,
    End(End),
    Drip,
}

const fn word(written: &'static str, means: Means, description: &'static str) -> Word {
    Word {
        written,
        description,
        means,
    }
}

/// All faults.
#[rustfmt::skip]
pub(crate) const WORDS: [Word; 24] = [
    word("status=N", Means::Status, "a status from 200 to 599; from 400 on with the vendor's error body"),
    word("code=C", Means::Code, "the error's code; with status=400 or above"),
    word("retry-after=S", Means::RetryAfter, "the header, in whole seconds; alone it is a 429"),
    word("delay=250ms", Means::Delay, "the response waits, up to 1h"),
    word("cut", Means::End(End::Cut), "the connection closes without a response"),
    word("cut-body", Means::End(End::CutBody), "the connection closes in the middle of the body"),
    word("never", Means::End(End::Never), "no response, and the connection stays open"),
    word("drip, drip=5ms", Means::Drip, "the body comes a byte at a time"),
    word("garbage", Means::End(End::Garbage), "bytes that are not JSON"),
    word("html", Means::End(End::Html), "an HTML page instead of JSON"),
    word("half-json", Means::End(End::HalfJson), "the first half of the body, as if it were whole"),
    word("empty", Means::End(End::Empty), "no body"),
    word("redirect", Means::End(End::Redirect), "302 to another host"),
    word("huge", Means::End(End::Huge), "a body without an end"),
    word("wrong-shape", Means::Change(Change::WrongShape), "an array for an object, an object for an array"),
    word("null-list", Means::Change(Change::NullList), "null instead of a list"),
    word("null-items", Means::Change(Change::NullItems), "a null in front of a list's items"),
    word("unknown-field", Means::Change(Change::UnknownField), "an undocumented field in every object"),
    word("shuffle", Means::Change(Change::Shuffle), "a list in reverse order"),
    word("drop, drop=N", Means::DropSome, "a list without its last item, or its last N"),
    word("duplicate", Means::Change(Change::Duplicate), "a list with its first item twice"),
    word("stranger", Means::Change(Change::Stranger), "a list with one more item, of a user that is not in the request"),
    word("before", Means::Before, "a write is not applied (the default)"),
    word("after", Means::After, "a write is applied, then its response fails"),
];

impl<M> Word<M> {
    /// Its name, without a value.
    pub(crate) fn name(&self) -> &'static str {
        let end = self.written.find(['=', ',']);
        end.map_or(self.written, |end| &self.written[..end])
    }
}

impl Word {
    /// Whether this is an ending; a response has at most one.
    fn is_end(&self) -> bool {
        matches!(self.means, Means::End(_) | Means::Drip)
    }
}

/// Finds a word by name.
pub(super) fn find(name: &str) -> Option<&'static Word> {
    const ALL: &[Word] = &WORDS;
    ALL.iter().find(|word| word.name() == name)
}

/// The names of all faults.
pub(super) fn names() -> String {
    WORDS.each_ref().map(Word::name).join(", ")
}

/// The list of faults.
pub(crate) fn help() -> String {
    let mut help = String::from("Behaviours are separated by commas:\n");
    for word in &WORDS {
        let _ = writeln!(help, "  {:<15} {}", word.written, word.description);
    }
    let _ = writeln!(help, "At most one of {}.", ends().join(", "));
    help
}

/// The names of the endings, of which a response has at most one.
pub(crate) fn ends() -> Vec<&'static str> {
    const ALL: &[Word] = &WORDS;
    let ends = ALL.iter().filter(|word| word.is_end());
    ends.map(Word::name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_and_found_by_its_name() {
        let help = help();
        for word in &WORDS {
            assert!(help.contains(&format!("  {} ", word.written)), "{help}");
            assert_eq!(find(word.name()).unwrap().written, word.written);
        }
        assert!(help.ends_with("At most one of cut, cut-body, never, drip, garbage, html, half-json, empty, redirect, huge.\n"));
        assert!(find("").is_none());
    }
}
