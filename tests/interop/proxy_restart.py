"""Restarts a gateway while writes arrive through proxies, and collects the outcome of each write."""

import threading
import time
from dataclasses import dataclass, field

import grpc

from processes import environment, free_port, running
from proxied import FLAGS
from proxied_caller import Caller

RATE = 10  # writes a second through each proxy
WRITES = 120  # through each proxy, at most: its journal of a thousand holds those of seven
BEFORE = 10  # through each proxy, before the gateway gets SIGTERM
LAME_DUCK = "1s"


@dataclass
class Outcome:
    """The outcomes of the writes through one proxy, by user."""

    answered: set = field(default_factory=set)
    failed: dict = field(default_factory=dict)
    found_the_new_one: bool = False


def users_of(place):
    """The users that only the proxy at this index writes."""
    return [f"00000000-0000-4000-8000-{place * WRITES + number + 1:012d}" for number in range(WRITES)]


def write_through_a_restart(binary, directory, sandbox, proxies, stubs):
    """Starts a gateway and its proxies, restarts it during writes, and returns the outcome for each proxy."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [binary, "serve", "--upstream-url", sandbox.address, "--listen", address, *FLAGS]
    env = environment(PRESENCE_GATEWAY_LAME_DUCK=LAME_DUCK)
    is_back = threading.Event()
    writers = [
        Writer(stubs, proxy, address, directory / name, users_of(place), is_back)
        for place, (name, proxy) in enumerate(proxies.items())
    ]
    try:
        with running(command, port, directory / "first.log", env) as first:
            for writer in writers:
                writer.start()
            for writer in writers:
                assert writer.has_begun.wait(20), f"no writes go through {writer.proxy.heading}"
            first.terminate()
            first.wait(20)
        with running(command, port, directory / "second.log", env):
            is_back.set()
            for writer in writers:
                writer.join()
    finally:
        is_back.set()
    assert first.returncode == 0, f"the gateway ended with {first.returncode}"
    return {writer.proxy.heading: writer.outcome for writer in writers}


class Writer(threading.Thread):
    """Writes through one proxy at a steady rate, until the new gateway responds or every user was written."""

    def __init__(self, stubs, proxy, gateway, directory, users, is_back):
        super().__init__(daemon=True)
        self.proxy = proxy
        self.outcome = Outcome()
        self.has_begun = threading.Event()
        self._stubs = stubs
        self._gateway = gateway
        self._directory = directory
        self._users = users
        self._is_back = is_back

    def run(self):
        with self.proxy.in_front_of(self._gateway, self._directory) as address:
            with Caller(self._stubs, address) as caller:
                writes = {}
                for user in self._users:
                    if self.outcome.found_the_new_one:
                        break
                    writes[user] = caller.begin_write(user)
                    if self._is_back.is_set():
                        writes[user].add_done_callback(self._see)
                    if len(writes) > BEFORE:
                        self.has_begun.set()
                    time.sleep(1 / RATE)
                for user, write in writes.items():
                    self._keep(user, write)

    def _see(self, write):
        if write.code() == grpc.StatusCode.OK:
            self.outcome.found_the_new_one = True

    def _keep(self, user, write):
        try:
            write.result()
            self.outcome.answered.add(user)
        except grpc.RpcError as error:
            self.outcome.failed[user] = error
