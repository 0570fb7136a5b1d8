"""What examples/python has but does not print. `run` starts it, with the modules of the example on the path."""

import sys

import grpc
from example import USERS, bearer, connect, definition_id, write_many, write_one
from genesys.presence.v1 import presence_service_pb2 as pb
from genesys.presence.v1.presence_pb2 import OrganizationPresenceDefinition
from genesys.presence.v1.presence_service_pb2_grpc import PresenceServiceStub

TOKEN = "python"


def main(address: str, ca_file: str | None = None) -> None:
    with connect(address, ca_file) as channel:
        presence = PresenceServiceStub(channel)
        sees_the_headers(presence)
        writes(presence)


def sees_the_headers(presence: PresenceServiceStub) -> None:
    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=USERS)
    _, call = presence.GetUsersPresencesPurecloudBulk.with_call(
        request, metadata=bearer(TOKEN), compression=grpc.Compression.Gzip
    )
    headers = dict(call.initial_metadata())
    expect("inin-correlation-id" in headers, f"no correlation id is in {headers}")


def writes(presence: PresenceServiceStub) -> None:
    """A status of one's own, by its label; a message stays until another is set."""
    lunch = OrganizationPresenceDefinition(system_presence="Meal", language_labels={"en_US": "Lunch"})
    request = pb.PostPresenceDefinitionsRequest(body=lunch)
    presence.PostPresenceDefinitions(request, metadata=bearer(TOKEN), timeout=5)
    lunch_id = definition_id(presence, TOKEN, "Lunch")
    for message, wanted in (("back at one", "back at one"), (None, "back at one"), ("", "")):
        answer = write_one(presence, TOKEN, USERS[1], lunch_id, message)
        expect((answer.presence_definition.id, answer.message) == (lunch_id, wanted), f"the status is {answer}")
    outcomes, cause = write_many(presence, TOKEN, USERS[1:], lunch_id)
    expect(outcomes["applied"] == USERS[1:] and cause is None, f"the bulk write: {outcomes}, {cause}")


def expect(is_right: bool, otherwise: str) -> None:
    if not is_right:
        sys.exit(otherwise)


main(*sys.argv[1:])
