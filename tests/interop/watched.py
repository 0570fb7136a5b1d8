"""A gateway under attack: monitors its memory, files and threads, and whether it serves other callers."""

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

# The prefix of every call's own token, to find it in the log.
SECRET = "s3cret"

# The RPC that background callers call. Its request is empty.
READ = "/genesys.presence.v1.PresenceService/GetSystempresences"

ANSWERED_WITHIN = 20  # seconds
RELEASE_TIMEOUT = 15  # seconds

# The longest that a background call may take, in seconds. It takes milliseconds on an
# idle machine, but this one runs the hostile peers too.
PATIENCE = 10

# The memory in MiB that the peers of a test may cost by default.
MARGIN = 64

# This process holds the client side of thousands of connections.
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

_numbers = count()


def secret_token():
    """A token that the log must never contain."""
    return f"{SECRET}-{os.getpid()}-{next(_numbers)}"


class BackgroundCaller:
    """A gRPC client that keeps calling the gateway, over one connection and over new ones."""

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
        self.wait_until_served()

    def stop(self):
        """Asserts that each of its calls succeeded in time."""
        self._is_over.set()
        self._thread.join()
        assert not self.failed, f"a background call failed: {self.failed[0]}"
        assert self.slowest < PATIENCE, f"a background call took {self.slowest:.1f} s"

    def wait_until_served(self):
        """Waits until a call succeeds that starts after this."""
        before = self.served
        deadline = time.monotonic() + 2 * ANSWERED_WITHIN
        # The call in flight may have started before.
        while self.served < before + 2 and not self.failed:
            assert time.monotonic() < deadline, "background calls do not complete"
            time.sleep(0.01)
        assert not self.failed, f"a background call failed: {self.failed[0]}"

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


class MonitoredGateway:
    """A running gateway."""

    def __init__(self, process, port, log):
        self.address = f"127.0.0.1:{port}"
        self.margin = MARGIN
        self._process = process
        self._proc = Path(f"/proc/{process.pid}")
        self._port = port
        self._log = log
        self._upstream = self._wait_for_upstream()
        self._wait_for_no_callers()
        self._memory = self._status("VmRSS")
        # One more: the thread that reads the TLS files exists only at times.
        self._threads = self._status("Threads") + 1
        self._files = self._count_files()

    def log(self):
        """Its log up to now."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def assert_resources_released(self):
        """Asserts that its memory stayed within the margin, and that it releases files and threads."""
        grown = (self._status("VmHWM") - self._memory) / 1024
        assert grown < self.margin, f"its memory grew by {grown:.0f} MiB; the limit is {self.margin}"
        deadline = time.monotonic() + RELEASE_TIMEOUT
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"not released after all peers closed: {left}"

    def assert_clean_exit(self):
        """Asserts that it exits on SIGTERM with 0, and that its log has no token and no error."""
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.log()[-2000:]}"
        stop(self._process)
        assert self._process.returncode == 0, f"it ended with {self._process.returncode}"
        log = self.log()
        assert SECRET not in log, f"the log shows a token: {_context_of(log, SECRET)}"
        for word in ("panic", '"level":"ERROR"'):
            assert word not in log, f"the log has an error: {_context_of(log, word)}"

    def _left(self):
        now = {"files": self._count_files(), "threads": self._status("Threads")}
        before = {"files": self._files, "threads": self._threads}
        return {what: f"{now[what]}, before {before[what]}" for what in now if now[what] > before[what]}

    def _status(self, name):
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(f"/proc/PID/status has no {name}")

    def _count_files(self):
        """The number of open files, without the connections to the sandbox in the same process."""
        pooled = self._sockets(self._upstream)
        return sum(file not in pooled for file in self._open_files())

    def _wait_for_upstream(self):
        """The port of its sandbox, from its first log line."""
        deadline = time.monotonic() + RELEASE_TIMEOUT
        while not (match := re.search(r'"upstream":"http://127.0.0.1:(\d+)', self.log())):
            assert time.monotonic() < deadline, f"the log does not name the upstream: {self.log()}"
            time.sleep(0.01)
        return int(match[1])

    def _wait_for_no_callers(self):
        """Waits until the connection of the readiness check is closed."""
        deadline = time.monotonic() + RELEASE_TIMEOUT
        while len(self._sockets(self._port) & set(self._open_files())) > 1:
            assert time.monotonic() < deadline, "another connection is open"
            time.sleep(0.01)

    def _sockets(self, port):
        """The socket files with one end at this port."""
        sockets = set()
        for line in (self._proc / "net" / "tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if port in {int(end.split(":")[1], 16) for end in fields[1:3]}:
                sockets.add(f"socket:[{fields[9]}]")
        return sockets

    def _open_files(self):
        return [_read_link(each) for each in (self._proc / "fd").iterdir()]


def _read_link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def _context_of(log, word):
    at = log.index(word)
    return log[max(0, at - 300) : at + 300]


@contextmanager
def monitored_gateway(binary, log, *flags, credentials=None):
    """Runs a gateway with a sandbox. It must serve background calls, and release its resources at the end."""
    port = free_port()
    command = [binary, "serve", "--sandbox", "--log-format", "json", "--listen", f"127.0.0.1:{port}", *flags]
    # Debug logs must not contain a token either.
    with running(command, port, log, environment(RUST_LOG="debug")) as process:
        gateway = MonitoredGateway(process, port, log)
        gateway.others = BackgroundCaller(gateway.address, credentials)
        gateway.others.start()
        try:
            yield gateway
            gateway.others.wait_until_served()
        finally:
            gateway.others.stop()
        gateway.assert_resources_released()
        gateway.assert_clean_exit()
