"""A grpclib client that prints the details of an error before and after it imports their types.

    python grpclib_details.py PORT

It generates nothing: the request of the RPC has one field, a text.
"""

import asyncio
import sys

from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError


class Field:
    """The field `user_id = 1` in the protobuf encoding; grpclib needs no more of a message."""

    def __init__(self, text=""):
        self._text = text.encode()

    def SerializeToString(self):
        return b"\x0a" + bytes([len(self._text)]) + self._text


async def show(port):
    """Prints the details of a NOT_FOUND, by their types."""
    channel = Channel("127.0.0.1", port)
    path = "/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud"
    read = UnaryUnaryMethod(channel, path, Field, Field)
    try:
        await read(Field("nobody"), metadata={"authorization": "Bearer any"}, timeout=10)
    except GRPCError as error:
        print(*(type(detail).__name__ for detail in error.details))
    finally:
        channel.close()


if __name__ == "__main__":
    asyncio.run(show(int(sys.argv[1])))
    import google.rpc.error_details_pb2  # noqa: F401

    asyncio.run(show(int(sys.argv[1])))
