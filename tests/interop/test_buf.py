"""The protos pass buf's lint and format checks, and buf can call the services."""

import json
import subprocess

import pytest

from operations import OPERATIONS, ROOT

TIMEOUT = 120  # seconds

# The gateway's own services, which the vendor does not have.
STREAMS = ("StreamUsersPresenceBulk", "StreamUsersPresencesPurecloudBulk")


@pytest.fixture
def run_buf(buf):
    """Runs buf, by default in the root of the repository."""

    def run(*words, at=ROOT):
        return subprocess.run(
            [str(buf), *map(str, words)],
            cwd=at,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture
def curl(run_buf, sandbox_gateway):
    """Runs `buf curl` against a gateway; it discovers the services by reflection."""

    def run(*words, path=""):
        plain = ["--protocol", "grpc", "--http2-prior-knowledge"]
        return run_buf("curl", *plain, *words, f"http://{sandbox_gateway}{path}")

    return run


def output_of(done):
    """The output of a run of buf, for the message of a failed test."""
    return f"buf ended with {done.returncode}:\n{done.stdout}{done.stderr}"


def test_buf_lint_passes(run_buf):
    done = run_buf("lint")
    assert done.returncode == 0, output_of(done)


def test_the_files_are_formatted(run_buf):
    done = run_buf("format", "--diff", "--exit-code")
    assert done.returncode == 0, output_of(done)


def test_the_protos_compile(run_buf, tmp_path):
    done = run_buf("build", "--output", tmp_path / "image.binpb")
    assert done.returncode == 0, output_of(done)


def test_curl_lists_every_method(curl):
    done = curl("--list-methods")

    assert done.returncode == 0, output_of(done)
    listed = {line for line in done.stdout.split() if line.startswith("genesys.presence.v1.")}
    streams = {f"genesys.presence.v1.PresenceStreamService/{rpc}" for rpc in STREAMS}
    streams.add("genesys.presence.v1.PresenceWatchService/WatchUsersPresences")
    assert listed == {f"{operation.service}/{operation.rpc}" for operation in OPERATIONS.values()} | streams


def test_curl_makes_a_call_and_prints_json(curl, token):
    done = curl(
        "--header", f"authorization: Bearer {token}", "--data", "{}",
        path="/genesys.presence.v1.PresenceService/GetSystempresences",
    )

    assert done.returncode == 0, output_of(done)
    assert "ON_QUEUE" in {each["name"] for each in json.loads(done.stdout)["systemPresences"]}


def test_curl_prints_the_details_of_an_error(curl):
    done = curl("--data", "{}", path="/genesys.presence.v1.PresenceService/GetSystempresences")

    assert done.returncode != 0, output_of(done)
    assert "unauthenticated" in done.stderr
    assert "google.rpc.ErrorInfo" in done.stderr
