"""Starts programs on free ports, waits until they are ready, and always stops them."""

import os
import socket
import subprocess
import time
from contextlib import contextmanager

READY_WITHIN = 15  # seconds
STOPPED_WITHIN = 5  # seconds


def free_port():
    """A TCP port on the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more):
    """The environment without variables that would configure a program."""
    foreign = ("PRESENCE_GATEWAY_", "OTEL_", "RUST_LOG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # No pause between the signal and the exit: no test needs it. A sandbox inside a
    # gateway leaves the usual port to others.
    ours = {"PRESENCE_GATEWAY_LAME_DUCK": "0s", "PRESENCE_GATEWAY_SANDBOX_LISTEN": "127.0.0.1:0"}
    return kept | ours | more


@contextmanager
def running(command, port, log, env=None):
    """Runs `command` until the block ends; enters the block once `port` accepts connections."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env or environment(),
        )
    try:
        _await_port(process, command, port, log)
        yield process
    finally:
        stop(process)


def stop(process):
    """Terminates the process, and kills it if it does not exit."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await_port(process, command, port, log):
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            pass
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            what = f"ended with {ended}" if ended is not None else f"did not listen on port {port}"
            words = " ".join(str(word) for word in command)
            output = log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"`{words}` {what}. Its output:\n{output}")
        time.sleep(0.02)
