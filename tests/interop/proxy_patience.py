"""Calls of more than a minute, through many proxies in parallel, and their outcomes."""

import threading
import time
from contextlib import ExitStack

import grpc

from proxied_caller import USER, Caller

# Longer than the default timeouts of the proxies: 15, 50 and 60 s.
LONG = 65
QUIET = 70
MARGIN = 30  # seconds that a caller waits beyond it


def a_unary_call(caller, sandbox):
    """A call for which the vendor responds late."""
    sandbox.misbehave(f"delay={LONG}s token={caller.token}")
    return caller.begin_read(timeout=LONG + MARGIN), lambda call: call.result()


def a_quiet_stream(caller, sandbox):
    """A stream on which both sides pause, then continue."""
    stream = caller.stream()
    stream.send([USER])
    stream.receive()

    def go_on(call):
        # The stream ends early if a proxy cuts it.
        ended = threading.Event()
        call.add_done_callback(lambda _: ended.set())
        if not ended.wait(QUIET):
            stream.send([USER])
        stream.receive()
        stream.close()
        assert stream.receive() is None

    return stream.call, go_on


def a_quiet_watch(caller, sandbox):
    """A server stream with one message, and then none."""
    watch = caller.watch("readiness")
    next(watch)

    def wait(call):
        threading.Timer(QUIET, call.cancel).start()
        try:
            next(watch)
        except grpc.RpcError:
            if call.details() != "Locally cancelled by application!":
                raise

    return watch, wait


def a_stream_that_is_held_up(caller, sandbox):
    """A stream whose flow control stops the caller until the vendor responds."""
    sandbox.misbehave(f"delay={LONG}s token={caller.token} times=8")
    stream = caller.stream()
    ids = [f"{number:0>250}" for number in range(16000)]
    for begin in range(0, len(ids), 500):
        stream.send(ids[begin : begin + 500])
    stream.close()

    def read_all(_call):
        missing = 0
        while (answer := stream.receive(LONG + MARGIN)) is not None:
            missing += len(answer.missing_ids)
        assert missing == len(ids), f"{missing} of {len(ids)} returned"

    return stream.call, read_all


KINDS = {
    "a unary call of 65 s": a_unary_call,
    "a stream of ids, quiet for 70 s": a_quiet_stream,
    "a watch of health, quiet for 70 s": a_quiet_watch,
    "a stream of ids that waits 65 s for the vendor": a_stream_that_is_held_up,
}


class Attempt(threading.Thread):
    """One call through one proxy."""

    def __init__(self, kind, stubs, address, sandbox):
        super().__init__(daemon=True)
        self.outcome = "did not end"
        self._begin = KINDS[kind]
        self._stubs = stubs
        self._address = address
        self._sandbox = sandbox

    def run(self):
        with Caller(self._stubs, self._address) as caller:
            begun = time.monotonic()
            ended = []
            try:
                call, finish = self._begin(caller, self._sandbox)
                call.add_done_callback(lambda _: ended.append(time.monotonic()))
                finish(call)
                self.outcome = "ok"
            except grpc.RpcError as error:
                lasted = (ended[0] if ended else time.monotonic()) - begun
                self.outcome = f"{error.code().name} at {lasted:.0f} s"
            except Exception as error:  # an assertion, or an answer that never came
                self.outcome = repr(error)


def outcomes(gateway, stubs, directory, proxies):
    """The outcome of each kind of call through each proxy. `proxies` maps names to a proxy and its changes."""
    with ExitStack() as running:
        attempts = {}
        for number, (name, (proxy, changes)) in enumerate(proxies.items()):
            address = running.enter_context(proxy.in_front_of(gateway.address, directory / str(number), changes))
            for kind in KINDS:
                attempts[name, kind] = Attempt(kind, stubs, address, gateway.sandbox)
        for attempt in attempts.values():
            attempt.start()
        for attempt in attempts.values():
            attempt.join(2 * (LONG + MARGIN))
        return {key: attempt.outcome for key, attempt in attempts.items()}
