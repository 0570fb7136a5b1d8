use std::time::Duration;

use super::*;
use crate::notifications::channel::LIFETIME;

fn topics(names: &[&str]) -> Vec<Topic> {
    names
        .iter()
        .map(|name| Topic::parse(name).unwrap())
        .collect()
}

fn create(channels: &mut Channels, token: u64, now: Instant) -> Arc<str> {
    channels.create(token, "label", now).unwrap().id.clone()
}

fn later(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

fn users(channels: &Channels, user: &str) -> Vec<String> {
    let found = channels.subscribers(user).into_iter();
    found.map(|one| one.user.to_string()).collect()
}

#[test]
fn the_twenty_first_channel_removes_the_idlest_one_without_a_connection() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    let ids: Vec<Arc<str>> = (0..20)
        .map(|at| create(&mut channels, 1, later(now, at)))
        .collect();
    let other = create(&mut channels, 2, now);
    // The first is connected, the second was subscribed last: the third is the idlest.
    let link = channels.connect(&ids[0], later(now, 30)).unwrap();
    channels
        .subscribe(
            &ids[1],
            topics(&["v2.users.u.presence"]),
            false,
            later(now, 31),
        )
        .unwrap();
    create(&mut channels, 1, later(now, 40));
    assert!(channels.get(&ids[2], now).is_none());
    for kept in [&ids[0], &ids[1], &ids[3], &other] {
        assert!(channels.get(kept, now).is_some());
    }
    // With connections alone, the one whose last use is the longest ago.
    for id in &ids[3..] {
        channels.connect(id, later(now, 50)).unwrap();
    }
    let last = create(&mut channels, 1, later(now, 60));
    assert!(channels.get(&ids[1], now).is_none(), "it has no connection");
    channels.connect(&last, later(now, 70)).unwrap();
    let others: Vec<Arc<str>> = channels.all().iter().map(|one| one.id.clone()).collect();
    for id in others {
        channels
            .connect(&id, later(now, if id == ids[0] { 71 } else { 80 }))
            .unwrap();
    }
    create(&mut channels, 1, later(now, 90));
    assert!(channels.get(&ids[0], now).is_none());
    assert_eq!(link.pop(now), Some(Frame::Close(GOING_AWAY)));
}

#[test]
fn a_channel_lives_for_a_day_after_its_last_subscription() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    let day = LIFETIME.as_secs();
    let id = create(&mut channels, 1, now);
    assert!(channels.find(&id, 1, later(now, day - 1)).is_ok());
    assert!(channels.find(&id, 2, now).is_err(), "another token's");
    channels
        .subscribe(
            &id,
            topics(&["v2.users.u.presence"]),
            false,
            later(now, day - 1),
        )
        .unwrap();
    assert!(channels.find(&id, 1, later(now, 2 * day - 2)).is_ok());
    let link = channels.connect(&id, later(now, day)).unwrap();
    assert!(channels.find(&id, 1, later(now, 2 * day)).is_err());
    assert_eq!(link.pop(now), Some(Frame::Close(GOING_AWAY)));
    assert!(channels.subscribers("u").is_empty());
    // A channel that nobody looks at goes when another one is made.
    create(&mut channels, 1, now);
    create(&mut channels, 1, later(now, day));
    assert_eq!(channels.all().len(), 1);
}

#[test]
fn topics_are_added_replaced_and_removed() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    let id = create(&mut channels, 1, now);
    let first = [
        "v2.users.A.presence",
        "v2.users.b?presence&routingStatus",
        "v2.x",
    ];
    channels.subscribe(&id, topics(&first), false, now).unwrap();
    channels
        .subscribe(
            &id,
            topics(&["v2.users.a.presence", "v2.users.A?presence"]),
            false,
            now,
        )
        .unwrap();
    assert_eq!(channels.get(&id, now).unwrap().topic_count(), 5);
    assert_eq!(users(&channels, "a"), ["A", "a"], "each spelling once");
    assert_eq!(users(&channels, "B"), ["b"]);
    channels
        .subscribe(&id, topics(&["v2.users.c.presence"]), true, now)
        .unwrap();
    assert_eq!(
        (users(&channels, "a").len(), users(&channels, "c").len()),
        (0, 1)
    );
    assert_eq!(channels.topics, 1);
    assert!(channels.get(&id, now).unwrap().is_about("C"));
    channels.unsubscribe(&id);
    assert!(channels.by_user.is_empty());
    assert_eq!(channels.topics, 0);
}

#[test]
fn too_many_topics_change_nothing() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    let id = create(&mut channels, 1, now);
    let many = |count: usize| -> Vec<Topic> {
        let topic = |at| Topic::parse(&format!("v2.users.{at}.presence")).unwrap();
        (0..count).map(topic).collect()
    };
    channels.subscribe(&id, many(1000), false, now).unwrap();
    channels.subscribe(&id, many(1000), false, now).unwrap();
    let more = topics(&["v2.users.one.presence"]);
    assert!(channels.subscribe(&id, more, false, now).is_err());
    assert!(channels.subscribe(&id, many(1001), true, now).is_err());
    assert_eq!(channels.topics, 1000);
    // All channels together have a bound too.
    let full = (0..MAX_TOPICS / 1000).find(|at| {
        let id = create(&mut channels, 2 + (*at as u64) / 20, now);
        channels.subscribe(&id, many(1000), true, now).is_err()
    });
    assert_eq!(full, Some(MAX_TOPICS / 1000 - 1));
}

#[test]
fn the_channels_of_all_tokens_are_bounded() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    for token in 0..(MAX_CHANNELS as u64) / 20 {
        for _ in 0..25 {
            create(&mut channels, token, now);
        }
    }
    assert_eq!(channels.all().len(), MAX_CHANNELS);
    assert!(channels.create(u64::MAX, "label", now).is_err());
    channels.clear();
    assert!(channels.create(u64::MAX, "label", now).is_ok());
}

#[test]
fn a_second_connection_replaces_the_first() {
    let (mut channels, now) = (Channels::default(), Instant::now());
    let id = create(&mut channels, 1, now);
    let first = channels.connect(&id, now).unwrap();
    let second = channels.connect(&id, now).unwrap();
    assert_eq!(first.pop(now), Some(Frame::Close(GOING_AWAY)));
    channels.disconnected(&id, &first, now);
    assert!(
        channels.get(&id, now).unwrap().link.is_some(),
        "the second stays"
    );
    channels.disconnected(&id, &second, now);
    assert!(channels.get(&id, now).unwrap().link.is_none());
    assert!(channels.connect("no such channel", now).is_none());
}
