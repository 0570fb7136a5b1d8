//! Calls that the gateway or the vendor rejects.

use super::{Mistake, USER, failed};

pub const MISTAKES: &[Mistake] = &[
    failed(
        "a required field left out",
        &[USER, "{}", "--address", "{gateway}"],
        &[
            "INVALID_ARGUMENT: ",
            "user_id: must not be empty",
            "reason: INVALID_REQUEST",
            "--describe",
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
        "a gateway in front of something else",
        &[USER, r#"{"userId": "html"}"#, "--address", "{failing}"],
        &["INTERNAL: ", "reason: UPSTREAM_ERROR", "--upstream-url"],
    ),
];
