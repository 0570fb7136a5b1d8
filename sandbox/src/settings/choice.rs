//! Choices between behaviours of which nobody outside knows which is the vendor's.
//!
//! Each is named on the command line as it is here; the first is the default.

use clap::ValueEnum;

/// What a user that was not seeded is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum UnknownUsers {
    #[default]
    Missing,
    /// There from now on, and available.
    Found,
}

/// What an unknown user id that is no UUID is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum MalformedIds {
    #[default]
    Missing,
    Refused,
}

/// What becomes of something that makes no sense but does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Tolerance {
    #[default]
    Accepted,
    Refused,
}

/// When a token's period begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum RateWindow {
    /// With its first request, and anew with the first one after its end.
    #[default]
    Fixed,
    /// One period before now.
    Sliding,
}

/// In which order a bulk answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum BulkOrder {
    #[default]
    Request,
    Sorted,
    Reversed,
}

/// How often a user that is asked for twice is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Duplicates {
    #[default]
    Once,
    Each,
}

/// The answer to a bulk read without ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum WithoutIds {
    #[default]
    Empty,
    Refused,
}

/// What one wrong update does to a bulk write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum BulkWrite {
    /// All of it is refused.
    #[default]
    Atomic,
    /// It alone is left out.
    Partial,
}

/// What a null in a body means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Nulls {
    /// The same as a field that is not there.
    #[default]
    Absent,
    /// The empty text, where the field holds text.
    Clear,
    /// A field of the wrong type.
    Refused,
}

/// Which fields a user's presence has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PresenceFields {
    #[default]
    Full,
    /// Those of an answer that was captured in 2022.
    Captured,
}

/// The status of a created presence definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CreatedStatus {
    #[default]
    #[value(name = "200")]
    Ok = 200,
    #[value(name = "201")]
    Created = 201,
}

/// The answer to a second DELETE of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum RepeatedDelete {
    #[default]
    #[value(name = "204")]
    NoContent,
    #[value(name = "404")]
    Missing,
}

/// Reads a choice by its name; else says which there are.
pub(super) fn choice<T: ValueEnum>(raw: &str) -> Result<T, String> {
    T::from_str(raw, false).map_err(|_| {
        let choices = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<String> = choices.map(|one| format!("`{}`", one.get_name())).collect();
        format!("is none of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_by_its_exact_name() {
        assert_eq!(choice("sorted"), Ok(BulkOrder::Sorted));
        assert_eq!(choice("404"), Ok(RepeatedDelete::Missing));
        assert_eq!(
            choice::<Nulls>("Clear").unwrap_err(),
            "is none of `absent`, `clear`, `refused`"
        );
    }
}
