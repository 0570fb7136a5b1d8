"""Tests client.py and client_aio.py against a sandbox with the rules of ../run, which starts it."""

import asyncio
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2

sys.path.insert(0, str(Path(__file__).parent / "gen"))

import client
import client_aio
from client import bearer, detail
from genesys.presence.v1 import presence_pb2 as models
from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub
from genesys.presence.v1.presence_stream_service_pb2_grpc import PresenceStreamServiceStub

USERS = [f"00000000-0000-4000-8000-{n:012}" for n in range(1, 101)]
SERVICE_CONFIG = Path(__file__).parents[3] / "proto" / "service-config.json"


def unary(presence, token):
    request = pb.GetUserPresencesPurecloudRequest(user_id=USERS[0])
    answer, call = presence.GetUserPresencesPurecloud.with_call(request, metadata=bearer(token), timeout=5)
    expect(answer.presence_definition.system_presence == "Available", f"not available: {answer}")
    # The vendor's id of the request, for its support.
    expect("inin-correlation-id" in dict(call.initial_metadata()), "no correlation id came back")


def bulk(presence, token):
    read, missing = client.read_many(presence, token, [*USERS, "nobody"])
    expect(len(read) == 100, f"{len(read)} presences in place of 100")
    expect(missing == ["nobody"], f"missing: {missing}")


def partial_results(presence, token):
    """One of the two batches fails; the response still has the presences of the other."""
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=USERS, allow_partial_results=True)
    answer = presence.GetUsersPresencesPurecloudBulk(request, metadata=bearer(f"{token}-partial"), timeout=30)
    failed = [id for failure in answer.failures for id in failure.ids]
    expect(len(answer.presences) == 50 and len(failed) == 50, f"{len(answer.presences)} read, {len(failed)} failed")
    # Each failure is a google.rpc.Status with the details of an error.
    status = answer.failures[0].status
    expect(status.code == grpc.StatusCode.INTERNAL.value[0], f"the batch failed with {status}")


def writes(presence, token):
    lunch = models.OrganizationPresenceDefinition(system_presence="Meal", language_labels={"en_US": "Lunch"})
    presence.PostPresenceDefinitions(pb.PostPresenceDefinitionsRequest(body=lunch), metadata=bearer(token), timeout=5)
    lunch_id = client.definition(presence, token, "Lunch")
    answer = client.set_status(presence, token, USERS[1], lunch_id, "back at one")
    expect((answer.presence_definition.id, answer.message) == (lunch_id, "back at one"), f"the status is {answer}")
    answer = client.set_status(presence, token, USERS[1], lunch_id)
    expect(answer.message == "back at one", f"a status without a message changed it: {answer}")

    # Not the first user, whose status other steps and clients expect.
    outcomes = client.set_many(presence, token, USERS[1:], lunch_id)
    expect(outcomes["applied"] == USERS[1:], f"the bulk write: {outcomes}")
    # One of the two batches gets a 503.
    outcomes = client.set_many(presence, f"{token}-unavailable", USERS[1:], lunch_id)
    expect(
        len(outcomes["failed"]) in (49, 50)
        and not outcomes["unknown"]
        and sorted(sum(outcomes.values(), [])) == USERS[1:],
        f"the bulk write with a failure: {outcomes}",
    )


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
    read, missing, progress = 0, 0, None
    for answer in client.stream(presence_stream, token, [*USERS, *(f"nobody-{n}" for n in range(20))]):
        read += len(answer.presences)
        missing += len(answer.missing_ids)
        progress = answer.progress
    expect((read, missing) == (100, 20), f"{read} read and {missing} missing of 100 and 20")
    expect((progress.received, progress.done) == (120, 100), f"the progress at the end is {progress}")


async def with_asyncio(address, ca_file, token):
    async with client_aio.connect(address, ca_file, SERVICE_CONFIG) as channel:
        presence = PresenceServiceStub(channel)
        users = (USERS[0], "nobody")
        read = await asyncio.gather(*(client_aio.system_presence(presence, token, user) for user in users))
        expect(read == ["Available", None], f"read with asyncio: {read}")
        done = 0
        async for answer in client_aio.stream(PresenceStreamServiceStub(channel), token, USERS):
            done += len(answer.presences)
        expect(done == 100, f"{done} of 100 streamed with asyncio")


def expect(is_right, otherwise):
    if not is_right:
        sys.exit(otherwise)


def main(address, ca_file=None, token="python"):
    with client.connect(address, ca_file, SERVICE_CONFIG) as channel:
        presence = PresenceServiceStub(channel)
        for step in (unary, bulk, partial_results, writes, deadline, errors, retries):
            step(presence, token)
            print(f"{step.__name__}: ok")
        streamed_bulk(PresenceStreamServiceStub(channel), token)
        print("streamed_bulk: ok")
    asyncio.run(with_asyncio(address, ca_file, token))
    print("with_asyncio: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
