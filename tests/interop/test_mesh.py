"""The default retries of a mesh repeat writes; deploy/README.md documents how often, and how to disable them."""

import json
import time
import urllib.request

import grpc
import pytest

from mesh import ISTIOS_DEFAULT, mesh

USER = "00000000-0000-4000-8000-000000000001"
TIMEOUT = 20  # seconds


@pytest.fixture(params=[ISTIOS_DEFAULT, None], ids=["default", "without-retries"])
def meshed(request, binary, sandbox, tmp_path):
    with mesh(binary, sandbox, tmp_path, request.param) as (address, replicas):
        yield address, replicas, bool(request.param)


def sandbox_request(url, rule=None):
    with urllib.request.urlopen(url, rule.encode() if rule else None, timeout=TIMEOUT) as answer:
        return json.load(answer)


def writes(sandbox):
    """How many PATCH requests the vendor received."""
    return [entry["method"] for entry in sandbox_request(f"{sandbox}/sandbox/requests")["requests"]].count("PATCH")


def until(what, happened):
    deadline = time.monotonic() + TIMEOUT
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{what} did not happen in {TIMEOUT} s"
        time.sleep(0.02)
    return found


def patch(stubs, channel, token):
    request = stubs.presence.PatchUserPresencesPurecloudRequest(user_id=USER)
    request.body.message = "gone for lunch"
    method = stubs.presence_grpc.PresenceServiceStub(channel).PatchUserPresencesPurecloud
    return method.future(request, timeout=TIMEOUT, metadata=[("authorization", f"Bearer {token}")])


def test_a_write_whose_replica_dies_is_retried(meshed, sandbox, stubs, dial, token):
    address, replicas, repeats = meshed
    # The vendor applies the write, but never responds.
    sandbox_request(f"{sandbox}/sandbox/misbehave", "never,after method=PATCH times=1")
    with dial(address) as channel:
        call = patch(stubs, channel, token)
        until("a PATCH at the vendor", lambda: writes(sandbox) == 1)
        (holder,) = until("a call in flight", lambda: [each for each in replicas if each.calls_in_flight()])
        holder.process.kill()
        code = call.code()
    assert (code, writes(sandbox)) == ((grpc.StatusCode.OK, 2) if repeats else (grpc.StatusCode.UNAVAILABLE, 1))


def test_a_write_that_the_vendor_rejects_is_retried(meshed, sandbox, stubs, dial, token):
    address, _, repeats = meshed
    sandbox_request(f"{sandbox}/sandbox/misbehave", "status=503 method=PATCH")
    with dial(address) as channel:
        assert patch(stubs, channel, token).code() == grpc.StatusCode.UNAVAILABLE
    assert writes(sandbox) == (3 if repeats else 1)
