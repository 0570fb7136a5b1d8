"""Calls with grpclib; prints what came as JSON.

    python grpclib_client.py STUBS PORT

STUBS is a directory with the output of protoc and of grpclib's plugin.
"""

import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])

# Without this import, the details of errors are not decoded.
import google.rpc.error_details_pb2  # noqa: E402,F401
from genesys.presence.v1 import presence_service_pb2 as pb  # noqa: E402
from genesys.presence.v1 import presence_stream_service_pb2 as stream_pb  # noqa: E402
from genesys.presence.v1.presence_service_grpc import PresenceServiceStub  # noqa: E402
from genesys.presence.v1.presence_stream_service_grpc import PresenceStreamServiceStub  # noqa: E402
from grpclib.client import Channel  # noqa: E402
from grpclib.exceptions import GRPCError  # noqa: E402

USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(1, 101)]
TOKEN = {"authorization": "Bearer grpclib"}


async def calls(channel):
    """One call of each kind."""
    presence, streams = PresenceServiceStub(channel), PresenceStreamServiceStub(channel)
    one = await presence.GetUserPresencesPurecloud(
        pb.GetUserPresencesPurecloudRequest(user_id=USERS[0]), metadata=TOKEN, timeout=9
    )
    yield "unary", one.presence_definition.system_presence

    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=[*USERS, "nobody"], allow_partial_results=True)
    many = await presence.GetUsersPresencesPurecloudBulk(request, metadata=TOKEN, timeout=9)
    failed = [id for failure in many.failures for id in failure.ids]
    yield "bulk", [len(many.presences) > 0, len(failed) > 0, len(many.presences) + len(many.missing_ids) + len(failed)]

    async with streams.StreamUsersPresencesPurecloudBulk.open(metadata=TOKEN, timeout=9) as stream:
        await stream.send_message(stream_pb.StreamUsersPresencesPurecloudBulkRequest(ids=USERS), end=True)
        yield "stream", sum([len(message.presences) async for message in stream])

    try:
        await presence.GetUserPresencesPurecloud(
            pb.GetUserPresencesPurecloudRequest(user_id="nobody"), metadata=TOKEN, timeout=9
        )
    except GRPCError as error:
        yield "error", [error.status.name, *(type(detail).__name__ for detail in error.details)]

    # Sent as 12 seconds, so the gateway ends the call before the client does.
    try:
        await presence.GetSystempresences(pb.GetSystempresencesRequest(), metadata=TOKEN, timeout=12.7)
    except GRPCError as error:
        yield "deadline", error.status.name


async def main():
    channel = Channel("127.0.0.1", int(sys.argv[2]))
    try:
        print(json.dumps({name: result async for name, result in calls(channel)}))
    finally:
        channel.close()


asyncio.run(main())
