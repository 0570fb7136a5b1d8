"""Clients that nobody here wrote, and the rules of the vendor's own, with the sandbox's notifications."""

import asyncio
import json
import warnings
from datetime import datetime

import pytest

from clients import PythonSdk
from notification_clients import (
    METADATA,
    SOCKET_CLOSING,
    TIMEOUT,
    JavaHandler,
    ask,
    misbehave,
    presence_topic,
    set_presence,
    system_presence,
)

FIRST = "00000000-0000-4000-8000-000000000001"
SECOND = "00000000-0000-4000-8000-000000000002"


class Notifications:
    """The vendor's Python SDK, which has the operations and no WebSocket."""

    def __init__(self, sandbox, token):
        import PureCloudPlatformClientV2 as sdk

        client = sdk.ApiClient(host=sandbox)
        client.access_token = token
        self.api = sdk.NotificationsApi(client)
        self.refused = sdk.rest.ApiException
        self._topic = sdk.ChannelTopic

    def topics(self, *users):
        topics = []
        for user in users:
            topic = self._topic()
            topic.id = presence_topic(user)
            topics.append(topic)
        return topics


@pytest.fixture
def notifications(sandbox, token):
    return Notifications(sandbox, token)


def test_the_python_sdk_makes_channels_and_subscribes_them(notifications, sandbox):
    api = notifications.api
    channel = api.post_notifications_channels()
    assert channel.connect_uri == f"{sandbox.replace('http', 'ws')}/channels/{channel.id}"
    assert channel.expires.utcoffset().total_seconds() == 0, "the SDK reads the date"
    assert [one.id for one in api.get_notifications_channels(includechannels="token").entities] == [channel.id]
    api.head_notifications_channel(channel.id)

    added = api.post_notifications_channel_subscriptions(channel.id, notifications.topics(FIRST))
    assert [(topic.id, topic.state) for topic in added.entities] == [(presence_topic(FIRST), "Permitted")]
    api.put_notifications_channel_subscriptions(channel.id, notifications.topics(SECOND))
    left = api.get_notifications_channel_subscriptions(channel.id).entities
    assert [topic.id for topic in left] == [presence_topic(SECOND)]
    assert api.delete_notifications_channel_subscriptions(channel.id) is None
    assert api.get_notifications_channel_subscriptions(channel.id).entities == []


def test_the_python_sdk_reads_which_topics_are_forbidden(notifications, sandbox):
    api = notifications.api
    channel = api.post_notifications_channels()
    misbehave(sandbox, f"reject on=subscribe id={SECOND}")
    both = notifications.topics(FIRST, SECOND)
    with pytest.raises(notifications.refused) as refused:
        api.put_notifications_channel_subscriptions(channel.id, both)
    assert refused.value.status == 403
    partly = api.put_notifications_channel_subscriptions(channel.id, both, ignore_errors=True).entities
    assert [topic.state for topic in partly] == ["Permitted", "Rejected"]
    assert "no permission" in partly[1].rejection_reason
    with pytest.raises(notifications.refused) as gone:
        api.head_notifications_channel("streaming-0-gone")
    assert gone.value.status == 404


def test_genesys_notifications_subscribes_over_the_socket_and_reads_events(notifications, sandbox, monkeypatch):
    """PyPI's genesys-notifications 1.3, of a third party, iterated as its users do."""
    with warnings.catch_warnings():
        # It uses the legacy names of websockets.
        warnings.simplefilter("ignore", DeprecationWarning)
        from genesys_notifications import Channel

    # Its iterator passes a coroutine to asyncio.wait, which Python 3.11 and later reject.
    wait = asyncio.wait
    as_tasks = lambda each, **options: wait([asyncio.ensure_future(one) for one in each], **options)
    monkeypatch.setattr(asyncio, "wait", as_tasks)

    async def read():
        uri = notifications.api.post_notifications_channels().connect_uri
        channel = Channel(uri, [presence_topic(FIRST)])
        await channel
        async with asyncio.timeout(TIMEOUT):
            # It hands out nothing for the answer to its subscription, which comes first.
            reading = asyncio.ensure_future(anext(channel))
            while channels(sandbox)[0]["topics"] == 0:
                await asyncio.sleep(0.01)
            await change(sandbox, FIRST, "On Queue")
            event = await reading
        await channel.close()
        return event

    event = asyncio.run(read())
    assert event["topicName"] == presence_topic(FIRST)
    assert system_presence(event) == "ON_QUEUE"


def test_genesys_notifications_reports_what_it_knows_of_the_vendor(notifications, sandbox):
    """Its own classes of errors, for a failed subscription, a closing socket, and a channel that is gone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from genesys_notifications import Channel, exceptions

    async def answered(rule, topics):
        uri = notifications.api.post_notifications_channels().connect_uri
        await asyncio.to_thread(misbehave, sandbox, rule)
        channel = Channel(uri, topics)
        await channel
        text = json.loads(await asyncio.wait_for(channel._connection.recv(), TIMEOUT))
        try:
            return channel.process(text)
        finally:
            await channel.close()

    with pytest.raises(exceptions.SubscriptionFailure):
        asyncio.run(answered(f"reject on=subscribe id={SECOND}", [presence_topic(SECOND)]))
    with pytest.raises(exceptions.ChannelExpiring):
        asyncio.run(answered("socket-closing on=connect times=1", [presence_topic(FIRST)]))

    async def refused(uri):
        with pytest.raises(exceptions.InitializationFailure):
            await Channel(uri, [])

    asyncio.run(refused(f"{sandbox.replace('http', 'ws')}/channels/gone"))


def channels(sandbox):
    """The sandbox's own list of channels."""
    return ask(f"{sandbox}/sandbox/channels")["channels"]


def run(sandbox, token, scenario):
    """Runs a scenario with a handler that follows the Java SDK's rules."""
    async def connected():
        async with JavaHandler(sandbox, token) as handler:
            await scenario(handler)

    asyncio.run(connected())


def change(sandbox, user, presence):
    return asyncio.to_thread(set_presence, sandbox, user, presence)


def test_the_java_handlers_rules_bring_events_by_their_topic(sandbox, token):
    async def scenario(handler):
        answer = await handler.subscribe(presence_topic(FIRST), presence_topic(SECOND))
        assert len(answer["entities"]) == 2
        await change(sandbox, SECOND, "Meal")
        await change(sandbox, FIRST, "Busy")
        assert system_presence(await handler.read(presence_topic(FIRST))) == "BUSY"
        assert system_presence(await handler.read(presence_topic(SECOND))) == "MEAL"
        await handler.ping()
        pong = await handler.read(METADATA)
        assert pong["eventBody"]["message"] == "pong"

    run(sandbox, token, scenario)


def test_the_java_handlers_rules_survive_a_socket_that_closes(sandbox, token):
    async def scenario(handler):
        await handler.subscribe(presence_topic(FIRST))
        assert await asyncio.to_thread(misbehave, sandbox, "socket-closing on=now") == 1
        closing = await handler.read(SOCKET_CLOSING)
        assert closing["eventBody"]["systemTopicType"] == "socket_closing"
        assert handler.opened == 2, "the same URI was opened again"
        await change(sandbox, FIRST, "Away")
        event = await handler.read(presence_topic(FIRST))
        assert system_presence(event) == "AWAY", "nothing was subscribed again"

    run(sandbox, token, scenario)


def test_a_change_by_the_sdk_is_an_event_with_its_correlation_id(sandbox, token):
    sdk = PythonSdk(sandbox, token)

    async def scenario(handler):
        await handler.subscribe(presence_topic(FIRST))
        body = {"presenceDefinition": {"id": "3fd96123-badb-4f69-bc03-1b1ccc6d8014"}}
        arguments = {"userId": FIRST, "body": body}
        written = await asyncio.to_thread(lambda: sdk.call("patch_user_presences_purecloud", **arguments))
        event = await handler.read(presence_topic(FIRST))
        date = datetime.fromisoformat
        assert date(event["eventBody"]["modifiedDate"]) == date(written["modifiedDate"])
        assert len(event["metadata"]["CorrelationId"]) == 36

    run(sandbox, token, scenario)
