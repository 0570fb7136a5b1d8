"""HTTP/2 with front ends of others in the vendor's place: all kinds of calls, and connections that end."""

from contextlib import ExitStack

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from certificates import Authority
from http2_load import Load, forward_proxy, gateway_to
from proxied import USERS, run_sandbox
from proxied_caller import Caller, refused, users
from tls_fronts import FRONTS, OLD, front

READS, PATCHES, POSTS = 2000, 200, 100
RELOADS = 2

# They take HTTP/2 from a client that begins with it, whatever they offer by ALPN.
SPEAK_IT_UNOFFERED = ("HAProxy", "Envoy")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Issues the front ends' certificates; its file is what the gateway trusts."""
    authority = Authority()
    authority.file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.file.write_bytes(authority.pem)
    return authority


@pytest.fixture(scope="module")
def sandbox(binary, tmp_path_factory):
    with run_sandbox(binary, tmp_path_factory.mktemp("vendor"), "--users", str(USERS)) as sandbox:
        yield sandbox


@pytest.fixture
def started(binary, stubs, authority, sandbox, tmp_path):
    """Starts a front end, and a gateway whose upstream it is; gives them with a caller, once HTTP/2 is in use."""
    with ExitStack() as stack:

        def start(name, *flags, limit=False):
            ahead = stack.enter_context(front(name, tmp_path / "front", authority, sandbox, limit=limit))
            gateway = stack.enter_context(gateway_to(binary, tmp_path, ahead, authority.file, sandbox, *flags))
            caller = stack.enter_context(Caller(stubs, gateway.address))
            gateway.until_version(caller, "HTTP/2")
            return ahead, gateway, caller

        yield start


EACH = pytest.mark.parametrize("name", FRONTS)


@EACH
def test_calls_by_http_2_are_as_without_a_front_end(name, started, sandbox):
    ahead, gateway, caller = started(name)

    answer = caller.read_all(users(1000))
    assert (len(answer.presences), list(answer.missing_ids)) == (1000, [])
    error = refused(lambda: caller.read("nobody"))
    info = error_details_pb2.ErrorInfo()
    assert error.code() == grpc.StatusCode.NOT_FOUND and rpc_status.from_call(error).details[0].Unpack(info)
    assert (info.domain, info.reason) == ("genesys.cloud", "NOT_FOUND")
    caller.begin_write(users(1)[0]).result()
    assert caller.begin_post(f"of {name}").result().name == f"of {name}"
    # A body of 60 KB; then of 400 KB, which one response has to bring back.
    for length in (1_200, 8_000):
        texts = {user: f"{user} {'x' * length}" for user in users(50)}
        caller.put_all(texts)
        stored = {presence.self_uri.split("/")[-2]: presence.message for presence in caller.read_all(texts).presences}
        assert stored == texts
    reads = [caller.begin_read(user) for user in users(250)]
    assert not [read.exception() for read in reads if read.exception()]
    sandbox.misbehave(f"delay=5s token={caller.token}")
    late = refused(lambda: caller.begin("GetPresenceSettings", timeout=0.3).result())
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED, late.details()
    assert gateway.versions() == ["HTTP/2"]


@EACH
def test_no_call_fails_and_no_write_is_applied_twice_where_a_front_end_ends_connections(name, started, sandbox):
    ahead, gateway, caller = started(name, limit=True)
    load = Load(caller, sandbox, READS, PATCHES, POSTS)

    load.run([lambda: ahead.reload(limit=True)] * RELOADS)

    applied_twice = [write for write, times in load.applied.items() if times > 1]
    assert not applied_twice
    failed = {write: error for _, write, error in load.failed}
    lost = [write for write in load.written() if write not in load.applied and write not in failed]
    assert not lost, "these were answered and not applied"
    if name == "Apache":
        # It closes connections under requests that it has received, some of them applied: only
        # reads can be repeated.
        assert {(kind == "read", error.code()) for kind, _, error in load.failed} <= {(False, grpc.StatusCode.UNKNOWN)}
    else:
        assert not failed, f"{len(failed)} failed, the first with {next(iter(failed.values())).details()}"
    assert gateway.versions() == ["HTTP/2"]


@EACH
def test_no_call_fails_where_a_front_end_stops_to_offer_http_2(name, started, sandbox):
    ahead, gateway, caller = started(name)
    load = Load(caller, sandbox, reads=400, patches=0, posts=0)

    load.run([lambda: ahead.reload(OLD)])

    assert not load.failed, load.failed[0]
    if name in SPEAK_IT_UNOFFERED:
        assert gateway.versions()[-1] in ("HTTP/2", "HTTP/1.1")
    else:
        gateway.until_version(caller, "HTTP/1.1")


def test_http_2_passes_a_forward_proxy(started, tmp_path):
    with forward_proxy(tmp_path) as (proxy, log):
        ahead, gateway, caller = started("nginx", "--upstream-proxy", proxy)

        assert len(caller.read_all(users(1000)).presences) == 1000
        reads = [caller.begin_read(user) for user in users(250)]
        assert not [read.exception() for read in reads if read.exception()]
    assert gateway.versions() == ["HTTP/2"]
    authority = ahead.url.removeprefix("https://")
    assert f"CONNECT {authority}" in log.read_text(encoding="utf-8"), "the proxy saw no tunnel"
