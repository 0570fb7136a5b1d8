"""Measures what the budget store costs, and what it gives, on release builds.

docs/performance.md has the figures. Each comparison runs side by side or in turn.
"""

import argparse
import asyncio
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from journal import Journal
from processes import GATEWAY, Process, Redis, Sandbox, free_port

LOAD = os.environ["PRESENCE_GATEWAY_LOAD"]
TICKS = os.sysconf("SC_CLK_TCK")
WARM_UP = 1
SCRIPTS = pathlib.Path(__file__).parents[2] / "src/upstream/budget_store"


class Vendor(Process):
    """The vendor of the load tool, which is fast and has no limit."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/figures"
        super().__init__([LOAD, "upstream", "--listen", f"127.0.0.1:{port}", "--latency", "0s"], port,
                         log=folder / "vendor.log")


class Gateway(Process):
    def __init__(self, name, vendor, folder, *flags, limit=300):
        port, self.metrics = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        super().__init__(
            [GATEWAY, "serve", "--listen", self.address, "--upstream-url", vendor.url,
             "--token-requests-per-minute", str(limit), "--share-reads=false", "--lame-duck", "0s",
             "--metrics-listen", f"127.0.0.1:{self.metrics}", "--log-format", "json", *flags],
            port, {"TOKIO_WORKER_THREADS": "1", "RUST_LOG": "warn,presence_gateway::upstream=info"},
            folder / f"{name}.log")

    def cpu(self):
        """Its processor time, in seconds."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        """Its resident memory, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def decisions(self, source):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=2) as page:
            found = re.search(rf'budget_decisions_total{{source="{source}"}} (\d+)', page.read().decode())
        return int(found[1]) if found else 0


class Calls:
    """The statistics of a run of the load tool's caller."""

    def __init__(self, text):
        self.text = text
        found = re.search(r"answered .*", text)
        if not found:
            raise RuntimeError(f"no call was answered:\n{text}")
        self.answered = found[0]
        self.counts = {name.strip(): int(count) for count, name in re.findall(r"^ +(\d+)  ([A-Z].*)$", text, re.M)}

    def quantile(self, name):
        return float(re.search(rf"{name} ([\d.]+)", self.answered)[1])


def start_calls(gateways, seconds, tokens, rate):
    addresses = [word for gateway in gateways for word in ("--address", gateway.address)]
    return subprocess.Popen(
        [LOAD, "call", *addresses, "--rate", str(rate), "--for", f"{seconds}s", "--tokens", str(tokens),
         "--connections", "2"], stdout=subprocess.PIPE, text=True)


def calls(gateways, seconds, tokens, rate=1000):
    return Calls(start_calls(gateways, seconds, tokens, rate).communicate()[0])


def redis_cpu(store):
    fields = dict(line.split(":", 1) for line in store.cli("INFO", "cpu").splitlines() if ":" in line)
    return float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def cost(folder, options):
    """The cost of a check: a gateway with the store and one without, in turn."""
    vendor, store = Vendor(folder), Redis("redis", folder)
    url = f"redis://127.0.0.1:{store.port}"
    ways = {"with": Gateway("with", vendor, folder, "--budget-store", url),
            "without": Gateway("without", vendor, folder)}
    # Each token stays below its limit, so that no call waits for a turn.
    tokens = 400
    try:
        for gateway in ways.values():
            calls([gateway], WARM_UP, tokens)
        p50, p99, cpu, redis = ({name: [] for name in ways} for _ in range(4))
        for turn in range(options.rounds):
            for name in sorted(ways, reverse=turn % 2):
                gateway = ways[name]
                before, store_before = gateway.cpu(), redis_cpu(store)
                result = calls([gateway], options.seconds, tokens)
                count = sum(result.counts.values())
                cpu[name].append((gateway.cpu() - before) / count * 1e6)
                redis[name].append((redis_cpu(store) - store_before) / count * 1e6)
                p50[name].append(result.quantile("p50"))
                p99[name].append(result.quantile("p99"))
                if result.counts != {"OK": count}:
                    raise RuntimeError(result.text)
        added = [a - b for a, b in zip(p50["with"], p50["without"])]
        ratio = [a / b for a, b in zip(p50["with"], p50["without"])]
        print(f"p50 at 1000/s: {spread(p50['with'], 3)} ms with, {spread(p50['without'], 3)} ms without")
        print(f"  added: {spread(added, 3)} ms, ratio {spread(ratio, 2)} (wanted: 0.25 ms, 1.35)")
        print(f"p99 at 1000/s: {spread(p99['with'], 2)} ms with, {spread(p99['without'], 2)} ms without")
        ratio = [a / b for a, b in zip(cpu["with"], cpu["without"])]
        print(f"processor time of a call: {spread(cpu['with'], 0)} us with, {spread(cpu['without'], 0)} us without")
        print(f"  ratio {spread(ratio, 2)} (wanted: 1.35)")
        script = float(re.search(r"cmdstat_evalsha:.*?usec_per_call=([\d.]+)",
                                 store.cli("INFO", "commandstats"))[1])
        idle = statistics.median(redis["without"])
        net = [value - idle for value in redis["with"]]
        print(f"Redis: {spread(net, 1)} us of processor time a check, {script:.1f} us of them the script (wanted: 25)")
        sizes = [int(store.cli("MEMORY", "USAGE", key)) for key in store.cli("KEYS", "*").split()[:100]]
        print(f"memory of a token in the store: {max(sizes)} bytes (wanted: 4096)")
        print(f"one after the other, without other load: {tight_costs(store)}")
        print(f"local decisions: {ways['with'].decisions('local')}")
    finally:
        for process in [*ways.values(), store, vendor]:
            process.kill()


def tight_costs(store):
    """Redis's processor time for requests that follow each other: PING, an empty script, a check."""
    source = "".join((SCRIPTS / name).read_text() for name in ("record.lua", "take.lua"))
    far = str(int((time.time() + 3600) * 25_000))
    check = [store.cli("SCRIPT", "LOAD", source), "1", "figures:__rand_int__", "300", "1512500", far, far, "1"]
    empty = [store.cli("SCRIPT", "LOAD", "return 1"), "0"]
    costs = []
    for name, words in (("PING", ["PING"]), ("empty script", ["EVALSHA", *empty]), ("check", ["EVALSHA", *check])):
        before = redis_cpu(store)
        subprocess.run(["redis-benchmark", "-p", str(store.port), "-c", "1", "-n", "30000", "-r", "200", "-q", *words],
                       stdout=subprocess.DEVNULL, check=True)
        costs.append(f"{name} {(redis_cpu(store) - before) / 30000 * 1e6:.1f} us")
    return ", ".join(costs)


@contextlib.contextmanager
def awake():
    """Keeps the cores awake: a virtual machine pays for each that sleeps, a different price each time."""
    command = ["chrt", "--idle", "0", LOAD, "spin"]
    spinning = [subprocess.Popen(command) for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def frozen(folder, options):
    """The store freezes for seven seconds under 1000 calls a second."""
    vendor, store = Vendor(folder), Redis("redis", folder)
    gateway = Gateway("frozen", vendor, folder, "--budget-store", f"redis://127.0.0.1:{store.port}", limit=600)
    plain = Gateway("plain", vendor, folder, limit=600)
    try:
        for each in (gateway, plain):
            calls([each], WARM_UP, 400)
        usual = calls([plain], 20, 400)
        seen, is_over = [], threading.Event()

        def watch():
            while not is_over.is_set():
                seen.append((time.time(), gateway.decisions("store"), gateway.decisions("local")))
                is_over.wait(0.05)

        watching = threading.Thread(target=watch)
        running = start_calls([gateway], 20, 400, 1000)
        watching.start()
        time.sleep(5)
        store.freeze()
        frozen_at = time.time()
        time.sleep(7)
        store.thaw()
        thawed_at = time.time()
        result = Calls(running.communicate()[0])
        is_over.set()
        watching.join()
        print(f"a gateway without a store: {usual.answered.strip()}")
        print(f"the store frozen for 7 s:  {result.answered.strip()}")
        print(f"  {result.counts}; wanted: none later than 60 ms by it")
        first_local = next((at for at, _, local in seen if at > frozen_at and local > at_time(seen, frozen_at)[2]), None)
        again = next(at for at, count, _ in seen if at > thawed_at and count > at_time(seen, thawed_at)[1])
        print(f"first local decision {first_local - frozen_at:.2f} s after the freeze, "
              f"the store used again {again - thawed_at:.2f} s after its return (wanted: 1 s, 5 s)")
        for line in gateway.log.read_text().splitlines():
            if "store" in line:
                print(f"  log: {line}")
    finally:
        for process in (gateway, plain, store, vendor):
            process.kill()


def at_time(seen, moment):
    """The last figures before a moment."""
    return max((it for it in seen if it[0] <= moment), default=None)


async def use(folder, options):
    """One token at its limit on three replicas: shared, and in fixed parts, side by side."""
    print(f"one token of 300 a minute, asked for {options.minutes} minutes over one connection and over all")
    store = Redis("redis", folder)
    url = f"redis://127.0.0.1:{store.port}"
    ways = []
    for name, flags, limit, connected in [
        ("shared, all replicas", ["--budget-store", url], 300, 3),
        ("shared, one connection", ["--budget-store", url], 300, 1),
        ("parts, all replicas", [], 100, 3),
        ("parts, one connection", [], 100, 1),
    ]:
        vendor = Sandbox(300, folder)
        replicas = [Gateway(f"{name}-{number}".replace(" ", "-").replace(",", ""), vendor, folder, *flags, limit=limit)
                    for number in range(3)]
        ways.append((name, vendor, replicas, connected))
    try:
        stop, journals, running = asyncio.Event(), [], []
        for _, vendor, replicas, connected in ways:
            journal = Journal(vendor)
            journals.append((journal, asyncio.create_task(journal.collect(stop))))
            # 500 a minute, spread over the replicas.
            running.append(start_calls(replicas[:connected], int(options.minutes * 60), 1, 8.4))
        began = time.time()
        for process in running:
            await asyncio.to_thread(process.wait)
        stop.set()
        for (name, _, replicas, _), (journal, collecting) in zip(ways, journals):
            await collecting
            requests = [each for token in journal.by_token().values() for each in token]
            # The first minute begins with a full budget.
            begin, end = began + 62, began + options.minutes * 60 - 1
            count = sum(begin <= at <= end for at, _ in requests)
            refused = sum(status == 429 for _, status in requests)
            share = count / ((end - begin) / 60 * 300)
            local = sum(each.decisions("local") for each in replicas)
            print(f"{name}: {share:.3f} of the limit, {refused} refused by the vendor, {local} local decisions")
    finally:
        for _, vendor, replicas, _ in ways:
            for process in (*replicas, vendor):
                process.kill()
        store.kill()


def memory(folder, options):
    """As many calls in an hour as there are tokens: 100,000, unless --tokens names others."""
    vendor, store = Vendor(folder), Redis("redis", folder)
    gateway = Gateway("memory", vendor, folder, "--budget-store", f"redis://127.0.0.1:{store.port}")
    try:
        running = start_calls([gateway], int(options.minutes * 60), options.tokens, options.tokens / 3600)
        while running.poll() is None:
            time.sleep(options.minutes * 60 / 15)
            used = re.search(r"used_memory:(\d+)", store.cli("INFO", "memory"))[1]
            print(f"resident {gateway.resident():.1f} MB, the store {int(used) / 1e6:.1f} MB with "
                  f"{store.cli('DBSIZE')} tokens", flush=True)
        print(running.communicate()[0])
    finally:
        for process in (gateway, store, vendor):
            process.kill()


def main():
    parser = argparse.ArgumentParser(prog="figures", description=__doc__)
    parser.add_argument("what", nargs="*", help="cost, frozen, use, memory; all if none is named")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="of each round")
    parser.add_argument("--minutes", type=float, default=10, help="of use and of memory")
    parser.add_argument("--tokens", type=int, default=100_000, help="of memory")
    options = parser.parse_args()
    ways = {"cost": cost, "frozen": frozen, "use": use, "memory": memory}
    for what in options.what or ways:
        if what not in ways:
            sys.exit(f"figures: no {what}; one of {', '.join(ways)}")
        print(f"== {what}", flush=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="budget-"))
        with awake() if what in ("cost", "frozen") else contextlib.nullcontext():
            measured = ways[what](folder, options)
            if asyncio.iscoroutine(measured):
                asyncio.run(measured)


if __name__ == "__main__":
    main()
