//! The query of a request, in every encoding of the official SDKs.

use percent_encoding::percent_decode_str;

/// Decodes a path segment, once.
pub(super) fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// The parameters of a query, decoded, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the query of a URI.
    pub(super) fn read(raw: &str) -> Self {
        let text = |raw: &str| decode(&raw.replace('+', " "));
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (text(name), text(value))
        });
        Self(pairs.collect())
    }

    /// The parameters in order.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of a parameter; an empty value counts as absent.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a list: repeated, comma-separated, or both.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .filter(|part| !part.is_empty())
            .collect()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_parsed_in_every_encoding() {
        for raw in [
            "id=a%2Cb%2Cc",
            "id=a,b,c",
            "id=a&id=b&id=c",
            "id=a,b&x=1&id=c",
            "id=a%2Cb&id=,c,",
        ] {
            assert_eq!(Query::read(raw).list("id"), ["a", "b", "c"], "{raw}");
        }
        for raw in ["", "id=", "id", "id=,", "ID=a"] {
            assert_eq!(Query::read(raw).list("id"), Vec::<&str>::new(), "{raw}");
        }
    }

    #[test]
    fn text_is_decoded_once() {
        let query = Query::read("a=%2525+b%2Bc&caf%C3%A9=1");
        assert_eq!(query.one("a"), Some("%25 b+c"));
        assert_eq!(query.one("café"), Some("1"));
        assert_eq!(decode("a%2Fb+c"), "a/b+c");
    }
}
