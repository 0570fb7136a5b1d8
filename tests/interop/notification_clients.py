"""Clients of the vendor's notifications: what the Java SDK's handler does, and the control of the sandbox."""

import asyncio
import json
import urllib.request

import websockets

TIMEOUT = 20  # seconds, for what comes at once

SOCKET_CLOSING = "v2.system.socket_closing"
METADATA = "channel.metadata"


def ask(url, method="GET", body=None, token=None):
    """Sends a request, and returns the JSON of its answer."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body and body.encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def set_presence(sandbox, user, presence):
    """Sets the presence of a user, as if the user had."""
    ask(f"{sandbox}/sandbox/presences/{user}/PURECLOUD", "PUT", presence)


def misbehave(sandbox, rules):
    """Adds rules; returns to how many channels those with `on=now` applied."""
    return ask(f"{sandbox}/sandbox/misbehave", "POST", rules).get("channels")


def presence_topic(user):
    return f"v2.users.{user}.presence"


def system_presence(event):
    return event["eventBody"]["presenceDefinition"]["systemPresence"]


class JavaHandler:
    """Follows the rules of the Java SDK's NotificationHandler, with another WebSocket library.

    POST of a channel; `connectUri` opened as it stands, without headers; POST of topics. Events are looked up by
    their exact topicName. System topics come without a subscription. At `socket_closing` the same URI is opened
    again, and nothing is subscribed again.
    """

    def __init__(self, sandbox, token):
        self._channels = f"{sandbox}/api/v2/notifications/channels"
        self._token = token
        self._listeners = {}
        self.opened = 0

    async def __aenter__(self):
        self._channel = await self._ask(self._channels)
        await self._open()
        return self

    async def __aexit__(self, *_):
        await self._socket.close()

    async def subscribe(self, *topics):
        for topic in topics:
            self._listeners[topic] = asyncio.Queue()
        body = json.dumps([{"id": topic} for topic in topics])
        return await self._ask(f"{self._channels}/{self._channel['id']}/subscriptions", body)

    async def ping(self):
        await self._socket.send(json.dumps({"message": "ping"}))

    async def read(self, topic):
        """Reads texts until one of this topic has come; it is among those subscribed, or a system topic."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                if self._listeners.get(topic) and not self._listeners[topic].empty():
                    return self._listeners[topic].get_nowait()
                text = json.loads(await self._socket.recv())
                name = text["topicName"]
                if name == SOCKET_CLOSING:
                    await self._socket.close()
                    await self._open()
                if name in self._listeners:
                    self._listeners[name].put_nowait(text)
                elif name == topic:
                    return text

    async def _open(self):
        self._socket = await websockets.connect(self._channel["connectUri"], proxy=None)
        self.opened += 1

    async def _ask(self, url, body="{}"):
        return await asyncio.to_thread(ask, url, "POST", body, self._token)
