"""What others may ask of this node: the exchange, and payloads that it holds for them; signed with
a key that the roster knows, and nothing else (SPEC 11, 14.4).

The exchange stands before the routes: a record takes dozens of such requests, and a framework
between the server and the one route would cost more than the route.
"""

import asyncio
import ipaddress
import time
from typing import Any, Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.errors import (
    AllianceError,
    AuthenticationError,
    BusyError,
    MalformedError,
    ProofError,
    RefusedError,
)
from ledger.records.payloads import CHUNK_BYTES, MAX_DEPOSIT_BYTES
from node.api import LOOPBACK, KnownProxies, install_errors, on_mistake, path_number, read_body
from node.client import ATTACHMENTS_PATH, PAYLOADS_PATH
from node.config import Config, is_loopback, names_at
from node.driver import Driver
from node.httpsig import Verifier, check_body
from node.identity import Identity, head_of, single
from node.links import Link, Links
from node.payloads import Payloads
from node.problems import problem_of, respond
from node.readings import Why
from node.wire import (
    EXCHANGE_PATH,
    EXCHANGE_TYPE,
    MAX_EXCHANGE_BYTES,
    Exchange,
    decode_exchange,
    encode_exchange,
)

MAX_HELD: Final = 2
"""Requests of one member that may be held open at a time."""
MAX_GUESTS_HELD: Final = 32
"""The same for all keys without a vote of one organisation together: a server has so many
connections and no more.
"""
MAX_ARRIVING: Final = 4
"""Requests of one member whose bodies may be on their way at a time; of all keys without a vote of
one organisation together.
"""


class Peers:
    """The routes of one node for the others, as an ASGI application."""

    def __init__(self, driver: Driver, links: Links, payloads: Payloads, others: ASGIApp) -> None:
        self.driver = driver
        self.payloads = payloads
        self.links = links
        self._others = others
        self._verifier = Verifier()
        self._names, self._on_loopback = _names_of(driver.config)
        self._held: dict[str, int] = {}
        self._arriving: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", EXCHANGE_PATH):
            await self._others(scope, receive, send)
            return
        try:
            response = await self.exchange(HttpRequest(scope, receive))
        except AllianceError as error:
            response = respond(problem_of(error))
        await response(scope, receive, send)

    async def exchange(self, request: HttpRequest) -> Response:
        """POST /api/v1/exchange: hear, and say."""
        if request.headers.get("content-type") != EXCHANGE_TYPE:
            raise MalformedError("H8")
        link = self._author(request)
        message = decode_exchange(await self._read(link, request, MAX_EXCHANGE_BYTES))
        if message.pin != self.driver.genesis.seal.leaf:
            raise ProofError("H7")
        link.seen_ms = int(time.time() * 1000)
        if not message.is_empty:
            self.driver.deliver(link.peer, message)
        answer = link.queue.take()
        if answer is None and message.wait_ms:
            answer = await self._hold(link, message.wait_ms / 1000, request)
        answer = answer or Exchange(v=1, pin=self.driver.genesis.seal.leaf)
        return Response(encode_exchange(answer), 200, None, EXCHANGE_TYPE)

    async def get_payload(self, request: HttpRequest) -> Response:
        """GET /api/v1/payloads/{commit}: a payload for the node of a holder."""
        link = await run_in_threadpool(self._node, request)
        commit = request.path_params["commit"]
        return await self.payloads.get(commit, _identity(link), Why())

    async def get_attachment(self, request: HttpRequest) -> Response:
        """GET /api/v1/attachments/{commit}: how far it is here, for the node of a holder."""
        link = await run_in_threadpool(self._node, request)
        return await self.payloads.describe_attachment(
            request.path_params["commit"], _identity(link)
        )

    async def get_chunk(self, request: HttpRequest) -> Response:
        """GET /api/v1/attachments/{commit}/{number}: a piece, for the node of a holder."""
        link = await run_in_threadpool(self._node, request)
        commit, number = request.path_params["commit"], path_number(request)
        return await self.payloads.get_chunk(commit, number, _identity(link), Why())

    async def put_chunk(self, request: HttpRequest) -> Response:
        """PUT /api/v1/attachments/{commit}/{number}: the next piece, from a node that cannot be
        asked for it.
        """
        link = await run_in_threadpool(self._node, request)
        body = await self._read(link, request, CHUNK_BYTES)
        commit, number = request.path_params["commit"], path_number(request)
        return await self.payloads.put_chunk(commit, number, body, _identity(link))

    async def post_payload(self, request: HttpRequest) -> Response:
        """POST /api/v1/payloads: a payload that the chain names, from a node that cannot be
        asked for it.
        """
        link = await run_in_threadpool(self._node, request)
        body = await self._read(link, request, MAX_DEPOSIT_BYTES)
        return await run_in_threadpool(self.payloads.put, body, _identity(link))

    async def _read(self, link: Link, request: HttpRequest, limit: int) -> bytes:
        """The body itself. Raises `AuthenticationError` (H4), `MalformedError` (O5) or `BusyError`
        (H9) for a member with too many on their way.
        """
        share = link.peer.share
        arriving = self._arriving.get(share, 0)
        if arriving >= MAX_ARRIVING:
            self.driver.counters["dropped"] += 1
            raise BusyError("H9", org=link.peer.org)
        self._arriving[share] = arriving + 1
        try:
            body = await read_body(request, limit, self.driver.config.body_ms)
        finally:
            self._arriving[share] -= 1
        check_body(body, request.headers)
        return body

    def _node(self, request: HttpRequest) -> Link:
        """A member's node, now or soon: payloads are for nobody else. Raises as `_author`."""
        link = self._author(request)
        if link.peer.role not in ("member", "joiner"):
            raise AuthenticationError("H5", kid=link.peer.name)
        return link

    def _author(self, request: HttpRequest) -> Link:
        """Who asks. Raises `AuthenticationError` (H1 to H3, H5, H6), `RefusedError` (O5.host) or
        `LimitError` (H10).
        """
        self._check_name(request.headers.get("host", ""))
        now_s = int(time.time())
        kid = self._verifier.check(head_of(request), single(request), self.links.find_key, now_s)
        link = self.links.link_of(kid)
        if link is None:
            # Another process with this node's own key: never to be talked to (consensus.md 2.12).
            raise AuthenticationError("H5", kid=kid)
        return link

    def _check_name(self, host: str) -> None:
        """What was signed for another node is none for this one: whoever got it there could come
        with it here, and be answered in its author's place. Raises `RefusedError` (O5.host).
        """
        is_near = self._on_loopback and LOOPBACK.match(host) is not None
        if not (is_near or host.lower() in self._names or self.links.is_called(host)):
            raise RefusedError("O5.host", host=host[:80])

    async def _hold(self, link: Link, wait_s: float, request: HttpRequest) -> Exchange | None:
        """What comes for this member within its wait, at once when it comes; nothing for one that
        has gone.
        """
        held = self._held.get(link.peer.name, 0)
        if held >= MAX_HELD or self._guests_held(link) >= MAX_GUESTS_HELD:
            raise BusyError("H9", org=link.peer.org)
        self._held[link.peer.name] = held + 1
        gone = asyncio.ensure_future(request.receive())
        try:
            return await next_message(link, wait_s, gone)
        finally:
            gone.cancel()
            self._held[link.peer.name] -= 1

    def _guests_held(self, link: Link) -> int:
        """How many are held open for others of its share."""
        share = link.peer.share
        names = () if link.peer.is_node else self._held
        return sum(self._held[name] for name in names if name.startswith(share))


def _names_of(config: Config) -> tuple[frozenset[str], bool]:
    """What the operator calls this node, and whether loopback names are names of it: where it is
    reached from this machine alone, and not through a proxy.
    """
    names = {name.lower() for name in config.names}
    host = config.peer_host
    on_loopback = not host or is_loopback(host)
    if not on_loopback and not ipaddress.ip_address(host).is_unspecified:
        names |= {name.lower() for name in names_at(host, config.peer_port)}
    return frozenset(names), on_loopback and not config.proxies


def _identity(link: Link) -> Identity:
    """The node of another member as an author."""
    return Identity(link.peer.org, link.peer.org, "node", "node")


async def next_message(link: Link, wait_s: float, gone: "asyncio.Future[Any]") -> Exchange | None:
    """What comes for somebody within a time; nothing once it has gone, or takes part no more."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    message = link.queue.take()
    while not (message or gone.done() or link.queue.is_closed or loop.time() >= end):
        filled = asyncio.Event()

        def wake(filled: asyncio.Event = filled) -> None:
            loop.call_soon_threadsafe(filled.set)

        link.queue.call_when_filled(wake)
        waiting = asyncio.ensure_future(filled.wait())
        try:
            await asyncio.wait(
                (waiting, gone),
                timeout=end - loop.time(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
            link.queue.call_no_more(wake)
        message = None if gone.done() else link.queue.take()
    return message


def create_peer_app(driver: Driver, links: Links, payloads: Payloads) -> ASGIApp:
    """The application that other members reach; it knows the exchange and payloads."""
    app = FastAPI(title="alliance chain exchange", openapi_url=None, redirect_slashes=False)
    peers = Peers(driver, links, payloads, app)
    app.add_route(PAYLOADS_PATH, peers.post_payload, methods=["POST"])
    app.add_route(f"{PAYLOADS_PATH}/{{commit}}", peers.get_payload, methods=["GET"])
    piece = f"{ATTACHMENTS_PATH}/{{commit}}/{{number}}"
    app.add_route(f"{ATTACHMENTS_PATH}/{{commit}}", peers.get_attachment, methods=["GET"])
    app.add_route(piece, peers.get_chunk, methods=["GET"])
    app.add_route(piece, peers.put_chunk, methods=["PUT"])
    install_errors(app)
    answering = ServerErrorMiddleware(peers, handler=on_mistake)
    return KnownProxies(answering, driver.config.proxies)
