//! Watches that exhaust the memory for messages.

use std::time::Duration;

use presence_gateway::proto::v1::watch_state::Mode;
use presence_gateway::proto::v1::watch_users_presences_response::Update;
use tonic::Code;

use crate::support::in_flight::wait_for;
use crate::support::sandbox::Sandbox;
use crate::support::watch_caller::WatchCall;
use crate::support::{Gateway, Limits, expect_error};

/// A quarter is for one token: a watch takes 1 KiB of it for each user.
const MEMORY: usize = 4 << 20;
const TOKEN_MEMORY_KIB: usize = MEMORY / 4 / 1024;

async fn gateway(sandbox: &Sandbox) -> Gateway {
    let limits = Limits {
        message_memory: MEMORY,
        ..Limits::default()
    };
    sandbox.gateway(limits).await
}

/// Opens watches of 100 users until one is rejected; returns the others.
async fn fill(gateway: &Gateway, token: &str) -> Vec<WatchCall> {
    let ids: Vec<String> = (1..=100).map(Sandbox::user).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut watches = Vec::new();
    loop {
        match WatchCall::try_open(gateway, &ids, token, None).await {
            Ok(watch) => watches.push(watch),
            Err(status) => {
                expect_error::<()>(Err(status), Code::Unavailable, "OVERLOADED");
                return watches;
            }
        }
    }
}

#[tokio::test]
async fn a_watch_without_memory_for_its_users_is_rejected_until_others_end() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let watches = fill(&gateway, "token").await;
    // The messages of the calls take some as well.
    let count = watches.len();
    assert!(
        (TOKEN_MEMORY_KIB / 200..=TOKEN_MEMORY_KIB / 100).contains(&count),
        "{count}"
    );
    let mut other = WatchCall::try_open(&gateway, &[&Sandbox::user(1)], "other", None).await;
    other.as_mut().unwrap().until_mode(Mode::Live).await;
    drop(watches);
    let all = async { while fill(&gateway, "token").await.len() < count {} };
    wait_for("all memory to be free again", all).await;
}

/// Receives messages until one has a message of this size.
async fn until_size(watch: &mut WatchCall, size: usize) {
    loop {
        let Some(Update::Presence(change)) = watch.next().await.unwrap().update else {
            continue;
        };
        if change.presence.unwrap().message.unwrap_or_default().len() == size {
            return;
        }
    }
}

#[tokio::test]
async fn a_large_presence_for_which_there_is_no_memory_ends_its_watches() {
    // Two of them take more than the memory of a token, with their four forms.
    const LARGE: usize = 150_000;
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let (one, other) = (Sandbox::user(1), Sandbox::user(2));
    let count = fill(&gateway, "token").await.len();
    let mut both = WatchCall::open(&gateway, &[&one, &other]).await;
    let mut only_one = WatchCall::open(&gateway, &[&one]).await;
    for watch in [&mut both, &mut only_one] {
        watch.until_mode(Mode::Live).await;
    }
    sandbox.set_message(&one, &"x".repeat(LARGE)).await;
    until_size(&mut both, LARGE).await;
    sandbox.set_message(&other, &"y".repeat(LARGE)).await;
    let ended = both.end().await;
    expect_error::<()>(Err(ended), Code::Unavailable, "OVERLOADED");
    // The other watch of the token goes on, and a small presence releases what the large
    // one took.
    until_size(&mut only_one, LARGE).await;
    sandbox.set_message(&one, "small").await;
    until_size(&mut only_one, 5).await;
    sandbox.set_message(&other, "small").await;
    let mut both = WatchCall::open(&gateway, &[&one, &other]).await;
    both.until_mode(Mode::Live).await;
    drop((both, only_one));
    let all = async { while fill(&gateway, "token").await.len() < count {} };
    wait_for("all memory to be free again", all).await;
}

#[tokio::test]
async fn watches_leave_memory_to_read_their_users_after_a_gap() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let (user, mut watches) = (Sandbox::user(1), fill(&gateway, "token").await);
    // Smaller ones take what is left.
    while let Ok(watch) = WatchCall::try_open(&gateway, &[&user], "token", None).await {
        watches.push(watch);
    }
    let mut last = watches.pop().unwrap();
    last.until_mode(Mode::Live).await;
    sandbox.misbehave("drop on=event times=1").await;
    sandbox.set(&user, "Training").await;
    sandbox.misbehave("cut on=now").await;
    last.until_presence(&user, "Training").await;
    last.until_mode(Mode::Live).await;
}

#[tokio::test]
async fn a_socket_that_no_watch_uses_is_closed_when_a_watch_needs_the_memory() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox).await;
    let mut watch = WatchCall::open(&gateway, &[&Sandbox::user(1)]).await;
    watch.until_mode(Mode::Live).await;
    drop(watch);
    assert_eq!(sandbox.channels().await[0]["connected"], true);
    let others = fill(&gateway, "other").await;
    let closed = async {
        while sandbox.channels().await[0]["connected"] == true {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    wait_for("the end of the socket", closed).await;
    drop(others);
}
