"""Large calls that are rejected before their messages arrive: other calls on the connection continue.

Behind a proxy, all callers share one connection.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.request import urlopen

import grpc
import pytest

from clients import ANSWERED_WITHIN, new_token
from operations import OPERATIONS
from processes import free_port
from proxy import envoy_for_browsers
from watched import READ

# Many concurrent and many consecutive ones: in total far more than the errors that
# HTTP/2 tolerates on one connection.
AT_ONCE, EACH = 16, 40

# Strings just below and above the largest message that the gateway accepts.
LARGE = b"\x0a\x80\x80\xee\x01" + b"x" * 3_900_000
TOO_LARGE = LARGE * 2

WRITE = OPERATIONS["patch_user_presences_purecloud"]
WRITES = 8
USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(1, WRITES + 1)]


def nobody():
    """Metadata without a token."""
    return []


def anybody():
    """Metadata with a unique token."""
    return [("authorization", f"Bearer {new_token()}")]


def await_in_flight(metrics, count):
    """Waits until the metrics page shows `count` calls in flight."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    while f"presence_gateway_calls_in_flight {count}\n" not in (page := urlopen(metrics).read().decode()):
        assert time.monotonic() < deadline, f"{count} calls in flight expected: {page}"


@pytest.fixture
def busy(start_gateway, dial, stubs, tmp_path):
    """A channel through Envoy to a gateway that has writes of several callers in flight; they must succeed."""

    @contextmanager
    def open_channel(*flags):
        metrics = f"127.0.0.1:{free_port()}"
        flags = ("--sandbox", "--metrics-listen", metrics, *flags)
        latency = {"PRESENCE_GATEWAY_SANDBOX_LATENCY": "5s"}
        with (
            start_gateway(tmp_path / "gateway.log", *flags, **latency) as gateway,
            # What is gRPC already, it passes on as it is.
            envoy_for_browsers(tmp_path, gateway) as address,
            dial(address) as channel,
        ):
            writes = []
            for user in USERS:
                request = stubs.request(WRITE)
                request.user_id = user
                request.body.message = "in flight"
                write = stubs.method(channel, WRITE)
                writes.append(write.future(request, metadata=anybody(), timeout=ANSWERED_WITHIN))
            await_in_flight(f"http://{metrics}/metrics", WRITES)
            yield channel
            failed = [write.exception() for write in writes if write.exception()]
            assert not failed, f"{len(failed)} of {len(writes)} writes failed: {failed[0]}"

    return open_channel


@pytest.mark.parametrize(
    ("path", "message", "metadata", "flags", "code"),
    [
        pytest.param(READ, LARGE, nobody, (), "UNAUTHENTICATED", id="no_token"),
        pytest.param(READ, LARGE, anybody, ("--max-in-flight", str(WRITES)), "UNAVAILABLE", id="no_place"),
        pytest.param(READ + "s", LARGE, anybody, (), "UNIMPLEMENTED", id="no_method"),
        pytest.param(READ, TOO_LARGE, anybody, (), "RESOURCE_EXHAUSTED", id="too_large"),
    ],
)
def test_early_rejections_break_no_other_call(busy, path, message, metadata, flags, code):
    with busy(*flags) as channel:
        call = channel.unary_unary(path)

        def refused(_):
            error = call.future(message, metadata=metadata(), timeout=ANSWERED_WITHIN).exception()
            # Errors of the gateway have details, those of a proxy have none.
            has_details = any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())
            return error.code().name, "details" if has_details else error.details()

        with ThreadPoolExecutor(AT_ONCE) as callers:
            outcomes = Counter(callers.map(refused, range(AT_ONCE * EACH)))
    assert outcomes == {(code, "details"): AT_ONCE * EACH}
