"""Watches presences as they change, with grpcio. README.md shows how to run it.

    python watch.py [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
"""

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence

import grpc

from example import USERS, bearer, connect, definition_id, explain, print_failures, status_of, write_one
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_watch_service_pb2 import (
    UserPresenceChange,
    WatchState,
    WatchUsersPresencesRequest,
    WatchUsersPresencesResponse,
)
from genesys.presence.v1.presence_watch_service_pb2_grpc import PresenceWatchServiceStub

# Another watch would end in the same way.
FINAL = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}


def watch(
    presence_watch: PresenceWatchServiceStub, token: str, users: Sequence[str]
) -> Iterator[WatchUsersPresencesResponse]:
    """Yields what is new, for ever: begins another watch when one ends, for example in a roll-out.

    The first messages of each watch are the presences of all users. Take them as what they are:
    the current state.
    """
    delay = 1.0
    while True:
        try:
            # No timeout: a watch lasts. Something comes every 25 s; the channel's keepalive
            # notices a lost connection.
            for message in presence_watch.WatchUsersPresences(
                WatchUsersPresencesRequest(ids=users), metadata=bearer(token)
            ):
                delay = 1.0
                yield message
        except grpc.RpcError as error:
            if error.code() in FINAL:
                raise
        # At a random time, so that callers who lost a replica together do not come together.
        time.sleep(random.uniform(0, delay))
        delay = min(2 * delay, 60)


def run(channel: grpc.Channel, token: str) -> None:
    presence, presence_watch = PresenceServiceStub(channel), PresenceWatchServiceStub(channel)
    current = {}
    meal = definition_id(presence, token, "Meal")
    for message in watch(presence_watch, token, [*USERS[:10], "nobody"]):
        match message.WhichOneof("update"):
            case "presence":
                change = message.presence
                current[change.user_id] = change.presence.presence_definition.system_presence
                if change.cause == UserPresenceChange.CHANGE:
                    print("change:", current[change.user_id])
                    return
            case "state":
                print("state:", WatchState.Mode.Name(message.state.mode))
                if message.state.mode == WatchState.LIVE:
                    print(f"current: {len(current)} users")
                    write_one(presence, token, USERS[4], meal)
            case "failure":
                print_failures("watch", [message.failure])
        if message.missing_ids:
            print(f"missing: {len(message.missing_ids)}")


def main(address: str = "127.0.0.1:50051", ca_file: str | None = None) -> None:
    with connect(address, ca_file) as channel:
        try:
            run(channel, os.environ.get("PRESENCE_GATEWAY_TOKEN", "any"))
        except grpc.RpcError as error:
            sys.exit(f"failed: {explain(status_of(error))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
