"""What stands before every route: who asks, whether they may, and how often (SPEC 13).

A route is put on an application through `Door.guard`, which refuses one that nobody decided on.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import AuthenticationError, InvariantError
from node.apikeys import ApiKeys
from node.driver import Driver
from node.httpsig import EMPTY_DIGEST
from node.identity import Authors, Identity
from node.limits import STRANGERS, Limits
from node.permission import access_of, check_permission
from node.policy import check_in_time

Handler = Callable[[Request], Awaitable[Response]]
BODILESS: Final = frozenset({"GET", "HEAD"})


class Door:
    """The one way to the routes of a node."""

    def __init__(self, driver: Driver) -> None:
        self.api_keys = ApiKeys(driver.config.key_dir / "apikeys")
        self.limits = Limits()
        self._org = driver.org
        self._authors = Authors(driver, self.api_keys)

    def guard(self, route: str, handler: Handler) -> Handler:
        """The handler of a route, behind the door. Stops for a route that nobody decided on."""
        access = access_of(route)

        async def answer(request: Request) -> Response:
            author = None
            if not access.is_open or _says_who(request):
                author = self._authors.identify(request)
                check_permission(author, route, self._org)
                check_in_time(author, route)
                _check_no_body(author, request)
            request.state.author = author
            with self.limits.request(author.name if author else STRANGERS):
                response = await handler(request)
            # What is answered to one author is not for the next one behind the same proxy.
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return answer


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
