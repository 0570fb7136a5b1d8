"""Calls the presence gateway with grpcio. README.md shows how to run it.

    python example.py [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1.bulk_pb2 import BulkReadFailure, BulkWriteReport
from genesys.presence.v1.presence_pb2 import MutableUserPresence, PresenceDefinition, UserPresence
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_stream_service_pb2 import (
    StreamUsersPresencesPurecloudBulkRequest,
    StreamUsersPresencesPurecloudBulkResponse,
)
from genesys.presence.v1.presence_stream_service_pb2_grpc import PresenceStreamServiceStub

SERVICE_CONFIG = Path(__file__).with_name("gen") / "service-config.json"
USERS = [f"00000000-0000-4000-8000-{n:012}" for n in range(1, 101)]  # those of the sandbox

Detail = TypeVar("Detail", bound=Message)


def channel_options() -> list[tuple[str, str | int]]:
    return [
        # For each RPC: whether grpcio repeats it after UNAVAILABLE, and its longest timeout.
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        # The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
        ("grpc.max_receive_message_length", 8 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 60_000),
    ]


def target(address: str, ca_file: str | None = None) -> tuple[str, grpc.ChannelCredentials | None]:
    """Returns the address without `http://`, and the credentials for TLS.

    None, and so a token that everyone on the way can read, only to this machine or where
    `http://` asks for it. Without a file, the public authorities are trusted.
    """
    host = re.sub(r"^https?://", "", address)
    is_local = re.fullmatch(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", address)
    if ca_file is None and (is_local or address.startswith("http://")):
        return host, None
    return host, grpc.ssl_channel_credentials(Path(ca_file).read_bytes() if ca_file else None)


def connect(address: str, ca_file: str | None = None) -> grpc.Channel:
    """Opens a channel. Keep one per process: it carries all calls, and reconnects by itself."""
    host, credentials = target(address, ca_file)
    if credentials is None:
        return grpc.insecure_channel(host, channel_options())
    return grpc.secure_channel(host, credentials, channel_options())


def bearer(token: str) -> list[tuple[str, str]]:
    """Returns the metadata of a call: the Genesys Cloud token of the user for whom it is made."""
    return [("authorization", f"Bearer {token}")]


def read_one(presence: PresenceServiceStub, token: str, user: str, timeout: float = 10) -> UserPresence:
    request = pb.GetUserPresencesPurecloudRequest(user_id=user)
    return presence.GetUserPresencesPurecloud(request, metadata=bearer(token), timeout=timeout)


def read_many(
    presence: PresenceServiceStub, token: str, users: Sequence[str]
) -> pb.GetUsersPresencesPurecloudBulkResponse:
    """Reads up to 5000 users. 50 users cost one request of the token's rate limit.

    With partial results, the call succeeds although batches failed: `failures` has their users.
    """
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=users, allow_partial_results=True)
    # Without a timeout, that of the service config holds. To a compressed request, the gateway
    # returns a compressed response: for slow networks.
    return presence.GetUsersPresencesPurecloudBulk(
        request, metadata=bearer(token), compression=grpc.Compression.Gzip
    )


def read_stream(
    presence_stream: PresenceStreamServiceStub, token: str, users: Iterable[str]
) -> Iterator[StreamUsersPresencesPurecloudBulkResponse]:
    """Reads any number of users in constant memory: the gateway sets the pace."""

    def requests() -> Iterator[StreamUsersPresencesPurecloudBulkRequest]:
        remaining = iter(users)
        while ids := list(islice(remaining, 50)):
            yield StreamUsersPresencesPurecloudBulkRequest(ids=ids)

    # No timeout: the duration depends on the number of ids.
    return presence_stream.StreamUsersPresencesPurecloudBulk(requests(), metadata=bearer(token))


def definition_id(presence: PresenceServiceStub, token: str, label: str) -> str:
    """Returns the id of a status, for example "Meal", by its label in any language."""
    request = pb.GetPresenceDefinitionsRequest(locale_code="ALL")
    listing = presence.GetPresenceDefinitions(request, metadata=bearer(token), timeout=10)
    for definition in listing.entities:
        if label in definition.language_labels.values():
            return definition.id
    raise LookupError(f"no presence definition has the label {label!r}")


def write_one(
    presence: PresenceServiceStub, token: str, user: str, definition: str, message: str | None = None
) -> UserPresence:
    """Sets the status of a user. Without a message, the message stays as it is; "" erases it."""
    body = UserPresence(presence_definition=PresenceDefinition(id=definition), message=message)
    request = pb.PatchUserPresencesPurecloudRequest(user_id=user, body=body)
    return presence.PatchUserPresencesPurecloud(request, metadata=bearer(token), timeout=10)


def write_many(
    presence: PresenceServiceStub, token: str, users: Sequence[str], definition: str
) -> tuple[dict[str, list[str]], Status | None]:
    """Sets the status of up to 5000 users, and returns what became of each: users by outcome, and the error.

    Send `not_tried` again, and `failed` when the cause is gone. Read `unknown` first.
    """
    updates = [MutableUserPresence(id=user, presence_definition=PresenceDefinition(id=definition)) for user in users]
    try:
        request = pb.PutUsersPresencesBulkRequest(body=updates)
        presence.PutUsersPresencesBulk(request, metadata=bearer(token), timeout=60)
    except grpc.RpcError as error:
        # Some updates may have been applied, whatever the code is. The report has their positions.
        status = status_of(error)
        if (report := detail(status, BulkWriteReport)) is None:
            raise
        outcomes = {
            outcome: [user for span in getattr(report, outcome) for user in users[span.first : span.last + 1]]
            for outcome in ("applied", "failed", "unknown", "not_tried")
        }
        return outcomes, status
    return {"applied": list(users), "failed": [], "unknown": [], "not_tried": []}, None


def status_of(error: grpc.RpcError) -> Status:
    """Returns the status of an error, as `failures` of bulk calls have it."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        # A cancel() of this program met the status of the server: grpcio has the code of the one,
        # CANCELLED, and the details of the other.
        status = None
    # An error that the library made, for example because it cannot connect, has no details.
    return status or Status(code=error.code().value[0], message=error.details())


def detail(status: Status, kind: type[Detail]) -> Detail | None:
    """Returns the detail of a status that has this type, if there is one."""
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def explain(status: Status) -> str:
    """Describes an error. In code, decide by code, domain and reason; never by the message.

    Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
    """
    parts = [Code.Name(status.code)]
    if info := detail(status, ErrorInfo):
        parts.append(f"{info.domain} {info.reason}")
    if retry_info := detail(status, RetryInfo):
        parts.append(f"retry in {retry_info.retry_delay.ToTimedelta().total_seconds():.1f} s")
    message = status.message
    if bad_request := detail(status, BadRequest):
        message = ", ".join(f"{violation.field} {violation.description}" for violation in bad_request.field_violations)
    return f"{', '.join(parts)}: {message}"


def print_failures(step: str, failures: Iterable[BulkReadFailure]) -> None:
    """Prints the causes of partial results. In code, decide by each status as by that of a call."""
    for failure in failures:
        print(f"{step}: {len(failure.ids)} failed: {explain(failure.status)}")


def run(channel: grpc.Channel, token: str) -> None:
    presence, presence_stream = PresenceServiceStub(channel), PresenceStreamServiceStub(channel)

    print("read:", read_one(presence, token, USERS[0]).presence_definition.system_presence)

    bulk = read_many(presence, token, USERS)
    failed = sum(len(failure.ids) for failure in bulk.failures)
    print(f"bulk: {len(bulk.presences)} read, {len(bulk.missing_ids)} missing, {failed} failed")
    print_failures("bulk", bulk.failures)

    for answer in read_stream(presence_stream, token, [*USERS, "nobody"]):
        progress = answer.progress
        print_failures("stream", answer.failures)
    print(f"stream: {progress.done} read, {progress.missing} missing, {progress.failed} failed")

    meal, available = (definition_id(presence, token, label) for label in ("Meal", "Available"))
    written = write_one(presence, token, USERS[1], meal, "back at one")
    print(f"write: {written.presence_definition.system_presence}, {written.message}")
    outcomes, cause = write_many(presence, token, USERS, available)
    print("bulk write:", ", ".join(f"{len(users)} {outcome}" for outcome, users in outcomes.items()))
    if cause:
        print("bulk write:", explain(cause))

    for user in ("nobody", ".."):
        try:
            read_one(presence, token, user)
        except grpc.RpcError as error:
            print("error:", explain(status_of(error)))

    # After UNAVAILABLE, grpcio repeats a read by itself, at most twice and within the timeout, as
    # the service config says; it never repeats the two writes above.
    print("retry:", read_one(presence, token, USERS[2], timeout=20).presence_definition.system_presence)

    try:
        print("deadline:", read_one(presence, token, USERS[3], timeout=3).presence_definition.system_presence)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        print("deadline: exceeded")


def main(address: str = "127.0.0.1:50051", ca_file: str | None = None) -> None:
    with connect(address, ca_file) as channel:
        try:
            run(channel, os.environ.get("PRESENCE_GATEWAY_TOKEN", "any"))
        except grpc.RpcError as error:
            sys.exit(f"failed: {explain(status_of(error))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
