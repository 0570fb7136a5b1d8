//! What the page in a browser uses: presences, rules one by one, the latest requests.

use serde_json::json;

use super::*;

const ANY: &str = "/api/v2/systempresences";

fn presence_path(user: &str) -> String {
    format!("/api/v2/users/{user}/presences/purecloud")
}

#[tokio::test]
async fn presences_are_listed_selected_and_limited() {
    let sandbox = start().await;
    let list = async |query: &str| {
        let path = format!("/sandbox/presences{query}");
        sandbox.control("GET", &path, "").await.json(200)
    };
    let all = list("").await;
    assert_eq!(
        (&all["users"], &all["matching"]),
        (&json!(100), &json!(100))
    );
    assert_eq!(
        all["presences"][0],
        json!({
            "userId": FIRST, "sourceId": "PURECLOUD", "primary": true, "definitionId": AVAILABLE,
            "name": "Available", "systemPresence": "Available", "message": "",
            "modifiedDate": "2026-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(all["definitions"].as_array().unwrap().len(), 10);
    assert_eq!(
        all["definitions"][8],
        json!({"id": ON_QUEUE, "name": "On Queue", "systemPresence": "On Queue"})
    );

    let change = json!({"presenceDefinition": {"id": MEAL}, "message": "x".repeat(300)});
    let path = format!("/api/v2/users/{SECOND}/presences/Phone");
    sandbox.send_json("PATCH", &path, change).await.json(200);
    let phone = list("?contains=pHOnE").await;
    assert_eq!(phone["matching"], 1);
    let phone = &phone["presences"][0];
    assert_eq!(
        (&phone["name"], &phone["primary"]),
        (&json!("Meal"), &json!(false))
    );
    assert_eq!(phone["message"], format!("{}…", "x".repeat(200)));

    let busy = list("?contains=busy&limit=3").await;
    assert_eq!(busy["matching"], 10);
    assert_eq!(busy["presences"].as_array().unwrap().len(), 3);
    for wrong in ["limit=x", "limit=-1"] {
        let path = format!("/sandbox/presences?{wrong}");
        let wrong = sandbox.control("GET", &path, "").await;
        assert_eq!(wrong.status, 400);
        assert!(
            wrong.text.contains("is not a whole number from 0 to"),
            "{}",
            wrong.text
        );
    }
}

#[tokio::test]
async fn a_presence_is_set_by_name_or_id_without_a_request_of_the_api() {
    let sandbox = start().await;
    sandbox
        .control("POST", "/sandbox/misbehave", "status=500")
        .await
        .json(200);
    let labels = json!({"languageLabels": {"en_US": "At the dentist"}, "systemPresence": "Away"});
    let created = sandbox
        .send_json("POST", "/api/v2/presence/definitions", labels.clone())
        .await;
    assert_eq!(created.status, 500, "the rule applies to the API");
    sandbox
        .control("DELETE", "/sandbox/misbehave", "")
        .await
        .json(200);
    sandbox
        .send_json("POST", "/api/v2/presence/definitions", labels)
        .await
        .json(200);
    sandbox
        .control("DELETE", "/sandbox/requests", "")
        .await
        .json(200);

    let path = format!("/sandbox/presences/{FIRST}/purecloud");
    for (text, name) in [
        ("Busy", "Busy"),
        ("on_queue\n", "On Queue"),
        (MEAL, "Meal"),
        ("at the dentist", "At the dentist"),
    ] {
        let set = sandbox.control("PUT", &path, text).await.json(200);
        assert_eq!(set["name"], name);
        assert!(
            set["modifiedDate"].as_str().unwrap() > "2026-01-02",
            "{set}"
        );
    }
    let journal = sandbox.control("GET", "/sandbox/requests", "").await;
    assert_eq!(journal.json(200)["requests"], json!([]));
    let read = sandbox.get(&presence_path(FIRST)).await.json(200);
    assert_eq!(read["presenceDefinition"]["systemPresence"], "Away");

    for (user, text, status, expected) in [
        (
            FIRST,
            "Lunch",
            400,
            "`Lunch` is neither the name nor the id of an active definition; there are Available, ",
        ),
        (FIRST, "", 400, "At the dentist"),
        (
            "nobody",
            "Busy",
            404,
            "There is no user `nobody`; POST /sandbox/users adds one.",
        ),
    ] {
        let wrong = sandbox
            .control("PUT", &format!("/sandbox/presences/{user}/PURECLOUD"), text)
            .await;
        assert_eq!(wrong.status, status, "{}", wrong.text);
        assert!(wrong.text.contains(expected), "{}", wrong.text);
    }
    let phone = sandbox
        .control("PUT", &format!("/sandbox/presences/{FIRST}/Phone"), "Busy")
        .await;
    assert_eq!(phone.status, 404);
    assert!(
        phone.text.contains("no presence of the source `Phone`"),
        "{}",
        phone.text
    );
}

#[tokio::test]
async fn rules_are_counted_and_deleted_one_by_one() {
    let sandbox = start().await;
    let numbers = |rules: &Value| -> Vec<u64> {
        let rules = rules["rules"].as_array().unwrap().iter();
        rules.map(|rule| rule["number"].as_u64().unwrap()).collect()
    };
    let rules = "status=500 method=PUT\nstatus=503 method=GET\nhtml";
    let added = sandbox
        .control("POST", "/sandbox/misbehave", rules)
        .await
        .json(200);
    assert_eq!(numbers(&added), [0, 1, 2]);
    for _ in 0..2 {
        assert_eq!(sandbox.get(ANY).await.status, 503);
    }
    let listed = sandbox
        .control("GET", "/sandbox/misbehave", "")
        .await
        .json(200);
    let applied: Vec<&Value> = listed["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["applied"])
        .collect();
    assert_eq!(applied, [&json!(0), &json!(2), &json!(0)]);

    let left = sandbox
        .control("DELETE", "/sandbox/misbehave/1", "")
        .await
        .json(200);
    assert_eq!(numbers(&left), [0, 2]);
    for gone in ["1", "7", "x", "-1", ""] {
        let wrong = sandbox
            .control("DELETE", &format!("/sandbox/misbehave/{gone}"), "")
            .await;
        assert_eq!(wrong.status, 404);
        assert_eq!(wrong.text, format!("There is no rule `{gone}`.\n"));
    }
    sandbox
        .control("POST", "/sandbox/reset", "")
        .await
        .json(200);
    let added = sandbox
        .control("POST", "/sandbox/misbehave", "cut")
        .await
        .json(200);
    assert_eq!(
        numbers(&added),
        [3],
        "a number is of one rule, also after a reset"
    );
}

#[tokio::test]
async fn the_latest_requests_are_listed() {
    let sandbox = start().await;
    for _ in 0..3 {
        sandbox.get(ANY).await;
    }
    for (query, numbers) in [
        ("?latest=2", &[1, 2][..]),
        ("?latest=0", &[]),
        ("", &[0, 1, 2]),
    ] {
        let path = format!("/sandbox/requests{query}");
        let list = sandbox.control("GET", &path, "").await.json(200);
        let listed = list["requests"].as_array().unwrap().iter();
        let listed: Vec<u64> = listed
            .map(|request| request["number"].as_u64().unwrap())
            .collect();
        assert_eq!(listed, numbers, "{query}");
    }
    let wrong = sandbox
        .control("GET", "/sandbox/requests?latest=all", "")
        .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        wrong.text,
        "latest: `all` is not a whole number from 0 to 1000.\n"
    );
}

#[tokio::test]
async fn the_grammar_lists_behaviours_and_selectors() {
    let sandbox = start().await;
    let grammar = sandbox
        .control("GET", "/sandbox/grammar", "")
        .await
        .json(200);
    assert!(each(&grammar["behaviours"], "written").contains(&"drop, drop=N"));
    assert!(each(&grammar["selectors"], "written").contains(&"path=/bulk"));
    assert_eq!(grammar["atMostOneOf"][0], "cut");
}
