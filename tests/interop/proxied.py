"""What stands behind the proxies: a gateway whose log and whose vendor can be looked at, and a server of shapes."""

import json
import os
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from processes import environment, free_port, running

TOLD_WITHIN = 10  # seconds

# As many as one bulk read may name.
USERS = 5000

# Nobody's quota stands in the way, and a stream may be quiet for as long as a test is.
FLAGS = ("--token-requests-per-minute", "0", "--log-format", "json")


class Sandbox:
    """A vendor that misbehaves as it is told."""

    def __init__(self, address):
        self.address = address

    def misbehave(self, rule):
        """Adds a rule of docs/sandbox.md."""
        self._ask("misbehave", rule)

    def journal(self):
        """The requests it has had, at most the latest thousand."""
        return json.loads(self._ask("requests"))["requests"]

    def count(self):
        """How many requests it has had."""
        journal = self.journal()
        return journal[-1]["number"] + 1 if journal else 0

    def await_one_after(self, count):
        """Waits until it has had one more."""
        deadline = time.monotonic() + TOLD_WITHIN
        while self.count() == count:
            assert time.monotonic() < deadline, "no request reached the vendor"
            time.sleep(0.01)

    def _ask(self, path, body=None):
        told = urllib.request.Request(f"{self.address}/sandbox/{path}", body and body.encode())
        with urllib.request.urlopen(told, timeout=TOLD_WITHIN) as answer:
            return answer.read()


class Gateway:
    """A gateway in front of a sandbox."""

    def __init__(self, address, sandbox, process, log):
        self.address = address
        self.process = process
        self.sandbox = sandbox
        self._log = log

    def calls(self, method):
        """The lines of the log about the calls of a method that have ended."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if entry.get("method", "").endswith(f"/{method}")]

    def call_after(self, before, method):
        """Waits for the line about the one call that has ended since there were `before` of them."""
        deadline = time.monotonic() + TOLD_WITHIN
        while not (new := self.calls(method)[len(before) :]):
            assert time.monotonic() < deadline, f"the gateway logged no end of {method}"
            time.sleep(0.01)
        assert len(new) == 1, f"expected one call of {method}, there were {new}"
        return new[0]


@contextmanager
def sandbox_of(binary, directory, *flags):
    """A sandbox without a limit of requests."""
    port = free_port()
    command = [binary, "sandbox", "--listen", f"127.0.0.1:{port}", "--rate-limit", "0", *flags]
    with running(command, port, directory / "sandbox.log"):
        yield Sandbox(f"http://127.0.0.1:{port}")


@contextmanager
def gateway_of(binary, directory, sandbox, *flags):
    """A gateway in front of that sandbox."""
    port = free_port()
    command = [binary, "serve", "--upstream-url", sandbox.address, "--listen", f"127.0.0.1:{port}", *FLAGS, *flags]
    log = directory / "gateway.log"
    with running(command, port, log, environment()) as process:
        yield Gateway(f"127.0.0.1:{port}", sandbox, process, log)


@contextmanager
def shapes(length):
    """A server whose every call fails with trailers of so many bytes that do not compress."""
    details = os.urandom(length * 3 // 4)

    def fail(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.NOT_FOUND, "as was asked for")

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
