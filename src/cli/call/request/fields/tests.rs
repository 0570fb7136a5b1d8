use crate::cli::call::request::tests::wrong;

#[test]
fn a_wrong_field_is_reported_with_its_path_and_those_there_are() {
    let cases = [
        (
            "GetUserPresence",
            r#"{"usrId": "a"}"#,
            "no field `usrId`; did you mean `userId`? GetUserPresenceRequest has: userId, sourceId",
        ),
        (
            "PatchUserPresence",
            r#"{"body": {"presenceDefinition": {"idd": "a"}}}"#,
            "no field `body.presenceDefinition.idd`; did you mean `id`? PresenceDefinition has: id, ",
        ),
        (
            "PutUsersPresencesBulk",
            r#"{"body": [{"id": "a"}, {"messages": ""}]}"#,
            "no field `body[1].messages`; did you mean `message`?",
        ),
        (
            "PatchUserPresence",
            r#"{"userId": "a", "presenceDefinition": {"id": "b"}}"#,
            "no field `presenceDefinition`; did you mean `body.presenceDefinition`?",
        ),
        (
            "PatchUserPresence",
            r#"{"body": {"userId": "a"}}"#,
            "no field `body.userId`; did you mean `userId`?",
        ),
        (
            "GetSystempresences",
            r#"{"a": 1}"#,
            "has no fields: write '{}'",
        ),
    ];
    for (rpc, request, expected) in cases {
        let wrong = wrong(rpc, request);
        assert!(wrong.contains(expected), "{request}: {wrong}");
        assert!(
            wrong.contains(&format!("call {rpc} --describe`")),
            "{wrong}"
        );
    }
}

#[test]
fn a_wrong_value_is_reported_with_its_path_and_a_right_one() {
    let cases = [
        (
            "GetUserPresence",
            r#"{"userId": 5}"#,
            "`userId` is the number 5, and must be a text",
        ),
        (
            "GetUserPresence",
            "[1]",
            "the request is the list [1], and must be an object",
        ),
        ("GetUserPresence", "\"a\"", "the request is the text \"a\""),
        (
            "GetUsersPresencesPurecloudBulk",
            r#"{"id": "a"}"#,
            "must be a list: write [\"a\"]",
        ),
        (
            "GetUsersPresencesPurecloudBulk",
            r#"{"id": ["a", 1]}"#,
            "`id[1]` is the number 1",
        ),
        (
            "GetUsersPresencesPurecloudBulk",
            r#"{"allowPartialResults": "yes"}"#,
            "`allowPartialResults` is the text \"yes\", and must be true or false",
        ),
        (
            "PatchUserPresence",
            r#"{"body": {"modifiedDate": "yesterday"}}"#,
            "`body.modifiedDate` is the text \"yesterday\", and must be a date and a time",
        ),
        (
            "PatchUserPresence",
            r#"{"body": "a"}"#,
            "`body` is the text \"a\", and must be an object with the fields id, name, ",
        ),
        (
            "PatchUserPresence",
            r#"{"body": {"presenceDefinition": "Busy"}}"#,
            "must be an object with the fields id, systemPresence, ",
        ),
        (
            "PutUsersPresencesBulk",
            r#"{"body": {"id": "a"}}"#,
            "and must be a list: write [{\"id\":\"a\"}]",
        ),
        (
            "PostPresenceDefinitions",
            r#"{"body": {"languageLabels": {"de": 1}}}"#,
            "`body.languageLabels.de` is the number 1",
        ),
        (
            "PostPresenceDefinitions",
            r#"{"body": {"languageLabels": ["de"]}}"#,
            "an object of names and texts",
        ),
        (
            "GetOrganizationPresences",
            r#"{"pageSize": "ten"}"#,
            "`pageSize` is the text \"ten\", and must be a whole number",
        ),
        (
            "GetOrganizationPresences",
            r#"{"pageSize": 1.5}"#,
            "`pageSize` is the number 1.5",
        ),
    ];
    for (rpc, request, expected) in cases {
        let wrong = wrong(rpc, request);
        assert!(wrong.contains(expected), "{request}: {wrong}");
    }
}

#[test]
fn all_problems_are_reported_up_to_a_number() {
    let two = wrong("GetUserPresence", r#"{"usrId": "a", "sourceId": 1}"#);
    assert!(
        two.contains("usrId") && two.contains("`sourceId` is the number 1"),
        "{two}"
    );
    let many = r#"{"id": [1, 2, 3, 4, 5, 6, 7]}"#;
    let many = wrong("GetUsersPresencesPurecloudBulk", many);
    assert!(many.contains("\nand 2 more\n"), "{many}");
}
