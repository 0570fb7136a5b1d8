"""A client of the presence gateway in Python, with grpcio.

    python client.py 127.0.0.1:50051            # without TLS
    python client.py localhost:50051 ca.pem     # with TLS, trusting this authority

The stubs are generated into gen/; see README.md, one directory up.
"""

import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.insert(0, str(Path(__file__).parent / "gen"))

from genesys.presence.v1 import presence_pb2 as models
from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1 import presence_stream_service_pb2 as stream_pb
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_stream_service_pb2_grpc import PresenceStreamServiceStub

USERS = [f"00000000-0000-4000-8000-{n:012}" for n in range(1, 101)]
SERVICE_CONFIG = Path(__file__).parents[3] / "proto" / "service-config.json"
MIB = 1024 * 1024


def connect(address, ca_file):
    """A channel; make one for the whole process, and keep it."""
    options = [
        # The retry policy and the timeout of each method.
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        # The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
        ("grpc.max_receive_message_length", 8 * MIB),
        ("grpc.keepalive_time_ms", 60_000),
    ]
    if ca_file is None:
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    return grpc.secure_channel(address, credentials, options)


def bearer(token):
    """Metadata with the bearer token of the user on whose behalf the call is made.

    Over TLS, `credentials=grpc.access_token_call_credentials(token)` does the
    same; grpcio refuses it on a channel without TLS.
    """
    return [("authorization", f"Bearer {token}")]


def detail(error, kind):
    """The google.rpc detail of this type that an error has."""
    status = rpc_status.from_call(error)
    # None if the client itself made the error, for example for a broken connection.
    for packed in status.details if status else ():
        found = kind()
        if packed.Unpack(found):
            return found
    sys.exit(f"there is no {kind.DESCRIPTOR.name} in {error}")


def unary(presence, token):
    request = pb.GetUserPresencesPurecloudRequest(user_id=USERS[0])
    answer, call = presence.GetUserPresencesPurecloud.with_call(request, metadata=bearer(token), timeout=5)
    expect(answer.presence_definition.system_presence == "Available", f"not available: {answer}")
    # The vendor's id of the request, for its support.
    expect("inin-correlation-id" in dict(call.initial_metadata()), "no correlation id came back")


def bulk(presence, token):
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=[*USERS, "nobody"])
    # Without `timeout`, the one of the service config applies. The gateway compresses
    # responses to compressed requests, which pays off over a slow network.
    answer = presence.GetUsersPresencesPurecloudBulk(request, metadata=bearer(token), compression=grpc.Compression.Gzip)
    expect(len(answer.presences) == 100, f"{len(answer.presences)} presences in place of 100")
    expect(list(answer.missing_ids) == ["nobody"], f"missing: {answer.missing_ids}")


def partial_results(presence, token):
    """One of the two batches fails; the response still has the presences of the other."""
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=USERS, allow_partial_results=True)
    answer = presence.GetUsersPresencesPurecloudBulk(request, metadata=bearer(f"{token}-partial"), timeout=30)
    failed = [id for failure in answer.failures for id in failure.ids]
    expect(len(answer.presences) == 50 and len(failed) == 50, f"{len(answer.presences)} read, {len(failed)} failed")
    # Each failure is a google.rpc.Status with the details of an error.
    status = answer.failures[0].status
    expect(status.code == grpc.StatusCode.INTERNAL.value[0], f"the batch failed with {status}")


def deadline(presence, token):
    try:
        request = pb.GetUserPresencesPurecloudRequest(user_id=USERS[0])
        presence.GetUserPresencesPurecloud(request, metadata=bearer(f"{token}-slow"), timeout=0.3)
        expect(False, "a call that takes 10 s ended within 0.3 s")
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, f"not DEADLINE_EXCEEDED: {error}")


def errors(presence, token):
    try:
        request = pb.GetUserPresencesPurecloudRequest(user_id="nobody")
        presence.GetUserPresencesPurecloud(request, metadata=bearer(token), timeout=5)
        expect(False, "nobody has a presence")
    except grpc.RpcError as error:
        info = detail(error, error_details_pb2.ErrorInfo)
        expect((info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND"), f"the error info is {info}")

    try:
        request = pb.GetUserPresencesPurecloudRequest(user_id="..")
        presence.GetUserPresencesPurecloud(request, metadata=bearer(token), timeout=5)
        expect(False, "`..` is an id")
    except grpc.RpcError as error:
        wrong = detail(error, error_details_pb2.BadRequest)
        fields = [violation.field for violation in wrong.field_violations]
        expect(fields == ["user_id"], f"wrong are {fields}")

    try:
        # The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
        # gateway fails the call at once, and the client can pass the delay on.
        request = pb.GetUserPresencesPurecloudRequest(user_id=USERS[0])
        presence.GetUserPresencesPurecloud(request, metadata=bearer(f"{token}-limited"), timeout=5)
        expect(False, "the call was not limited")
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, f"not RESOURCE_EXHAUSTED: {error}")
        delay = detail(error, error_details_pb2.RetryInfo).retry_delay
        expect(25 <= delay.seconds <= 30, f"come back in {delay}")


def retries(presence, token):
    """The vendor is unavailable for three requests, as many as the gateway sends for one call."""
    request = pb.GetUserPresencesPurecloudRequest(user_id=USERS[0])
    presence.GetUserPresencesPurecloud(request, metadata=bearer(f"{token}-unavailable"), timeout=10)

    try:
        # A PATCH is never retried automatically, although a second one would succeed.
        request = pb.PatchUserPresencesPurecloudRequest(user_id=USERS[0], body=models.UserPresence(message="lunch"))
        presence.PatchUserPresencesPurecloud(request, metadata=bearer(f"{token}-unavailable"), timeout=10)
        expect(False, "the PATCH was repeated")
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.UNAVAILABLE, f"the PATCH failed with {error}")


def streamed_bulk(presence_stream, token):
    """Any number of ids in constant memory: flow control follows the vendor's pace."""

    def requests():
        ids = [*USERS, *(f"nobody-{n}" for n in range(20))]
        for first in range(0, len(ids), 30):
            yield stream_pb.StreamUsersPresencesPurecloudBulkRequest(ids=ids[first : first + 30])

    read, missing, progress = 0, 0, None
    # No timeout: the duration of a stream depends on the number of ids.
    for answer in presence_stream.StreamUsersPresencesPurecloudBulk(requests(), metadata=bearer(token)):
        read += len(answer.presences)
        missing += len(answer.missing_ids)
        progress = answer.progress
    expect((read, missing) == (100, 20), f"{read} read and {missing} missing of 100 and 20")
    expect((progress.received, progress.done) == (120, 100), f"the progress at the end is {progress}")


def expect(is_right, otherwise):
    if not is_right:
        sys.exit(otherwise)


def main(address, ca_file=None, token="python"):
    with connect(address, ca_file) as channel:
        presence = PresenceServiceStub(channel)
        for step in (unary, bulk, partial_results, deadline, errors, retries):
            step(presence, token)
            print(f"{step.__name__}: ok")
        streamed_bulk(PresenceStreamServiceStub(channel), token)
        print("streamed_bulk: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
