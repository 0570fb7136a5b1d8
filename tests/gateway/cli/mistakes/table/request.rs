//! Mistakes in the RPC, for the shell, and in the request.

use super::{Mistake, USER, rejected};

pub const MISTAKES: &[Mistake] = &[
    // The RPC.
    rejected("no RPC", &[], &["which RPC?", "call --list"]),
    rejected(
        "a misspelt RPC",
        &["GetUsrPresence", "{}"],
        &[
            "no RPC `GetUsrPresence`",
            "did you mean\n    GetUserPresence\n",
            "call --list",
        ],
    ),
    rejected(
        "a part of an RPC's name",
        &["userpresence"],
        &["did you mean\n    GetUserPresence\n"],
    ),
    rejected(
        "an RPC like no other",
        &["FetchAgents"],
        &["no RPC `FetchAgents`", "call --list"],
    ),
    rejected(
        "an RPC of another service",
        &["PresenceService/GetOrganizationPresence"],
        &["did you mean\n    genesys.presence.v1.LegacyPresenceService/GetOrganizationPresence"],
    ),
    rejected(
        "the verb of grpcurl",
        &["list"],
        &["did you mean `presence-gateway call --list`?"],
    ),
    rejected(
        "the request before the RPC",
        &[r#"{"userId": "a"}"#, USER],
        &["the RPC comes first", "call RPC '{"],
    ),
    // The shell.
    rejected(
        "double quotes around the request",
        &[USER, "{userId: a}"],
        &[
            "line 1, column 2",
            "which the shell takes away",
            "in single quotes",
            "'{\"userId\": ",
        ],
    ),
    rejected(
        "no quotes around the request",
        &[USER, "{userId:", "a}"],
        &["the second is `a}`", "in single quotes", "'{\"userId\": "],
    ),
    rejected(
        "single quotes inside double ones",
        &[USER, "{'userId': 'a'}"],
        &[
            "line 1, column 2",
            "JSON has double quotes",
            "'{\"userId\": ",
        ],
    ),
    rejected(
        "escaped quotes",
        &[USER, r#"{\"userId\": \"a\"}"#],
        &["line 1, column 2", "needs no backslash"],
    ),
    rejected(
        "typographic quotes",
        &[USER, "{\u{201c}userId\u{201d}: \u{201c}a\u{201d}}"],
        &["typographic quotes; JSON has straight ones"],
    ),
    // The request.
    rejected(
        "a file in place of the request",
        &[USER, "{file}"],
        &["is a file", "`- < {file}`"],
    ),
    rejected(
        "a file as for curl",
        &[USER, "@{file}"],
        &["is a file", "`- < {file}`"],
    ),
    rejected(
        "a file that does not exist",
        &[USER, "user.json"],
        &["there is no file `user.json`", "`- < FILE`"],
    ),
    rejected(
        "an empty standard input",
        &[USER, "-"],
        &["the request is empty", "'{\"userId\": "],
    ),
    rejected(
        "fields as NAME=VALUE",
        &[USER, "userId=a"],
        &["not written as NAME=VALUE", "'{\"userId\": "],
    ),
    rejected(
        "a trailing comma",
        &[USER, r#"{"userId": "a",}"#],
        &["column 16", "no comma stands before"],
    ),
    rejected(
        "a request cut short",
        &[USER, "-"],
        &["line 2, column 14", "ends too early"],
    )
    .input("{\n  \"userId\": \"a"),
    rejected(
        "a list in place of the request",
        &["GetUsersPresencesPurecloudBulk", r#"["a"]"#],
        &[
            "the request is the list [\"a\"], and must be an object",
            "'{\"id\": [",
        ],
    ),
    rejected(
        "a misspelt field",
        &["GetUserPresence", r#"{"usrId": "a"}"#],
        &[
            "no field `usrId`; did you mean `userId`?",
            "has: userId, sourceId",
            "--describe",
        ],
    ),
    rejected(
        "a misspelt field, deep inside",
        &[
            "PatchUserPresence",
            r#"{"body": {"presenceDefinition": {"idd": "a"}}}"#,
        ],
        &[
            "no field `body.presenceDefinition.idd`; did you mean `id`?",
            "PresenceDefinition has: id",
        ],
    ),
    rejected(
        "a field beside the body",
        &["PatchUserPresence", r#"{"userId": "a", "message": "b"}"#],
        &["no field `message`; did you mean `body.message`?"],
    ),
    rejected(
        "a field under both of its names",
        &[USER, r#"{"userId": "a", "user_id": "b"}"#],
        &["`user_id` is the field that is given as `userId`, too: give it once"],
    ),
    rejected(
        "a null",
        &["PatchUserPresence", r#"{"body": {"message": null}}"#],
        &[
            "`body.message` is null",
            "write \"\" for an empty text",
            "leave the field out",
        ],
    ),
    rejected(
        "a number in place of a text",
        &[USER, r#"{"userId": 42}"#],
        &["`userId` is the number 42, and must be a text in double quotes: write \"42\""],
    ),
    rejected(
        "a truth in place of a text",
        &["GetPresenceDefinitions", r#"{"deactivated": true}"#],
        &["`deactivated` is true, and must be a text in double quotes: write \"true\""],
    ),
    rejected(
        "the name of a presence definition in place of its id",
        &[
            "PatchUserPresence",
            r#"{"body": {"presenceDefinition": "Available"}}"#,
        ],
        &[
            "write {\"presenceDefinition\":{\"id\":\"…\"}}",
            "`presence-gateway call GetPresenceDefinitions` lists the ids",
        ],
    ),
    rejected(
        "one id in place of a list",
        &["GetUsersPresencesPurecloudBulk", r#"{"id": "a"}"#],
        &[
            "`id` is the text \"a\", and must be a list",
            "write [\"a\"]",
        ],
    ),
    rejected(
        "an update in place of a list",
        &["PutUsersPresencesBulk", r#"{"body": {"id": "a"}}"#],
        &["`body` is the object {\"id\":\"a\"}, and must be a list: write [{\"id\":\"a\"}]"],
    ),
    rejected(
        "a truth in quotes",
        &[
            "GetUsersPresencesPurecloudBulk",
            r#"{"allowPartialResults": "yes"}"#,
        ],
        &["`allowPartialResults` is the text \"yes\", and must be true or false, without quotes"],
    ),
    rejected(
        "a date without a time",
        &[
            "PatchUserPresence",
            r#"{"body": {"modifiedDate": "2026-11-23"}}"#,
        ],
        &[
            "`body.modifiedDate` is the text \"2026-11-23\"",
            "\"2026-11-23T10:15:30.123Z\"",
        ],
    ),
];
