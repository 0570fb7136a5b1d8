"""The requests that the vendor received, and what they prove."""

import asyncio
import datetime
import json

MINUTE = 60.0


class Journal:
    """Collects the sandbox's journal, of which it keeps the latest 1000 requests."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.requests = {}

    async def collect(self, until):
        """Reads it twice a second, and once more at the end."""
        while not until.is_set():
            await self.read()
            try:
                await asyncio.wait_for(until.wait(), 0.5)
            except TimeoutError:
                pass
        await self.read()

    async def read(self):
        text = await asyncio.to_thread(self.sandbox.get, "/sandbox/requests")
        rows = json.loads(text)
        rows = rows["requests"] if isinstance(rows, dict) else rows
        for row in rows:
            self.requests[row["number"]] = row

    def gaps(self):
        """The numbers that were not seen: none, or the check proves nothing."""
        numbers = sorted(self.requests)
        return [n for a, b in zip(numbers, numbers[1:]) for n in range(a + 1, b)]

    def by_token(self):
        """Per token, the time and the status of each request, in order."""
        tokens = {}
        for row in sorted(self.requests.values(), key=lambda row: row["number"]):
            received = datetime.datetime.fromisoformat(row["received"].replace("Z", "+00:00"))
            tokens.setdefault(row["token"], []).append((received.timestamp(), row["status"]))
        return tokens


def most_in_a_minute(times, begin, end):
    """The most requests of any minute that lies within an interval, and when it ends."""
    times = [time for time in times if begin <= time <= end]
    most, at, first = 0, begin, 0
    for index, time in enumerate(times):
        while times[first] <= time - MINUTE:
            first += 1
        if index - first + 1 > most:
            most, at = index - first + 1, time
    return most, at
