"""Which metadata the gateway forwards to the vendor, and which it returns."""

import tomllib

import pytest

from clients import ANSWERED_WITHIN
from operations import OPERATIONS, ROOT
from recorder import CORRELATION_ID

# The headers that the gateway itself sends.
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
    """Calls a read or a write with metadata; returns the response and the gRPC call."""

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
def test_only_the_callers_token_is_forwarded_upstream(operation, call, recorder, token):
    call(operation, [("authorization", f"Bearer {token}"), *THEIRS])

    headers = recorder.request_with(f"Bearer {token}").headers
    assert {name for name, _ in headers} <= OURS
    arrived = [(name, value) for name, value in headers if "their-" in value or "198.51." in value]
    assert not arrived, "these came from the caller's metadata"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_authorization_is_forwarded_unchanged(scheme, call, recorder, token):
    authorization = f"{scheme} {token}._~+/AbC=="
    call("get_user_presences_purecloud", [("authorization", authorization)])

    assert recorder.request_with(authorization)


@READ_AND_WRITE
def test_the_gateway_sends_its_user_agent_and_accept_headers(operation, call, recorder, token):
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
def test_the_vendors_correlation_id_is_returned(operation, call, token):
    _, rpc = call(operation, [("authorization", f"Bearer {token}")])

    metadata = [*rpc.initial_metadata(), *rpc.trailing_metadata()]
    assert [v for k, v in metadata if k == "inin-correlation-id"] == [CORRELATION_ID]
