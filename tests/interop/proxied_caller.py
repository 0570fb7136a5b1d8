"""The gRPC client of the proxy tests: one channel to one proxy, with its own token."""

import importlib
import os
import queue
import threading
from functools import partial

import grpc
import pytest

from clients import ANSWERED_WITHIN, new_token

USER = "00000000-0000-4000-8000-000000000001"
AVAILABLE = "6a3af858-942f-489d-9700-5f9bcdcdae9b"

# The gateway takes an `authorization` of 16 KiB.
LONGEST_TOKEN = 16 * 1024 - len("Bearer ")


def users(count):
    """The ids of the first `count` users of the sandbox."""
    return [f"00000000-0000-4000-8000-{number:012d}" for number in range(1, count + 1)]


def random_token(length):
    """A token that does not compress."""
    return os.urandom(length).hex()[:length]


def refused(call):
    """The error of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


class Caller:
    """Calls through one address until it is closed."""

    def __init__(self, stubs, address, **options):
        settings = {"grpc.enable_http_proxy": 0, "grpc.use_local_subchannel_pool": 1} | options
        self.token = new_token()
        self._channel = grpc.insecure_channel(address, options=list(settings.items()))
        self._messages = stubs.presence
        self._models = stubs.models
        self._streamed = importlib.import_module("genesys.presence.v1.presence_stream_service_pb2")
        streams = importlib.import_module("genesys.presence.v1.presence_stream_service_pb2_grpc")
        self._unary = stubs.presence_grpc.PresenceServiceStub(self._channel)
        self._streams = streams.PresenceStreamServiceStub(self._channel)

    @property
    def _metadata(self):
        return [("authorization", f"Bearer {self.token}")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._channel.close()

    def read(self, user=USER, timeout=ANSWERED_WITHIN):
        """One read."""
        return self.begin_read(user, timeout).result()

    def begin_read(self, user=USER, timeout=ANSWERED_WITHIN):
        """Starts a read."""
        request = self._messages.GetUserPresencesPurecloudRequest(user_id=user)
        return self._unary.GetUserPresencesPurecloud.future(request, timeout=timeout, metadata=self._metadata)

    def begin(self, method, timeout=ANSWERED_WITHIN):
        """Starts a call with an empty request."""
        request = getattr(self._messages, f"{method}Request")()
        return getattr(self._unary, method).future(request, timeout=timeout, metadata=self._metadata)

    def read_all(self, ids, timeout=ANSWERED_WITHIN):
        """One bulk read."""
        request = self._messages.GetUsersPresencesPurecloudBulkRequest(ids=ids)
        return self._unary.GetUsersPresencesPurecloudBulk(request, timeout=timeout, metadata=self._metadata)

    def begin_write(self, user, timeout=ANSWERED_WITHIN):
        """Starts a PATCH."""
        body = self._models.UserPresence(presence_definition=self._models.PresenceDefinition(id=AVAILABLE))
        request = self._messages.PatchUserPresencesPurecloudRequest(user_id=user, body=body)
        return self._unary.PatchUserPresencesPurecloud.future(request, timeout=timeout, metadata=self._metadata)

    def begin_post(self, name, timeout=ANSWERED_WITHIN):
        """Starts a POST that registers a source with this name."""
        request = self._messages.PostPresenceSourcesRequest(body=self._models.Source(name=name))
        return self._unary.PostPresenceSources.future(request, timeout=timeout, metadata=self._metadata)

    def put_all(self, messages, timeout=ANSWERED_WITHIN):
        """One bulk write, of these messages by user."""
        updates = [self._models.MutableUserPresence(id=user, message=text) for user, text in messages.items()]
        request = self._messages.PutUsersPresencesBulkRequest(body=updates)
        return self._unary.PutUsersPresencesBulk(request, timeout=timeout, metadata=self._metadata)

    def stream(self):
        """Opens a stream of ids."""
        method = self._streams.StreamUsersPresencesPurecloudBulk
        return IdStream(method, self._streamed.StreamUsersPresencesPurecloudBulkRequest, self._metadata)

    def stream_of_source(self):
        """Opens a stream of ids by the RPC that takes the source, with the same source."""
        message = partial(self._streamed.StreamUsersPresenceBulkRequest, source_id="PURECLOUD")
        return IdStream(self._streams.StreamUsersPresenceBulk, message, self._metadata)

    def watch(self, service):
        """Opens a health watch."""
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        stub = health_pb2_grpc.HealthStub(self._channel)
        return stub.Watch(health_pb2.HealthCheckRequest(service=service))


class IdStream:
    """A stream of ids: `send` never blocks, `receive` waits for a response."""

    def __init__(self, method, message, metadata):
        self._message = message
        self._outgoing = queue.Queue()
        self._answers = queue.Queue()
        self.call = method(iter(self._outgoing.get, None), metadata=metadata)
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, ids):
        """Sends one message."""
        self._outgoing.put(self._message(ids=ids))

    def close(self):
        """Closes the caller's side of the stream."""
        self._outgoing.put(None)

    def receive(self, within=ANSWERED_WITHIN):
        """The next response, or None if the stream ended with OK; raises its error."""
        answer = self._answers.get(timeout=within)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _read(self):
        try:
            for answer in self.call:
                self._answers.put(answer)
            self._answers.put(None)
        except grpc.RpcError as error:
            self._answers.put(error)
