"""Watches presences as they change, with grpcio. README.md shows how to run it.

    python watch.py [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
"""

import math
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from example import USERS, bearer, connect, definition_id, detail, explain, print_failures, status_of, write_one
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_watch_service_pb2 import (
    UserPresenceChange,
    WatchState,
    WatchUsersPresencesRequest,
    WatchUsersPresencesResponse,
)
from genesys.presence.v1.presence_watch_service_pb2_grpc import PresenceWatchServiceStub

# Another watch would end in the same way. The first three are also those of the last `failure`.
FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}
# All presences are current: by notifications or, where there are none, by polls.
CURRENT = {WatchState.LIVE, WatchState.POLLING}
# Twice the time after which the gateway repeats the state, in seconds.
SILENCE = 2 * 25
# The longest delay before another watch, in seconds.
MAX_DELAY = 60


def current_token(rejected: str | None) -> str:
    """Returns a token of Genesys Cloud: another one than that which was just rejected, if any.

    Of a service: one from the vendor's login host, by OAuth 2, which it keeps until it is about to
    expire or is the rejected one.
    """
    return os.environ.get("PRESENCE_GATEWAY_TOKEN", "any")


def watch(
    presence_watch: PresenceWatchServiceStub, get_token: Callable[[str | None], str], users: Sequence[str]
) -> Iterator[WatchUsersPresencesResponse]:
    """Yields what is new, for ever: begins another watch when one ends, for example in a roll-out.

    When a watch ends, yields the state RESYNCING. Then the next one has a message about each user
    again, before LIVE or POLLING: keep the presences meanwhile, and show that they are not current.
    Raises what another watch would not mend.
    """
    token, delay = get_token(None), 1.0
    while True:
        least, status = 0.0, None
        # No timeout: a watch lasts.
        call = presence_watch.WatchUsersPresences(WatchUsersPresencesRequest(ids=users), metadata=bearer(token))
        try:
            for message in unless_silent(call):
                # A user who cannot be read may keep LIVE and POLLING away.
                if message.HasField("presence") or message.state.mode in CURRENT:
                    delay = 1.0
                yield message
        except grpc.RpcError as error:
            if error.code() in FINAL:
                raise
            rejected = token if error.code() is grpc.StatusCode.UNAUTHENTICATED else None
            if (token := get_token(rejected)) == rejected:
                raise
            status = status_of(error)
            if retry_info := detail(status, RetryInfo):
                least = retry_info.retry_delay.ToTimedelta().total_seconds()
            print("watch again:", explain(status), file=sys.stderr)
        yield WatchUsersPresencesResponse(state=WatchState(mode=WatchState.RESYNCING, status=status))
        # At a random time, so that callers who lost a replica together do not come together.
        time.sleep(least + random.uniform(0, delay))
        delay = min(2 * delay, MAX_DELAY)


def unless_silent(call: grpc.Call) -> Iterator[WatchUsersPresencesResponse]:
    """Yields the messages of a watch. Ends it if none comes for too long: its connection is lost."""
    waiting_since, ended = time.monotonic(), threading.Event()

    def look() -> None:
        while not ended.wait(1):
            if time.monotonic() - waiting_since > SILENCE:
                call.cancel()

    threading.Thread(target=look, daemon=True).start()
    try:
        for message in call:
            waiting_since = math.inf  # Not while the message is handled.
            yield message
            waiting_since = time.monotonic()
    finally:
        ended.set()
        call.cancel()  # Without effect if the watch has ended.


def run(channel: grpc.Channel, get_token: Callable[[str | None], str]) -> None:
    presence, presence_watch = PresenceServiceStub(channel), PresenceWatchServiceStub(channel)
    current = {}
    meal, is_written = definition_id(presence, get_token(None), "Meal"), False
    for message in watch(presence_watch, get_token, [*USERS[:10], "nobody"]):
        match message.WhichOneof("update"):
            case "presence":
                change = message.presence
                current[change.user_id] = change.presence.presence_definition.system_presence
                if change.cause == UserPresenceChange.CHANGE:
                    print("change:", current[change.user_id])
                    return
            case "state":
                print("state:", WatchState.Mode.Name(message.state.mode))
                if message.state.mode in CURRENT and not is_written:
                    print(f"current: {len(current)} users")
                    write_one(presence, get_token(None), USERS[4], meal)
                    is_written = True
            case "failure":
                print_failures("watch", [message.failure])
        # Of an earlier watch, they may have a presence that does not hold any more.
        for user in [*message.missing_ids, *message.failure.ids]:
            current.pop(user, None)
        if message.missing_ids:
            print(f"missing: {len(message.missing_ids)}")


def main(address: str = "127.0.0.1:50051", ca_file: str | None = None) -> None:
    with connect(address, ca_file) as channel:
        try:
            run(channel, current_token)
        except grpc.RpcError as error:
            sys.exit(f"failed: {explain(status_of(error))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
