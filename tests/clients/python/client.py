"""A client of the presence gateway in Python, with grpcio: code to copy.

It runs at the root of the repository, with the stubs in gen/ (docs/callers.md, "Stubs"),
against `presence-gateway serve --sandbox`:

    PYTHONPATH=gen python tests/clients/python/client.py 127.0.0.1:50051
    PYTHONPATH=gen python tests/clients/python/client.py localhost:50051 ca.pem   # with TLS

Elsewhere, copy proto/service-config.json too. client_aio.py has the same with grpc.aio;
check.py tests both.
"""

import sys
from pathlib import Path

import grpc
from genesys.presence.v1 import bulk_pb2, presence_pb2
from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1 import presence_stream_service_pb2 as stream_pb
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from grpc_status import rpc_status

SERVICE_CONFIG = Path("proto/service-config.json")
MIB = 1024 * 1024


def options(service_config=SERVICE_CONFIG):
    """The options of a channel."""
    return [
        # The retry policy and the timeout of each method.
        ("grpc.service_config", Path(service_config).read_text()),
        # The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
        ("grpc.max_receive_message_length", 8 * MIB),
        ("grpc.keepalive_time_ms", 60_000),
    ]


def connect(address, ca_file=None, service_config=SERVICE_CONFIG):
    """A channel; make one for the whole process, and keep it."""
    if ca_file is None:
        return grpc.insecure_channel(address, options(service_config))
    credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    return grpc.secure_channel(address, credentials, options(service_config))


def bearer(token):
    """Metadata with the bearer token of the user on whose behalf the call is made.

    Over TLS, `credentials=grpc.access_token_call_credentials(token)` does the
    same; grpcio refuses it on a channel without TLS.
    """
    return [("authorization", f"Bearer {token}")]


def detail(error, kind):
    """The detail of this type that an error has, or None."""
    status = rpc_status.from_call(error)
    # None if the client itself made the error, for example for a broken connection.
    for packed in status.details if status else ():
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def definition(presence, token, label):
    """The id of a definition, for example "Lunch", by its label in any language."""
    request = pb.GetPresenceDefinitionsRequest(locale_code="ALL")
    listing = presence.GetPresenceDefinitions(request, metadata=bearer(token))
    for each in listing.entities:
        if label in each.language_labels.values():
            return each.id
    raise LookupError(f"there is no definition {label!r}")


def set_status(presence, token, user, definition_id, message=None):
    """Sets the status of one user. A PATCH is never retried automatically.

    The remark stays as it is without a message; "" erases it.
    """
    body = presence_pb2.UserPresence(
        presence_definition=presence_pb2.PresenceDefinition(id=definition_id), message=message
    )
    request = pb.PatchUserPresencesPurecloudRequest(user_id=user, body=body)
    return presence.PatchUserPresencesPurecloud(request, metadata=bearer(token), timeout=10)


def set_many(presence, token, users, definition_id):
    """Sets the status of many users. Returns what became of each: a list of users by outcome.

    Users that were `not_tried` may be sent again, and those that `failed` if the cause is
    gone. Read those first that are `unknown`. docs/bulk.md has the details.
    """
    status = presence_pb2.PresenceDefinition(id=definition_id)
    updates = [presence_pb2.MutableUserPresence(id=user, presence_definition=status) for user in users]
    request = pb.PutUsersPresencesBulkRequest(body=updates)
    try:
        presence.PutUsersPresencesBulk(request, metadata=bearer(token), timeout=60)
    except grpc.RpcError as error:
        # With a report, some updates may have been applied, whatever the code.
        report = detail(error, bulk_pb2.BulkWriteReport)
        if report is None:
            raise
        return {
            outcome: [users[at] for part in getattr(report, outcome) for at in range(part.first, part.last + 1)]
            for outcome in ("applied", "failed", "unknown", "not_tried")
        }
    return {"applied": list(users), "failed": [], "unknown": [], "not_tried": []}


def read_many(presence, token, ids):
    """The presences of up to 5000 users by their ids, and the ids that do not exist."""
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=ids)
    # Without `timeout`, the one of the service config applies. The gateway compresses
    # responses to compressed requests, which pays off over a slow network.
    answer = presence.GetUsersPresencesPurecloudBulk(request, metadata=bearer(token), compression=grpc.Compression.Gzip)
    return {each.user_id: each for each in answer.presences}, list(answer.missing_ids)


def stream(presence_stream, token, ids):
    """Any number of ids in constant memory: flow control follows the vendor's pace."""

    def requests():
        for first in range(0, len(ids), 100):
            yield stream_pb.StreamUsersPresencesPurecloudBulkRequest(ids=ids[first : first + 100])

    # No timeout: the duration of a stream depends on the number of ids.
    yield from presence_stream.StreamUsersPresencesPurecloudBulk(requests(), metadata=bearer(token))


def main(address, ca_file=None, token="any", user="00000000-0000-4000-8000-000000000002"):
    with connect(address, ca_file) as channel:
        presence = PresenceServiceStub(channel)
        print(set_status(presence, token, user, definition(presence, token, "Meal"), "back at one"))
        print(read_many(presence, token, [user, "nobody"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
