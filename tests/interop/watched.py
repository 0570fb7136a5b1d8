"""A gateway that is watched while others mean harm: what it takes of the machine, and whether it still serves."""

import os
import re
import resource
import threading
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import grpc

from processes import environment, free_port, running, stop

# A token of each call's own begins with this, so that it is found wherever it is written.
SECRET = "s3cret"

# What others call. Its request has no fields, so that it is no bytes at all.
READ = "/genesys.presence.v1.PresenceService/GetSystempresences"

ANSWERED_WITHIN = 20  # seconds
BACK_WITHIN = 15  # seconds

# How long a call of others may take meanwhile, in seconds. It takes milliseconds on a
# machine that has nothing else to do, which this one has: the peers' side of it all.
PATIENCE = 10

# How much memory a test's peers may cost, in MiB, unless it says otherwise.
MARGIN = 64

# This process holds the other ends of thousands of connections.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

_numbers = count()


def secret_token():
    """A token that must never be seen in the log."""
    return f"{SECRET}-{os.getpid()}-{next(_numbers)}"


class WellMeaning:
    """A gRPC client that goes on calling the gateway, over one connection and over new ones."""

    def __init__(self, address, credentials=None):
        self._address = address
        self._credentials = credentials
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.served = 0
        self.failed = []
        self.slowest = 0

    def start(self):
        self._thread.start()
        self.is_served()

    def stop(self):
        """Asserts that each of its calls was answered in time."""
        self._is_over.set()
        self._thread.join()
        assert not self.failed, f"others were refused: {self.failed[0]}"
        assert self.slowest < PATIENCE, f"others waited for {self.slowest:.1f} s"

    def is_served(self):
        """Waits until a call was answered that had not begun yet."""
        before = self.served
        deadline = time.monotonic() + 2 * ANSWERED_WITHIN
        # The one under way may have begun before.
        while self.served < before + 2 and not self.failed:
            assert time.monotonic() < deadline, "others are not served"
            time.sleep(0.01)
        assert not self.failed, f"others are refused: {self.failed[0]}"

    def _channel(self):
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        if self._credentials:
            return grpc.secure_channel(self._address, self._credentials, options)
        return grpc.insecure_channel(self._address, options)

    def _run(self):
        with self._channel() as lasting:
            for number in count():
                if number % 5:
                    self._call(lasting)
                else:
                    with self._channel() as new:
                        self._call(new)
                if self._is_over.wait(0.02):
                    return

    def _call(self, channel):
        begun = time.monotonic()
        try:
            channel.unary_unary(READ)(
                b"", metadata=[("authorization", f"Bearer {secret_token()}")], timeout=ANSWERED_WITHIN
            )
            self.served += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
        except grpc.RpcError as error:
            self.failed.append(f"{error.code()} {error.details()} after {time.monotonic() - begun:.1f} s")


class Watched:
    """A running gateway."""

    def __init__(self, process, port, log):
        self.address = f"127.0.0.1:{port}"
        self.margin = MARGIN
        self._process = process
        self._proc = Path(f"/proc/{process.pid}")
        self._port = port
        self._log = log
        self._upstream = self._await_upstream()
        self._await_no_callers()
        self._memory = self._status("VmRSS")
        # And one that reads the files of TLS, which comes and goes.
        self._threads = self._status("Threads") + 1
        self._files = self._count_files()

    def log(self):
        """What it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def is_unharmed(self):
        """Asserts that it took no more than it may, and gives back what it took."""
        grown = (self._status("VmHWM") - self._memory) / 1024
        assert grown < self.margin, f"it took {grown:.0f} MiB of memory; {self.margin} are expected at most"
        deadline = time.monotonic() + BACK_WITHIN
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"not given back when all had left: {left}"

    def ends_well(self):
        """Asserts that it ends when it is told to, and has kept its callers' secrets."""
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.log()[-2000:]}"
        stop(self._process)
        assert self._process.returncode == 0, f"it ended with {self._process.returncode}"
        log = self.log()
        assert SECRET not in log, f"the log shows a token: {_around(log, SECRET)}"
        for word in ("panic", '"level":"ERROR"'):
            assert word not in log, f"the log tells of a fault: {_around(log, word)}"

    def _left(self):
        now = {"files": self._count_files(), "threads": self._status("Threads")}
        before = {"files": self._files, "threads": self._threads}
        return {what: f"{now[what]}, before {before[what]}" for what in now if now[what] > before[what]}

    def _status(self, name):
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(f"the system does not tell {name}")

    def _count_files(self):
        """The open files, without the pool of connections to the sandbox, which is within the process."""
        pooled = self._sockets(self._upstream)
        return sum(file not in pooled for file in self._files_open())

    def _await_upstream(self):
        """The port of its sandbox, which its first line tells."""
        deadline = time.monotonic() + BACK_WITHIN
        while not (told := re.search(r'"upstream":"http://127.0.0.1:(\d+)', self.log())):
            assert time.monotonic() < deadline, f"it does not tell its upstream: {self.log()}"
            time.sleep(0.01)
        return int(told[1])

    def _await_no_callers(self):
        """Waits until the connection is gone that showed that it listens."""
        deadline = time.monotonic() + BACK_WITHIN
        while len(self._sockets(self._port) & set(self._files_open())) > 1:
            assert time.monotonic() < deadline, "somebody else is connected"
            time.sleep(0.01)

    def _sockets(self, port):
        """The files of the sockets of which one end is at this port."""
        sockets = set()
        for line in (self._proc / "net" / "tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if port in {int(end.split(":")[1], 16) for end in fields[1:3]}:
                sockets.add(f"socket:[{fields[9]}]")
        return sockets

    def _files_open(self):
        return [_read_link(each) for each in (self._proc / "fd").iterdir()]


def _read_link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def _around(log, word):
    at = log.index(word)
    return log[max(0, at - 300) : at + 300]


@contextmanager
def watched_gateway(binary, log, *flags, credentials=None):
    """A gateway with its sandbox inside, that must serve others meanwhile and be as before afterwards."""
    port = free_port()
    command = [binary, "serve", "--sandbox", "--log-format", "json", "--listen", f"127.0.0.1:{port}", *flags]
    # Its own details too: they must not show a token either.
    with running(command, port, log, environment(RUST_LOG="debug")) as process:
        gateway = Watched(process, port, log)
        gateway.others = WellMeaning(gateway.address, credentials)
        gateway.others.start()
        try:
            yield gateway
            gateway.others.is_served()
        finally:
            gateway.others.stop()
        gateway.is_unharmed()
        gateway.ends_well()
