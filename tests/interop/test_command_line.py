"""`presence-gateway call` makes one call and prints the response or the error."""

import json
import subprocess

import pytest

from processes import environment

AVAILABLE = "6a3af858-942f-489d-9700-5f9bcdcdae9b"
TIMEOUT = 30  # seconds


@pytest.fixture
def call(binary, sandbox_gateway):
    """Runs `presence-gateway call` against a gateway with a sandbox."""

    def run(*words, **more):
        return subprocess.run(
            [binary, "call", *words, "--address", f"http://{sandbox_gateway}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            env=environment(**more),
            timeout=TIMEOUT,
        )

    return run


def output_of(done):
    """The output of the program, for the message of a failed test."""
    return f"it ended with {done.returncode}:\n{done.stdout}{done.stderr}"


def test_a_response_is_printed_as_json(call, token):
    done = call("GetPresenceDefinition", json.dumps({"definitionId": AVAILABLE}), "--token", token)

    assert done.returncode == 0, output_of(done)
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["systemPresence"]) == (AVAILABLE, "Available")


def test_the_token_may_come_from_the_environment(call, token):
    done = call("GetSystempresences", "{}", PRESENCE_GATEWAY_TOKEN=token)

    assert done.returncode == 0, output_of(done)
    assert json.loads(done.stdout)["systemPresences"]


def test_a_deprecated_operation_is_called_by_its_rpc(call, token):
    done = call("GetOrganizationPresence", json.dumps({"presenceId": AVAILABLE}), "--token", token)

    assert done.returncode == 0, output_of(done)
    assert json.loads(done.stdout)["id"] == AVAILABLE


def test_an_error_is_printed_with_its_details_and_exit_code_1(call, token):
    done = call("GetPresenceSource", '{"sourceId": "no-such-source"}', "--token", token)

    assert done.returncode == 1, output_of(done)
    assert done.stdout == ""
    for word in ("NOT_FOUND", "genesys.cloud", "google.rpc.ErrorInfo"):
        assert word in done.stderr, output_of(done)


def test_an_error_never_shows_the_token(call, token):
    done = call("GetPresenceSource", '{"sourceId": "no-such-source"}', "--token", token)

    assert token not in done.stdout + done.stderr
