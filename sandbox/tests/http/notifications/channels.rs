//! The operations of channels.

use super::*;

#[tokio::test]
async fn a_channel_has_a_uri_at_the_host_of_the_request_and_expires_in_a_day() {
    let sandbox = start().await;
    let made = send(sandbox.request("POST", CHANNELS)).await.json(200);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("streaming-0-"), "{id}");
    assert_eq!(
        made["connectUri"],
        format!("ws://{}/channels/{id}", sandbox.address)
    );
    let expires = made["expires"].as_str().unwrap();
    assert!(expires.len() == 24 && expires.ends_with('Z'), "{expires}");
    let expires: jiff::Timestamp = expires.parse().unwrap();
    let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((86_000..=86_400).contains(&left), "{left}");

    let named = sandbox
        .request("POST", CHANNELS)
        .header("host", "vendor.example:1234")
        .header("x-forwarded-proto", "https");
    let uri = send(named).await.json(200)["connectUri"].clone();
    assert!(
        uri.as_str()
            .unwrap()
            .starts_with("wss://vendor.example:1234/channels/")
    );
}

#[tokio::test]
async fn channels_are_listed_for_their_token_and_their_application() {
    let sandbox = start().await;
    let own = sandbox.channel().await;
    let other = sandbox
        .request("POST", CHANNELS)
        .header("authorization", "Bearer other");
    // The client's own header comes first.
    assert_eq!(send(other).await.status, 200);
    let url = format!("http://{}{CHANNELS}", sandbox.address);
    let other = sandbox.client.post(&url).bearer_auth("other");
    send(other).await.json(200);
    for query in ["", "?includechannels=token"] {
        let listed = sandbox.get(&format!("{CHANNELS}{query}")).await.json(200);
        assert!(ids(&listed).contains(&own.id.as_str()), "{listed}");
    }
    let all = sandbox
        .get(&format!("{CHANNELS}?includechannels=oauthclient"))
        .await
        .json(200);
    let entities = all["entities"].as_array().unwrap();
    let hidden: Vec<&Value> = entities.iter().filter(|one| one["id"].is_null()).collect();
    assert_eq!(hidden.len(), 1, "{all}");
    assert!(hidden[0]["expires"].is_string() && hidden[0]["connectUri"].is_null());
    let wrong = sandbox
        .get(&format!("{CHANNELS}?includechannels=all"))
        .await;
    wrong.error(400, "invalid.query.param.value");
}

#[tokio::test]
async fn the_operations_of_a_channel_that_is_not_there_return_404() {
    let sandbox = start().await;
    let channel = sandbox.channel().await;
    let gone = format!("{CHANNELS}/streaming-0-none");
    for method in ["GET", "DELETE"] {
        let path = format!("{gone}/subscriptions");
        let missing = send(sandbox.request(method, &path))
            .await
            .error(404, "not.found");
        assert_eq!(missing["entityName"], "Channel");
    }
    for method in ["POST", "PUT"] {
        let path = format!("{gone}/subscriptions");
        sandbox
            .send_json(method, &path, topics(&[FIRST]))
            .await
            .error(404, "not.found");
    }
    let head = async |path: &str| send(sandbox.request("HEAD", path)).await;
    assert_eq!(head(&gone).await.status, 404);
    let there = head(&format!("{CHANNELS}/{}", channel.id)).await;
    assert_eq!((there.status, there.text.as_str()), (200, ""));
    // Another token's channel is not there either.
    let url = format!("http://{}{}", sandbox.address, channel.subscriptions());
    let other = sandbox.client.get(&url).bearer_auth("other");
    send(other).await.error(404, "not.found");
    let wrong = send(sandbox.request("PATCH", CHANNELS)).await;
    wrong.error(405, "method.not.allowed");
    assert_eq!(wrong.header("allow"), "GET, POST");
}

#[tokio::test]
async fn subscriptions_are_added_replaced_read_and_removed() {
    let sandbox = start().await;
    let channel = sandbox.channel().await;
    let path = channel.subscriptions();
    let added = sandbox
        .send_json("POST", &path, topics(&[FIRST, SECOND]))
        .await
        .json(200);
    assert_eq!(
        added["entities"][0],
        json!({"id": presence(FIRST), "state": "Permitted", "selfUri": path})
    );
    sandbox
        .send_json("POST", &path, topics(&[SECOND, LAST]))
        .await
        .json(200);
    let all = sandbox.get(&path).await.json(200);
    assert_eq!(
        ids(&all),
        [presence(FIRST), presence(SECOND), presence(LAST)]
    );
    sandbox
        .send_json("PUT", &path, topics(&[LAST]))
        .await
        .json(200);
    assert_eq!(ids(&sandbox.get(&path).await.json(200)), [presence(LAST)]);
    let deleted = sandbox.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(sandbox.get(&path).await.json(200)["entities"], json!([]));
}

#[tokio::test]
async fn wrong_topics_are_rejected() {
    let sandbox = start().await;
    let channel = sandbox.channel().await;
    let path = channel.subscriptions();
    let post = async |body: Value| sandbox.send_json("POST", &path, body).await;
    assert_eq!(
        post(json!([{"id": "presence"}])).await.rejected_field(),
        "[0].id"
    );
    assert_eq!(
        post(json!([{"id": presence(FIRST)}, {}]))
            .await
            .rejected_field(),
        "[1].id"
    );
    assert_eq!(post(json!({})).await.rejected_field(), "body");
    let many: Vec<String> = (0..1001).map(|at| format!("u{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let wrong = post(topics(&many)).await.error(400, "bad.request");
    assert!(
        wrong["message"]
            .as_str()
            .unwrap()
            .contains("no more than 1000 topics, not 1001")
    );
    assert_eq!(sandbox.get(&path).await.json(200)["entities"], json!([]));
    post(topics(&many[..1000])).await.json(200);
    post(topics(&many[..1000])).await.json(200);
    post(topics(&[FIRST])).await.error(400, "bad.request");
}

#[tokio::test]
async fn one_forbidden_topic_fails_all_unless_errors_are_ignored() {
    let sandbox = start().await;
    let channel = sandbox.channel().await;
    let path = channel.subscriptions();
    sandbox
        .rules(&format!("reject on=subscribe id={SECOND} token=t"))
        .await;
    let both = topics(&[FIRST, SECOND]);
    let refused = sandbox.send_json("POST", &path, both.clone()).await;
    let refused = refused.error(403, "not.authorized");
    assert!(
        refused["message"].as_str().unwrap().contains(SECOND),
        "{refused}"
    );
    assert_eq!(sandbox.get(&path).await.json(200)["entities"], json!([]));
    for (method, query) in [
        ("POST", "?ignoreErrors=true"),
        ("PUT", "?ignoreErrors=TRUE"),
    ] {
        let path = format!("{path}{query}");
        let partly = sandbox
            .send_json(method, &path, both.clone())
            .await
            .json(200);
        assert_eq!(
            each(&partly["entities"], "state"),
            ["Permitted", "Rejected"]
        );
        let reason = partly["entities"][1]["rejectionReason"].as_str().unwrap();
        assert!(reason.contains("no permission"), "{reason}");
    }
    assert_eq!(ids(&sandbox.get(&path).await.json(200)), [presence(FIRST)]);
    let wrong = sandbox
        .send_json("POST", &format!("{path}?ignoreErrors=1"), both)
        .await;
    assert_eq!(wrong.rejected_field(), "ignoreErrors");
}

#[tokio::test]
async fn topics_of_unknown_users_are_permitted_or_rejected() {
    for (setting, expected) in [("permitted", 200), ("rejected", 403)] {
        let sandbox = start_with(|args| args.unknown_topics = setting.into()).await;
        let path = sandbox.channel().await.subscriptions();
        let body = topics(&[FIRST, "nobody"]);
        let reply = sandbox.send_json("POST", &path, body).await;
        assert_eq!(reply.status, expected, "{setting}");
    }
}

#[tokio::test]
async fn requests_of_channels_are_checked_counted_and_journaled_as_all_others() {
    let sandbox = start_with(|args| args.rate_limit = "2".into()).await;
    let url = format!("http://{}{CHANNELS}", sandbox.address);
    send(sandbox.client.post(&url))
        .await
        .error(401, "authentication.required");
    let expired = sandbox.client.post(&url).bearer_auth("expired");
    send(expired).await.error(401, "credentials.expired");
    let forbidden = sandbox.client.post(&url).bearer_auth("forbidden");
    send(forbidden).await.error(403, "not.authorized");
    let channel = sandbox.channel().await;
    let _socket = Socket::open(&channel.uri).await;
    sandbox.get(CHANNELS).await.json(200);
    let throttled = send(sandbox.request("POST", CHANNELS)).await;
    throttled.error(429, "too.many.requests.retry.after");
    let journal = sandbox
        .control("GET", "/sandbox/requests?latest=4", "")
        .await
        .json(200);
    let requests = &journal["requests"];
    assert_eq!(
        each(requests, "operation"),
        [
            "post_notifications_channels",
            "websocket",
            "get_notifications_channels",
            "post_notifications_channels",
        ]
    );
    let of = |at: usize, field: &str| requests[at][field].clone();
    assert_eq!((of(1, "status"), of(3, "status")), (json!(101), json!(429)));
    assert_eq!(of(1, "token"), of(0, "token"), "the token of the channel");
}

#[tokio::test]
async fn a_rule_refuses_channels_and_sockets() {
    let sandbox = start().await;
    sandbox
        .rules("status=403 method=POST path=*/notifications/channels times=1")
        .await;
    send(sandbox.request("POST", CHANNELS))
        .await
        .error(403, "not.authorized");
    let channel = sandbox.channel().await;
    sandbox
        .rules("status=401 path=/channels/* times=1\nstatus=403 path=/channels/* token=t times=1")
        .await;
    assert_eq!(Socket::refused(&channel.uri).await, 401);
    assert_eq!(Socket::refused(&channel.uri).await, 403);
    Socket::open(&channel.uri).await;
}

#[tokio::test]
async fn the_channels_of_all_tokens_are_listed_for_testers() {
    let sandbox = start().await;
    let (channel, _socket) = sandbox.connected(&[FIRST, SECOND]).await;
    sandbox.channel().await;
    sandbox.set(FIRST, "Busy").await;
    let list = sandbox
        .until_channels(|all| all[0]["connected"] == true)
        .await;
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["id"], channel.id);
    assert!(list[0]["token"].as_str().unwrap().starts_with("token-"));
    assert_eq!(
        (&list[0]["topics"], &list[0]["events"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&list[1]["connected"], &list[1]["lost"]),
        (&json!(false), &json!(0))
    );
}

#[tokio::test]
async fn many_presences_are_set_at_once() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST, SECOND]).await;
    let lines = format!("{FIRST} On Queue\n{SECOND} {MEAL}\n{LAST} busy\n");
    let set = sandbox
        .control("POST", "/sandbox/presences", &lines)
        .await
        .json(200);
    assert_eq!(set, json!({"set": 3}));
    assert_eq!(socket.event(FIRST).await, "ON_QUEUE");
    assert_eq!(socket.event(SECOND).await, "MEAL");
    for (lines, expected) in [
        (
            "nobody Busy",
            "Line 1: There is no user `nobody`. Nothing was set.",
        ),
        (
            "00000000-0000-4000-8000-000000000001 Busy\n00000000-0000-4000-8000-000000000001 Lunch",
            "Line 2: `Lunch` is neither the name nor the id of an active definition. The 1 before it are set.",
        ),
        ("alone", "Line 1: A line has the id of a user, a space, and"),
    ] {
        let wrong = sandbox.control("POST", "/sandbox/presences", lines).await;
        assert_eq!(wrong.status, 400);
        assert!(wrong.text.contains(expected), "{}", wrong.text);
    }
}
