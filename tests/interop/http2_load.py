"""Reads and writes through a gateway whose upstream is a front end with TLS, and what arrived behind it."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from proxied import FLAGS, WAIT_TIMEOUT, Gateway
from proxied_caller import users
from processes import environment, free_port, running
from reverse_proxies import DEBIAN, LIBRARIES

AT_ONCE = 32
BATCH = 250  # calls between two looks at the journal, which holds a thousand requests

SWITCHED = "negotiated the HTTP version of the upstream"


class Upstream(Gateway):
    """A gateway whose log shows the HTTP versions that it changes to."""

    def versions(self):
        """The versions, in order; HTTP/1.1 is the first and not in the log."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if SWITCHED in line and line.endswith("}")]
        return [entry["protocol"] for entry in entries]

    def until_version(self, caller, version):
        """Reads until requests use this version."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while (self.versions() or ["HTTP/1.1"])[-1] != version:
            assert time.monotonic() < deadline, f"no {version}: {self.versions()}"
            caller.read()


@contextmanager
def gateway_to(binary, directory, front, ca, sandbox, *flags):
    """Runs a gateway whose upstream is the front end."""
    port = free_port()
    words = ["--upstream-url", front.url, "--upstream-ca", ca, "--listen", f"127.0.0.1:{port}"]
    log = directory / "gateway.log"
    with running([binary, "serve", *words, *FLAGS, *flags], port, log, environment()) as process:
        yield Upstream(f"127.0.0.1:{port}", sandbox, process, log)


@contextmanager
def forward_proxy(directory):
    """Runs tinyproxy; gives its URL and its log."""
    port = free_port()
    log = directory / "tinyproxy.log"
    file = directory / "tinyproxy.conf"
    file.write_text(f"Port {port}\nListen 127.0.0.1\nLogFile \"{log}\"\nLogLevel Connect\n", encoding="utf-8")
    words = [DEBIAN / "usr/bin/tinyproxy", "-d", "-c", file]
    with running(words, port, directory / "tinyproxy.out", environment(LD_LIBRARY_PATH=LIBRARIES)):
        yield f"http://127.0.0.1:{port}", log


class Load:
    """Calls at 32 at once, of which each writes another user or reads."""

    def __init__(self, caller, sandbox, reads, patches, posts):
        self._caller, self._sandbox = caller, sandbox
        kinds = ["read"] * reads + ["patch"] * patches + ["post"] * posts
        # Spread evenly: the same order in each run.
        order = sorted(range(len(kinds)), key=lambda index: index * 7919 % len(kinds))
        self._users = users(len(kinds))
        self._calls = [(kinds[index], place) for place, index in enumerate(order)]
        self.failed = []  # (kind, name, error)
        self.applied = Counter()  # by name
        self._begun = sandbox.count()
        self._entries = {}  # of the journal, by number

    def run(self, disturbances=()):
        """Runs all calls, and each of the disturbances at its part of them."""
        due = {(number + 1) * len(self._calls) // (len(disturbances) + 1): it for number, it in enumerate(disturbances)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = []
            for number, call in enumerate(self._calls):
                if number in due:
                    due[number]()
                waiting.append(pool.submit(self._call, *call))
                if len(waiting) == BATCH:
                    waiting[-AT_ONCE].result()
                    self._look()
                    waiting = waiting[-AT_ONCE:]
            for call in waiting:
                call.result()
        self._look()
        sources = self._caller.begin("GetPresenceSources").result()
        entries = self._entries.values()
        assert len(entries) == max(self._entries) + 1 - self._begun, "the journal lost requests between two looks"
        patches = [it["path"] for it in entries if it["method"] == "PATCH" and it["status"] == 200]
        self.applied = Counter(path.split("/")[4] for path in patches) + Counter(it.name for it in sources.entities)

    def _call(self, kind, place):
        name = self._users[place] if kind != "post" else self._source(place)
        begin = {"read": self._caller.begin_read, "patch": self._caller.begin_write, "post": self._caller.begin_post}
        error = begin[kind](name).exception()
        if error:
            self.failed.append((kind, name, error))

    def _source(self, place):
        return f"{place} of {self._caller.token}"

    def _look(self):
        """Keeps what is in the journal, where earlier requests may have got their status since the last look."""
        journal = self._sandbox.journal()
        self._entries |= {entry["number"]: entry for entry in journal if entry["number"] >= self._begun}

    def written(self):
        """The names of all writes."""
        writes = [(kind, place) for kind, place in self._calls if kind != "read"]
        return [self._users[place] if kind == "patch" else self._source(place) for kind, place in writes]
