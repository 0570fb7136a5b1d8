"""A real redis-server, and replicas that share the budget of a token in it."""

import json
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc

from clients import new_token
from processes import environment, free_port, running
from proxied import Sandbox
from reverse_proxies import DEBIAN, LIBRARIES

WAIT_TIMEOUT = 15  # seconds

# The requests of a token in a minute.
LIMIT = 20

USER = "00000000-0000-4000-8000-000000000001"
KEY = re.compile(r"^presence-gateway:\{[0-9a-f]{32}\}$")

# What a busy machine needs more than 50 ms for.
PATIENT = ("--budget-store-timeout", "1s")


def wait_for(condition, what):
    """Waits until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {WAIT_TIMEOUT} s for {what}"
        time.sleep(0.02)
    return value


REDIS = DEBIAN / "usr/bin/redis-server"

# A program of each kind and version that docs/shared-budget.md names.
STORES = Path(__file__).parent / ".stores"
SERVERS = {"redis 6.2": STORES / "redis-6.2", "redis 7.0": REDIS, "valkey 9.1": STORES / "valkey-9.1"}


class Redis:
    """A redis-server on a port of its own, which can be stopped and started."""

    def __init__(self, directory, *options, server=REDIS):
        self.port = free_port()
        self._server = server
        self._directory = directory
        self._options = options
        self._stack = ExitStack()
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [
            self._server, "--port", str(self.port), "--bind", "127.0.0.1",
            "--save", "", "--dir", str(self._directory), *self._options,
        ]
        log = self._directory / "redis.log"
        process = running(command, self.port, log, environment(LD_LIBRARY_PATH=LIBRARIES))
        self.process = self._stack.enter_context(process)
        return self

    def stop(self):
        """Ends it, and forgets all data."""
        self._stack.close()

    @contextmanager
    def frozen(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def cli(self, *words):
        command = [DEBIAN / "usr/bin/redis-cli", "-p", str(self.port), *words]
        env = environment(LD_LIBRARY_PATH=LIBRARIES)
        result = subprocess.run(command, env=env, capture_output=True, timeout=10, check=True)
        return result.stdout.decode(errors="replace").strip()

    def keys(self):
        return [key for key in self.cli("--scan").splitlines() if "probe" not in key]


class Replica:
    """A gateway, with its log and calls to it."""

    def __init__(self, address, log, channel, stubs):
        self.address = address
        self._log = log
        self._channel = channel
        self._stubs = stubs

    def read(self, token, deadline=3):
        """Reads a presence; returns the status code."""
        module = self._stubs.presence
        request = module.GetUserPresencesPurecloudRequest(user_id=USER)
        return self._call("GetUserPresencesPurecloud", request, token, deadline)

    def read_bulk(self, token, ids, deadline=3, partial=False):
        module = self._stubs.presence
        request = module.GetUsersPresencesPurecloudBulkRequest(
            ids=[f"user-{index}" for index in range(ids)], allow_partial_results=partial)
        return self._call("GetUsersPresencesPurecloudBulk", request, token, deadline)

    def _call(self, rpc, request, token, deadline):
        stub = self._stubs.presence_grpc.PresenceServiceStub(self._channel)
        metadata = [("authorization", f"Bearer {token}")]
        try:
            getattr(stub, rpc)(request, metadata=metadata, timeout=deadline)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def log(self):
        return self._log.read_text(encoding="utf-8")

    def lines(self, part):
        return [json.loads(line) for line in self.log().splitlines() if part in line]


class Replicas:
    """Replicas in front of one sandbox."""

    def __init__(self, all_of_them, sandbox):
        self.all = all_of_them
        self.sandbox = sandbox

    def burst(self, count, token, deadline=3):
        """Reads at once through all replicas in turn; returns the status codes."""
        with ThreadPoolExecutor(count) as pool:
            reads = [
                pool.submit(self.all[index % len(self.all)].read, token, deadline) for index in range(count)
            ]
            return [read.result() for read in reads]

    def requests(self):
        """How many requests the vendor received."""
        return self.sandbox.count()


@contextmanager
def run_replicas(binary, directory, stubs, store, *flags, count=2, limit=LIMIT, vendor_limit=0):
    """Runs replicas that use a store."""
    with ExitStack() as stack:
        port = free_port()
        command = [binary, "sandbox", "--listen", f"127.0.0.1:{port}", "--rate-limit", str(vendor_limit)]
        stack.enter_context(running(command, port, directory / "sandbox.log"))
        sandbox = Sandbox(f"http://127.0.0.1:{port}")
        replicas = []
        for index in range(count):
            port = free_port()
            log = directory / f"replica-{index}.log"
            command = [
                binary, "serve", "--upstream-url", sandbox.address, "--listen", f"127.0.0.1:{port}",
                "--token-requests-per-minute", str(limit), "--share-reads=false", "--log-format", "json",
                "--budget-store", store, *flags,
            ]
            stack.enter_context(running(command, port, log, environment()))
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)])
            stack.enter_context(channel)
            replicas.append(Replica(f"127.0.0.1:{port}", log, channel, stubs))
        yield Replicas(replicas, sandbox)


