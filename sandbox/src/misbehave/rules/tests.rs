use super::*;
use crate::ids::token_hash;

fn apply(rules: &mut Rules, method: &str, path: &str, token: &str) -> Option<String> {
    rules
        .apply(method, path, Some(token_hash(token)), |id| id == "user")
        .map(|plan| plan.text().to_owned())
}

#[test]
fn a_rule_applies_only_if_all_its_selectors_match() {
    let mut rules = Rules::default();
    rules
        .add(
            "# a comment\n\nhtml id=other\n\
             status=500 method=get path=/bulk id=user token=t times=2 after=1",
        )
        .unwrap();
    assert_eq!(apply(&mut rules, "PUT", "/x/bulk", "t"), None);
    assert_eq!(apply(&mut rules, "GET", "/x", "t"), None);
    assert_eq!(apply(&mut rules, "GET", "/x/bulk", "u"), None);
    assert_eq!(
        apply(&mut rules, "GET", "/x/bulk", "t"),
        None,
        "`after=1` skips one request"
    );
    assert_eq!(
        apply(&mut rules, "GET", "/x/bulk", "t").as_deref(),
        Some("status=500")
    );
    assert_eq!(
        apply(&mut rules, "GET", "/x/bulk", "t").as_deref(),
        Some("status=500")
    );
    assert_eq!(apply(&mut rules, "GET", "/x/bulk", "t"), None, "used up");
    let left = rules.list();
    assert_eq!(
        (&left[0]["id"], left.as_array().map(Vec::len)),
        (&json!("other"), Some(1))
    );
}

#[test]
fn the_first_matching_rule_applies() {
    let mut rules = Rules::default();
    rules
        .add(
            r#"[{"misbehave": "cut", "times": 1}, {"misbehave": "html", "path": "*/presences/*"}]"#,
        )
        .unwrap();
    assert_eq!(
        apply(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
        Some("cut")
    );
    assert_eq!(
        apply(&mut rules, "GET", "/a/presences/b", "t").as_deref(),
        Some("html")
    );
    assert_eq!(apply(&mut rules, "GET", "/a/presences", "t"), None);
}

#[test]
fn malformed_rules_are_rejected_and_add_nothing() {
    let mut rules = Rules::default();
    for (text, expected) in [
        ("", "There is no rule here"),
        ("cut\nexplode", "Line 2: `explode` is no behaviour"),
        (
            "cut colour=red",
            "`colour=red` is no selector. There are method=, path=, id=, token=, on=, channel=, times=, after=.",
        ),
        (
            "cut method",
            "`method` has no value: write for example `method=GET`",
        ),
        (
            "cut path=",
            "`path=` has no value: write for example `path=/bulk`",
        ),
        (
            "cut method=GTE",
            "`method=GTE` is none of GET, HEAD, POST, PUT, PATCH, DELETE",
        ),
        ("cut times=0", "`times=0` is not a whole number from 1"),
        ("cut times=1 times=2", "`times=2`: `times` is given twice"),
        (
            "cut id=a,b",
            "`id=a,b` is more than one id: use a rule for each",
        ),
        ("{", "This is no JSON"),
        ("[1]", "`1` is no rule"),
        (r#"[{"misbehave": "cut"}, 1]"#, "Rule 2: `1` is no rule"),
        (r#"{"method": "GET"}"#, "has no `misbehave`"),
        (
            r#"{"misbehave": "cut", "times": []}"#,
            "`times` is neither text nor number",
        ),
    ] {
        let wrong = rules.add(text).unwrap_err();
        assert!(wrong.contains(expected), "{text}: {wrong}");
    }
    assert_eq!(rules.list(), json!([]));
    assert!(rules.add(&"cut\n".repeat(101)).unwrap_err().contains("100"));
}

#[test]
fn a_comma_or_a_space_in_the_wrong_place_is_explained() {
    let mut rules = Rules::default();
    let spaces = "selectors are separated by spaces, without commas.";
    let behaviour = "is a behaviour: behaviours come first, with commas and no spaces between.";
    for (text, expected) in [
        (
            "status=503, path=/x",
            "nothing follows the last comma".to_owned(),
        ),
        (
            "cut path=/x,times=1",
            format!("In `path=/x,times=1`, {spaces}"),
        ),
        (
            "cut method=GET, path=/x",
            format!("In `method=GET,`, {spaces}"),
        ),
        ("cut ,times=1", format!("In `,times=1`, {spaces}")),
        ("status=503, delay=1s", format!("`delay=1s` {behaviour}")),
        ("status=503 after", format!("`after` {behaviour}")),
        ("cut times=1,html", format!("`html` {behaviour}")),
    ] {
        let wrong = rules.add(text).unwrap_err();
        assert!(wrong.contains(&expected), "{text}: {wrong}");
    }
    assert_eq!(rules.list(), json!([]));
}

#[test]
fn all_problems_of_all_rules_are_reported() {
    let mut rules = Rules::default();
    let wrong = rules
        .add("status=99,bang times=0 colour=red\ncut\nhtml size=1")
        .unwrap_err();
    let (problems, help) = wrong.split_once("\n\n").unwrap();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), 5, "{problems}");
    for (line, start) in lines.iter().zip([
        "Line 1: `status=99` is not a whole number",
        "Line 1: `bang` is no behaviour. There are ",
        "Line 1: `times=0` is not",
        "Line 1: `colour=red` is no selector. There are ",
        "Line 3: `size=1` is no selector.",
    ]) {
        assert!(line.starts_with(start), "{problems}");
    }
    assert!(help.contains("Behaviours are separated") && help.contains("A rule is a line"));
}

#[test]
fn the_token_of_a_rule_is_never_listed() {
    let mut rules = Rules::default();
    rules.add("cut token=secret").unwrap();
    assert!(!rules.list().to_string().contains("secret"));
    assert!(!format!("{rules:?}").contains("secret"));
}

/// The faults of an event of `user` to the channel `c` of the token `t`.
fn event(rules: &mut Rules, channel: &str) -> Option<String> {
    let occasion = Occasion {
        on: On::Event,
        channel,
        token: token_hash("t"),
    };
    let plan = rules.notification(occasion, |id| id == "user");
    plan.map(|plan| plan.text().to_owned())
}

#[test]
fn a_rule_for_notifications_applies_to_them_alone() {
    let mut rules = Rules::default();
    rules
        .add("drop on=event id=other\ncut on=heartbeat\ncut on=event token=u\nduplicate on=event channel=c id=user token=t after=1 times=1")
        .unwrap();
    assert_eq!(apply(&mut rules, "GET", "/x", "t"), None);
    assert_eq!(event(&mut rules, "d"), None);
    assert_eq!(event(&mut rules, "c"), None, "`after=1` skips one event");
    assert_eq!(event(&mut rules, "c").as_deref(), Some("duplicate"));
    assert_eq!(event(&mut rules, "c"), None, "used up");
    rules.add("html").unwrap();
    assert_eq!(event(&mut rules, "c"), None);
    let left = rules.list();
    assert_eq!(left[0]["on"], "event");
    assert_eq!(
        (left.as_array().map(Vec::len), &left[3]["on"]),
        (Some(4), &json!(null))
    );
}

#[test]
fn a_rule_for_now_is_returned_and_not_kept() {
    let mut rules = Rules::default();
    let mut now = rules
        .add(r#"[{"misbehave": "cut", "on": "now"}, {"misbehave": "expire", "on": "now", "channel": "c"}, {"misbehave": "cut"}]"#)
        .unwrap();
    assert_eq!(
        (now.len(), rules.list().as_array().map(Vec::len)),
        (2, Some(1))
    );
    assert!(!now[0].need_no_connection() && now[1].need_no_connection());
    let occasion = Occasion {
        on: On::Now,
        channel: "c",
        token: 1,
    };
    let plan = now[1].notification(occasion, |_| false).unwrap();
    assert_eq!(plan.text(), "expire");
    let elsewhere = Occasion {
        channel: "d",
        ..occasion
    };
    assert!(now[1].notification(elsewhere, |_| false).is_none());
}

#[test]
fn selectors_and_behaviours_of_requests_and_of_notifications_are_not_mixed() {
    let mut rules = Rules::default();
    for (text, expected) in [
        (
            "cut on=event path=/x",
            "`path` selects requests; a rule with `on` has none.",
        ),
        (
            "cut on=event method=GET",
            "`method` selects requests; a rule with `on` has none.",
        ),
        (
            "cut channel=c",
            "`channel` selects notifications; the rule needs an `on`.",
        ),
        (
            "cut on=never",
            "`on=never` is not when a rule applies. There are event, ",
        ),
        (
            "swap",
            "`swap` is a behaviour of notifications: the rule needs an `on`.",
        ),
        (
            "status=500 on=event",
            "`status=500` is no behaviour of notifications. With `on=event` there are ",
        ),
        (
            r#"{"misbehave": "cut", "on": 5}"#,
            "is not when a rule applies",
        ),
    ] {
        let wrong = rules.add(text).unwrap_err();
        assert!(wrong.contains(expected), "{text}: {wrong}");
    }
    assert_eq!(rules.list(), json!([]));
}
