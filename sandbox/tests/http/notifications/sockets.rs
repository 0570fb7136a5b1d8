//! The WebSocket of a channel that behaves.

use super::*;

/// Reads the correlation id of a change through the API.
async fn patch(sandbox: &RunningSandbox, user: &str, body: Value) -> String {
    let path = format!("/api/v2/users/{user}/presences/purecloud");
    let reply = sandbox.send_json("PATCH", &path, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.header("inin-correlation-id").to_owned()
}

#[tokio::test]
async fn a_patch_is_an_event_for_every_channel_that_subscribed_the_user() {
    let sandbox = start().await;
    let (_, mut first) = sandbox.connected(&[FIRST, SECOND]).await;
    let (_, mut second) = sandbox.connected(&[FIRST]).await;
    let (_, mut other) = sandbox.connected(&[SECOND]).await;
    let change = json!({"presenceDefinition": {"id": ON_QUEUE}, "message": "soon back"});
    let correlation = patch(&sandbox, FIRST, change).await;
    let path = format!("/api/v2/users/{FIRST}/presences/purecloud");
    let date = sandbox.get(&path).await.json(200)["modifiedDate"].clone();
    for socket in [&mut first, &mut second] {
        assert_eq!(
            socket.text().await,
            json!({
                "topicName": presence(FIRST),
                "version": "2",
                "eventBody": {
                    "source": "PURECLOUD",
                    "presenceDefinition": {"id": ON_QUEUE, "systemPresence": "ON_QUEUE"},
                    "primary": true,
                    "message": "soon back",
                    "modifiedDate": date,
                },
                "metadata": {"CorrelationId": correlation},
            })
        );
    }
    sandbox.set(SECOND, "Meal").await;
    assert_eq!(
        other.event(SECOND).await,
        "MEAL",
        "the first event of this channel"
    );
}

#[tokio::test]
async fn a_bulk_write_is_an_event_for_each_user_that_it_changes() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST, SECOND, LAST]).await;
    let put = async |updates: Value| {
        let path = "/api/v2/users/presences/bulk";
        sandbox.send_json("PUT", path, updates).await.status
    };
    let update =
        |id: &str, definition: &str| json!({"id": id, "presenceDefinition": {"id": definition}});
    // One wrong update fails all: nothing changed.
    assert_eq!(
        put(json!([update(FIRST, MEAL), update("nobody", MEAL)])).await,
        400
    );
    assert_eq!(
        put(json!([update(FIRST, BUSY), {"id": SECOND}, update(LAST, MEAL)])).await,
        200
    );
    assert_eq!(socket.event(FIRST).await, "BUSY");
    assert_eq!(socket.event(LAST).await, "MEAL");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_no_event_and_a_new_primary_source_is() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    patch(&sandbox, FIRST, json!({})).await;
    patch(&sandbox, FIRST, json!({"primary": true})).await;
    let path = format!("/api/v2/users/{FIRST}/presences/Phone");
    let change = json!({"presenceDefinition": {"id": MEAL}});
    sandbox.send_json("PATCH", &path, change).await.json(200);
    sandbox
        .send_json("PATCH", &path, json!({"primary": true}))
        .await
        .json(200);
    for primary in [false, true] {
        let event = socket.text().await;
        assert_eq!(event["eventBody"]["source"], "Phone", "{event}");
        assert_eq!(event["eventBody"]["primary"], primary);
    }
}

#[tokio::test]
async fn combined_topics_bring_events_with_the_name_of_the_single_one() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[]).await;
    let combined = json!([{"id": format!("v2.users.{FIRST}?presence&routingStatus")}]);
    sandbox
        .send_json("PUT", &channel.subscriptions(), combined)
        .await
        .json(200);
    sandbox.set(FIRST, "Busy").await;
    assert_eq!(socket.event(FIRST).await, "BUSY");
}

#[tokio::test]
async fn a_socket_brings_heartbeats() {
    let sandbox = start_with(|args| args.heartbeat = "10ms".into()).await;
    let (_, mut socket) = sandbox.connected(&[]).await;
    for _ in 0..3 {
        assert_eq!(
            socket.text().await,
            json!({"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}})
        );
    }
}

#[tokio::test]
async fn pings_of_both_kinds_are_answered() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[]).await;
    socket.send(&json!({"message": "ping"})).await;
    assert_eq!(
        socket.text().await,
        json!({"topicName": "channel.metadata", "eventBody": {"message": "pong"}})
    );
    socket.0.send(Message::Ping("hello".into())).await.unwrap();
    match socket.next().await {
        Some(Ok(Message::Pong(payload))) => assert_eq!(payload, "hello"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn topics_are_subscribed_over_the_socket() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    let subscribe =
        |topics: Value| json!({"message": "subscribe", "topics": topics, "correlationId": "c1"});
    socket.send(&subscribe(json!([presence(SECOND)]))).await;
    assert_eq!(
        socket.text().await,
        json!({"result": "200", "status": "subscribed", "correlationId": "c1"})
    );
    let all = sandbox.get(&channel.subscriptions()).await.json(200);
    assert_eq!(ids(&all), [presence(FIRST), presence(SECOND)], "added");
    sandbox
        .rules(&format!("reject on=subscribe id={LAST}"))
        .await;
    for (text, status) in [
        (subscribe(json!([presence(LAST)])), "failure"),
        (subscribe(json!(["presence"])), "failure"),
        (subscribe(json!("presence")), "error"),
        (json!({"message": "dance"}), "error"),
        (json!([1]), "error"),
    ] {
        socket.send(&text).await;
        let answer = socket.text().await;
        assert_eq!(
            (&answer["result"], &answer["status"]),
            (&json!("400"), &json!(status))
        );
        assert!(answer["message"].is_string(), "{answer}");
    }
    sandbox.set(SECOND, "Away").await;
    assert_eq!(socket.event(SECOND).await, "AWAY");
}

#[tokio::test]
async fn a_channel_has_one_connection_and_the_later_one_stays() {
    let sandbox = start().await;
    let (channel, mut first) = sandbox.connected(&[FIRST]).await;
    let mut second = Socket::open(&channel.uri).await;
    assert_eq!(first.closed().await, 1001);
    sandbox.set(FIRST, "Busy").await;
    assert_eq!(second.event(FIRST).await, "BUSY");
}

#[tokio::test]
async fn events_are_lost_while_nobody_is_connected_and_the_subscriptions_stay() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    socket.0.close(None).await.unwrap();
    sandbox
        .until_channels(|all| all[0]["connected"] == false)
        .await;
    sandbox.set(FIRST, "Busy").await;
    let mut again = Socket::open(&channel.uri).await;
    sandbox.set(FIRST, "Meal").await;
    assert_eq!(again.event(FIRST).await, "MEAL");
    let list = sandbox.until_channels(|_| true).await;
    assert_eq!(
        (&list[0]["events"], &list[0]["lost"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn the_twenty_first_channel_closes_the_socket_of_the_idlest() {
    let sandbox = start().await;
    let (idlest, mut socket) = sandbox.connected(&[]).await;
    let mut others = Vec::new();
    for _ in 0..19 {
        others.push(sandbox.connected(&[]).await);
    }
    sandbox.channel().await;
    assert_eq!(socket.closed().await, 1001);
    assert_eq!(Socket::refused(&idlest.uri).await, 404);
}

#[tokio::test]
async fn a_request_for_a_socket_that_is_no_upgrade_gets_a_400() {
    let sandbox = start().await;
    let channel = sandbox.channel().await;
    let path = format!("/channels/{}", channel.id);
    let plain = sandbox.get(&path).await.error(400, "bad.request");
    assert!(
        plain["message"].as_str().unwrap().contains("no upgrade"),
        "{plain}"
    );
    send(sandbox.request("POST", &path))
        .await
        .error(400, "bad.request");
    sandbox.get("/channels/none").await.error(404, "not.found");
    sandbox
        .get("/channels/none/more")
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn a_text_that_is_too_long_closes_the_socket() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[]).await;
    socket
        .send(&json!({"message": "ping", "padding": "x".repeat(511_000)}))
        .await;
    assert_eq!(socket.text().await["eventBody"]["message"], "pong");
    let text = Message::text("x".repeat(512_001));
    socket.0.send(text).await.unwrap();
    assert_eq!(socket.closed().await, 1009);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_disconnected_and_its_channel_stays() {
    let sandbox = start().await;
    let (channel, socket) = sandbox.connected(&[FIRST]).await;
    let path = format!("/api/v2/users/{FIRST}/presences/purecloud");
    let long = json!({"message": "x".repeat(500_000)});
    // More than the buffers of both ends of a loopback connection hold.
    for _ in 0..60 {
        sandbox
            .send_json("PATCH", &path, long.clone())
            .await
            .json(200);
        if sandbox.until_channels(|_| true).await[0]["connected"] == false {
            break;
        }
    }
    let list = sandbox
        .until_channels(|all| all[0]["connected"] == false)
        .await;
    assert!(list[0]["lost"].as_u64().unwrap() > 0, "{list:?}");
    drop(socket);
    Socket::open(&channel.uri).await;
}

#[tokio::test]
async fn a_reset_and_a_shutdown_close_all_sockets() {
    let mut sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[]).await;
    sandbox
        .control("POST", "/sandbox/reset", "")
        .await
        .json(200);
    assert_eq!(socket.closed().await, 1001);
    assert_eq!(Socket::refused(&channel.uri).await, 404);
    let (_, mut socket) = sandbox.connected(&[]).await;
    sandbox.shutdown.take().unwrap().send(()).unwrap();
    assert_eq!(socket.closed().await, 1001);
    assert!(sandbox.server.take().unwrap().await.unwrap().is_ok());
}
