//! Requests that differ only in a list of their query.

use percent_encoding::utf8_percent_encode;

use super::encode::{ENCODED, encode};
use super::{Operation, RestRequest, Spec, Violation};

/// The separator of a list's elements, percent-encoded.
const COMMA: &str = "%2C";

/// A request without the list in its query, which is written once and sent with many
/// lists.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    spec: &'static Spec,
    /// The path and the query in front of the list.
    path_and_query: String,
}

impl RequestTemplate {
    /// A template of a request whose list is the last parameter of its query, and empty.
    ///
    /// # Errors
    ///
    /// Those of [`encode`].
    pub fn new<O: Operation>(request: &O) -> Result<Self, Vec<Violation>> {
        let path_and_query = encode(request)?.path_and_query;
        Ok(Self {
            spec: O::SPEC,
            path_and_query,
        })
    }

    /// The path and the query, which requests that differ only in their lists share.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path_and_query
    }

    /// The request with these elements, which must be valid ones. A batch of the longest
    /// ids fits into a URL.
    #[must_use]
    pub fn with(&self, elements: &[String]) -> RestRequest {
        let length = elements.iter().map(|element| element.len() + 3);
        let list = self.spec.query.last().map_or("", |field| field.json);
        let room = self.path_and_query.len() + list.len() + 2 + length.sum::<usize>();
        let mut path_and_query = String::with_capacity(room);
        path_and_query.push_str(&self.path_and_query);
        let is_first = !self.path_and_query.contains('?');
        path_and_query.push(if is_first { '?' } else { '&' });
        path_and_query.push_str(list);
        let mut separator = "=";
        for element in elements {
            path_and_query.push_str(separator);
            path_and_query.extend(utf8_percent_encode(element, ENCODED));
            separator = COMMA;
        }
        RestRequest {
            spec: self.spec,
            path_and_query,
            body: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::GetUsersPresenceBulkRequest;

    #[test]
    fn a_template_with_elements_is_the_request_with_that_list() {
        let request = |ids: &[String]| GetUsersPresenceBulkRequest {
            source_id: "a/b".to_owned(),
            ids: ids.to_vec(),
            ..GetUsersPresenceBulkRequest::default()
        };
        let template = RequestTemplate::new(&request(&[])).unwrap();
        for count in [1, 2, 50] {
            let ids: Vec<String> = (0..count).map(|number| format!("Ä {number}")).collect();
            let expected = encode(&request(&ids)).unwrap();
            let written = template.with(&ids);
            assert_eq!(written.path_and_query, expected.path_and_query);
            assert!(written.path_and_query.starts_with(template.path()));
        }
    }
}
