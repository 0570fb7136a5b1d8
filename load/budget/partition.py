"""A TCP forwarder in front of the store, which can lose everything, or cut."""

import asyncio
import contextlib


class Partition:
    """Forwards connections; while `is_open` is false it reads and forwards nothing."""

    def __init__(self, target):
        self.target = target
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _accept(self, reader, writer):
        self.writers.add(writer)
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target())
        except OSError:
            writer.close()
            return
        self.writers.add(to_writer)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._copy(reader, to_writer), self._copy(to_reader, writer))

    async def _copy(self, reader, writer):
        try:
            while data := await reader.read(65536):
                await self.is_open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def cut(self):
        """Ends all connections."""
        for writer in list(self.writers):
            writer.close()
