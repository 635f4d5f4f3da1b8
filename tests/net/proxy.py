"""Links that tests can slow down, break and mend: one TCP proxy on loopback for each ordered pair
of members, all of them in one thread.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

CHUNK: Final = 64 << 10
READY_S: Final = 10.0


@dataclass
class Way:
    """What happens to the bytes of one member to another, on whichever connection."""

    delay_s: float = 0.0
    loss: float = 0.0
    """The chance that a piece of data ends its connection instead of arriving."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear while the way is cut: bytes wait, as TCP sends them again later."""


class Proxies:
    """The proxies of a network. `ports[a, b]` is where member a finds member b.

    A request of a to b travels the way (a, b) and its answer the way (b, a): cutting one way
    leaves the other one whole.
    """

    def __init__(self, targets: dict[str, int], seed: int = 1) -> None:
        self._targets = targets
        self._random = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        pairs = [(a, b) for a in targets for b in targets if a != b]
        self._ways = {pair: Way() for pair in pairs}
        self.ports: dict[tuple[str, str], int] = {}
        self._thread = threading.Thread(target=self._run, name="proxies", daemon=True)
        self._thread.start()
        assert self._ready.wait(READY_S)

    # --- what tests do ----------------------------------------------------------------------------

    def cut(self, froms: Iterable[str], tos: Iterable[str]) -> None:
        """Nothing gets from these members to those; the other way stays as it is."""
        self._each(froms, tos, lambda way: way.open.clear())

    def split(self, left: Iterable[str], right: Iterable[str]) -> None:
        """Nothing gets from one side to the other."""
        left, right = tuple(left), tuple(right)
        self.cut(left, right)
        self.cut(right, left)

    def worsen(self, delay_s: float, loss: float) -> None:
        """Every way is slow and loses connections."""

        def set_both(way: Way) -> None:
            way.delay_s, way.loss = delay_s, loss

        self._each(self._targets, self._targets, set_both)

    def heal(self) -> None:
        """All ways are whole again."""

        def mend(way: Way) -> None:
            way.delay_s = way.loss = 0.0
            way.open.set()

        self._each(self._targets, self._targets, mend)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(READY_S)

    def _each(self, froms, tos, change) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        for pair in [(a, b) for a in froms for b in tos if a != b]:
            self._loop.call_soon_threadsafe(change, self._ways[pair])

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        servers = []
        for pair, way in self._ways.items():
            way.open.set()
            server = await asyncio.start_server(
                lambda reader, writer, pair=pair: self._carry(pair, reader, writer), "127.0.0.1", 0
            )
            self.ports[pair] = server.sockets[0].getsockname()[1]
            servers.append(server)
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self, pair: tuple[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection, until one side ends it."""
        there, back = self._ways[pair], self._ways[pair[::-1]]
        far: asyncio.StreamWriter | None = None
        try:
            await there.open.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._targets[pair[1]])
            pumps = {
                asyncio.ensure_future(self._pump(reader, far, there)),
                asyncio.ensure_future(self._pump(far_reader, writer, back)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody listens there now: the caller sees a connection that ends
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await way.open.wait()
                if way.delay_s:
                    await asyncio.sleep(way.delay_s * (0.5 + self._random.random()))
                if self._random.random() < way.loss:
                    return
                await way.open.wait()
                writer.write(data)
                await writer.drain()
