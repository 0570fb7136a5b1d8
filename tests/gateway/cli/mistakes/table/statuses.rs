//! Calls that the gateway or the vendor rejects.

use super::{Mistake, USER, failed};

pub const MISTAKES: &[Mistake] = &[
    failed(
        "a required field left out",
        &[USER, "{}", "--address", "{gateway}"],
        &[
            "INVALID_ARGUMENT: ",
            "user_id (in JSON `userId`): must not be empty",
            "reason: INVALID_REQUEST",
            "`presence-gateway call GetUserPresencesPurecloud '{\"userId\": \"00000000-",
            "--describe",
        ],
    ),
    failed(
        "no request",
        &["GetUserPresence", "--address", "{gateway}"],
        &[
            "INVALID_ARGUMENT: ",
            "source_id (in JSON `sourceId`): must not be empty",
            "`presence-gateway call GetUserPresence '{\"userId\": ",
        ],
    ),
    failed(
        "a presence definition that does not exist",
        &[
            "PatchUserPresencesPurecloud",
            r#"{"userId": "00000000-0000-4000-8000-000000000001", "body": {"presenceDefinition": {"id": "nope"}}}"#,
            "--address",
            "{gateway}",
        ],
        &[
            "domain: genesys.cloud",
            "`presence-gateway call GetPresenceDefinitions` lists what `presenceDefinition.id` may be",
        ],
    ),
    failed(
        "an unknown user",
        &[USER, r#"{"userId": "nobody"}"#, "--address", "{gateway}"],
        &[
            "NOT_FOUND: ",
            "reason: NOT_FOUND",
            "domain: genesys.cloud",
            "hint: check the ids",
        ],
    ),
    failed(
        "a misspelt region",
        &[USER, "--region", "eu-central1", "--address", "{regions}"],
        &[
            "INVALID_ARGUMENT: ",
            "did you mean eu-central-1?",
            "it serves us-east-1, eu-central-1; the first is the default",
            "reason: REGION_NOT_SERVED",
            "hint: give --region one of the regions",
        ],
    ),
    failed(
        "two regions",
        &[
            USER,
            "--region",
            "us-east-1,eu-central-1",
            "--address",
            "{regions}",
        ],
        &[
            "names more than one region; send one",
            "reason: REGION_NOT_SERVED",
        ],
    ),
    failed(
        "a region of a gateway without regions",
        &[USER, "--region", "us-east-1", "--address", "{gateway}"],
        &["a single upstream without regions", "leave it out"],
    ),
    failed(
        "an expired token",
        &[USER, r#"{"userId": "401"}"#, "--address", "{failing}"],
        &[
            "UNAUTHENTICATED: ",
            "reason: BAD_CREDENTIALS",
            "another region",
            "get a new one",
        ],
    ),
    failed(
        "a permission that the token lacks",
        &[
            "PatchUserPresencesPurecloud",
            r#"{"userId": "403", "body": {}}"#,
            "--address",
            "{failing}",
        ],
        &[
            "PERMISSION_DENIED: ",
            "required_permissions: presence:userPresence:edit",
            "hint: PatchUserPresencesPurecloud needs presence:userPresence:edit",
        ],
    ),
    failed(
        "a permission that the token lacks, by the answer of a proxy",
        &[
            "PatchUserPresencesPurecloud",
            r#"{"userId": "403-bare", "body": {}}"#,
            "--address",
            "{failing}",
        ],
        &[
            "PERMISSION_DENIED: ",
            "reason: UPSTREAM_ERROR",
            "hint: PatchUserPresencesPurecloud needs presence:userPresence:edit",
            "a proxy, not Genesys Cloud",
        ],
    ),
    failed(
        "a login page in place of the vendor",
        &[USER, r#"{"userId": "login"}"#, "--address", "{failing}"],
        &[
            "INTERNAL: ",
            "reason: UNREADABLE_ANSWER",
            "http_status: 200",
            "it is an HTML page",
            "a login page",
        ],
    ),
    failed(
        "a gateway that does not reach its vendor",
        &[USER, r#"{"userId": "a"}"#, "--address", "{cut-off}"],
        &[
            "UNAVAILABLE: the gateway cannot connect to the presence API at {closed}: ",
            "tcp connect error: Connection refused",
            "hint: the gateway does not reach Genesys Cloud",
        ],
    ),
    failed(
        "a gateway in front of something else",
        &[USER, r#"{"userId": "html"}"#, "--address", "{failing}"],
        &["INTERNAL: ", "reason: UPSTREAM_ERROR", "--upstream-url"],
    ),
];
