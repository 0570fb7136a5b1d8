//! Alternatives where the vendor's behaviour is not publicly known.
//!
//! The names are those of the command line; the first is the default.

use clap::ValueEnum;

/// The treatment of a user that was not seeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum UnknownUsers {
    #[default]
    Missing,
    /// Created on first use, and available.
    Found,
}

/// The treatment of an unknown user id that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum MalformedIds {
    #[default]
    Missing,
    Refused,
}

/// The treatment of input that is meaningless but harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Tolerance {
    #[default]
    Accepted,
    Refused,
}

/// The start of a token's period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum RateWindow {
    /// Starts with the first request, and again with the first one after its end.
    #[default]
    Fixed,
    /// The period before each request.
    Sliding,
}

/// The order of a bulk response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum BulkOrder {
    #[default]
    Request,
    Sorted,
    Reversed,
}

/// How often a user requested twice is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Duplicates {
    #[default]
    Once,
    Each,
}

/// The response to a bulk read without ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum WithoutIds {
    #[default]
    Empty,
    Refused,
}

/// The effect of one wrong update on a bulk write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum BulkWrite {
    /// All of it is refused.
    #[default]
    Atomic,
    /// Only the wrong update is left out.
    Partial,
}

/// The meaning of a null in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Nulls {
    /// The same as an absent field.
    #[default]
    Absent,
    /// The empty text, if the field is a text.
    Clear,
    /// A field of the wrong type.
    Refused,
}

/// The fields of a user's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PresenceFields {
    #[default]
    Full,
    /// Those of a response captured in 2022.
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

/// The status of a repeated DELETE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum RepeatedDelete {
    #[default]
    #[value(name = "204")]
    NoContent,
    #[value(name = "404")]
    Missing,
}

/// The treatment of topics of users that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum UnknownTopics {
    #[default]
    Permitted,
    Rejected,
}

/// The names of the alternatives of a type.
pub(super) fn names<T: ValueEnum>() -> Vec<String> {
    let choices = T::value_variants().iter().filter_map(T::to_possible_value);
    choices.map(|one| one.get_name().to_owned()).collect()
}

/// Parses a choice by name; the error lists the names.
pub(super) fn choice<T: ValueEnum>(raw: &str) -> Result<T, String> {
    T::from_str(raw, false).map_err(|_| format!("is none of `{}`", names::<T>().join("`, `")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_parsed_by_its_exact_name() {
        assert_eq!(choice("sorted"), Ok(BulkOrder::Sorted));
        assert_eq!(choice("404"), Ok(RepeatedDelete::Missing));
        assert_eq!(
            choice::<Nulls>("Clear").unwrap_err(),
            "is none of `absent`, `clear`, `refused`"
        );
    }
}
