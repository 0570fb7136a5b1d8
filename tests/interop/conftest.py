"""Fixtures: the programs under test, the clients, and a recorder that stands in for the vendor."""

import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest

from clients import JavaScriptProcess, Stubs, new_token
from operations import ROOT
from peer import connected
from processes import environment, free_port, running
from proxied import USERS, run_gateway, run_sandbox
from recorder import recording
from watched import monitored_gateway

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment(tmp_path_factory):
    """Sets an empty home directory, and no proxy for the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def binary():
    """The gateway's program."""
    path = os.environ.get("PRESENCE_GATEWAY_BIN")
    if not path or not Path(path).is_file():
        pytest.fail("PRESENCE_GATEWAY_BIN names no file: start the tests with tests/interop/run")
    return path


@pytest.fixture(scope="session")
def buf():
    """The path of buf."""
    path = HERE / "node_modules" / ".bin" / "buf"
    if not path.exists():
        pytest.fail("buf is not installed: start the tests with tests/interop/run")
    return path


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Python modules that protoc generates from the protos as they are published."""
    from grpc_tools import protoc

    out = tmp_path_factory.mktemp("stubs")
    protos = sorted((ROOT / "proto" / "genesys").rglob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    words = ["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
    assert protoc.main(words + [str(path) for path in protos]) == 0, "protoc refused the protos"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(out))
        yield Stubs()


@pytest.fixture(scope="session")
def javascript():
    """A Node process with the JavaScript SDK in it."""
    assert shutil.which("node"), "node is not on the PATH"
    process = JavaScriptProcess(HERE / "sdk.mjs", environment())
    yield process
    process.stop()


@pytest.fixture(scope="session")
def recorder():
    """A stub server that stands in for the vendor and records its requests."""
    with recording() as recorder:
        yield recorder


@pytest.fixture(scope="session")
def start_gateway(binary):
    """Starts `presence-gateway serve` for a `with` block, which gets the address."""
    @contextmanager
    def start(log, *words, **variables):
        port = free_port()
        # The pauses of the shutdown serve load balancers; the tests have none.
        env = environment(PRESENCE_GATEWAY_LAME_DUCK="0s", PRESENCE_GATEWAY_DRAIN_TIMEOUT="1s", **variables)
        command = [binary, "serve", "--listen", f"127.0.0.1:{port}", *words]
        with running(command, port, log, env):
            yield f"127.0.0.1:{port}"

    return start


@pytest.fixture
def sandbox(binary, tmp_path):
    """The base URL of a sandbox that only this test uses."""
    port = free_port()
    command = [binary, "sandbox", "--listen", f"127.0.0.1:{port}"]
    with running(command, port, tmp_path / "sandbox.log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def recorded_gateway(start_gateway, recorder, tmp_path_factory):
    """The address of a gateway whose upstream is the recorder."""
    log = tmp_path_factory.mktemp("gateway") / "recorded.log"
    with start_gateway(log, "--upstream-url", recorder.address) as address:
        yield address


@pytest.fixture(scope="session")
def sandbox_gateway(start_gateway, tmp_path_factory):
    """The address of a gateway with a sandbox, shared by tests that leave its state unchanged."""
    log = tmp_path_factory.mktemp("gateway") / "sandbox.log"
    with start_gateway(log, "--sandbox") as address:
        yield address


@pytest.fixture(scope="session")
def proxied_gateway(binary, tmp_path_factory):
    """The gateway behind the proxies, in front of a sandbox without a rate limit."""
    directory = tmp_path_factory.mktemp("proxied")
    with run_sandbox(binary, directory, "--users", str(USERS)) as sandbox:
        with run_gateway(binary, directory, sandbox) as gateway:
            yield gateway


@pytest.fixture(scope="session")
def dial():
    """Opens a gRPC channel to an address."""
    @contextmanager
    def open_channel(address):
        with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            yield channel

    return open_channel


@pytest.fixture
def token():
    """A bearer token that only this test uses."""
    return new_token()


@pytest.fixture
def attacked(request, binary, tmp_path):
    """A monitored gateway: it must serve other callers during the test, and release its resources after it.

    Its flags are the parameter, if the test has one for this fixture.
    """
    with monitored_gateway(binary, tmp_path / "attacked.log", *getattr(request, "param", ())) as gateway:
        yield gateway


@pytest.fixture
def connect(attacked):
    """Opens connections of a hostile peer, and closes all at the end."""
    with ExitStack() as connections:

        def open_connection(settings=(), *, handshakes=True):
            peer = connections.enter_context(connected(attacked.address))
            if handshakes:
                peer.handshake(settings)
            return peer

        yield open_connection
