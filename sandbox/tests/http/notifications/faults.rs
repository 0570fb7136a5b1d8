//! What sockets do on request.

use super::*;

#[tokio::test]
async fn sockets_are_cut_or_closed_with_a_code() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    assert_eq!(sandbox.rules("cut on=now").await["channels"], 1);
    socket.cut().await;
    for code in [1000, 1001, 1008, 1011, 1012, 4000] {
        let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
        let rule = format!("close={code} on=now channel={}", channel.id);
        assert_eq!(sandbox.rules(&rule).await["channels"], 1);
        assert_eq!(socket.closed().await, code);
    }
}

#[tokio::test]
async fn all_sockets_of_a_token_are_cut_at_once() {
    let sandbox = start().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(sandbox.connected(&[FIRST]).await.1);
    }
    assert_eq!(sandbox.rules("cut on=now token=t").await["channels"], 5);
    for socket in &mut sockets {
        socket.cut().await;
    }
    assert_eq!(sandbox.rules("cut on=now token=u").await["channels"], 0);
}

#[tokio::test]
async fn a_socket_is_announced_to_close_and_the_same_uri_opens_again() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox.rules("socket-closing=10ms on=now").await;
    let text = socket.text().await;
    assert_eq!(text["topicName"], "v2.system.socket_closing");
    assert_eq!(text["eventBody"]["channelId"], channel.id);
    assert_eq!(socket.closed().await, 1001);
    let mut again = Socket::open(&channel.uri).await;
    sandbox.set(FIRST, "Busy").await;
    assert_eq!(again.event(FIRST).await, "BUSY");
}

#[tokio::test]
async fn a_revoked_token_gets_its_text_and_then_a_401() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox.rules("token-revoked on=now token=t").await;
    let topic = format!("v2.system.token_revoked.{}", channel.id);
    assert_eq!(socket.text().await["topicName"], topic);
    assert_eq!(socket.closed().await, 1000);
    sandbox.get(CHANNELS).await.error(401, "bad.credentials");
    assert_eq!(Socket::refused(&channel.uri).await, 401);
    sandbox
        .control("POST", "/sandbox/reset", "")
        .await
        .json(200);
    sandbox.get(CHANNELS).await.json(200);
}

#[tokio::test]
async fn a_channel_is_no_longer_subscribed_or_expires() {
    let sandbox = start().await;
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox.rules("no-longer-subscribed on=now").await;
    let topic = format!("v2.system.no_longer_subscribed.{}", channel.id);
    assert_eq!(socket.text().await["topicName"], topic);
    let all = sandbox.get(&channel.subscriptions()).await.json(200);
    assert_eq!(all["entities"], json!([]));
    sandbox.rules("expire on=now").await;
    assert_eq!(socket.closed().await, 1001);
    sandbox
        .get(&channel.subscriptions())
        .await
        .error(404, "not.found");
}

#[tokio::test]
async fn a_channel_that_expires_soon_has_that_date_and_closes_its_socket() {
    let sandbox = start().await;
    sandbox.rules("expires=2s on=channel times=1").await;
    let made = send(sandbox.request("POST", CHANNELS)).await.json(200);
    let expires: jiff::Timestamp = made["expires"].as_str().unwrap().parse().unwrap();
    assert!(expires.duration_since(jiff::Timestamp::now()).as_secs() <= 2);
    let uri = made["connectUri"].as_str().unwrap();
    let mut socket = Socket::open(uri).await;
    assert_eq!(socket.closed().await, 1001);
    assert_eq!(Socket::refused(uri).await, 404);
}

#[tokio::test]
async fn a_channel_has_another_uri() {
    let sandbox = start().await;
    sandbox
        .rules("uri=wss://elsewhere.example/channels/* on=channel")
        .await;
    let channel = sandbox.channel().await;
    assert_eq!(
        channel.uri,
        format!("wss://elsewhere.example/channels/{}", channel.id)
    );
}

#[tokio::test]
async fn each_socket_closes_by_itself_after_a_time() {
    let sandbox = start().await;
    sandbox.rules("close=1001,delay=10ms on=connect").await;
    let channel = sandbox.channel().await;
    for _ in 0..3 {
        assert_eq!(Socket::open(&channel.uri).await.closed().await, 1001);
    }
}

#[tokio::test]
async fn a_silent_socket_brings_nothing_until_its_silence_is_over() {
    let sandbox = start_with(|args| args.heartbeat = "10ms".into()).await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox.rules("drop on=heartbeat\nsilence=2s on=now").await;
    sandbox.set(FIRST, "Busy").await;
    // It is answered when the silence is over.
    socket.send(&json!({"message": "ping"})).await;
    let mut text = socket.text().await;
    while text["eventBody"]["message"] == "WebSocket Heartbeat" {
        text = socket.text().await;
    }
    assert_eq!(text["eventBody"]["message"], "pong");
    sandbox.set(FIRST, "Meal").await;
    assert_eq!(socket.event(FIRST).await, "MEAL", "the first one was lost");
}

#[tokio::test]
async fn a_socket_that_is_silent_for_good_answers_no_ping_until_its_client_goes() {
    let sandbox = start().await;
    sandbox.rules("silence on=connect").await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    socket.0.send(Message::Ping("hello".into())).await.unwrap();
    socket.send(&json!({"message": "ping"})).await;
    sandbox.set(FIRST, "Busy").await;
    let nothing = timeout(Duration::from_millis(200), socket.0.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    drop(socket);
    sandbox
        .until_channels(|all| all[0]["connected"] == false)
        .await;

    // It can still be ended.
    let (channel, mut socket) = sandbox.connected(&[FIRST]).await;
    assert_eq!(
        sandbox
            .rules(&format!("cut on=now channel={}", channel.id))
            .await["channels"],
        1
    );
    socket.cut().await;
}

#[tokio::test]
async fn events_are_lost_repeated_late_and_out_of_order() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST, SECOND]).await;
    sandbox
        .rules("drop on=event times=1\nduplicate on=event times=1\nswap on=event times=1\ndelay=2s on=event times=1")
        .await;
    for (user, presence) in [
        (FIRST, "Away"),     // lost
        (FIRST, "Busy"),     // twice
        (FIRST, "Meal"),     // behind the next one
        (SECOND, "Meeting"), // late
        (FIRST, "Break"),
    ] {
        sandbox.set(user, presence).await;
    }
    for expected in ["BUSY", "BUSY", "BREAK", "MEAL"] {
        assert_eq!(socket.event(FIRST).await, expected);
    }
    assert_eq!(socket.event(SECOND).await, "MEETING");
}

#[tokio::test]
async fn texts_are_garbage_half_binary_empty_huge_or_of_strangers() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox.rules("garbage on=now").await;
    let garbage = socket.raw().await;
    assert!(
        serde_json::from_str::<Value>(&garbage).is_err(),
        "{garbage}"
    );
    sandbox.rules("empty on=now").await;
    assert_eq!(socket.raw().await, "");
    sandbox.rules("stranger on=now").await;
    let stranger = socket.text().await;
    assert_eq!(
        stranger["topicName"],
        presence("ffffffff-ffff-4fff-8fff-ffffffffffff")
    );
    sandbox.rules("huge on=now").await;
    assert_eq!(socket.raw().await.len(), 10 * 1024 * 1024);
    sandbox.rules("half-json on=event times=1\nbinary on=event times=1\nnull-body on=event times=1\nunknown-field on=event").await;
    for _ in 0..4 {
        sandbox.set(FIRST, "Busy").await;
    }
    let half = socket.raw().await;
    assert!(half.starts_with('{') && serde_json::from_str::<Value>(&half).is_err());
    match socket.next().await {
        Some(Ok(Message::Binary(bytes))) => {
            let event: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(event["topicName"], presence(FIRST));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(socket.text().await["eventBody"], Value::Null);
    assert!(socket.text().await["sandboxUnknownField"].is_object());
}

#[tokio::test]
async fn dates_and_spellings_are_strange() {
    let sandbox = start().await;
    let (_, mut socket) = sandbox.connected(&[FIRST]).await;
    sandbox
        .rules("date=yesterday on=event times=1\ndate on=event times=1\ndate=2020-01-01T00:00:00.000+0000,recase on=event times=1\nspelling=spaced on=event times=1\nspelling=new on=event")
        .await;
    for _ in 0..5 {
        sandbox.set(FIRST, "On Queue").await;
    }
    assert_eq!(
        socket.text().await["eventBody"]["modifiedDate"],
        "yesterday"
    );
    assert!(socket.text().await["eventBody"]["modifiedDate"].is_null());
    assert_eq!(
        socket.text().await["eventBody"]["modifiedDate"],
        "2020-01-01T00:00:00.000+0000"
    );
    assert_eq!(socket.event(FIRST).await, "On Queue");
    assert_eq!(socket.event(FIRST).await, "OUT_FOR_A_WALK");
}

#[tokio::test]
async fn the_grammar_lists_the_behaviours_of_notifications() {
    let sandbox = start().await;
    let grammar = sandbox
        .control("GET", "/sandbox/grammar", "")
        .await
        .json(200);
    let cut = grammar["notificationBehaviours"].as_array().unwrap();
    let cut = cut.iter().find(|word| word["written"] == "cut").unwrap();
    assert_eq!(
        cut["on"],
        json!(["event", "heartbeat", "pong", "connect", "now"])
    );
    assert!(each(&grammar["occasions"], "written").contains(&"subscribe"));
    let usage = sandbox.control("GET", "/sandbox", "").await.text;
    for expected in ["socket-closing", "on=event", "/sandbox/channels"] {
        assert!(usage.contains(expected), "{usage}");
    }
}
