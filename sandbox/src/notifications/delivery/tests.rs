use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::notifications::topic::Topic;
use crate::seed::user_id;
use crate::settings::Settings;
use crate::users::PURECLOUD;

const BUSY: &str = "31fe3bac-dea6-44b7-bed7-47f91660a1a0";

/// A sandbox with one channel, which is connected and subscribed to the first two users.
struct Connected {
    state: State,
    channel: Arc<str>,
    link: Arc<Link>,
}

impl Connected {
    fn start() -> Self {
        let mut state = State::new(&Settings::default());
        let now = Instant::now();
        let channel = state.channels.create(1, "label", now).unwrap().id.clone();
        let topic = |at| Topic::parse(&format!("v2.users.{}.presence", user_id(at))).unwrap();
        let topics = vec![topic(1), topic(2)];
        state
            .channels
            .subscribe(&channel, topics, false, now)
            .unwrap();
        let link = state.channels.connect(&channel, now).unwrap();
        Self {
            state,
            channel,
            link,
        }
    }

    fn rules(&mut self, rules: &str) -> usize {
        let now = self.state.rules.add(rules).unwrap();
        self.state.apply_now(now)
    }

    /// Changes a user's presence, and returns its date.
    fn change(&mut self, user: usize) -> String {
        let user = user_id(user);
        self.state.users.define(&user, PURECLOUD, BUSY);
        self.state.announce(&user, PURECLOUD, "c");
        let presence = self.state.users.get(&user).unwrap().presence(PURECLOUD);
        crate::date::date(presence.unwrap().modified)
    }

    fn frames(&self) -> Vec<Frame> {
        std::iter::from_fn(|| self.link.pop(Instant::now())).collect()
    }

    /// What the texts are: the user's number of an event, else the topic or what else.
    fn texts(&self) -> Vec<String> {
        let named = |frame| {
            let Frame::Text(text) = frame else {
                return format!("{frame:?}");
            };
            let Ok(text) = serde_json::from_str::<Value>(&text) else {
                return "no JSON".to_owned();
            };
            let Some(topic) = text["topicName"].as_str() else {
                return "no object".to_owned();
            };
            match topic
                .strip_suffix(".presence")
                .map(|user| user.rsplit('0').next())
            {
                None => topic.to_owned(),
                Some(Some(number)) if number.len() == 1 => number.to_owned(),
                Some(_) => "stranger".to_owned(),
            }
        };
        self.frames().into_iter().map(named).collect()
    }

    /// The one text that there is.
    #[track_caller]
    fn text(&self) -> Value {
        let frames = self.frames();
        match &frames[..] {
            [Frame::Text(text)] => serde_json::from_str(text).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_change_is_announced_to_those_that_subscribed_it() {
    let mut vendor = Connected::start();
    let other = vendor
        .state
        .channels
        .create(1, "label", Instant::now())
        .unwrap()
        .id
        .clone();
    let topic = Topic::parse("v2.users.00000000-0000-4000-8000-000000000001?presence").unwrap();
    vendor
        .state
        .channels
        .subscribe(&other, vec![topic], false, Instant::now())
        .unwrap();
    let date = vendor.change(1);
    vendor.change(3);
    let event = vendor.text();
    assert_eq!(
        event["topicName"],
        format!("v2.users.{}.presence", user_id(1))
    );
    assert_eq!(event["eventBody"]["modifiedDate"], date);
    assert_eq!(
        event["eventBody"]["presenceDefinition"]["systemPresence"],
        "BUSY"
    );
    let channels = vendor.state.channels.all();
    let counts = |at: usize| (channels[at].events, channels[at].lost());
    assert_eq!(
        (counts(0), counts(1)),
        ((1, 0), (0, 1)),
        "the second is not connected"
    );
}

#[test]
fn the_topic_of_an_event_is_spelt_as_it_was_subscribed() {
    let mut vendor = Connected::start();
    vendor.state.users.add(["Alice"]).unwrap();
    let topic = Topic::parse("v2.users.ALICE.presence").unwrap();
    vendor
        .state
        .channels
        .subscribe(&vendor.channel, vec![topic], true, Instant::now())
        .unwrap();
    vendor.state.announce("alice", PURECLOUD, "c");
    assert_eq!(vendor.text()["topicName"], "v2.users.ALICE.presence");
}

#[test]
fn rules_lose_repeat_and_reorder_events() {
    for (rule, expected) in [
        ("drop on=event times=1", vec!["2", "1", "2"]),
        ("drop on=event after=1 times=2", vec!["1", "2"]),
        (
            "drop on=event id=00000000-0000-4000-8000-000000000002",
            vec!["1", "1"],
        ),
        ("duplicate on=event times=1", vec!["1", "1", "2", "1", "2"]),
        ("swap on=event times=1", vec!["2", "1", "1", "2"]),
        ("swap on=event", vec!["2", "1", "2", "1"]),
        ("drop on=event channel=another", vec!["1", "2", "1", "2"]),
        (
            "stranger on=event times=1",
            vec!["1", "stranger", "2", "1", "2"],
        ),
        ("garbage on=event times=1", vec!["no JSON", "2", "1", "2"]),
        (
            "half-json,duplicate on=event times=1",
            vec!["no JSON", "no JSON", "2", "1", "2"],
        ),
        ("empty on=event times=1", vec!["no JSON", "2", "1", "2"]),
        ("huge=7 on=event times=1", vec!["Huge(7)", "2", "1", "2"]),
        (
            "wrong-shape on=event times=1",
            vec!["no object", "2", "1", "2"],
        ),
        (
            "close=4001 on=event after=3",
            vec!["1", "2", "1", "2", "Close(4001)"],
        ),
        ("drop,cut on=event after=3", vec!["1", "2", "1", "Cut"]),
        (
            "silence=5s on=event after=3",
            vec!["1", "2", "1", "2", "Silence(Some(5s))"],
        ),
    ] {
        let mut vendor = Connected::start();
        vendor.rules(rule);
        for user in [1, 2, 1, 2] {
            vendor.change(user);
        }
        assert_eq!(vendor.texts(), expected, "{rule}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_event_is_overtaken() {
    let mut vendor = Connected::start();
    vendor.rules("delay=2s on=event times=1");
    vendor.change(1);
    vendor.change(2);
    assert_eq!(vendor.texts(), ["2"]);
    assert_eq!(
        vendor.link.due(),
        Some(Instant::now() + Duration::from_secs(2))
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(vendor.texts(), ["1"]);
}

#[test]
fn rules_change_the_json_of_an_event() {
    let mut vendor = Connected::start();
    vendor.rules("date=yesterday,spelling=lower,recase on=event times=1\ndate on=event");
    vendor.change(1);
    let event = vendor.text();
    assert_eq!(event["eventBody"]["modifiedDate"], "yesterday");
    assert_eq!(
        event["eventBody"]["presenceDefinition"]["systemPresence"],
        "busy"
    );
    vendor.change(1);
    assert_eq!(vendor.text()["eventBody"].get("modifiedDate"), None);
}

#[test]
fn heartbeats_and_pongs_have_rules_of_their_own() {
    let mut vendor = Connected::start();
    let channel = vendor.channel.clone();
    vendor.rules("drop on=heartbeat times=1\nduplicate on=pong");
    vendor.state.heartbeat(&channel);
    vendor.state.pong(&channel);
    vendor.state.heartbeat(&channel);
    vendor.change(1);
    let metadata = "channel.metadata";
    assert_eq!(vendor.texts(), [metadata, metadata, metadata, "1"]);
}

#[test]
fn a_rule_for_a_new_socket_applies_to_it() {
    let mut vendor = Connected::start();
    let channel = vendor.channel.clone();
    vendor.rules("garbage,close=1001 on=connect\nstranger on=connect");
    vendor.state.opened(&channel);
    assert_eq!(vendor.texts(), ["no JSON", "Close(1001)"]);
}

#[test]
fn rules_for_now_apply_to_the_channels_that_are_there() {
    let mut vendor = Connected::start();
    let idle = vendor
        .state
        .channels
        .create(2, "label", Instant::now())
        .unwrap()
        .id
        .clone();
    assert_eq!(
        vendor.rules("cut on=now"),
        1,
        "the other one is not connected"
    );
    assert_eq!(vendor.texts(), ["Cut"]);
    assert_eq!(vendor.rules("socket-closing on=now id=nobody"), 0);
    assert_eq!(
        vendor.rules(&format!("socket-closing=0s on=now id={}", user_id(2))),
        1
    );
    assert_eq!(vendor.texts(), ["Close(1001)", "v2.system.socket_closing"]);
    assert_eq!(vendor.rules(&format!("expire on=now channel={idle}")), 1);
    assert_eq!(vendor.state.channels.all().len(), 1);
    assert_eq!(vendor.rules("expire on=now times=1"), 1);
    assert_eq!(vendor.texts(), ["Close(1001)"]);
    assert_eq!(vendor.rules("cut on=now"), 0);
}

#[test]
fn a_channel_that_is_no_longer_subscribed_gets_no_events() {
    let mut vendor = Connected::start();
    vendor.rules("no-longer-subscribed on=now");
    vendor.change(1);
    let topic = format!("v2.system.no_longer_subscribed.{}", vendor.channel);
    assert_eq!(vendor.texts(), [topic]);
}

#[test]
fn a_revoked_token_loses_the_topics_and_sockets_of_all_its_channels() {
    let mut vendor = Connected::start();
    let now = Instant::now();
    let second = vendor
        .state
        .channels
        .create(1, "label", now)
        .unwrap()
        .id
        .clone();
    let second_link = vendor.state.channels.connect(&second, now).unwrap();
    vendor.state.channels.create(2, "label", now).unwrap();
    vendor.rules("token-revoked on=event");
    vendor.change(1);
    let topic = format!("v2.system.token_revoked.{}", vendor.channel);
    assert_eq!(
        vendor.texts(),
        ["1".to_owned(), topic, "Close(1000)".to_owned()]
    );
    assert!(matches!(second_link.pop(now), Some(Frame::Text(text)) if text.contains(&*second)));
    assert_eq!(second_link.pop(now), Some(Frame::Close(1000)));
    assert!(vendor.state.revoked.contains(1) && !vendor.state.revoked.contains(2));
    let channels = vendor.state.channels.all();
    let left = channels
        .iter()
        .map(|one| (one.link.is_some(), one.topic_count()));
    assert_eq!(left.collect::<Vec<_>>(), [(false, 0); 3]);
}

#[test]
fn a_thousand_changes_of_users_that_many_channels_have_reach_each_of_them_once() {
    let mut vendor = Connected::start();
    let now = Instant::now();
    let links: Vec<Arc<Link>> = (0..40)
        .map(|token| {
            let id = vendor
                .state
                .channels
                .create(100 + token, "label", now)
                .unwrap()
                .id
                .clone();
            let topic = |at| Topic::parse(&format!("v2.users.{}.presence", user_id(at))).unwrap();
            let topics = (1..=100).map(topic).collect();
            vendor
                .state
                .channels
                .subscribe(&id, topics, false, now)
                .unwrap();
            vendor.state.channels.connect(&id, now).unwrap()
        })
        .collect();
    for at in 0..1000 {
        vendor.change(at % 100 + 1);
    }
    for link in links {
        assert_eq!(std::iter::from_fn(|| link.pop(now)).count(), 1000);
        assert_eq!(link.lost(), 0);
    }
}
