"""Runs the gateway as a pod does: on free ports, until it is ready, and always stopped."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

WITHIN = 20  # seconds


def free_ports(count):
    """`count` free ports of the loopback interface."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def environment():
    """The environment without variables that would configure a program."""
    foreign = ("PRESENCE_GATEWAY_", "OTEL_", "RUST_LOG", "TOKIO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def health(port, service):
    """The name of the health status of a service."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def services(port):
    """The names of the served services, by reflection."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return set(ProtoReflectionDescriptorDatabase(channel).get_services())


@contextmanager
def serving(gateway, settings, health_port, log):
    """Runs `serve` with these settings; enters the block once it is ready, and then stops it as Kubernetes does."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [gateway, "serve"], env=environment() | settings, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _await_ready(process, health_port, log)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN) == 0, f"it did not exit cleanly:\n{_output(log)}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def running(command, log, settings=()):
    """Runs a program for a block, which it must outlive, in a process group of its own."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment() | dict(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
        assert process.poll() is None, f"{command[0]} ended:\n{_output(log)}"
    finally:
        process.terminate()
        try:
            process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_ready(process, port, log):
    deadline = time.monotonic() + WITHIN
    while True:
        assert process.poll() is None, f"it exited with {process.returncode} at once:\n{_output(log)}"
        try:
            if health(port, "readiness") == "SERVING":
                return
        except grpc.RpcError as error:
            assert time.monotonic() < deadline, f"it is not ready: {error}\n{_output(log)}"
        time.sleep(0.05)


def _output(log):
    return log.read_text(encoding="utf-8", errors="replace")
