"""The same with asyncio: what differs from example.py in grpc.aio.

    python example_aio.py [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence

import grpc
from google.rpc.error_details_pb2 import ErrorInfo

from example import USERS, bearer, channel_options, detail, explain, status_of, target
from genesys.presence.v1.presence_service_pb2 import GetUserPresencesPurecloudRequest
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_stream_service_pb2 import (
    StreamUsersPresencesPurecloudBulkRequest,
    StreamUsersPresencesPurecloudBulkResponse,
)
from genesys.presence.v1.presence_stream_service_pb2_grpc import PresenceStreamServiceStub


def connect(address: str, ca_file: str | None = None) -> grpc.aio.Channel:
    """Opens a channel. Keep one per event loop."""
    host, credentials = target(address, ca_file)
    if credentials is None:
        return grpc.aio.insecure_channel(host, channel_options())
    return grpc.aio.secure_channel(host, credentials, channel_options())


async def read_status(presence: PresenceServiceStub, token: str, user: str) -> str | None:
    """Returns the status of a user, or None if there is no such user."""
    request = GetUserPresencesPurecloudRequest(user_id=user)
    try:
        answer = await presence.GetUserPresencesPurecloud(request, metadata=bearer(token), timeout=10)
    except grpc.aio.AioRpcError as error:
        info = detail(status_of(error), ErrorInfo)
        if info and (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND"):
            return None
        raise
    return answer.presence_definition.system_presence


async def read_stream(
    presence_stream: PresenceStreamServiceStub, token: str, users: Sequence[str]
) -> AsyncIterator[StreamUsersPresencesPurecloudBulkResponse]:
    """Reads any number of users in constant memory; it sends and receives at the same time."""

    async def requests() -> AsyncIterator[StreamUsersPresencesPurecloudBulkRequest]:
        for first in range(0, len(users), 50):
            yield StreamUsersPresencesPurecloudBulkRequest(ids=users[first : first + 50])

    async for answer in presence_stream.StreamUsersPresencesPurecloudBulk(requests(), metadata=bearer(token)):
        yield answer


async def run(channel: grpc.aio.Channel, token: str) -> None:
    presence, presence_stream = PresenceServiceStub(channel), PresenceStreamServiceStub(channel)

    # At the same time, on one connection.
    statuses = await asyncio.gather(*(read_status(presence, token, user) for user in (USERS[0], "nobody")))
    print("reads:", *statuses)

    async for answer in read_stream(presence_stream, token, [*USERS, "nobody"]):
        progress = answer.progress
    print(f"stream: {progress.done} read, {progress.missing} missing, {progress.failed} failed")


async def main(address: str = "127.0.0.1:50051", ca_file: str | None = None) -> None:
    async with connect(address, ca_file) as channel:
        try:
            await run(channel, os.environ.get("PRESENCE_GATEWAY_TOKEN", "any"))
        except grpc.aio.AioRpcError as error:
            sys.exit(f"failed: {explain(status_of(error))}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
