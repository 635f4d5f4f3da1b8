"""What stands before every route: who asks, whether they may, and how often (SPEC 13).

A route is put on an application through `Door.guard`, which refuses one that nobody decided on.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.errors import AuthenticationError, InvariantError
from node.apikeys import ApiKeys
from node.driver import Driver
from node.httpsig import EMPTY_DIGEST
from node.identity import Authors, Identity
from node.limits import STRANGERS, Limits
from node.permission import access_of, check_permission
from node.policy import check_in_time
from node.sessions import Sessions

Handler = Callable[[Request], Awaitable[Response]]
PIECE_BYTES: Final = 64 << 10
BODILESS: Final = frozenset({"GET", "HEAD"})


class Door:
    """The one way to the routes of a node."""

    def __init__(self, driver: Driver) -> None:
        self.api_keys = ApiKeys(driver.config.key_dir / "apikeys")
        self.limits = Limits()
        self._org = driver.org
        self.sessions = Sessions()
        self._authors = Authors(driver, self.api_keys)

    def guard(self, route: str, handler: Handler) -> Handler:
        """The handler of a route, behind the door. Stops for a route that nobody decided on."""
        access = access_of(route)

        async def answer(request: Request) -> Response:
            author = None
            if not access.is_open or _says_who(request):
                is_page = access.page and not _says_who(request)
                author = self._of_session(request) if is_page else self._authors.identify(request)
                check_permission(author, route, self._org)
                check_in_time(author, route)
                if not is_page:
                    _check_no_body(author, request)
            request.state.author = author
            with self.limits.request(author.name if author else STRANGERS):
                response = await handler(request)
            # What is answered to one author is not for the next one behind the same proxy.
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            if len(response.body) > PIECE_BYTES:
                return self._sending(author.name if author else STRANGERS, response)
            return response

        return answer

    def _sending(self, name: str, response: Response) -> Response:
        """A large answer, whose bytes count as this author's until they have been read. Raises as
        `Limits.take`.
        """
        size = len(response.body)
        self.limits.take(name, size)
        return InPieces(response, lambda: self.limits.give_back(name, size))

    def _of_session(self, request: Request) -> Identity:
        """Who a browser's session stands for, as the chain has it now. Raises `AuthenticationError`
        (P8, H5).
        """
        now_s = int(time.time())
        session = self.sessions.find(request.cookies.get(cookie_name(request), ""), now_s)
        request.state.session = session
        return self._authors.of_key(session.kid, now_s)


class InPieces(Response):
    """An answer that leaves piece by piece, each when the one before has left."""

    def __init__(self, whole: Response, sent: Callable[[], None]) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._sent = sent

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})
            for at in range(0, len(self.body), PIECE_BYTES):
                piece = bytes(self.body[at : at + PIECE_BYTES])
                more = at + PIECE_BYTES < len(self.body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._sent()


def cookie_name(request: Request) -> str:
    """The cookie of this node's sessions: browsers keep one jar for all ports of a host."""
    _host, _colon, port = request.headers.get("host", "").rpartition(":")
    return f"alliance-{port}" if port.isascii() and port.isdigit() else "alliance"


def author_of(request: Request) -> Identity:
    """The author of a request that came through the door."""
    author: Identity | None = request.state.author
    if author is None:
        raise InvariantError("only open routes answer without an author")
    return author


def _says_who(request: Request) -> bool:
    return "signature-input" in request.headers or "authorization" in request.headers


def _check_no_body(author: Identity, request: Request) -> None:
    """A request without a body was signed as one. Raises `AuthenticationError` (H4)."""
    bodiless = request.method in BODILESS and author.scopes is None
    if bodiless and request.headers.get("content-digest") != EMPTY_DIGEST:
        raise AuthenticationError("H4")
