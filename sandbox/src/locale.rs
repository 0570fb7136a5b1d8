//! The locales of labels.

use serde_json::{Map, Value};

/// The values of `localeCode` that the vendor documents.
pub(super) const CODES: [&str; 25] = [
    "ALL", "he", "fr", "en_US", "da", "de", "it", "cs", "es", "fi", "ar", "ja", "ko", "nl", "no",
    "pl", "pt_BR", "pt_PT", "ru", "sv", "th", "tr", "uk", "zh_CN", "zh_TW",
];

/// The fallback locale, which every label has.
const FALLBACK: &str = "en_US";

/// Whether `code` is a value of `localeCode`.
pub(super) fn is_known(code: &str) -> bool {
    CODES.contains(&code)
}

/// The labels in one locale, else in English, else all.
pub(super) fn choose(labels: &Map<String, Value>, code: &str) -> Map<String, Value> {
    if code == "ALL" {
        return labels.clone();
    }
    let chosen = [code, FALLBACK]
        .into_iter()
        .find_map(|code| labels.get_key_value(code));
    match chosen {
        Some((code, label)) => [(code.clone(), label.clone())].into_iter().collect(),
        None => labels.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_in_the_requested_locale_or_in_english_or_in_all() {
        let labels = |value: Value| value.as_object().unwrap().clone();
        let both = labels(json!({"en_US": "Meal", "de": "Essen"}));
        assert_eq!(choose(&both, "de"), labels(json!({"de": "Essen"})));
        assert_eq!(choose(&both, "fr"), labels(json!({"en_US": "Meal"})));
        assert_eq!(choose(&both, "ALL"), both);
        let german = labels(json!({"de": "Essen"}));
        assert_eq!(choose(&german, "fr"), german);
    }
}
