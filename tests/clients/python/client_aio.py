"""The same as client.py with grpc.aio: code to copy, together with client.py.

    PYTHONPATH=gen python tests/clients/python/client_aio.py 127.0.0.1:50051
"""

import asyncio
import sys
from pathlib import Path

import grpc
from client import SERVICE_CONFIG, bearer, detail, options
from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1 import presence_stream_service_pb2 as stream_pb
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from google.rpc.error_details_pb2 import ErrorInfo


def connect(address, ca_file=None, service_config=SERVICE_CONFIG):
    """A channel; make one for each event loop, and keep it."""
    if ca_file is None:
        return grpc.aio.insecure_channel(address, options(service_config))
    credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    return grpc.aio.secure_channel(address, credentials, options(service_config))


async def system_presence(presence, token, user):
    """The status of a user, or None if there is no such user."""
    request = pb.GetUserPresencesPurecloudRequest(user_id=user)
    try:
        answer = await presence.GetUserPresencesPurecloud(request, metadata=bearer(token), timeout=5)
    except grpc.aio.AioRpcError as error:
        info = detail(error, ErrorInfo)
        if info and (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND"):
            return None
        raise
    return answer.presence_definition.system_presence


async def stream(presence_stream, token, ids):
    """Any number of ids in constant memory; grpcio sends and receives at the same time."""

    async def requests():
        for first in range(0, len(ids), 100):
            yield stream_pb.StreamUsersPresencesPurecloudBulkRequest(ids=ids[first : first + 100])

    async for answer in presence_stream.StreamUsersPresencesPurecloudBulk(requests(), metadata=bearer(token)):
        yield answer


async def main(address, ca_file=None, token="any", users=("00000000-0000-4000-8000-000000000001", "nobody")):
    async with connect(address, ca_file) as channel:
        presence = PresenceServiceStub(channel)
        print(await asyncio.gather(*(system_presence(presence, token, user) for user in users)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
