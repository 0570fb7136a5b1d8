"""What of a call's metadata reaches the vendor, and what of the vendor's comes back."""

import tomllib

import pytest

from clients import ANSWERED_WITHIN
from operations import OPERATIONS, ROOT
from recorder import CORRELATION_ID

# What an HTTP request of the gateway's own consists of.
OURS = {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "traceparent",
    "tracestate",
    "user-agent",
}

THEIRS = [
    ("cookie", "session=their-cookie"),
    ("x-custom", "their-header"),
    ("x-custom-bin", b"their-bytes"),
    ("x-forwarded-for", "198.51.100.7"),
    ("referer", "https://their-referer.example/"),
    ("purecloud-sdk", "their-sdk"),
    ("inin-correlation-id", "their-correlation-id"),
]


@pytest.fixture
def call(recorded_gateway, dial, stubs):
    """Calls a read or a write with metadata; gives the answer and gRPC's own account of the call."""

    def make(name, metadata):
        operation = OPERATIONS[name]
        request = stubs.request(operation)
        request.user_id = "user-1"
        if operation.parameters_in("body"):
            request.body.message = "back soon"
        with dial(recorded_gateway) as channel:
            return stubs.method(channel, operation).with_call(
                request, metadata=metadata, timeout=ANSWERED_WITHIN
            )

    return make


READ_AND_WRITE = pytest.mark.parametrize(
    "operation", ["get_user_presences_purecloud", "patch_user_presences_purecloud"]
)


@READ_AND_WRITE
def test_nothing_of_the_caller_but_the_token_goes_upstream(operation, call, recorder, token):
    call(operation, [("authorization", f"Bearer {token}"), *THEIRS])

    headers = recorder.request_with(f"Bearer {token}").headers
    assert {name for name, _ in headers} <= OURS
    arrived = [(name, value) for name, value in headers if "their-" in value or "198.51." in value]
    assert not arrived, "these came from the caller's metadata"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_authorization_is_forwarded_as_it_came(scheme, call, recorder, token):
    authorization = f"{scheme} {token}._~+/AbC=="
    call("get_user_presences_purecloud", [("authorization", authorization)])

    assert recorder.request_with(authorization)


@READ_AND_WRITE
def test_the_gateway_says_who_it_is_and_what_it_reads(operation, call, recorder, token):
    call(operation, [("authorization", f"Bearer {token}")])

    request = recorder.request_with(f"Bearer {token}")
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    assert request.header("user-agent") == [f"presence-gateway/{version}"]
    assert request.header("accept") == ["application/json"]


def test_a_body_is_declared_as_json(call, recorder, token):
    call("patch_user_presences_purecloud", [("authorization", f"Bearer {token}")])

    request = recorder.request_with(f"Bearer {token}")
    assert request.header("content-type") == ["application/json"]
    assert request.body == {"message": "back soon"}


@READ_AND_WRITE
def test_the_vendors_correlation_id_comes_back(operation, call, token):
    _, told = call(operation, [("authorization", f"Bearer {token}")])

    metadata = [*told.initial_metadata(), *told.trailing_metadata()]
    assert [v for k, v in metadata if k == "inin-correlation-id"] == [CORRELATION_ID]
