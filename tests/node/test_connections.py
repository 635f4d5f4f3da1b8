"""Connections that say little, or nothing, or too much, or do not listen: each ends, and whoever
asks meanwhile is answered.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from node import connections
from node.connections import MAX_HEAD_BYTES, bounded_protocol

LIMIT_S = 60
LARGE = 64 << 20


async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Answers a little, or at `/large` very much."""
    assert scope["type"] == "http"
    await receive()
    body = bytes(LARGE) if scope["path"] == "/large" else b"here"
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-length", str(len(body)).encode())]})  # fmt: skip
    await send({"type": "http.response.body", "body": body})


class Server:
    """A server of one application on a port of its own."""

    def __init__(self) -> None:
        config = uvicorn.Config(
            app, port=0, http=bounded_protocol(), limit_concurrency=connections.MAX_CONNECTIONS,
            log_config=None, lifespan="off", ws="none", timeout_keep_alive=60,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._listener]))

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A connection that has said this."""
        link = socket.create_connection(("127.0.0.1", self.port), LIMIT_S)
        link.sendall(sent)
        return link

    def answers(self) -> bool:
        """Whether an honest request is answered."""
        return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=LIMIT_S).content == b"here"

    def wait_for_nobody(self) -> None:
        """Until the server has no connection."""
        end = time.monotonic() + LIMIT_S
        state = self._server.server_state
        while not state.total_requests or state.connections:
            assert time.monotonic() < end
            time.sleep(0.02)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(LIMIT_S)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def ends(link: socket.socket) -> bool:
    """Whether the other side ends the connection, within a generous time."""
    link.settimeout(LIMIT_S)
    with suppress(ConnectionError):
        while link.recv(1 << 20):
            pass
    return True


def read_until(link: socket.socket, end: bytes) -> bool:
    """Whether this comes."""
    data = b""
    while not data.endswith(end):
        part = link.recv(65_536)
        if not part:
            return False
        data += part
    return True


def flood(link: socket.socket) -> int:
    """Send until the other side has enough; how much went."""
    sent = 0
    with suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            link.sendall(b"a" * 65_536)
            sent += 65_536
    return sent


def test_a_head_that_does_not_come_to_an_end_has_a_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    for said in (b"", b"GET / HTTP/1.1\r\nhost: x\r\nx: "):
        with server.connect(said) as link:
            assert ends(link)
    # The second head of a connection, too.
    with server.connect(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") as link:
        assert read_until(link, b"here")
        link.sendall(b"GET / HTTP/1.1\r\n")
        assert ends(link)
    assert server.answers()


@pytest.mark.parametrize(
    "before",
    [
        b"GET / HTTP/1.1\r\nx: ",
        b"GET /",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
    ],
)
def test_a_head_that_does_not_come_to_an_end_has_a_size(server: Server, before: bytes) -> None:
    with server.connect(before) as link:
        assert flood(link) < 100 * MAX_HEAD_BYTES
    assert server.answers()


def test_those_who_wait_longest_without_a_request_make_room(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 24)
    monkeypatch.setattr(connections, "SPARE_CONNECTIONS", 8)
    links = [server.connect() for _ in range(20)]
    try:
        assert ends(links[0])
        assert ends(links[1])
        assert server.answers()
        links[-1].sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert read_until(links[-1], b"here")
    finally:
        for link in links:
            link.close()


def test_who_reads_nothing_is_let_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALLED_S", 0.3)
    with server.connect(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n") as deaf:
        server.wait_for_nobody()
        received = 0
        with suppress(ConnectionError):
            while part := deaf.recv(1 << 20):
                received += len(part)
        assert received < LARGE
    assert server.answers()


def test_who_reads_slowly_is_not() -> None:
    """The timer looks whether anything went since it looked last."""
    done: list[str] = []
    left = iter([90, 80, 80])
    protocol = object.__new__(bounded_protocol())
    protocol.loop = SimpleNamespace(call_later=lambda *call: done.append(f"again {call[-1]}"))
    protocol.transport = SimpleNamespace(
        get_write_buffer_size=lambda: next(left), abort=lambda: done.append("ended")
    )
    for before in (100, 90, 80):
        protocol._look(before)
    assert done == ["again 90", "again 80", "ended"]
