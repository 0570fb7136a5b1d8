"""Callers of a gateway on its sandbox, with good and bad minutes: what the dashboard's picture shows."""

import asyncio
import math
import random
from collections import Counter

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

USERS = 2000
SETTINGS = {
    # Small, so that one machine can reach it.
    "PRESENCE_GATEWAY_MAX_IN_FLIGHT": "48",
    "PRESENCE_GATEWAY_BULK_MERGE_WINDOW": "5ms",
    # Thousands of lines of calls that fail on purpose.
    "PRESENCE_GATEWAY_LOG_LEVEL": "error",
}
SANDBOX = ["--users", str(USERS), "--latency", "40ms"]
PACKAGE = "genesys.presence.v1"
AWAY = "5e5c5c66-ea97-4e7f-ac41-6424784829f2"
EXPORTED = 400  # ids of one stream


class Caller:
    """Makes calls by reflection, and counts their statuses."""

    def __init__(self, address):
        self.statuses = Counter()
        self._channel = grpc.aio.insecure_channel(address)
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = descriptor_pool.DescriptorPool(database)
            self._methods = {
                method.name: method
                for service in database.get_services()
                if service.startswith(PACKAGE)
                for method in pool.FindServiceByName(service).methods
            }

    async def call(self, rpc, request, token, timeout=10):
        """Makes a call; a request with ids for a streaming RPC is sent as one message."""
        method = self._methods[rpc]
        types = [message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type)]
        words = {"request_serializer": types[0].SerializeToString, "response_deserializer": types[1].FromString}
        path = f"/{method.containing_service.full_name}/{rpc}"
        with_token = {"metadata": [("authorization", f"Bearer {token}")], "timeout": timeout}
        message = json_format.ParseDict(request, types[0]())
        try:
            if method.client_streaming:
                async for _ in self._channel.stream_stream(path, **words)(iter([message]), **with_token):
                    pass
            else:
                await self._channel.unary_unary(path, **words)(message, **with_token)
            self.statuses["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.statuses[error.code().name] += 1

    async def watch(self, users, token, seconds):
        """Watches users for so long."""
        method = self._methods["WatchUsersPresences"]
        types = [message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type)]
        words = {"request_serializer": types[0].SerializeToString, "response_deserializer": types[1].FromString}
        path = f"/{method.containing_service.full_name}/WatchUsersPresences"
        watch = self._channel.unary_stream(path, **words)(
            types[0](ids=users), metadata=[("authorization", f"Bearer {token}")], timeout=seconds
        )
        try:
            async for _ in watch:
                pass
        except grpc.aio.AioRpcError as error:
            # The end of a watch is its deadline.
            self.statuses["OK" if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else error.code().name] += 1

    async def close(self):
        await self._channel.close()


def user(number):
    return f"00000000-0000-4000-8000-{number:012}"


def some(count):
    return [user(number) for number in random.sample(range(1, USERS + 1), count)]


async def agents(caller, token):
    """A desktop: reads, and now and then writes, the presence of a few users."""
    match random.random():
        case chance if chance < 0.55:
            await caller.call("GetUserPresencesPurecloud", {"userId": random.choice(some(1))}, token)
        case chance if chance < 0.65:  # two views of the same user
            read = {"userId": some(1)[0]}
            await asyncio.gather(*(caller.call("GetUserPresencesPurecloud", read, token) for _ in range(2)))
        case chance if chance < 0.88:
            body = {"presenceDefinition": {"id": AWAY}}
            await caller.call("PatchUserPresencesPurecloud", {"userId": some(1)[0], "body": body}, token)
        case chance if chance < 0.95:
            await caller.call("GetPresenceDefinitions", {}, token)
        case chance if chance < 0.98:
            await caller.call("GetUserPresencesPurecloud", {"userId": "nobody"}, token)
        case _:
            await caller.call("GetUserPresencesPurecloud", {"userId": user(1)}, random.choice(["expired", "forbidden"]))


async def wallboards(caller, token):
    """A wallboard: polls its teams, a few of them at once."""
    if random.random() < 0.6:
        await caller.call("GetUsersPresencesPurecloudBulk", {"ids": some(random.randint(60, 260))}, token, 20)
    else:
        teams = (caller.call("GetUsersPresencesPurecloudBulk", {"ids": some(9)}, token) for _ in range(4))
        await asyncio.gather(*teams)


async def jobs(caller, token):
    """A job: exports a department, or sets a shift."""
    if random.random() < 0.7:
        await caller.call("StreamUsersPresencesPurecloudBulk", {"ids": some(EXPORTED)}, token, 30)
    else:
        updates = [{"id": id, "presenceDefinition": {"id": AWAY}} for id in some(120)]
        await caller.call("PutUsersPresencesBulk", {"body": updates}, token, 30)


async def floors(caller, token):
    """A floor: watches a team for a while, and does not always read in time."""
    await caller.watch(some(200), token, random.uniform(20, 40))


# Who calls, with how many tokens, how often in a second.
LOAD = [(agents, 16, 14), (wallboards, 6, 1.6), (jobs, 4, 0.3), (floors, 3, 0.1)]


async def run(address, seconds, sandbox, store):
    """Calls for so long, with faults of `sandbox`, a Monitored, and of `store`. Returns the number of calls by status."""
    caller = Caller(address)
    calls = set()
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for kind, tokens, rate in LOAD:
                group.create_task(_arrivals(caller, kind, tokens, rate, calls))
            group.create_task(_story(caller, seconds, sandbox, store, calls))
    except TimeoutError:
        pass
    await asyncio.gather(*calls, return_exceptions=True)
    await caller.close()
    return caller.statuses


def _start(calls, call):
    task = asyncio.create_task(call)
    calls.add(task)
    task.add_done_callback(calls.discard)


async def _arrivals(caller, kind, tokens, rate, calls):
    """Calls at random moments, whether or not earlier ones have ended."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        wave = 1 + 0.3 * math.sin((loop.time() - begun) / 60)
        await asyncio.sleep(random.expovariate(rate * wave))
        _start(calls, kind(caller, f"{kind.__name__}-{random.randrange(tokens)}"))


async def _story(caller, seconds, sandbox, store, calls):
    """What goes wrong, second by second."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        part = (loop.time() - begun) / seconds
        rules = [f"delay={random.randint(60, 160)}ms times=3 path=/presences/"]
        if part < 0.02 or 0.5 < part < 0.53:  # the vendor has a new field
            rules = ["unknown-field times=200"]
        elif 0.18 < part < 0.28:  # it is slow
            rules = [f"delay={random.randint(400, 700)}ms"]
        elif 0.36 < part < 0.42:  # it is down, at first in part
            rules = [f"status=503 times={12 if part < 0.38 else 40}"]
        elif 0.5 < part < 0.6:  # it errs, and connections break
            rules = ["status=500 times=1", "cut times=1", "status=502 times=1"]
        elif 0.66 < part < 0.78:  # it throttles
            rules = ["retry-after=2 times=3"]
        if 0.3 < part < 0.34:  # the budget store does not respond
            store.freeze()
        else:
            store.thaw()
        await asyncio.to_thread(sandbox.behave)
        for rule in rules:
            await asyncio.to_thread(sandbox.misbehave, rule)
        if random.random() < 0.03:  # the sockets of the notifications end
            await asyncio.to_thread(sandbox.misbehave, "cut on=now")
        if 0.1 < part < 0.16 or 0.7 < part < 0.76:  # one caller loops
            for _ in range(12):
                _start(calls, caller.call("GetUserPresencesPurecloud", {"userId": some(1)[0]}, "loop", 4))
        if 0.86 < part < 0.89:  # all come at once, one of them above all
            await asyncio.to_thread(sandbox.misbehave, "delay=900ms")
            for number in range(40):
                token = "crowd" if number % 3 == 0 else f"agents-{number % 16}"
                _start(calls, caller.call("GetUserPresencesPurecloud", {"userId": some(1)[0]}, token, 4))
        await asyncio.sleep(1)
