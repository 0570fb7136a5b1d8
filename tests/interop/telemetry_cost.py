#!/usr/bin/env python3
"""Measures what telemetry costs for each call: the gateway's CPU time with each setting, as a ratio in one run.

It is no test: the numbers are the machine's. It needs h2load (Debian: nghttp2-client), the virtual
environment of the tests, and a release build:

    cargo build --release
    PRESENCE_GATEWAY_BIN=target/release/presence-gateway tests/interop/.venv/bin/python tests/interop/telemetry_cost.py

Every setting is measured in each of several rounds, in turn, so that what else the machine does meets all
of them alike. What counts is the median of the rounds, each against the first setting in the same round.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from processes import environment, free_port, running

CALLS = int(os.environ.get("CALLS", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
TICK = os.sysconf("SC_CLK_TCK")
USER = b"00000000-0000-4000-8000-000000000001"
PATH = "/genesys.presence.v1.PresenceService/GetUserPresencesPurecloud"


def cpu(process):
    """The CPU time that a process has used, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def load(port, message, calls):
    """Makes `calls` calls; all must succeed."""
    words = [
        "h2load", "-n", str(calls), "-c", "2", "-m", "16", "-d", str(message),
        "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", "authorization: Bearer token",
        f"http://127.0.0.1:{port}{PATH}",
    ]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f"{calls} succeeded" in output, output


def main():
    """Measures, and prints a table."""
    binary = os.environ["PRESENCE_GATEWAY_BIN"]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        message = directory / "request.bin"
        request = b"\x0a" + bytes([len(USER)]) + USER
        message.write_bytes(b"\0" + len(request).to_bytes(4, "big") + request)

        vendor = free_port()
        words = [binary, "sandbox", "--listen", f"127.0.0.1:{vendor}", "--rate-limit", "0"]
        stack.enter_context(running(words, vendor, directory / "sandbox.log"))
        grpc_port, http_port = free_port(), free_port()
        rotel = Path(find_spec("rotel").origin).parent / "rotel-agent"
        words = [
            rotel, "start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}",
            "--otlp-http-endpoint", f"127.0.0.1:{http_port}", "--exporter", "blackhole",
        ]
        stack.enter_context(running(words, grpc_port, directory / "rotel.log"))

        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{grpc_port}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        traces = endpoint | {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "traceidratio"}
        page = ["--metrics-listen", f"127.0.0.1:{free_port()}"]
        settings = {
            "off": ({}, []),
            "traces, 0 %": (traces | {"OTEL_TRACES_SAMPLER_ARG": "0"}, []),
            "traces, 1 %": (traces | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}, []),
            "traces, 100 %": (traces | {"OTEL_TRACES_SAMPLER_ARG": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "65536"}, []),
            "metrics": ({}, page),
            "metrics, and traces, 1 %": (traces | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}, ["--metrics-listen", f"127.0.0.1:{free_port()}"]),
        }
        gateways = {}
        for number, (name, (variables, flags)) in enumerate(settings.items()):
            port = free_port()
            words = [
                binary, "serve", "--listen", f"127.0.0.1:{port}", "--upstream-url", f"http://127.0.0.1:{vendor}",
                "--token-requests-per-minute", "0", *flags,
            ]
            env = environment(RUST_LOG="warn", **variables)
            process = stack.enter_context(running(words, port, directory / f"{number}.log", env))
            gateways[name] = (process, port)
            load(port, message, 2000)
        costs = {name: [] for name in gateways}
        for round_number in range(ROUNDS):
            for name, (process, port) in gateways.items():
                before = cpu(process)
                load(port, message, CALLS)
                costs[name].append((cpu(process) - before) / CALLS * 1e6)
            print(f"round {round_number + 1} of {ROUNDS}", file=sys.stderr)
    print(f"{ROUNDS} rounds of {CALLS} calls each\n")
    print("| setting | CPU for a call | against off |\n|---|---|---|")
    for name, cost in costs.items():
        ratios = [own / off for own, off in zip(cost, costs["off"], strict=True)]
        print(f"| {name} | {statistics.median(cost):.0f} µs | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
