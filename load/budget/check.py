"""Proves that replicas share the budget of each token, while their store fails.

Events come from a seed, which is printed: the same seed gives the same events.
"""

import argparse
import asyncio
import contextlib
import pathlib
import random
import signal
import sys
import tempfile
import time

from calls import Calls
from journal import Journal, most_in_a_minute
from partition import Partition
from processes import Redis, Replica, Sandbox, Sentinel

# How long after the end of an outage the replicas may need to use the store again.
RECOVERY = 5.0

# What the clocks of two processes, and the way to the vendor, may add.
SLACK = 0.3


class Check:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.outages = []
        self.local = self.stray = 0
        self.failed = []

    def say(self, text):
        print(f"{time.time() - self.began:7.1f} s  {text}", flush=True)

    def wants(self, holds, text):
        self.say(("proved: " if holds else "NOT SO: ") + text)
        if not holds:
            self.failed.append(text)

    async def run(self):
        self.began = time.time()
        options = self.options
        self.say(f"seed {options.seed}: {options.replicas} replicas, {options.tokens} tokens of "
                 f"{options.limit} a minute, {options.store}")
        self.sandbox = Sandbox(options.limit, self.folder)
        store = self.start_store()
        self.partitions = []
        self.replicas = []
        try:
            for number in range(options.replicas):
                partition = Partition(self.primary_port)
                await partition.start()
                self.partitions.append(partition)
                through = f"redis://127.0.0.1:{partition.port}"
                # One replica's clock is an hour ahead, and one a day behind.
                faketime = {1: "+1h", 2: "-1d"}.get(number) if options.faketime else None
                self.replicas.append(Replica(
                    number, self.sandbox, store or through, options.limit, self.folder, faketime))
            await self.check()
        finally:
            for process in [*self.replicas, *self.stores, self.sandbox]:
                process.kill()
        return self.failed

    def start_store(self):
        """Starts the store. Returns its URL; none where a forwarder is in front of it."""
        if self.options.store == "single":
            self.stores = [Redis("redis", self.folder, "--appendonly", "yes", "--appendfsync", "always")]
            self.primary_port = lambda: self.stores[0].port
            return None
        primary = Redis("primary", self.folder)
        replica = Redis("replica", self.folder, "--replicaof", "127.0.0.1", str(primary.port))
        sentinel = Sentinel(primary, self.folder)
        self.stores = [primary, replica, sentinel]
        self.primary_port = sentinel.primary
        return f"redis-sentinel://127.0.0.1:{sentinel.port}/budget"

    async def check(self):
        journal, stop = Journal(self.sandbox), asyncio.Event()
        collecting = asyncio.create_task(journal.collect(stop))
        calls = Calls(self.replicas, self.options, self.random)
        watching = asyncio.create_task(self.watch(stop))
        working = asyncio.create_task(calls.work())
        await self.events()
        calls.stop()
        await working
        self.say(f"{calls.summary()}; a quiet minute follows")
        await asyncio.sleep(62)
        busy_until = time.time() - 61
        burst_from = time.time()
        burst = await calls.burst()
        await asyncio.sleep(1)
        stop.set()
        await collecting
        await watching
        await calls.close()
        self.judge(journal, calls, busy_until, burst_from, burst)

    async def watch(self, stop):
        """Counts as an outage when a replica has decided alone: the store was too slow for it."""
        before = {}
        while not stop.is_set():
            began = time.time()
            for replica in self.replicas:
                count = await asyncio.to_thread(replica.local_decisions)
                if count is not None and count > before.get(replica.number, 0):
                    known = any(begin <= began <= end for begin, end in self.outages)
                    alone = count - before.get(replica.number, 0)
                    self.local += alone
                    if not known:
                        self.stray += alone
                        self.say(f"replica {replica.number} decided alone {alone} times")
                    self.outages.append((began - 2, time.time() + RECOVERY))
                if count is not None:
                    before[replica.number] = count
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)

    async def events(self):
        """Replicas fail all the time; the store at the middle of each three minutes."""
        end = time.time() + 60 * self.options.minutes
        next_outage = time.time() + 80
        while time.time() < end:
            await asyncio.sleep(self.random.uniform(6, 14))
            if time.time() > next_outage and time.time() < end - 75:
                await self.fail_store()
                next_outage = time.time() + 110
            else:
                await self.fail_replica()

    async def fail_replica(self):
        replica = self.random.choice(self.replicas)
        how = self.random.choice(["kill", "restart", "freeze", "flush scripts"])
        seconds = self.random.uniform(0.5, 3)
        self.say(f"{how}: replica {replica.number}, {seconds:.1f} s")
        if how == "flush scripts":
            for store in self.stores:
                if isinstance(store, Redis):
                    store.cli("SCRIPT", "FLUSH")
            return
        replica.gone_from = time.time()
        if how == "freeze":
            replica.freeze()
            await asyncio.sleep(seconds)
            replica.thaw()
            replica.gone_until = time.time()
            return
        how = signal.SIGKILL if how == "kill" else signal.SIGTERM
        await asyncio.to_thread(replica.kill, how)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(replica.start)
        replica.gone_until = time.time()

    async def fail_store(self):
        single = ["kill", "freeze", "partition", "cut"]
        how = self.random.choice(single if self.options.store == "single" else ["failover", "kill", "freeze"])
        seconds = self.random.uniform(1, 6)
        self.say(f"{how}: the store, {seconds:.1f} s")
        began = time.time()
        if how == "partition":
            partition = self.random.choice(self.partitions)
            partition.is_open.clear()
            await asyncio.sleep(seconds)
            partition.is_open.set()
        elif how == "cut":
            for partition in self.partitions:
                partition.cut()
        elif self.options.store == "single":
            store = self.stores[0]
            if how == "freeze":
                store.freeze()
                await asyncio.sleep(seconds)
                store.thaw()
            else:
                await asyncio.to_thread(store.kill)
                await asyncio.sleep(seconds)
                await asyncio.to_thread(store.start)
        else:
            await self.fail_over(how)
        self.outages.append((began, time.time() + RECOVERY))

    async def fail_over(self, how):
        """Lets the Sentinel choose another primary, and the old one return."""
        sentinel = self.stores[2]
        port = await asyncio.to_thread(sentinel.primary)
        primary = next(store for store in self.stores if store.port == port)
        if how == "failover":
            await asyncio.to_thread(
                Redis.cli, type("Sentinel", (), {"port": sentinel.port}), "sentinel", "failover", "budget")
        elif how == "kill":
            await asyncio.to_thread(primary.kill)
        else:
            primary.freeze()
        end = time.monotonic() + 30
        while await asyncio.to_thread(sentinel.primary) == port and time.monotonic() < end:
            await asyncio.sleep(0.2)
        if how == "kill":
            await asyncio.to_thread(primary.start)
        elif how == "freeze":
            primary.thaw()
        # The Sentinel turns the old primary into a replica within ten seconds.
        await asyncio.sleep(10)

    def covered(self, until):
        """The intervals in which every replica could use the store."""
        begin, intervals = self.began, []
        for outage_begin, outage_end in sorted(self.outages):
            intervals.append((begin, outage_begin))
            begin = max(begin, outage_end)
        intervals.append((begin, until))
        return [(begin, end) for begin, end in intervals if end > begin]

    def judge(self, journal, calls, busy_until, burst_from, burst):
        limit = self.options.limit
        self.wants(not journal.gaps(), "the whole journal of the vendor was seen")
        tokens = journal.by_token()
        covered = self.covered(time.time())
        whole = sum(end - begin >= 60 for begin, end in covered)
        self.wants(whole > 0, f"the store was reachable for a whole minute {whole} times")
        most, refused = 0, 0
        for requests in tokens.values():
            for begin, end in covered:
                found, _ = most_in_a_minute([at for at, _ in requests], begin, end)
                most = max(most, found)
            refused += sum(
                status == 429 and any(begin + 60 < at < end for begin, end in covered)
                for at, status in requests)
        self.wants(most <= limit, f"no token had more than {most} requests in a minute, of {limit}")
        self.wants(refused == 0, f"the vendor refused {refused} requests while the store was reachable")
        self.say(f"{self.local} checks were decided by a replica alone")
        self.wants(self.stray <= self.options.stray,
                   f"{self.stray} checks were local although nothing was wrong, of {self.options.stray} that may")
        used = [self.use(requests, covered, busy_until) for requests in tokens.values()]
        used = [share for share in used if share is not None]
        if used:
            self.say(f"of the limit, {min(used):.3f} to {max(used):.3f} was used in covered minutes")
        self.wants(not calls.wrong, f"no call was lost or failed for the store's sake {calls.wrong[:3]}")
        starved = calls.starved()
        self.wants(not starved, f"no replica starved {starved}")
        self.wants(burst.all_ok, f"after a quiet minute, the whole budget was there: {burst.summary}")

    def use(self, requests, covered, busy_until):
        """The share of the limit that a token used, in the covered minutes of the work."""
        seconds = count = 0
        for begin, end in covered:
            # The first minute of an interval begins with a full budget; then whole
            # windows, because requests come in bursts.
            begin += 62
            end = begin + (min(end, busy_until) - begin) // 60.5 * 60.5
            if end > begin:
                seconds += end - begin
                count += sum(begin <= at <= end for at, _ in requests)
        return count / (seconds * self.options.limit / 60.5) if seconds else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=5, help="of work with each store")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=6)
    parser.add_argument("--limit", type=int, default=120, help="requests of a token in a minute")
    parser.add_argument("--store", choices=["single", "sentinel", "both"], default="both")
    parser.add_argument("--stray", type=int, default=50, help="checks that may be local for no reason")
    parser.add_argument("--faketime", action="store_true", help="give replicas wrong clocks (libfaketime)")
    options = parser.parse_args()
    failed = []
    for store in ["single", "sentinel"] if options.store == "both" else [options.store]:
        options.store = store
        folder = pathlib.Path(tempfile.mkdtemp(prefix="budget-"))
        failed += asyncio.run(Check(options, folder).run())
        print(f"         the logs are in {folder}", flush=True)
    if failed:
        print(f"{len(failed)} not proved; again: --seed {options.seed}", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
