"""The calls of the check: more than the limit allows, of each kind, to all replicas."""

import asyncio
import collections
import dataclasses
import time

import grpc
from genesys.presence.v1 import (
    presence_service_pb2,
    presence_service_pb2_grpc,
    presence_stream_service_pb2,
    presence_stream_service_pb2_grpc,
)

# The first of the sandbox's users; the others count up from it.
USER = "00000000-0000-4000-8000-{:012d}"

# A token whose limit is reached; a replica that was stopped.
EXPECTED = {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


@dataclasses.dataclass
class Burst:
    all_ok: bool
    summary: str


class Calls:
    def __init__(self, replicas, options, random):
        self.replicas, self.options, self.random = replicas, options, random
        self.is_stopped = False
        self.statuses = collections.Counter()
        self.served = collections.Counter()
        self.asked = collections.Counter()
        self.wrong = []
        self.channels = [grpc.aio.insecure_channel(it.address, options=[("grpc.enable_retries", 0),
                         ("grpc.max_reconnect_backoff_ms", 500)]) for it in replicas]

    def stop(self):
        self.is_stopped = True

    async def close(self):
        for channel in self.channels:
            await channel.close()

    async def work(self):
        await asyncio.gather(*(self.of_token(number) for number in range(self.options.tokens)))

    async def of_token(self, number):
        """Calls with one token, half as many again as its limit allows."""
        running = set()
        pause = 60 / self.options.limit / 1.5
        while not self.is_stopped:
            replica = self.random.choice(self.replicas)
            call = self.random.choices([self.unary, self.bulk, self.stream], [80, 15, 5])[0]
            task = asyncio.create_task(self.judged(replica, call, number))
            running.add(task)
            task.add_done_callback(running.discard)
            batches = 3 if call != self.unary else 1
            await asyncio.sleep(self.random.expovariate(1 / (pause * batches)))
        await asyncio.gather(*running)

    async def judged(self, replica, call, token):
        began = time.time()
        metadata = [("authorization", f"Bearer budget-{token}")]
        # Some wait for a turn, and some can not.
        deadline = self.random.choice([2, 10, 70])
        try:
            await call(self.channels[replica.number], metadata, deadline)
            status = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            status, details = error.code(), error.details()
        self.statuses[status.name] += 1
        self.asked[replica.number] += 1
        self.served[replica.number] += status == grpc.StatusCode.OK
        if status in EXPECTED:
            return
        gone_from = getattr(replica, "gone_from", 0)
        gone_until = getattr(replica, "gone_until", 0)
        was_gone = gone_from > 0 and (began < gone_until + 2 or gone_until < gone_from)
        # A call may wait for its turn until its deadline; it is refused before that.
        if not (status in GONE and was_gone):
            self.wrong.append(f"{status.name} of replica {replica.number} after "
                              f"{time.time() - began:.1f} s of {deadline} s: {details}")

    async def unary(self, channel, metadata, deadline):
        request = presence_service_pb2.GetUserPresencesPurecloudRequest(
            user_id=USER.format(self.random.randrange(1, 200)))
        stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
        await stub.GetUserPresencesPurecloud(request, metadata=metadata, timeout=deadline)

    def some_ids(self):
        count = self.random.choice([60, 120, 180])
        return [USER.format(it) for it in self.random.sample(range(1, 200), count)]

    async def bulk(self, channel, metadata, deadline):
        request = presence_service_pb2.GetUsersPresencesPurecloudBulkRequest(
            ids=self.some_ids(), allow_partial_results=self.random.random() < 0.5)
        stub = presence_service_pb2_grpc.PresenceServiceStub(channel)
        await stub.GetUsersPresencesPurecloudBulk(request, metadata=metadata, timeout=deadline)

    async def stream(self, channel, metadata, deadline):
        stub = presence_stream_service_pb2_grpc.PresenceStreamServiceStub(channel)
        request = presence_stream_service_pb2.StreamUsersPresencesPurecloudBulkRequest(ids=self.some_ids())
        async for _ in stub.StreamUsersPresencesPurecloudBulk(
                iter([request]), metadata=metadata, timeout=deadline):
            pass

    def starved(self):
        """The replicas that served far less than the others of what they were asked."""
        shares = {it: self.served[it] / max(1, self.asked[it]) for it in self.asked}
        return {it: round(share, 2) for it, share in shares.items() if share < max(shares.values()) / 2}

    def summary(self):
        return ", ".join(f"{count} {status}" for status, count in self.statuses.most_common())

    async def burst(self):
        """Uses the whole budget of each token within seconds, spread over the replicas."""
        before = collections.Counter(self.statuses)
        wrong = len(self.wrong)
        calls = []
        for number in range(self.options.limit):
            replica = self.replicas[number % len(self.replicas)]
            for token in range(self.options.tokens):
                calls.append(asyncio.create_task(self.timed(replica, token)))
                # All at once would be late for the processor, not for the store.
                await asyncio.sleep(0.01)
        waits = await asyncio.gather(*calls)
        statuses = self.statuses - before
        summary = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        all_ok = set(statuses) == {"OK"} and len(self.wrong) == wrong
        return Burst(all_ok, f"{summary}, the slowest after {max(waits):.1f} s")

    async def timed(self, replica, token):
        began = time.monotonic()

        async def call(channel, metadata, _deadline):
            await self.unary(channel, metadata, 20)

        await self.judged(replica, call, token)
        return time.monotonic() - began
