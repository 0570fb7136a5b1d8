//! The seed data of an organization.

use serde_json::{Map, Value, json};

/// A system presence. The vendor spells it differently in different models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SystemPresence(&'static str);

/// The vendor's default definitions: the name, the id that is the same in every
/// organization, and labels in English, German and French.
pub(super) const DEFAULTS: [(SystemPresence, &str, [&str; 3]); 10] = [
    (
        SystemPresence("Available"),
        "6a3af858-942f-489d-9700-5f9bcdcdae9b",
        ["Available", "Verfügbar", "Disponible"],
    ),
    (
        SystemPresence("Away"),
        "5e5c5c66-ea97-4e7f-ac41-6424784829f2",
        ["Away", "Abwesend", "Absent"],
    ),
    (
        SystemPresence("Busy"),
        "31fe3bac-dea6-44b7-bed7-47f91660a1a0",
        ["Busy", "Beschäftigt", "Occupé"],
    ),
    (
        SystemPresence("Break"),
        "227b37e2-f1d0-4dd0-8f50-badd7cf6d158",
        ["Break", "Pause", "Pause"],
    ),
    (
        SystemPresence("Idle"),
        "7ffa01cd-7866-4ad7-8faa-31e11b42f51f",
        ["Idle", "Untätig", "Inactif"],
    ),
    (
        SystemPresence("Meal"),
        "3fd96123-badb-4f69-bc03-1b1ccc6d8014",
        ["Meal", "Essen", "Repas"],
    ),
    (
        SystemPresence("Meeting"),
        "bbdff279-7ae1-48ea-bade-7831d7234c64",
        ["Meeting", "Besprechung", "Réunion"],
    ),
    (
        SystemPresence("Offline"),
        "ccf3c10a-aa2c-4845-8e8d-f59fa48c58e5",
        ["Offline", "Offline", "Hors ligne"],
    ),
    (
        SystemPresence("On Queue"),
        "e08eaf1b-ee47-4fa9-a231-1200e284798f",
        ["On Queue", "In der Warteschlange", "En file d’attente"],
    ),
    (
        SystemPresence("Training"),
        "d2390a99-8546-bad9-8f0a-219548e8aeb0",
        ["Training", "Schulung", "Formation"],
    ),
];

impl SystemPresence {
    /// Parses any spelling that the vendor uses.
    pub(super) fn read(text: &str) -> Option<Self> {
        let plain = |text: &str| text.replace([' ', '_'], "").to_ascii_lowercase();
        let wanted = plain(text);
        DEFAULTS
            .iter()
            .map(|(presence, ..)| *presence)
            .find(|known| plain(known.0) == wanted)
    }

    /// `On Queue`: in a user's presence and in the legacy definitions.
    pub(super) fn spaced(self) -> &'static str {
        self.0
    }

    /// `OnQueue`: in the current definitions.
    pub(super) fn joined(self) -> String {
        self.0.replace(' ', "")
    }

    /// `ON_QUEUE`: in the list of system presences, and in notifications.
    pub(super) fn upper(self) -> String {
        self.0.replace(' ', "_").to_ascii_uppercase()
    }
}

/// The labels of a default definition.
pub(super) fn labels([english, german, french]: [&str; 3]) -> Map<String, Value> {
    [("en_US", english), ("de", german), ("fr", french)]
        .into_iter()
        .map(|(locale, label)| (locale.to_owned(), json!(label)))
        .collect()
}

/// The id of a seeded user, counted from 1.
pub(super) fn user_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_presence_is_parsed_in_every_spelling_and_written_in_three() {
        for spelling in ["On Queue", "OnQueue", "ON_QUEUE", "on queue"] {
            let presence = SystemPresence::read(spelling).unwrap();
            assert_eq!(presence.spaced(), "On Queue");
            assert_eq!(presence.joined(), "OnQueue");
            assert_eq!(presence.upper(), "ON_QUEUE");
        }
        assert_eq!(SystemPresence::read("Lunch"), None);
    }

    #[test]
    fn seeded_users_are_numbered_in_decimal() {
        assert_eq!(user_id(1), "00000000-0000-4000-8000-000000000001");
        assert_eq!(user_id(100), "00000000-0000-4000-8000-000000000100");
    }
}
