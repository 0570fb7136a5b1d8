"""The claims of docs/clients.md about rarer clients: how they handle a closed connection and error details."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import StreamTerminatedError

from operations import ROOT
from processes import environment
from proxied import run_gateway, run_sandbox

HERE = Path(__file__).resolve().parent
USER = "00000000-0000-4000-8000-000000000001"
TIMEOUT = 20  # seconds

# A connection that had more concurrent calls than this gets a GOAWAY.
MANY = 256
GATEWAYS_SHARE = 256  # of one token


@pytest.fixture
def gateway(binary, tmp_path):
    """A gateway that only this test uses, so it may kill it."""
    with run_sandbox(binary, tmp_path) as sandbox, run_gateway(binary, tmp_path, sandbox) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def descriptors(buf, tmp_path_factory):
    """The descriptor set of the protos."""
    path = tmp_path_factory.mktemp("descriptors") / "set.binpb"
    subprocess.run([buf, "build", ROOT, "-o", path], check=True, timeout=TIMEOUT, env=environment())
    return path


@pytest.fixture
def connect_node(descriptors, gateway):
    """Starts a call with connect-node, which prints the final code."""
    started = []

    def start(*words):
        command = ["node", HERE / "connect.mjs", descriptors, gateway.address, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        pytest.param("getUserPresencesPurecloud", f'{{"userId": "{USER}"}}', id="read"),
        pytest.param("patchUserPresencesPurecloud", f'{{"userId": "{USER}", "body": {{"message": ""}}}}', id="write"),
    ],
)
def test_connect_node_reports_canceled_or_aborted_if_the_connection_ends_during_a_call(connect_node, gateway, method, request_):
    gateway.sandbox.misbehave("never")
    requests = gateway.sandbox.count()
    call = connect_node(method, request_)
    gateway.sandbox.wait_for_request_after(requests)

    gateway.process.kill()

    # connect-node maps an orderly end of the connection to Canceled, and a reset (ECONNRESET) to Aborted. The kernel
    # decides which one follows a kill: it resets the connection if the gateway has not read all that was sent to it.
    code = call.communicate(timeout=TIMEOUT)[0].strip()
    assert code in {"Canceled", "Aborted"}, f"the connection has ended during the call: {code!r}"


@pytest.mark.parametrize(("days", "code"), [(24, "ok"), (25, "DeadlineExceeded")])
def test_connect_node_fails_by_itself_with_a_deadline_above_24_8_days(connect_node, days, code):
    call = connect_node("getSystempresences", "{}", str(days * 24 * 3600 * 1000))

    assert call.communicate(timeout=TIMEOUT)[0].strip() == code


def test_grpclib_decodes_details_once_their_types_are_imported(gateway):
    words = [sys.executable, HERE / "grpclib_details.py", gateway.address.rsplit(":", 1)[1]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, env=environment())

    assert done.stdout.splitlines() == ["_Unknown _Unknown", "ErrorInfo RequestInfo"], done.stderr


@pytest.mark.parametrize("count", [MANY - 16, MANY + 44])
def test_grpclib_loses_calls_after_a_goaway(gateway, stubs, count):
    gateway.sandbox.misbehave("delay=2s path=/systempresences")
    # A few calls last longer: they are in flight when the connection gets its GOAWAY.
    gateway.sandbox.misbehave("delay=4s path=/settings")

    outcomes = asyncio.run(_call(gateway, stubs.presence, stubs.models, count))

    lost = outcomes.pop(StreamTerminatedError, 0)
    assert set(outcomes) == {None}, outcomes
    assert (lost > 0) == (count > MANY), f"{lost} of {count} were lost"


async def _call(gateway, requests, models, count):
    """Makes `count` concurrent calls on one channel, and counts the exceptions that they raised."""
    host, port = gateway.address.rsplit(":", 1)
    channel = Channel(host, int(port))
    methods = [
        ("GetSystempresences", requests.GetSystempresencesRequest, requests.GetSystempresencesResponse),
        ("GetPresenceSettings", requests.GetPresenceSettingsRequest, models.PresenceSettings),
    ]

    async def call(number):
        name, request, answer = methods[number % 50 == 0]
        method = UnaryUnaryMethod(channel, f"/genesys.presence.v1.PresenceService/{name}", request, answer)
        token = f"token-{number % (1 + count // GATEWAYS_SHARE)}"
        await method(request(), metadata={"authorization": f"Bearer {token}"}, timeout=TIMEOUT)

    try:
        raised = await asyncio.gather(*map(call, range(count)), return_exceptions=True)
    finally:
        channel.close()
    return Counter(type(error) if error else None for error in raised)
