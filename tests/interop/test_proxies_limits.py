"""The limits of each proxy of docs/proxies.md with its defaults, and the error that a caller sees."""

import grpc
import pytest
from grpc_status import rpc_status

from processes import free_port
from proxied_caller import LONGEST_TOKEN, USER, Caller, random_token, refused
from proxy_defaults import DEFAULTS
from proxy_page import table
from reverse_proxies import PROXIES


@pytest.fixture(scope="module", params=PROXIES)
def heading(request):
    return request.param


@pytest.fixture(scope="module")
def expected(heading):
    """The row of this proxy in the page."""
    return {behaviour: cells[heading] for behaviour, cells in table("with the defaults").items()}


@pytest.fixture(scope="module")
def address(heading, proxied_gateway, tmp_path_factory):
    directory = tmp_path_factory.mktemp("defaults")
    with PROXIES[heading].in_front_of(proxied_gateway.address, directory, DEFAULTS[heading]) as address:
        yield address


@pytest.fixture
def caller(stubs, address):
    with Caller(stubs, address) as caller:
        yield caller


def outcome(call):
    """The status of a call in the page's notation."""
    try:
        call()
    except grpc.RpcError as error:
        # A rejection by the gateway shows that the proxy forwarded the call.
        return "ok" if rpc_status.from_call(error) else error.code().name
    return "ok"


def test_the_longest_token_and_the_other_calls_of_its_connection(caller, expected, proxied_gateway):
    proxied_gateway.sandbox.misbehave(f"delay=500ms token={caller.token}")
    requests = proxied_gateway.sandbox.count()
    other = caller.begin_read()
    proxied_gateway.sandbox.wait_for_request_after(requests)

    caller.token = random_token(LONGEST_TOKEN)
    assert outcome(caller.read) == expected["a token of 16 KiB"]
    assert outcome(other.result) == expected["other calls on the connection of that caller"]


def test_a_message_of_more_than_a_mebibyte(caller, expected):
    # Each id is too long, so that the gateway itself rejects the message.
    assert outcome(lambda: caller.read_all(["x" * 1000] * 1100)) == expected["a message of 1.1 MB"]


def test_a_stream_of_more_than_a_mebibyte(caller, expected):
    stream = caller.stream()
    # After the response has begun, a proxy can only reset the stream.
    stream.send([USER])
    stream.receive()
    for _ in range(10):
        stream.send(["x" * 250] * 500)
    stream.close()

    def read_all():
        while stream.receive() is not None:
            pass

    assert outcome(read_all) == expected["a stream of 1.25 MB of ids"]


def test_an_unreachable_gateway_is_unavailable_without_details(heading, stubs, tmp_path):
    with PROXIES[heading].in_front_of(f"127.0.0.1:{free_port()}", tmp_path) as address:
        with Caller(stubs, address) as caller:
            error = refused(caller.read)

    assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()
    assert rpc_status.from_call(error) is None
