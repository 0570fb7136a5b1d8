"""Calls through each proxy of docs/proxies.md with the configuration that the page recommends."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from proxied import USERS, shapes
from proxied_caller import LONGEST_TOKEN, USER, Caller, random_token, refused, users
from proxy_page import table
from reverse_proxies import PROXIES

MEBIBYTE = 1 << 20

# The gateway's limit of concurrent calls per token.
GATEWAYS_SHARE = 256

# The limit that docs/errors.md promises for a status: message and details together.
LARGEST_STATUS = 4096


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request):
    return PROXIES[request.param]


@pytest.fixture(scope="module")
def address(proxy, proxied_gateway, tmp_path_factory):
    with proxy.in_front_of(proxied_gateway.address, tmp_path_factory.mktemp("proxy")) as address:
        yield address


@pytest.fixture
def caller(stubs, address):
    with Caller(stubs, address) as caller:
        yield caller


def test_the_page_names_the_tested_version(proxy):
    named = table("proxy")[proxy.heading]["version"]
    version = proxy.printed_version()
    assert f"{version}.".startswith(f"{named}."), f"{proxy.heading} is {version}; docs/proxies.md names {named}"


def test_an_error_keeps_its_details(caller):
    error = refused(lambda: caller.read("nobody"))

    assert error.code() == grpc.StatusCode.NOT_FOUND, error.details()
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    assert (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND")


def test_the_largest_status_of_a_gateway_passes_with_and_without_a_message_before_it(proxy, tmp_path):
    with shapes(LARGEST_STATUS) as (server, details), proxy.in_front_of(server, tmp_path) as address:
        with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            alone = refused(lambda: channel.unary_unary("/shapes/Unary")(b"", timeout=10))
            late = channel.unary_stream("/shapes/Streamed")(b"", timeout=10)
            assert next(late) == b"first"
            after = refused(lambda: next(late))

    for error in (alone, after):
        assert error.code() == grpc.StatusCode.NOT_FOUND, error.details()
        assert dict(error.trailing_metadata())["grpc-status-details-bin"] == details


def test_a_bulk_read_of_5000_is_complete(caller):
    answer = caller.read_all(users(USERS))

    assert (len(answer.presences), list(answer.missing_ids)) == (USERS, [])


def test_a_message_of_4_mebibytes_passes(caller):
    # Each id is too long, so that the gateway itself rejects the message.
    error = refused(lambda: caller.read_all(["x" * 1000] * 4150))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.details()


def test_a_stream_is_answered_before_its_end(caller):
    stream = caller.stream()

    for user in users(3):
        stream.send([user])
        answer = stream.receive()
        assert [presence.self_uri.split("/")[-2] for presence in answer.presences] == [user]
    stream.close()
    assert stream.receive() is None


def test_a_stream_of_more_than_a_mebibyte_passes_both_ways(caller):
    ids = [f"{number:0>250}" for number in range(5000)]
    stream = caller.stream()

    for begin in range(0, len(ids), 500):
        stream.send(ids[begin : begin + 500])
    stream.close()
    missing = []
    while (answer := stream.receive()) is not None:
        missing += answer.missing_ids
    assert missing == ids, f"{len(missing)} of {len(ids)} ids returned"
    assert sum(map(len, ids)) > MEBIBYTE


# Each of the three uses its own RPC, to find its line in the access log.


def test_a_deadline_reaches_the_gateway(caller, proxied_gateway):
    before = proxied_gateway.calls("GetPresenceSettings")
    proxied_gateway.sandbox.misbehave(f"delay=5s token={caller.token}")

    error = refused(lambda: caller.begin("GetPresenceSettings", timeout=0.5).result())

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error.details()
    entry = proxied_gateway.call_after(before, "GetPresenceSettings")
    assert entry["status"] == "DEADLINE_EXCEEDED" and entry["duration_ms"] < 1000, entry


def test_a_cancelled_call_ends_at_the_gateway_but_behind_apache(caller, proxied_gateway, proxy):
    before = proxied_gateway.calls("GetPresenceSources")
    proxied_gateway.sandbox.misbehave(f"delay=2s token={caller.token}")
    requests = proxied_gateway.sandbox.count()
    call = caller.begin("GetPresenceSources")
    proxied_gateway.sandbox.wait_for_request_after(requests)

    call.cancel()

    entry = proxied_gateway.call_after(before, "GetPresenceSources")
    expected = {"ends": "CANCELLED", "goes on": "OK"}[table("behaviour")["a cancelled unary call"][proxy.heading]]
    assert entry["status"] == expected, entry


def test_a_cancelled_stream_ends_at_the_gateway(caller, proxied_gateway):
    before = proxied_gateway.calls("StreamUsersPresenceBulk")
    proxied_gateway.sandbox.misbehave(f"delay=5s token={caller.token}")
    requests = proxied_gateway.sandbox.count()
    stream = caller.stream_of_source()
    stream.send([USER])
    proxied_gateway.sandbox.wait_for_request_after(requests)

    stream.call.cancel()

    entry = proxied_gateway.call_after(before, "StreamUsersPresenceBulk")
    assert entry["status"] == "CANCELLED", entry


def test_the_longest_token_passes(caller):
    caller.token = random_token(LONGEST_TOKEN)

    assert caller.read().source == "PURECLOUD"


@pytest.mark.parametrize("authority", ["10.0.0.1:50051,10.0.0.2:50051", "%2Frun%2Fproxy.sock"])
def test_an_authority_that_is_no_host_name_is_replaced_but_by_apache(stubs, address, proxy, authority):
    with Caller(stubs, address, **{"grpc.default_authority": authority}) as caller:
        error = caller.begin_read().exception()

    outcome = error.code().name if error else "ok"
    assert outcome == table("behaviour")["an `:authority` that is no host name"][proxy.heading], error


def test_many_concurrent_calls_all_succeed(stubs, address, proxied_gateway, proxy):
    # Enough for a GOAWAY on the proxy's connection, if the page says that the proxy handles that.
    callers = [Caller(stubs, address) for _ in range(4)]
    for caller in callers:
        proxied_gateway.sandbox.misbehave(f"delay=200ms token={caller.token} times={GATEWAYS_SHARE}")
    count = int(table("behaviour")["calls at once, all answered"][proxy.heading])
    assert count <= len(callers) * GATEWAYS_SHARE

    calls = [callers[number % len(callers)].begin("GetSystempresences") for number in range(count)]

    failed = [call.exception() for call in calls if call.exception()]
    assert not failed, f"{len(failed)} of {count} failed: {failed[0]}"
    for caller in callers:
        caller.close()
