"""How connections are held, before there is a request: bounded in number, in the bytes of a head
and in time (SPEC 13.5).

The server beneath bounds none of them: a head of any length is kept, its sender may take for ever,
and so may whoever does not read an answer.
"""

import asyncio
from collections import OrderedDict
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS: Final = 512
"""Connections of one address at a time; beyond that uvicorn answers 503 by itself."""
SPARE_CONNECTIONS: Final = 64
"""Where fewer are left, the one that has been without a request for longest makes room."""
HEAD_S: Final = 10.0
"""How long a head may take to arrive, from the connection or its first byte on."""
MAX_HEAD_BYTES: Final = 64 << 10
"""What a connection may send without completing anything: a head, or what stands after a body."""
STALLED_S: Final = 30.0
"""How long whoever is answered may read nothing."""


class Bounded(HttpToolsProtocol):
    """One connection of a server of `bounded_protocol`."""

    waiting: ClassVar[OrderedDict[Any, None]]
    """The connections of this server that wait for a request, the longest first."""
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection without a request yet."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MAX_CONNECTIONS - SPARE_CONNECTIONS and self.waiting:
            oldest, _none = self.waiting.popitem(last=False)
            oldest.transport.abort()
        self._timer = self.loop.call_later(HEAD_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Some bytes; a head that is not whole yet has a time and a size."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
        elif self in self.waiting and self._timer is None and self._head_bytes:
            self._timer = self.loop.call_later(HEAD_S, self.transport.abort)

    def on_headers_complete(self) -> None:
        """A request."""
        self._head_bytes = 0
        self.waiting.pop(self, None)
        self._in_time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of its body."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole of it."""
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered."""
        super().on_response_complete()
        if not self.transport.is_closing() and not self.pipeline:
            self._wait()

    def pause_writing(self) -> None:
        """Whoever is answered reads slower than we write."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """They have read."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of it."""
        self.waiting.pop(self, None)
        self._in_time()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def _watch(self, left: int) -> None:
        self._stall = self.loop.call_later(STALLED_S, self._look, left)

    def _look(self, before: int) -> None:
        """A slow line is none that stands still."""
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        else:
            self._watch(left)

    def _wait(self) -> None:
        self.waiting[self] = None
        self.waiting.move_to_end(self)

    def _in_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_protocol() -> type[Bounded]:
    """The protocol of one server: its connections make room for one another."""
    return type("Bounded", (Bounded,), {"waiting": OrderedDict()})
