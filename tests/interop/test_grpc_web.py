"""An Envoy in front of the gateway translates gRPC-Web, which the gateway does not serve.

test_hostile_calls.py tests that the gateway rejects it.
"""

import base64
import http.client
import struct

import pytest
from google.rpc import error_details_pb2, status_pb2

from proxy import envoy_for_browsers

METHOD = "/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud"
USER = "00000000-0000-4000-8000-000000000001"
TRAILERS = 0x80
TIMEOUT = 10  # seconds


def post(address, message, token):
    """Calls as a browser does: over HTTP/1.1, with the trailers in the body."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "authorization": f"Bearer {token}",
        "grpc-timeout": "5S",
    }
    connection.request("POST", METHOD, struct.pack(">BI", 0, len(message)) + message, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def frames(body):
    """The messages and the trailers of a response."""
    messages, trailers = [], {}
    while body:
        kind, length = struct.unpack(">BI", body[:5])
        content, body = body[5 : 5 + length], body[5 + length :]
        if kind & TRAILERS:
            lines = content.decode("ascii").split("\r\n")
            trailers |= dict(line.split(":", 1) for line in lines if line)
        else:
            messages.append(content)
    return messages, {name: value.strip() for name, value in trailers.items()}


@pytest.fixture
def proxied(sandbox_gateway, tmp_path):
    with envoy_for_browsers(tmp_path, sandbox_gateway) as address:
        yield address


def test_a_call_through_envoy_succeeds(proxied, stubs, token):
    request = stubs.presence.GetUserPresencesPurecloudRequest(user_id=USER)

    response, body = post(proxied, request.SerializeToString(), token)

    assert (response.status, response.headers["content-type"]) == (200, "application/grpc-web+proto")
    [message], trailers = frames(body)
    assert trailers["grpc-status"] == "0"
    presence = stubs.models.UserPresence.FromString(message)
    assert presence.presence_definition.system_presence == "Available"


def test_an_error_through_envoy_keeps_its_details(proxied, stubs, token):
    request = stubs.presence.GetUserPresencesPurecloudRequest(user_id="nobody")

    response, body = post(proxied, request.SerializeToString(), token)

    messages, trailers = frames(body)
    # A trailers-only response has its status in the headers.
    trailing = {name.lower(): value for name, value in response.headers.items()} | trailers
    assert (messages, trailing["grpc-status"]) == ([], "5"), trailing
    encoded = trailing["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND")
