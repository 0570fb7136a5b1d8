"""Little-used clients call the gateway, and differ from the others as docs/clients.md says.

Slow, because each is installed or built first, in a temporary directory.
"""

import importlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from grpclib.metadata import encode_timeout

from operations import ROOT
from processes import environment
from proxied import run_gateway, run_sandbox

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).resolve().parent / "little_used"
USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(1, 101)]
DEFAULT_DEADLINE = 2000  # milliseconds
TIMEOUT = 60  # seconds
INSTALLED_WITHIN = 1200  # seconds, on a busy machine

# One of the three batches of the bulk read fails.
FAULTS = ("status=500 times=1 path=/bulk", "never path=/systempresences", "status=500 path=/settings")
CALLS = {"unary": "Available", "bulk": [True, True, 101], "stream": 100, "error": ["NOT_FOUND", "ErrorInfo", "RequestInfo"]}


@pytest.fixture
def gateway(binary, tmp_path):
    """A gateway whose sandbox fails some requests."""
    with run_sandbox(binary, tmp_path) as sandbox:
        with run_gateway(binary, tmp_path, sandbox, "--default-deadline", f"{DEFAULT_DEADLINE}ms") as gateway:
            for fault in FAULTS:
                sandbox.misbehave(fault)
            yield gateway


def run(*words, timeout=TIMEOUT, cwd=None, input=None, **variables):
    """Runs a program and returns its output."""
    words = [str(word) for word in words]
    env = environment(**variables)
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, cwd=cwd, input=input, env=env)
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def protoc(*options, python=sys.executable):
    """Generates stubs from the protos; what protoc starts is found beside this Python."""
    protos = sorted((ROOT / "proto" / "genesys").rglob("*.proto"))
    path = os.pathsep.join([str(Path(python).parent), os.environ["PATH"]])
    run(python, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", *options, *protos, PATH=path)


def port(gateway):
    return gateway.address.rsplit(":", 1)[1]


def test_grpclib_makes_all_kinds_of_calls(gateway, tmp_path):
    protoc(f"--python_out={tmp_path}", f"--grpclib_python_out={tmp_path}")

    seen = json.loads(run(sys.executable, CLIENTS / "grpclib_client.py", tmp_path, port(gateway)))

    assert seen == CALLS | {"deadline": "DEADLINE_EXCEEDED"}


@pytest.mark.parametrize(("seconds", "sent"), [(9.9, "9900m"), (12.7, "12S"), (119.9, "119S")])
def test_grpclib_rounds_deadlines_down_to_whole_seconds_from_10_s_on(seconds, sent):
    assert encode_timeout(seconds) == sent


def test_betterproto2_makes_all_kinds_of_calls_with_its_asynchronous_stubs(gateway, tmp_path):
    folder = CLIENTS / "betterproto2"
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, timeout=INSTALLED_WITHIN)
    python = venv / "bin" / "python"
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", folder / "requirements.txt"]
    run(python, *pip, timeout=INSTALLED_WITHIN)
    for kind, options in (("asynchronous", ["--python_betterproto2_opt=client_generation=async"]), ("synchronous", [])):
        out = tmp_path / "stubs" / kind
        out.mkdir(parents=True)
        protoc(f"--python_betterproto2_out={out}", *options, python=python)

    seen = json.loads(run(python, folder / "client.py", tmp_path / "stubs", port(gateway)))

    names = seen.pop("json")
    parameters = seen.pop("parameters")
    assert seen == CALLS | {"deadline": "DEADLINE_EXCEEDED"}
    # Not `id`, the name of the field in JSON.
    assert names == {"writes": ["ids"], "id": "KeyError", "ids": ["a"]}
    # The synchronous stubs take no metadata, so no token.
    assert parameters == ["self", "message"]


def test_nice_grpc_makes_all_kinds_of_calls_and_sends_no_deadline(gateway, tmp_path):
    for name in ("package.json", "package-lock.json", "client.ts"):
        shutil.copy(CLIENTS / "nice-grpc" / name, tmp_path)
    run(ROOT / "tests" / "npm-ci", timeout=INSTALLED_WITHIN, cwd=tmp_path)
    tools = tmp_path / "node_modules" / ".bin"
    (tmp_path / "gen").mkdir()
    options = "outputServices=nice-grpc,outputServices=generic-definitions,useExactTypes=false,env=node,esModuleInterop=true"
    protoc(
        f"--plugin=protoc-gen-ts_proto={tools / 'protoc-gen-ts_proto'}",
        f"--ts_proto_out={tmp_path / 'gen'}",
        f"--ts_proto_opt={options}",
    )
    bundle = ["--bundle", "--platform=node", "--format=esm", "--packages=external", "--outfile=client.mjs"]
    run(tools / "esbuild", "client.ts", *bundle, cwd=tmp_path)

    seen = json.loads(run("node", "client.mjs", gateway.address, cwd=tmp_path))

    details = [f"google.rpc.{name}" for name in CALLS["error"][1:]]
    assert {name: seen[name] for name in CALLS} == CALLS | {"error": ["NOT_FOUND", *details]}
    # Both ended at 500 ms, but the gateway knew of the deadline in the metadata alone.
    assert seen["deadline"] == ["DEADLINE_EXCEEDED"]
    assert seen["sentByHand"][:2] == ["DEADLINE_EXCEEDED", "google.rpc.ErrorInfo"]
    assert [call["status"] for call in gateway.calls("GetSystempresences")] == ["CANCELLED", "DEADLINE_EXCEEDED"]
    # By default it repeats a write that may have been applied; with the option it does not.
    assert seen["retried"][0] == seen["notRetried"][0] == "INTERNAL"
    assert len(gateway.calls("PutPresenceSettings")) == 2 + 1


@pytest.fixture(scope="module")
def grpc_crate(tmp_path_factory):
    """The program of `little_used/grpc-crate`, which is built in a directory of its own."""
    assert shutil.which("cargo"), "cargo is not on the PATH"
    target = tmp_path_factory.mktemp("grpc-crate")
    manifest = CLIENTS / "grpc-crate" / "Cargo.toml"
    words = ["cargo", "build", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", target]
    # In the real home directory, which may hold the toolchain.
    run(*words, timeout=INSTALLED_WITHIN, HOME=pwd.getpwuid(os.getuid()).pw_dir)
    return target / "debug" / "grpc-crate-caller"


@pytest.fixture
def call(grpc_crate, gateway, stubs):
    """Makes a call with the crate; returns the response's messages and the last line that it printed."""

    def call(rpc, *requests, answer, service="PresenceService", deadline=()):
        path = f"/genesys.presence.v1.{service}/{rpc}"
        lines = "".join(f"{request.SerializeToString().hex()}\n" for request in requests)
        printed = run(grpc_crate, gateway.address, path, "crate", *deadline, input=lines).splitlines()
        messages = [line.removeprefix("message ") for line in printed if line.startswith("message ")]
        return [answer.FromString(bytes.fromhex(message)) for message in messages], printed[-1]

    return call


def test_the_crate_grpc_makes_all_kinds_of_calls(call, stubs):
    pb = stubs.presence
    ((one,), ended) = call(
        "GetUserPresencesPurecloud",
        pb.GetUserPresencesPurecloudRequest(user_id=USERS[0]),
        answer=stubs.models.UserPresence,
    )
    assert (one.presence_definition.system_presence, ended.split()[1]) == ("Available", "Ok")

    request = pb.GetUsersPresencesPurecloudBulkRequest(ids=[*USERS, "nobody"], allow_partial_results=True)
    ((many,), ended) = call("GetUsersPresencesPurecloudBulk", request, answer=pb.GetUsersPresencesPurecloudBulkResponse)
    failed = [id for failure in many.failures for id in failure.ids]
    assert failed and len(many.presences) + len(many.missing_ids) + len(failed) == 101, json_format.MessageToDict(many)

    streams = importlib.import_module("genesys.presence.v1.presence_stream_service_pb2")
    messages, ended = call(
        "StreamUsersPresencesPurecloudBulk",
        *(streams.StreamUsersPresencesPurecloudBulkRequest(ids=USERS[start : start + 50]) for start in (0, 50)),
        answer=streams.StreamUsersPresencesPurecloudBulkResponse,
        service="PresenceStreamService",
    )
    assert (sum(len(message.presences) for message in messages), ended.split()[1]) == (100, "Ok")


def test_the_crate_grpc_shows_no_details_of_an_error(call, stubs):
    request = stubs.presence.GetUserPresencesPurecloudRequest(user_id="nobody")

    assert call("GetUserPresencesPurecloud", request, answer=stubs.models.UserPresence) == ([], "ended NotFound 0")


def test_the_crate_grpc_neither_sends_nor_keeps_a_deadline(call, gateway, stubs):
    request = stubs.presence.GetSystempresencesRequest()

    _, ended = call("GetSystempresences", request, answer=stubs.presence.GetSystempresencesResponse, deadline=["100"])

    # The gateway's default ended the call.
    assert ended == "ended DeadlineExceeded 0"
    (logged,) = gateway.calls("GetSystempresences")
    assert logged["duration_ms"] > DEFAULT_DEADLINE / 2
