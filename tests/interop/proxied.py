"""The servers behind the proxies: a gateway whose log and sandbox the tests read, and a server of failures."""

import json
import os
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from processes import environment, free_port, running

WAIT_TIMEOUT = 10  # seconds

# The most ids of one bulk read.
USERS = 5000

# Without a rate limit for tokens.
FLAGS = ("--token-requests-per-minute", "0", "--log-format", "json")


class Sandbox:
    """A sandbox to which tests add faults."""

    def __init__(self, address):
        self.address = address

    def misbehave(self, rule):
        """Adds a rule of docs/sandbox.md."""
        self._ask("misbehave", rule)

    def journal(self):
        """The latest requests that it received, at most a thousand."""
        return json.loads(self._ask("requests"))["requests"]

    def count(self):
        """How many requests it has received."""
        journal = self.journal()
        return journal[-1]["number"] + 1 if journal else 0

    def wait_for_request_after(self, count):
        """Waits until it has received one more than `count`."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while self.count() == count:
            assert time.monotonic() < deadline, "no request reached the vendor"
            time.sleep(0.01)

    def _ask(self, path, body=None):
        request = urllib.request.Request(f"{self.address}/sandbox/{path}", body and body.encode())
        with urllib.request.urlopen(request, timeout=WAIT_TIMEOUT) as answer:
            return answer.read()


class Gateway:
    """A gateway in front of a sandbox."""

    def __init__(self, address, sandbox, process, log):
        self.address = address
        self.process = process
        self.sandbox = sandbox
        self._log = log

    def calls(self, method):
        """The access log lines of the ended calls of a method."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if entry.get("method", "").endswith(f"/{method}")]

    def call_after(self, before, method):
        """Waits for the access log line of the only call that has ended after those in `before`."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while not (new := self.calls(method)[len(before) :]):
            assert time.monotonic() < deadline, f"the gateway logged no end of {method}"
            time.sleep(0.01)
        assert len(new) == 1, f"expected one call of {method}, there were {new}"
        return new[0]


@contextmanager
def run_sandbox(binary, directory, *flags):
    """Runs a sandbox without a rate limit."""
    port = free_port()
    command = [binary, "sandbox", "--listen", f"127.0.0.1:{port}", "--rate-limit", "0", *flags]
    with running(command, port, directory / "sandbox.log"):
        yield Sandbox(f"http://127.0.0.1:{port}")


@contextmanager
def run_gateway(binary, directory, sandbox, *flags):
    """Runs a gateway in front of that sandbox."""
    port = free_port()
    command = [binary, "serve", "--upstream-url", sandbox.address, "--listen", f"127.0.0.1:{port}", *FLAGS, *flags]
    log = directory / "gateway.log"
    with running(command, port, log, environment()) as process:
        yield Gateway(f"127.0.0.1:{port}", sandbox, process, log)


@contextmanager
def shapes(length):
    """Runs a server whose every call fails with `length` bytes of trailers that do not compress."""
    details = os.urandom(length * 3 // 4)

    def fail(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.NOT_FOUND, "requested error.")

    def fail_late(request, context):
        yield b"first"
        fail(request, context)

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(fail),
        "Streamed": grpc.unary_stream_rpc_method_handler(fail_late),
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_registered_method_handlers("shapes", handlers)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shapes", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", details
    finally:
        server.stop(None)
