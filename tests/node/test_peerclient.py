"""The client between nodes, against servers that answer as they like."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from ledger.errors import AllianceError, MalformedError, NotFoundError
from node import peerclient
from node.client import UnreachableError
from node.peerclient import PeerClient, place_of
from node.problems import problem_of
from node.wire import EXCHANGE_TYPE, Exchange, encode_exchange
from tests.support.world import seed, signer_from_seed

PIN = bytes(32)
MESSAGE = Exchange(v=1, pin=PIN, entries=(b"said",))
HEARD = Exchange(v=1, pin=PIN, entries=(b"heard",))
SIGNER = signer_from_seed(seed("peer"))


def answer(body: bytes, status: str = "200 OK", kind: str = EXCHANGE_TYPE, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


GOOD = answer(encode_exchange(HEARD))


class Server:
    """Says the next thing of a list to whatever it is asked; None closes the connection."""

    def __init__(self, *says: bytes | None) -> None:
        self._says = list(says)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while self._says:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with link:
                while self._says and (data := self._request(link)):
                    self.heard.append(data)
                    say = self._says.pop(0)
                    if say is None:
                        break
                    try:
                        link.sendall(say)
                    except OSError:
                        break

    def _request(self, link: socket.socket) -> bytes:
        data = b""
        while not data.endswith(encode_exchange(MESSAGE)):
            received = link.recv(65_536)
            if not received:
                return b""
            data += received
        return data

    def close(self) -> None:
        self._says.clear()
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(*says: bytes | None) -> Server:
        made.append(Server(*says))
        return made[-1]

    yield make
    for server in made:
        server.close()


def ask(client: PeerClient) -> Exchange:
    return client.exchange(MESSAGE, int(time.time()), bytes(16))


Serve = Callable[..., Server]


def test_one_connection_carries_many_requests(serve: Serve) -> None:
    server = serve(GOOD, GOOD)
    with PeerClient(server.url + "/chains/one/", SIGNER) as client:
        assert ask(client) == HEARD
        assert ask(client) == HEARD
    assert server.connections == 1
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /chains/one/api/v1/exchange HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b'keyid="' in head
    assert body == encode_exchange(MESSAGE)


def test_a_connection_that_was_closed_is_opened_again(serve: Serve) -> None:
    last = answer(encode_exchange(HEARD), more="connection: close\r\n")
    server = serve(last, GOOD, None, GOOD)
    with PeerClient(server.url, SIGNER) as client:
        assert ask(client) == HEARD
        assert ask(client) == HEARD
        with pytest.raises(UnreachableError, match="O7"):
            ask(client)
        assert ask(client) == HEARD
    assert server.connections == 3


def test_what_the_other_node_refuses_with_is_raised(serve: Serve) -> None:
    problem = msgspec.json.encode(problem_of(NotFoundError("O6.route")))
    kind = "application/problem+json"
    server = serve(
        answer(problem, "404 Not Found", kind),
        answer(b"{", "404 Not Found", kind),
        answer(b'{"rule":"\xff"}', "404 Not Found", kind),
        answer(b'{"rule":' + b"[" * 100_000, "404 Not Found", kind),
        answer(b"no", "502 Bad Gateway", "text/html"),
        answer(b"\xc1", "200 OK"),
    )
    with PeerClient(server.url, SIGNER) as client:
        for rule, error in (
            ("O6.route", NotFoundError),
            *[("O7.answer", UnreachableError)] * 4,
            ("H8", MalformedError),
        ):
            with pytest.raises(error) as raised:
                ask(client)
            assert raised.value.rule == rule


@pytest.mark.parametrize(
    "says",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1_000,
        answer(b"x" * 2_000),
        GOOD[:-1],
        GOOD + b"junk behind it",
    ],
)
def test_what_is_no_answer_ends_the_connection(
    serve: Serve, says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does it wait for ever nor hold more than an exchange may have."""
    monkeypatch.setattr(peerclient, "MAX_EXCHANGE_BYTES", 900)
    server = serve(says)
    with PeerClient(server.url, SIGNER, timeout_s=0.5) as client:
        with pytest.raises(UnreachableError, match="O7"):
            ask(client)
        assert client._socket is None


def test_a_slow_answer_has_no_more_time_than_any() -> None:
    """One byte now and then does not keep the request open."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def drip() -> None:
        link, _ = listener.accept()
        with link:
            while not stopping.wait(0.05):
                try:
                    link.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    start = time.monotonic()
    with PeerClient(url, SIGNER, timeout_s=0.3) as client, pytest.raises(UnreachableError):
        ask(client)
    assert time.monotonic() - start < 5
    stopping.set()
    thread.join(5)
    listener.close()


@pytest.mark.parametrize(
    "url", ["ftp://h1", "http://", "http://h1:port", "http://h1:99999", "http://[::1", "http://a?b"]
)
def test_a_url_that_is_none_is_nowhere(url: str) -> None:
    with PeerClient(url, SIGNER) as client, pytest.raises(UnreachableError, match="O7"):
        ask(client)


def test_the_authority_is_signed_as_it_is_sent() -> None:
    assert place_of("https://H1.example.org") == ("h1.example.org", 443, "h1.example.org", "")
    assert place_of("http://h1:80/a/") == ("h1", 80, "h1", "/a")
    assert place_of("http://[::1]:8471") == ("::1", 8471, "[::1]:8471", "")


def test_an_encrypted_way_needs_a_certificate(serve: Serve) -> None:
    server = serve(GOOD)
    url = server.url.replace("http:", "https:")
    with PeerClient(url, SIGNER, timeout_s=1) as client, pytest.raises(AllianceError, match="O7"):
        ask(client)
