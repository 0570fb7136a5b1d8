"""The processes of a check: the sandbox, the replicas, and the stores."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

GATEWAY = os.environ["PRESENCE_GATEWAY_BIN"]


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def await_port(port, process, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}")


class Process:
    """A process that can be killed, frozen and started again on its port."""

    def __init__(self, command, port, env=None, log=None):
        self.command, self.port, self.log = command, port, log
        self.env = {"PATH": os.environ["PATH"], **(env or {})}
        self.process = None
        self.start()

    def start(self):
        out = open(self.log, "a") if self.log else subprocess.DEVNULL
        self.process = subprocess.Popen(self.command, env=self.env, stdout=out, stderr=out)
        await_port(self.port, self.process)

    def kill(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            # A frozen process takes no signal but this.
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(timeout=60)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Sandbox(Process):
    def __init__(self, limit, folder):
        port = free_port()
        super().__init__(
            [GATEWAY, "sandbox", "--listen", f"127.0.0.1:{port}", "--rate-limit", str(limit),
             "--rate-window", "sliding", "--users", "200"],
            port, log=folder / "sandbox.log")
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return response.read()


class Replica(Process):
    def __init__(self, number, sandbox, store, limit, folder, faketime=None):
        port = free_port()
        self.number, self.metrics = number, free_port()
        command = [GATEWAY, "serve", "--listen", f"127.0.0.1:{port}", "--upstream-url", sandbox.url,
                   "--token-requests-per-minute", str(limit), "--share-reads=false",
                   "--metrics-listen", f"127.0.0.1:{self.metrics}", "--lame-duck", "0s", "--max-deadline", "10m", "--log-format", "json"]
        if store:
            command += ["--budget-store", store]
        env = {}
        if faketime:
            # Its wall clock is wrong; Rust's monotonic one cannot be.
            library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
            env = {"LD_PRELOAD": library, "FAKETIME": faketime, "DONT_FAKE_MONOTONIC": "1"}
        super().__init__(command, port, env, folder / f"replica-{number}.log")
        self.address = f"127.0.0.1:{port}"

    def local_decisions(self):
        """How many checks this replica has decided alone; none while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=2) as page:
                lines = page.read().decode().splitlines()
        except OSError:
            return None
        name = 'presence_gateway_budget_decisions_total{source="local"}'
        return next((int(line.split()[-1]) for line in lines if line.startswith(name)), 0)


class Redis(Process):
    def __init__(self, name, folder, *options):
        port = free_port()
        home = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        super().__init__(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home),
             *options],
            port, log=folder / f"{name}.log")

    def cli(self, *words):
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()


class Sentinel(Process):
    def __init__(self, primary, folder):
        port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor budget 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds budget 1000\n"
            "sentinel failover-timeout budget 5000\n")
        super().__init__(["redis-sentinel", str(config)], port, log=folder / "sentinel.log")

    def primary(self):
        words = ["sentinel", "get-master-addr-by-name", "budget"]
        command = ["redis-cli", "-p", str(self.port), *words]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.split()
        return int(answer[1])
