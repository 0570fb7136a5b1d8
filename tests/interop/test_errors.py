"""A client in another language decodes the gateway's errors with only the standard types."""

import re

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from clients import ANSWERED_WITHIN
from operations import OPERATIONS

UNKNOWN_ID = "00000000-dead-4bad-8000-000000000000"


@pytest.fixture
def refusal(sandbox_gateway, dial, stubs, token):
    """Makes a call that must fail, and returns the error."""

    def make(name, metadata=None, **fields):
        operation = OPERATIONS[name]
        request = type(stubs.request(operation))(**fields)
        if metadata is None:
            metadata = [("authorization", f"Bearer {token}")]
        with dial(sandbox_gateway) as channel, pytest.raises(grpc.RpcError) as caught:
            stubs.method(channel, operation)(request, metadata=metadata, timeout=ANSWERED_WITHIN)
        return caught.value

    return make


def detail(error, type_):
    """The only detail of this type in the error's google.rpc.Status."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no google.rpc.Status came with {error.code()}: {error.details()}"
    found = [each for each in status.details if each.Is(type_.DESCRIPTOR)]
    carried = [each.type_url for each in status.details]
    assert len(found) == 1, f"expected one {type_.DESCRIPTOR.full_name} among {carried}"
    message = type_()
    found[0].Unpack(message)
    return message


def test_the_status_details_repeat_code_and_message(refusal):
    error = refusal("get_presence_source", source_id=UNKNOWN_ID)

    status = rpc_status.from_call(error)
    assert (status.code, status.message) == (error.code().value[0], error.details())


def test_a_missing_resource_is_not_found_with_the_vendors_code(refusal):
    error = refusal("get_presence_source", source_id=UNKNOWN_ID)

    assert error.code() == grpc.StatusCode.NOT_FOUND, error.details()
    info = detail(error, error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND")


def test_the_vendors_correlation_id_is_in_the_metadata_and_the_details(refusal):
    error = refusal("get_presence_source", source_id=UNKNOWN_ID)

    ids = [value for key, value in error.trailing_metadata() if key == "inin-correlation-id"]
    assert len(ids) == 1 and ids[0], f"trailing metadata: {error.trailing_metadata()}"
    assert detail(error, error_details_pb2.RequestInfo).request_id == ids[0]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param([], id="none"),
        pytest.param([("authorization", "Basic dXNlcjpwYXNz")], id="another_scheme"),
        pytest.param([("authorization", "Bearer a"), ("authorization", "Bearer b")], id="two"),
    ],
)
def test_a_call_without_a_bearer_token_is_unauthenticated(refusal, metadata):
    error = refusal("get_systempresences", metadata=metadata)

    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error.details()
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info.domain == "presence-gateway"
    assert re.fullmatch("[A-Z][A-Z0-9_]{0,62}", info.reason), f"the reason is {info.reason!r}"


@pytest.mark.parametrize(
    ("operation", "fields", "field"),
    [
        pytest.param("patch_user_presences_purecloud", {"user_id": "u"}, "body", id="no_body"),
        pytest.param("put_presencedefinition", {"presence_id": "p"}, "body", id="no_legacy_body"),
        pytest.param("get_users_presences_purecloud_bulk", {"ids": ["a", "b,c"]}, "ids[1]", id="a_comma"),
        pytest.param("get_presence_definitions", {"division_ids": [""]}, "division_ids[0]", id="an_empty_value"),
        pytest.param("get_user_presences_purecloud", {"user_id": ".."}, "user_id", id="two_dots"),
        pytest.param("put_users_presences_bulk", {"body": [{"id": "u"}, {}]}, "body[1].id", id="no_user"),
    ],
)
def test_an_invalid_argument_is_named_by_its_field(refusal, operation, fields, field):
    error = refusal(operation, **fields)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.details()
    violations = detail(error, error_details_pb2.BadRequest).field_violations
    assert [each.field for each in violations] == [field]
    assert violations[0].description, "the violation has no description"
    assert detail(error, error_details_pb2.ErrorInfo).domain == "presence-gateway"
