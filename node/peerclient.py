"""The way to another node: one kept connection, plain HTTP/1.1, every request signed with a node
key (SPEC 11).

A record costs a few dozen small requests between the members, and what a client costs for each is
most of what they wait for. So the request is put together here and the response is read by
httptools, the parser of our server: a tenth of httpx's CPU for the same bytes (see
DECISIONS). What arrives is bounded in size and time.
"""

import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from select import select
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import httptools
import msgspec

from ledger.crypto import Signer
from ledger.encoding import UNREADABLE
from ledger.errors import AllianceError, TooLargeError
from ledger.records.payloads import Deposit, decode_deposit, encode_deposit
from node.client import (
    ATTACHMENTS_PATH,
    DEPOSIT_TYPE,
    NO_PINS,
    PAYLOADS_PATH,
    UnreachableError,
    error_of,
    not_reached,
)
from node.forms import BYTES_TYPE, AttachmentState
from node.httpsig import NO_BODY, Request, sign_request
from node.tls import Trust, context_of
from node.wire import (
    EXCHANGE_PATH,
    EXCHANGE_TYPE,
    MAX_EXCHANGE_BYTES,
    Exchange,
    decode_exchange,
    encode_exchange,
)

PORTS: Final = {"http": 80, "https": 443}
READ_BYTES: Final = 1 << 18
MAX_HEAD_BYTES: Final = 64 << 10
_PROBLEM: Final = msgspec.json.Decoder(dict[str, Any])


class _Answer:
    """What the parser finds of one response; more than an exchange may hold ends it."""

    def __init__(self) -> None:
        self.status = 0
        self.kind = ""
        self.date = ""
        self.done = self.last = False
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = 0

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(self._body)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field; few matter."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise TooLargeError("O5.large", limit=MAX_HEAD_BYTES)
        field, text = name.lower(), value.decode("latin-1")
        if field == b"content-type":
            self.kind = text
        elif field == b"connection":
            self.last = "close" in text.lower()
        elif field == b"date":
            self.date = text

    def on_body(self, data: bytes) -> None:
        """A piece of the content."""
        self._body_bytes += len(data)
        if self._body_bytes > MAX_EXCHANGE_BYTES:
            raise TooLargeError("O5.large", limit=MAX_EXCHANGE_BYTES)
        self._body.append(data)

    def on_message_complete(self) -> None:
        """There is no more."""
        self.done = True


class Place(NamedTuple):
    """Where an address leads."""

    host: str
    port: int
    authority: str
    """What a request there is signed for: the host, and the port where it is not the usual one."""
    base: str
    """The path before all routes."""


def place_of(url: str) -> Place:
    """Where an address leads. Raises `ValueError` for what is none."""
    parts = urlsplit(url)
    host, usual = parts.hostname, PORTS.get(parts.scheme)
    if not host or usual is None or parts.query or parts.fragment:
        raise ValueError(url)
    port = usual if parts.port is None else parts.port
    shown = f"[{host}]" if ":" in host else host.encode("idna").decode()
    authority = shown if port == usual else f"{shown}:{port}"
    return Place(host, port, authority, parts.path.rstrip("/"))


class PeerClient:
    """A connection to one other node, opened when it is needed. Use it with `with`, or `close`
    it. For one thread at a time.
    """

    def __init__(
        self, url: str, signer: Signer, timeout_s: float = 20.0, trust: Trust = NO_PINS
    ) -> None:
        self.url = url.rstrip("/")
        self._trust = trust
        self._context: ssl.SSLContext | None = None
        self._signer = signer
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def exchange(self, message: Exchange, now_s: int, nonce: bytes) -> Exchange:
        """Say something to the other node, and hear what it has to say.

        Raises `UnreachableError` (O7), `MalformedError` (H8) or what the other node refuses with.
        """
        body = encode_exchange(message)
        answer = self._signed("POST", EXCHANGE_PATH, EXCHANGE_TYPE, body, now_s, nonce)
        if answer.status != 200:
            raise self._problem(answer)
        return decode_exchange(answer.content)

    def payload(self, commit: str) -> Deposit:
        """A payload from the vault of another holder; whoever asks checks its commitment.

        Raises `NotFoundError` (T3), `ErasedError` (T4), `ForbiddenError` (T5), `UnreachableError`
        (O7) or `MalformedError` (S1, S2, T1).
        """
        answer = self._asked("GET", f"{PAYLOADS_PATH}/{commit}", NO_BODY, b"")
        return decode_deposit(answer.content)

    def give(self, deposit: Deposit) -> None:
        """Hand a payload to another holder that the chain names. Raises what it refuses with."""
        self._asked("POST", PAYLOADS_PATH, DEPOSIT_TYPE, encode_deposit(deposit))

    def attachment(self, commit: str) -> AttachmentState:
        """How far an attachment is at the other holder. Raises as `payload`."""
        answer = self._asked("GET", f"{ATTACHMENTS_PATH}/{commit}", NO_BODY, b"")
        try:
            return msgspec.json.decode(answer.content, type=AttachmentState)
        except UNREADABLE:
            raise UnreachableError("O7.answer", url=self.url, status=answer.status) from None

    def chunk(self, commit: str, number: int) -> bytes:
        """A piece of an attachment. Raises as `payload`, or `BusyError` (T13)."""
        path = f"{ATTACHMENTS_PATH}/{commit}/{number}"
        return self._asked("GET", path, NO_BODY, b"").content

    def put_chunk(self, commit: str, number: int, data: bytes) -> None:
        """Hand the next piece of an attachment to another holder. Raises what it refuses with."""
        self._asked("PUT", f"{ATTACHMENTS_PATH}/{commit}/{number}", BYTES_TYPE, data)

    def probe(self, now_s: int, nonce: bytes) -> tuple[str, int | None]:
        """Knock: a signed request that says nothing. Gives the rule by which it is refused and what
        the other's clock says (POSIX seconds; None where it does not).

        H8 is a node that knows this key as a member's; H5 one of other members. The other does not
        take it for a sign of life, and nothing that waits for this member is handed out.
        Raises `UnreachableError` (O7, O7.answer).
        """
        answer = self._signed("POST", EXCHANGE_PATH, EXCHANGE_TYPE, b"", now_s, nonce)
        problem = self._problem(answer)
        if isinstance(problem, UnreachableError):
            raise problem
        return problem.rule, _seconds(answer.date)

    def _asked(self, method: str, path: str, kind: str, body: bytes) -> _Answer:
        """Now, and only for a success."""
        now_s, nonce = int(time.time()), secrets.token_bytes(16)
        answer = self._signed(method, path, kind, body, now_s, nonce)
        if answer.status >= 300:
            raise self._problem(answer)
        return answer

    def _signed(
        self, method: str, path: str, kind: str, body: bytes, now_s: int, nonce: bytes
    ) -> _Answer:
        """Raises `UnreachableError` (O7)."""
        try:
            host, port, authority, base = place_of(self.url)
        except ValueError:
            raise UnreachableError("O7", url=self.url) from None
        request = Request(method, authority, base + path, "?", kind, body)
        headers = sign_request(request, self._signer, now_s, nonce)
        try:
            return self._ask(host, port, _head(request, headers) + body)
        except (OSError, httptools.HttpParserError) as error:
            # No connection, or something that does not speak HTTP.
            self.close()
            raise not_reached(self.url, error) from None

    def _ask(self, host: str, port: int, data: bytes) -> _Answer:
        """One request and its response. Raises `OSError` or `HttpParserError`."""
        link = self._connected(host, port)
        deadline = time.monotonic() + self._timeout_s
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        link.settimeout(self._timeout_s)
        link.sendall(data)
        while not answer.done:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            link.settimeout(left)
            received = link.recv(READ_BYTES)
            if not received:
                raise ConnectionResetError
            parser.feed_data(received)
        if answer.last:
            self.close()
        answer.status = parser.get_status_code()
        return answer

    def _connected(self, host: str, port: int) -> socket.socket:
        """The kept connection, unless the other side has closed it; or a new one."""
        if self._socket is not None and select([self._socket], [], [], 0)[0]:
            self.close()
        if self._socket is None:
            link = socket.create_connection((host, port), self._timeout_s)
            self._socket = link
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.url.startswith("https:"):
                self._context = self._context or context_of(self._trust)
                self._socket = self._context.wrap_socket(link, server_hostname=host)
        return self._socket

    def _problem(self, answer: _Answer) -> AllianceError:
        if answer.status >= 400 and answer.kind.startswith("application/problem+json"):
            try:
                return error_of(_PROBLEM.decode(answer.content))
            except UNREADABLE:
                pass
        return UnreachableError("O7.answer", url=self.url, status=answer.status)


def _seconds(date: str) -> int | None:
    """When the other answered by its own clock, in POSIX seconds, if it says so."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


def _head(request: Request, headers: Mapping[str, str]) -> bytes:
    """The request line and the fields."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return (
        f"{request.method} {request.path} HTTP/1.1\r\nhost: {request.authority}\r\n"
        f"content-length: {len(request.body)}\r\n{fields}\r\n"
    ).encode("ascii")
