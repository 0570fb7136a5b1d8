//! The bearer token, as callers give it.

use std::fmt;

/// How a caller gives a token, for messages.
const HOW: &str = "give it by --token TOKEN or by the variable PRESENCE_GATEWAY_TOKEN; a gateway \
                   on its sandbox accepts any, for example `--token any`";

/// A bearer token, which `Debug` hides.
#[derive(Clone)]
pub(super) struct Token(String);

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Token {
    /// The token alone, without white space around it and without a leading `Bearer`.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be one. The text does not show it.
    pub(super) fn clean(given: Option<&Self>) -> Result<String, String> {
        let Some(Self(given)) = given else {
            return Err(format!("no token: {HOW}"));
        };
        let token = without_word(given.trim(), "authorization:");
        let mut token = without_word(token, "bearer");
        // Given with the word, in a variable that a script puts it before, too.
        while without_word(token, "bearer").len() < token.len() {
            token = without_word(token, "bearer");
        }
        if let Some(scheme) = other_scheme(token) {
            return Err(format!(
                "the token is of the scheme `{scheme}`, and the gateway takes a bearer token, as \
                 Genesys Cloud's OAuth issues it: give that alone"
            ));
        }
        if token.is_empty() {
            return Err(format!(
                "the token is empty (is the variable set that it comes from?): {HOW}"
            ));
        }
        let is_wrong = |letter: &char| !letter.is_ascii_graphic();
        let position = token.chars().position(|letter| is_wrong(&letter));
        let first = token
            .chars()
            .next()
            .filter(|first| "\"'$<{".contains(*first));
        match (position, first) {
            (Some(position), _) => Err(format!(
                "the token has a character, number {}, that no token has: {}; copy it again, in \
                 one piece",
                position + 1,
                match token.chars().nth(position) {
                    Some(space) if space.is_whitespace() => "a space or the end of a line",
                    Some(control) if control.is_control() => "a control character",
                    _ => "it is not ASCII",
                }
            )),
            (None, Some('$')) => Err(
                "the token begins with `$`: the shell does not replace a variable in single quotes; \
                 write it in double quotes"
                    .to_owned(),
            ),
            (None, Some(first)) => Err(format!(
                "the token begins with `{first}`, and no token does: give the token alone"
            )),
            (None, None) => Ok(token.to_owned()),
        }
    }
}

/// The scheme of credentials that are no bearer token.
fn other_scheme(token: &str) -> Option<&'static str> {
    let schemes = ["Basic", "Digest", "Negotiate", "Token", "ApiKey"];
    let is_it = |scheme: &&str| {
        let rest = without_word(token, scheme);
        rest.len() < token.len() && !rest.is_empty()
    };
    schemes.into_iter().find(is_it)
}

/// Takes a word, in any case, from the start of a text.
fn without_word<'a>(text: &'a str, word: &str) -> &'a str {
    match text.split_at_checked(word.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(word) => {
            let is_separate =
                word.ends_with(':') || rest.is_empty() || rest.starts_with([' ', '\t']);
            if is_separate { rest.trim_start() } else { text }
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(token: &str) -> Result<String, String> {
        Token::clean(Some(&Token(token.to_owned())))
    }

    #[test]
    fn the_debug_text_of_a_token_does_not_show_it() {
        assert_eq!(format!("{:?}", Token("secret".to_owned())), "…");
    }

    #[test]
    fn what_stands_around_a_token_is_taken_off() {
        for given in [
            "secret",
            "secret\n",
            "\tsecret \r\n",
            "Bearer secret",
            "bearer  secret\n",
            "BEARER secret",
            "Bearer Bearer secret",
            "Authorization: Bearer secret",
            "authorization:secret",
        ] {
            assert_eq!(clean(given), Ok("secret".to_owned()), "{given:?}");
        }
        for token in ["bearer-1", "basic", "basic-1"] {
            assert_eq!(clean(token), Ok(token.to_owned()));
        }
    }

    #[test]
    fn a_wrong_token_is_explained_and_not_shown() {
        for (given, expected) in [
            ("", "is empty"),
            ("\n", "is empty"),
            ("Bearer ", "is empty"),
            ("s3cret s3cret", "number 7"),
            ("s3cret\ns3cret", "the end of a line"),
            ("s3cr\u{1}t", "a control character"),
            ("s3crét", "not ASCII"),
            ("$S3CRET", "in double quotes"),
            ("\"s3cret\"", "begins with `\"`"),
            ("basic s3cret=", "of the scheme `Basic`"),
            ("Authorization: Digest s3cret", "of the scheme `Digest`"),
        ] {
            let wrong = clean(given).unwrap_err();
            assert!(wrong.contains(expected), "{given:?}: {wrong}");
            assert!(!wrong.contains("s3c") && !wrong.contains("S3C"), "{wrong}");
        }
        let missing = Token::clean(None).unwrap_err();
        assert!(missing.contains("--token") && missing.contains("PRESENCE_GATEWAY_TOKEN"));
    }
}
