//! The page that a browser shows: one file with its own script, which uses the
//! control endpoints.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, header};

use super::ids;
use super::request::ReceivedRequest;

const PAGE: &str = include_str!("page.html");

/// What [`PAGE`] has instead of the nonce.
const NONCE: &str = "NONCE-OF-THIS-RESPONSE";

/// What [`PAGE`] has instead of the command that calls the gateway in front.
const GATEWAY_CALL: &str = "COMMAND-THAT-CALLS-THE-GATEWAY";

/// Whether the client asks for a page, as browsers do; curl takes anything.
pub(super) fn is_wanted(request: &ReceivedRequest) -> bool {
    request
        .header(&header::ACCEPT)
        .is_some_and(|accept| accept.contains("text/html"))
}

/// The page. Only its own script and style may run in it, it reaches this sandbox
/// alone, and no other page can frame it.
pub(super) fn response(gateway_call: Option<&str>) -> Response {
    let nonce = ids::fresh();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let page = PAGE.replace(NONCE, &nonce);
    let page = page.replace(GATEWAY_CALL, &escaped(gateway_call.unwrap_or_default()));
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, html);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A text as the content of an HTML element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_become_html() {
        assert_eq!(PAGE.matches(GATEWAY_CALL).count(), 1);
        assert_eq!(escaped("'/a&amp/<b>' call"), "'/a&amp;amp/&lt;b>' call");
    }

    #[test]
    fn the_page_has_one_script_and_one_style_and_no_other_resource() {
        for tag in ["<script", "<style"] {
            assert_eq!(PAGE.matches(tag).count(), 1, "{tag}");
            let with_nonce = format!("{tag} nonce=\"{NONCE}\"");
            assert_eq!(PAGE.matches(&with_nonce).count(), 1, "{with_nonce}");
        }
        for resource in [
            " src=",
            "@import",
            "url(",
            "style=",
            "onclick=",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(resource), "{resource}");
        }
    }
}
