"""The pages of a node, for people with a browser: rendered here, read-only, without a script (SPEC
13.8).

A page shows what its author's role may see, by the same checks as the API. Whoever asks for a page
without a session, and every refusal, gets a page that says what to do next.
"""

import re
import secrets
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import (
    AllianceError,
    AuthenticationError,
    ForbiddenError,
    MalformedError,
)
from node.answers import credit_answer
from node.api import Api, read_body
from node.door import Handler, author_of, cookie_name
from node.httpsig import NO_BODY, check_body
from node.identity import Identity
from node.permission import can_use
from node.policy import check_subject
from node.problems import problem_of, respond
from node.sessions import CODE_S, SECRET_BYTES, SESSION_S, Session
from node.store import parse_query
from node.words import WORDS, Language

FOLDER: Final = Path(__file__).parent / "pages"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
HTML_TYPE: Final = "text/html; charset=utf-8"
MAX_FORM_BYTES: Final = 4_096
NEWEST: Final = 50
CODE: Final = re.compile("`([^`]*)`")
STYLE: Final = (FOLDER / "style.css").read_text("utf-8")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; style-src 'sha256-"
    f"{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # `no-referrer` would take the Origin from our own forms, too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing is loaded, run, framed or sent elsewhere; the style is ours, by its hash."""


class Item(NamedTuple):
    """One page in the menu."""

    path: str
    name: str


MENU: Final = (
    Item("/", "home"),
    Item("/pages/uses", "uses"),
    Item("/pages/credit", "credit"),
    Item("/pages/erasures", "erasures"),
)


class Pages:
    """The pages of one node."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._driver = api.driver
        self._sessions = api.door.sessions
        self._pages = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
        )
        self._pages.filters["code"] = _code

    def install(self, app: FastAPI) -> None:
        """Put the routes on an application."""
        handlers: dict[str, Handler] = {
            "GET /": self.get_home,
            "GET /login": self.get_login,
            "POST /login": self.post_login,
            "POST /logout": self.post_logout,
            "GET /pages/uses": self.get_uses,
            "GET /pages/credit": self.get_credit,
            "GET /pages/erasures": self.get_erasures,
        }
        for route, handler in handlers.items():
            method, path = route.split(" ")
            shown = self._shown(self._api.door.guard(route, handler))
            app.add_route(path, shown, methods=[method])
        opening = self._api.door.guard("POST /api/v1/sessions", self.post_session)
        app.add_route("/api/v1/sessions", opening, methods=["POST"])

    def _shown(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The same, with refusals as pages for whoever reads pages."""

        async def show(request: Request) -> Response:
            request.state.session = None
            request.state.author = None
            try:
                response = await handler(request)
            except AllianceError as error:
                response = respond(problem_of(error))
                if "text/html" in request.headers.get("accept", ""):
                    response = self._refused(request, error)
            response.headers.update(HEADERS)
            return response

        return show

    # --- sessions ---------------------------------------------------------------------------------

    async def post_session(self, request: Request) -> Response:
        """POST /api/v1/sessions: a code for a browser, in the name of whoever signs."""
        body = await read_body(request, MAX_FORM_BYTES, self._driver.config.body_ms)
        check_body(body, request.headers)
        if body or request.headers.get("content-type") != NO_BODY:
            raise MalformedError("O5.type")
        chance = secrets.token_bytes(SECRET_BYTES)
        code = self._sessions.issue(author_of(request).key, int(time.time()), chance)
        answer = msgspec.json.encode({"code": code, "seconds": CODE_S})
        return Response(answer, 201, None, "application/json")

    async def get_login(self, request: Request) -> Response:
        """GET /login: where a code is handed in."""
        code = request.query_params.get("code", "")[:43]
        return self._page(request, "login", "login", code=code)

    async def post_login(self, request: Request) -> Response:
        """POST /login: a session for a code."""
        form = await self._form(request)
        now_s = int(time.time())
        chance = secrets.token_bytes(SECRET_BYTES)
        token, _session = self._sessions.open(form.get("code", "").strip(), now_s, chance)
        response = _moved("/", request)
        self._set_cookie(request, response, token, SESSION_S)
        return response

    async def post_logout(self, request: Request) -> Response:
        """POST /logout: the session ends."""
        form = await self._form(request)
        session: Session | None = request.state.session
        given = form.get("form", "").encode()
        if session is None or not compare_digest(given, session.form_token.encode()):
            raise ForbiddenError("P9")
        self._sessions.close(request.cookies.get(cookie_name(request), ""))
        response = _moved("/login", request)
        self._set_cookie(request, response, "", 0)
        return response

    async def _form(self, request: Request) -> dict[str, str]:
        """What one of our own pages sends. Raises `MalformedError` (O5) or `ForbiddenError` (P9)
        for what another site makes a browser send.
        """
        if request.headers.get("content-type", "").partition(";")[0] != FORM_TYPE:
            raise MalformedError("O5.type")
        origin = urlsplit(request.headers.get("origin", "")).netloc.lower()
        if not origin or origin != request.headers.get("host", "").lower():
            raise ForbiddenError("P9")
        body = await read_body(request, MAX_FORM_BYTES, self._driver.config.body_ms)
        try:
            return dict(parse_qsl(body.decode("ascii"), max_num_fields=8))
        except ValueError:
            raise MalformedError("O5.type") from None

    def _set_cookie(self, request: Request, response: Response, token: str, age_s: int) -> None:
        response.set_cookie(
            cookie_name(request), token, max_age=age_s, path="/", httponly=True, samesite="strict",
            secure=request.url.scheme == "https" or bool(self._driver.config.proxies),
        )  # fmt: skip

    # --- pages ------------------------------------------------------------------------------------

    async def get_home(self, request: Request) -> Response:
        """GET /: who asks, and how the node stands."""
        health = await run_in_threadpool(self._api.health)
        session: Session | None = request.state.session
        until = _moment(session.until_s) if session else ""
        return self._page(request, "home", "home", health=health, until=until)

    async def get_uses(self, request: Request) -> Response:
        """GET /pages/uses: the newest uses; a researcher's own."""
        author = author_of(request)
        query = [("sort", "-at"), ("limit", str(NEWEST))]
        is_own = author.role == "researcher"
        if is_own:
            check_subject(author, f"person:{author.subject}")
            query.append(("person", author.subject))
        page = await run_in_threadpool(self._api.receipts.queries.accesses, parse_query(query))
        return self._page(request, "uses", "own-uses" if is_own else "uses", rows=page.rows)

    async def get_credit(self, request: Request) -> Response:
        """GET /pages/credit: who must be credited for an object."""
        wanted = request.query_params.get("object", "")[:43]
        found, height, shares = None, 0, []
        if wanted:
            answer = await run_in_threadpool(credit_answer, self._driver.view, wanted)
            found, height = answer.calculation, answer.height
            shares = sorted(found.shares.rows, key=lambda row: (-row.basis_points, row.party))
        return self._page(
            request, "credit", "credit",
            object=wanted, found=found, height=height, shares=shares,
        )  # fmt: skip

    async def get_erasures(self, request: Request) -> Response:
        """GET /pages/erasures: what was erased here, and who has not answered."""
        rows = await run_in_threadpool(self._api.forgetting.answers)
        return self._page(request, "erasures", "erasures", rows=rows)

    def _refused(self, request: Request, error: AllianceError) -> Response:
        lang = _language(request)
        is_login = isinstance(error, AuthenticationError)
        response = self._page(
            request, "refused", "refused",
            sentence=error.sentence(lang), rule=error.rule, further=error.next_step(lang),
            is_login=is_login,
        )  # fmt: skip
        problem = respond(problem_of(error))
        response.status_code = problem.status_code
        for name in ("retry-after", "www-authenticate"):
            if name in problem.headers:
                response.headers[name] = problem.headers[name]
        return response

    def _page(self, request: Request, name: str, title: str, /, **values: Any) -> Response:
        """One page, in the language that was asked for."""
        lang, author = _language(request), request.state.author
        kept = [pair for pair in request.query_params.multi_items() if pair[0] == "object"]
        text = self._pages.get_template(f"{name}.html").render(
            author=author,
            keep="".join(f"&{key}={quote(value)}" for key, value in kept),
            lang=lang,
            menu=self._menu(author),
            origin=self._driver.genesis.tip.origin,
            say=lambda word: getattr(WORDS[word], lang),
            session=request.state.session,
            style=Markup(STYLE),  # noqa: S704  # our own file
            title=title,
            **values,
        )
        return Response(text, 200, None, HTML_TYPE)

    def _menu(self, author: Identity | None) -> list[Item]:
        if author is None:
            return []
        return [item for item in MENU if can_use(author, f"GET {item.path}", self._driver.org)]


def _code(text: str) -> Markup:
    """What stands between backticks, as people type it."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before


def _language(request: Request) -> Language:
    """As the address says, else as the browser prefers."""
    given = request.query_params.get("lang")
    if given in ("en", "zh"):
        return "zh" if given == "zh" else "en"
    first = request.headers.get("accept-language", "").partition(",")[0]
    return "zh" if first.strip().lower().startswith("zh") else "en"


def _moved(path: str, request: Request) -> Response:
    return Response(b"", 303, {"Location": f"{path}?lang={_language(request)}"}, HTML_TYPE)


def _moment(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M}"
