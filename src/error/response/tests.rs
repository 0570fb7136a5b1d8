use super::*;

fn read(body: &str) -> ErrorResponse {
    ErrorResponse::parse(400, &HeaderMap::new(), body.as_bytes())
}

#[test]
fn a_body_in_another_format_counts_as_no_vendor_error() {
    for body in [
        "",
        "null",
        "[]",
        "\"x\"",
        "<html>",
        "{",
        "{}",
        r#"{"message":"no route"}"#,
    ] {
        assert!(read(body).body.is_none(), "{body}");
    }
    for body in [
        r#"{"code":"not.found"}"#,
        r#"{"message":"m","status":404}"#,
        r#"{"message":"m","contextId":"c"}"#,
    ] {
        assert!(read(body).body.is_some(), "{body}");
    }
}

#[test]
fn a_field_of_another_type_does_not_hide_the_rest() {
    let response = read(
        r#"{"code":"bad.request","message":7,"details":[null,{"fieldName":"a","x":1},3],
            "messageParams":{"field":"b","property":["x"]},"limit":[],"errors":[4,
            {"details":[{"fieldName":"c","errorCode":"e"}]}]}"#,
    );
    assert_eq!(response.code(), Some("bad.request"));
    assert_eq!(response.message(), None);
    assert_eq!(response.body.as_ref().unwrap().limit, None);
    assert_eq!(
        response.fields(),
        [("a", None), ("c", Some("e")), ("b", None)]
    );
}

#[test]
fn a_body_that_is_nearly_json_is_still_parsed() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for odd in [
        b"\"message\":\"a\xff\"".to_vec(),
        br#""message":"\ud83d""#.to_vec(),
        br#""code":"first","x":1,"x":2"#.to_vec(),
        format!("\"unknown\":{deep}").into_bytes(),
    ] {
        let body = [
            b"\xef\xbb\xbf{",
            odd.as_slice(),
            b",\"code\":\"not.found\"}",
        ]
        .concat();
        for body in [&body[..], &body[3..]] {
            let response = ErrorResponse::parse(404, &HeaderMap::new(), body);
            if body.starts_with(b"{") || odd.len() < 10_000 {
                let odd = String::from_utf8_lossy(&odd[..odd.len().min(20)]);
                assert_eq!(response.code(), Some("not.found"), "{odd}");
            }
        }
    }
}

#[test]
fn many_fields_of_another_type_are_pruned_in_one_pass() {
    // One pass per field would take minutes.
    let parts = |part: &str| format!("{part},").repeat(100_000) + "null";
    let params: Vec<_> = (0..20_000).map(|n| format!("\"k{n}\":1")).collect();
    let response = read(&format!(
        r#"{{"code":"bad.request","details":[{},{}],"messageParams":{{{}}}}}"#,
        parts("3"),
        parts(r#"{"fieldName":"a"}"#),
        params.join(",")
    ));
    assert_eq!(response.code(), Some("bad.request"));
    assert!(response.fields().len() > 20_000);
}

#[test]
fn a_429_without_retry_after_uses_the_seconds_of_its_documented_message() {
    let read = |status, header: Option<&'static str>, message: &str| {
        let mut headers = HeaderMap::new();
        headers.extend(
            header.map(|value| (header::RETRY_AFTER, http::HeaderValue::from_static(value))),
        );
        let body = serde_json::json!({"code": "too.many.requests.retry.after", "message": message});
        let response = ErrorResponse::parse(status, &headers, body.to_string().as_bytes());
        response.retry_after.map(|delay| delay.as_secs())
    };
    let words = "Rate limit exceeded the maximum. Retry the request in [42] seconds";
    assert_eq!(read(429, None, words), Some(42));
    assert_eq!(read(429, Some("soon"), words), Some(42));
    // A valid header takes precedence.
    assert_eq!(read(429, Some("7"), words), Some(7));
    assert_eq!(read(429, Some("0"), words), None);
    assert_eq!(read(503, None, words), None);
    let long = words.replace("42", "99999999999999999999");
    assert_eq!(read(429, None, &long), Some(86_400));
    for other in [
        words.replace("42", "0"),
        words.replace("42", "-1"),
        words.replace("42", "1.5"),
        words.replace("42", ""),
        words.replace("[42]", "42"),
        "Retry the request in [".to_owned(),
        String::new(),
    ] {
        assert_eq!(read(429, None, &other), None, "{other}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT").unwrap();
    let read = |value| retry_after(value, now).map(|delay| delay.as_secs());
    assert_eq!(read("42"), Some(42));
    assert_eq!(read(" 0 "), Some(0));
    assert_eq!(read("Mon, 23 Nov 2026 10:01:30 GMT"), Some(90));
    assert_eq!(read("Mon, 23 Nov 2026 09:00:00 GMT"), Some(0));
    assert_eq!(read("99999999999999999999999"), Some(86_400));
    for malformed in ["", "-1", "+1", "1.5", "soon", "1s"] {
        assert_eq!(read(malformed), None, "{malformed}");
    }
}
