"""A Redis server, in which the gateway counts the requests of tokens."""

import signal
import socket
import time
from contextlib import contextmanager

import processes


class BudgetStore:
    """A server that can be frozen: it keeps its connections, and answers nothing."""

    def __init__(self, port, process):
        self.url = f"redis://127.0.0.1:{port}"
        self._process = process

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)


def await_port(port, process):
    """Returns once the server accepts connections."""
    deadline = time.monotonic() + processes.WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "the budget store does not listen"
            time.sleep(0.05)


@contextmanager
def serving(directory, port=None):
    """Runs a server for a block, with its log in `directory`."""
    port = port or processes.free_ports(1)[0]
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    with processes.running(command, directory / "redis.log") as process:
        await_port(port, process)
        store = BudgetStore(port, process)
        try:
            yield store
        finally:
            # A frozen process ends by no signal but SIGKILL.
            store.thaw()
