"""The routes: bytes in, bytes out. What they mean is decided in `ledger` and `driver`; here it is
translated.

Hot routes are plain Starlette routes of the same application: no model stands between the body and
the parser.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.encoding import b64url, decode_bundle, decode_statement, encode_bundle
from ledger.errors import (
    AllianceError,
    BusyError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
    TooLargeError,
)
from ledger.merkle import ENTRIES, Tile, parse_tile_path
from ledger.records import decode_entry
from ledger.records.payloads import CHUNK_BYTES
from ledger.records.schemas import schema_of
from ledger.verify import BlockReceipt
from node import VERSION, openapi
from node.answers import CAUSES, credit_answer, obligations_answer, trace_answer
from node.client import DEPOSIT_TYPE
from node.config import MAX_POST_ENTRIES
from node.door import Door, Handler, author_of
from node.driver import Driver
from node.forgetting import Forgetting
from node.httpsig import check_body
from node.localfacts import LocalFacts
from node.logs import LOG
from node.metrics import CONTENT_TYPE, render
from node.payloads import Payloads
from node.policy import check_named, check_subject
from node.problems import internal_problem, problem_of, respond
from node.readings import Readings, Why
from node.receipts import Receipts, kind_of
from node.reports import FORMS, QUESTIONS, Reports
from node.store import parse_query
from node.submissions import Outcome, Published
from node.vault import Vault

ENTRY_TYPES: Final = frozenset({"application/scitt-statement+cose", "application/cose"})
BUNDLE_TYPE: Final = "application/vnd.alliance.entries"
BLOCKS_TYPE: Final = "application/vnd.alliance.blocks"
MAX_BLOCKS: Final = 64
MAX_JUSTIFICATIONS: Final = 4_096
PAGE_BYTES: Final = 4 << 20
"""Blocks are joined in memory: a page ends with the one that reaches this."""
LOOPBACK: Final = re.compile(
    r"\A(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?\Z", re.ASCII | re.IGNORECASE
)
CODE: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}\Z", re.ASCII)
KEEP_S: Final = 5.0
"""How long a caller who is told to come back later waits until that is no empty promise."""
IMMUTABLE: Final = {"Cache-Control": "private, max-age=604800, immutable"}


class Api:
    """The routes of one node."""

    def __init__(self, driver: Driver, vault: Vault) -> None:
        self.driver = driver
        self.wake: Callable[[], None] = lambda: None
        """Called when the vault has something to say."""
        self.readings = Readings(driver, vault)
        self.payloads = Payloads(vault, driver.org, self.readings.record)
        self.door = Door(driver)
        self.store = driver.store
        self.receipts = Receipts(driver.store, driver.genesis.tip)
        self.forgetting = Forgetting(driver, vault, self.receipts.queries)
        self.reports = Reports(driver.store)
        self.local = LocalFacts(driver, vault)

    # --- entries ----------------------------------------------------------------------------------

    async def post_entries(self, request: Request) -> Response:
        """POST /api/v1/entries: one entry, or a bundle of up to 1,000."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ENTRY_TYPES:
            return await self._post_one(await self._body(request))
        if kind != BUNDLE_TYPE:
            raise MalformedError("O5.type")
        raws = decode_bundle(await self._body(request))
        if not 1 <= len(raws) <= MAX_POST_ENTRIES:
            raise MalformedError("O5.count", count=len(raws), limit=MAX_POST_ENTRIES)
        outcomes = await self._submit(raws)
        if outcomes is None:
            return _json({"status": "pending"}, 202)
        return await run_in_threadpool(self._answer_many, raws, outcomes)

    async def _body(self, request: Request, limit: int | None = None) -> bytes:
        """The whole body within size and time, the one that its author signed.

        Raises `MalformedError` (O5), `AuthenticationError` (H4) or `BusyError` (H13, O4.bodies).
        """
        config = self.driver.config
        with self.door.limits.body(author_of(request).name) as arriving:
            most = limit or config.max_request_bytes
            body = await read_body(request, most, config.body_ms, arriving.add)
            if author_of(request).scopes is None:
                await run_in_threadpool(check_body, body, request.headers)
        return body

    async def _submit(self, raws: Sequence[bytes]) -> list[Outcome] | None:
        """`_hand_in` of those that name nobody of this member's list (S8)."""
        refused = await run_in_threadpool(self._naming, raws) if self.payloads.names else {}
        kept = [raw for at, raw in enumerate(raws) if at not in refused]
        outcomes = await self._hand_in(kept) if kept else []
        if outcomes is None:
            return None
        others = iter(outcomes)
        return [refused[at] if at in refused else next(others) for at in range(len(raws))]

    def _naming(self, raws: Sequence[bytes]) -> dict[int, AllianceError]:
        """The entries that hold a name of the list, and why they are refused."""
        names, found = self.payloads.names, dict[int, AllianceError]()
        for at, raw in enumerate(raws):
            # Names of people are looked for in the bytes first: nearly no entry holds one.
            if names is None or names.search(raw.decode(errors="replace")) is None:
                continue
            try:
                check_named(decode_entry(raw), names)
            except RefusedError as error:
                found[at] = error
            except AllianceError:
                continue  # what is wrong with it, admission says
        return found

    async def _hand_in(self, raws: Sequence[bytes]) -> list[Outcome] | None:
        """The outcomes; None when the wait ran out: then the entries are on the disk, and stay in.

        Raises `BusyError` (O4.late) when they could not even be taken in by then.
        """
        submitted = self.driver.submit(raws)
        future = asyncio.wrap_future(submitted)
        try:
            async with asyncio.timeout(self.driver.config.wait_ms / 1000):
                return await asyncio.shield(future)
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(KEEP_S):
                kept = await asyncio.wrap_future(self.driver.keep(submitted))
        except TimeoutError:
            kept = False
        if future.done():
            return await future
        if not kept:
            raise BusyError("O4.late")
        return None

    async def _post_one(self, raw: bytes) -> Response:
        outcomes = await self._submit([raw])
        if outcomes is None:
            entry = decode_entry(raw)
            place = f"/api/v1/entries/{b64url(entry.leaf)}"
            return _json({"id": entry.record.id, "status": "pending"}, 202, {"Location": place})
        outcome = outcomes[0]
        if isinstance(outcome, AllianceError):
            raise outcome
        answer = await run_in_threadpool(self._describe, outcome.index)
        return _json(answer, 200 if outcome.known else 201)

    def _answer_many(self, raws: Sequence[bytes], outcomes: Sequence[Outcome]) -> Response:
        """The answer to a bundle: one result for each entry, one receipt for each block."""
        receipts: dict[int, BlockReceipt] = {}
        results: list[dict[str, object]] = []
        view = self.driver.view
        start = end = height = 0
        for raw, outcome in zip(raws, outcomes, strict=True):
            if not isinstance(outcome, Published):
                results.append(_refusal(raw, outcome))
                continue
            index = outcome.index
            if not start <= index < end:
                height = self.store.height_of(index)
                receipt = receipts[height] = self.receipts.block(view, height)
                start, end = self.store.starts[height], receipt.seal.index
            place = index - start
            results.append({
                "findings": receipt.findings[place],
                "height": height,
                "id": outcome.entry.record.id,
                "index": index,
                "leaf": receipt.leaves[place],
                "status": "published",
            })  # fmt: skip
        found = [receipts[height] for height in sorted(receipts)]
        return _json({"receipts": found, "results": results})

    def _describe(self, index: int) -> dict[str, object]:
        """An entry with all that is known about it, and its receipt."""
        view = self.driver.view
        raw = self.store.entry(index)
        kind = kind_of(raw)
        answer: dict[str, object] = {
            "height": self.store.height_of(index),
            "index": index,
            "leaf": b64url(self.store.tree.leaf(index)),
            "org": decode_statement(raw).iss,
            "status": "published",
            "type": kind,
        }
        if kind == "seal":
            return {**answer, "record": msgspec.Raw(decode_statement(raw).payload)}
        receipt = self.receipts.entry(view, index)
        entry = decode_entry(raw)
        return {
            **answer,
            "findings": receipt.findings.codes,
            "id": entry.record.id,
            "receipt": receipt,
            "record": msgspec.Raw(entry.statement.payload),
        }

    async def get_entry(self, request: Request) -> Response:
        """GET /api/v1/entries/{id}: by UUID, leaf hash or index."""
        name = request.path_params["name"]
        return _json(await run_in_threadpool(self._find, name))

    def _find(self, name: str) -> dict[str, object]:
        return self._describe(self.receipts.find(self.driver.view, name))

    # --- state, subjects, accesses ----------------------------------------------------------------

    async def get_state(self, request: Request) -> Response:
        """GET /api/v1/state/{namespace}/{name}: a value, or its absence, with proof."""
        params = request.path_params
        if params["namespace"] == "subject":
            check_subject(author_of(request), params["name"])
        view = self.driver.view
        return _json(
            await run_in_threadpool(self.receipts.state, view, params["namespace"], params["name"])
        )

    async def get_subject(self, request: Request) -> Response:
        """GET /api/v1/subjects/{subject}: all its records, proven complete."""
        name = request.path_params["name"]
        check_subject(author_of(request), name)
        return _json(await run_in_threadpool(self.receipts.subject, self.driver.view, name))

    async def get_trace(self, request: Request) -> Response:
        """GET /api/v1/trace/{leaf}: what an object comes from; with `?cause=` what rests on it, and
        what has to be done.
        """
        name, cause = request.path_params["name"], request.query_params.get("cause")
        wanted = next((one for one in CAUSES if one == cause), None)
        if wanted != cause:
            raise MalformedError("Q2", field="cause")
        return _json(await run_in_threadpool(trace_answer, self.driver.view, name, wanted))

    async def get_obligations(self, request: Request) -> Response:
        """GET /api/v1/obligations/{permit}: what a permit owes, and whether it was done."""
        name = request.path_params["name"]
        return _json(await run_in_threadpool(obligations_answer, self.driver.view, name))

    async def get_credit(self, request: Request) -> Response:
        """GET /api/v1/credit/{leaf}: who must be credited for an object, and with what share; with
        `?notice=` as that notice shows it.
        """
        name, notice = request.path_params["name"], request.query_params.get("notice")
        return _json(await run_in_threadpool(credit_answer, self.driver.view, name, notice))

    async def get_accesses(self, request: Request) -> Response:
        """GET /api/v1/accesses: a page of rows; an index, not evidence."""
        query = parse_query(request.query_params.multi_items())
        page = await run_in_threadpool(self.receipts.queries.accesses, query)
        answer: dict[str, object] = {"next": page.after, "rows": page.rows}
        if page.total is not None:
            answer["total"] = page.total
        return _json(answer)

    async def get_report(self, request: Request) -> Response:
        """GET /api/v1/reports/...: one page of the answer to a question, at a published head."""
        name, given = request.url.path.rpartition("/")[2], request.query_params.multi_items()
        author = author_of(request)
        if name == "person" and "pid" in request.query_params:
            check_subject(author, f"person:{request.query_params['pid']}")
        local = self.local.of(author)
        view = self.driver.view
        return _json(await run_in_threadpool(self.reports.page, view, name, given, local))

    async def get_export(self, request: Request) -> Response:
        """GET /api/v1/exports/...: where an object came from, in a standard form."""
        form, given = request.url.path.rpartition("/")[2], request.query_params.multi_items()
        return _json(await run_in_threadpool(self.reports.export, self.driver.view, form, given))

    async def get_summary(self, _request: Request) -> Response:
        """GET /api/v1/summary: counts."""
        return _json(await run_in_threadpool(self._summary))

    def _summary(self) -> dict[str, object]:
        tip, queries = self.driver.final.tip, self.receipts.queries
        return {
            "chain": tip.chain,
            "findings": queries.counts("finding"),
            "height": tip.height,
            "origin": tip.origin,
            "size": tip.size,
            "time_ms": tip.time_ms,
            "types": queries.counts("type"),
        }

    async def get_schema(self, request: Request) -> Response:
        """GET /api/v1/schemas/{type}: the JSON Schema of a type of record."""
        schema = schema_of(request.path_params["name"])
        return Response(schema, 200, IMMUTABLE, "application/schema+json")

    async def get_openapi(self, _request: Request) -> Response:
        """GET /api/v1/openapi.json: what this node answers."""
        return Response(openapi.describe(), 200, None, "application/json")

    # --- payloads ---------------------------------------------------------------------------------

    async def post_payload(self, request: Request) -> Response:
        """POST /api/v1/payloads: keep a payload; the answer is how a record names it."""
        if request.headers.get("content-type") != DEPOSIT_TYPE:
            raise MalformedError("O5.type")
        body = await self._body(request)
        return await run_in_threadpool(self.payloads.put, body, author_of(request))

    async def get_payload(self, request: Request) -> Response:
        """GET /api/v1/payloads/{commit}: a payload and its salt, for whom it is."""
        commit = request.path_params["commit"]
        why = Why(_code(request, "purpose"), _code(request, "permit"))
        return await self.payloads.get(commit, author_of(request), why)

    async def get_attachment(self, request: Request) -> Response:
        """GET /api/v1/attachments/{commit}: how far it is here, and how a record names it."""
        commit = request.path_params["commit"]
        return await self.payloads.describe_attachment(commit, author_of(request))

    async def put_chunk(self, request: Request) -> Response:
        """PUT /api/v1/attachments/{commit}/{number}: the next piece."""
        body = await self._body(request, CHUNK_BYTES)
        commit = request.path_params["commit"]
        number = path_number(request)
        return await self.payloads.put_chunk(commit, number, body, author_of(request))

    async def get_chunk(self, request: Request) -> Response:
        """GET /api/v1/attachments/{commit}/{number}: a piece, for whom it is."""
        commit, number = request.path_params["commit"], path_number(request)
        why = Why(_code(request, "purpose"), _code(request, "permit"))
        return await self.payloads.get_chunk(commit, number, author_of(request), why)

    async def get_vault(self, _request: Request) -> Response:
        """GET /api/v1/vault: what the vault holds and misses, who read restricted payloads, and
        who has not answered an erasure.
        """
        return _json(await run_in_threadpool(self._vault))

    def _vault(self) -> dict[str, object]:
        return {**self.payloads.describe(), "erasures": self.forgetting.answers()}

    async def post_erasure(self, request: Request) -> Response:
        """POST /api/v1/erasures: destroy payloads here; the record of it follows by itself."""
        erased = await run_in_threadpool(self.forgetting.order, await self._body(request))
        self.wake()
        return _json({"erased": erased}, 202)

    # --- the log: C2SP tlog-tiles -----------------------------------------------------------------

    async def get_checkpoint(self, _request: Request) -> Response:
        """GET /checkpoint: the newest published head."""
        headers = {"Cache-Control": "no-store"}
        return Response(self.driver.view.checkpoint, 200, headers, "text/plain; charset=utf-8")

    async def get_tile(self, request: Request) -> Response:
        """GET /tile/...: hashes or entries; only what lies below the published size."""
        path = request.url.path.removeprefix("/")
        try:
            tile = parse_tile_path(path)
        except AllianceError:
            raise NotFoundError("O6", what="tile", name=path[:80]) from None
        width = 1 if tile.level == ENTRIES else 256**tile.level
        if (tile.number * 256 + tile.width) * width > self.driver.view.tip.size:
            raise NotFoundError("O6", what="tile", name=path)
        data = await run_in_threadpool(self._tile, tile)
        return Response(data, 200, IMMUTABLE, "application/octet-stream")

    def _tile(self, tile: Tile) -> bytes:
        if tile.level != ENTRIES:
            return self.store.tree.tile(*tile)
        start = tile.number * 256
        return encode_bundle(self.store.entries(start, start + tile.width))

    async def get_genesis(self, _request: Request) -> Response:
        """GET /genesis: block 0 in entry-bundle form."""
        return Response(self.driver.bundle, 200, IMMUTABLE, "application/octet-stream")

    async def get_blocks(self, request: Request) -> Response:
        """GET /blocks?from=H&limit=N: for each block its bundle, certificate and checkpoint,
        framed.
        """
        first = _parameter(request, "from", 0, 1 << 53)
        limit = _parameter(request, "limit", MAX_BLOCKS, MAX_BLOCKS)
        data = await run_in_threadpool(self._blocks, first, limit)
        return Response(data, 200, None, BLOCKS_TYPE)

    def _blocks(self, first: int, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        for block in self.store.blocks(first, limit):
            if size >= PAGE_BYTES:
                break  # the caller asks on from here
            size += len(block.body)
            for part in (block.body, block.certificate or b"", block.checkpoint):
                parts += (len(part).to_bytes(4, "big"), part)
        return b"".join(parts)

    async def get_justifications(self, request: Request) -> Response:
        """GET /justifications?epoch=E&from=V: certificates that led to final blocks, framed."""
        epoch = _parameter(request, "epoch", 0, 1 << 53)
        first = _parameter(request, "from", 0, 1 << 53)
        found = await run_in_threadpool(self.store.justifications, epoch, first, MAX_JUSTIFICATIONS)
        data = b"".join(len(item).to_bytes(4, "big") + item for item in found)
        return Response(data, 200, None, BLOCKS_TYPE)

    # --- the node itself --------------------------------------------------------------------------

    async def get_health(self, request: Request) -> Response:
        """GET /health: whether it works, for everybody; how far it is, for who says who asks."""
        if request.state.author is None:
            return _json({"status": self.driver.status, "time_ms": int(time.time() * 1000)})
        return _json(await run_in_threadpool(self.health))

    def health(self) -> dict[str, object]:
        """How far the node is, for who says who asks."""
        driver, tip = self.driver, self.driver.final.tip
        published, members = driver.published, tip.config
        return {
            "alarms": dict(driver.alarms),
            "behind": driver.behind,
            "clock_ahead_ms": driver.clock.ahead_ms(),
            "clock_offset_ms": driver.clock_offset_ms,
            "cosigned_otherwise": driver.contradictions,
            "epoch": members.epoch,
            "evidence": [
                {
                    "epoch": item.epoch,
                    "kind": item.kind,
                    "leaf": b64url(item.leaf) or None,
                    "org": tip.configs[item.epoch].members[item.signer].org,
                    "view": item.view,
                }
                for item in driver.accusations
            ],
            "heard_ms": driver.carrier.heard(),
            "height": tip.height,
            "members": {
                "may_be_absent": members.offline,
                "may_lie": members.lying,
                "n": members.n,
                "q": members.q,
            },
            "node_keys": sorted(driver.keyring.own_keys),
            "org": driver.org,
            "pending": driver.pending,
            "published": None if published is None else published.tip.size,
            "size": tip.size,
            "status": driver.status,
            "time_ms": int(time.time() * 1000),
            "version": VERSION,
        }

    async def get_metrics(self, _request: Request) -> Response:
        """GET /metrics: what SPEC 10.1 lists, in Prometheus' text form."""
        return Response(render(self.driver), media_type=CONTENT_TYPE)

    def install(self, app: FastAPI) -> None:
        """Put the routes on an application."""
        handlers: dict[str, Handler] = {
            "POST /api/v1/entries": self.post_entries,
            "GET /api/v1/entries/{name}": self.get_entry,
            "GET /api/v1/state/{namespace}/{name:path}": self.get_state,
            "GET /api/v1/subjects/{name:path}": self.get_subject,
            "GET /api/v1/accesses": self.get_accesses,
            **{f"GET /api/v1/reports/{name}": self.get_report for name in QUESTIONS},
            **{f"GET /api/v1/exports/{form}": self.get_export for form in FORMS},
            "POST /api/v1/payloads": self.post_payload,
            "GET /api/v1/payloads/{commit}": self.get_payload,
            "GET /api/v1/attachments/{commit}": self.get_attachment,
            "PUT /api/v1/attachments/{commit}/{number}": self.put_chunk,
            "GET /api/v1/attachments/{commit}/{number}": self.get_chunk,
            "GET /api/v1/vault": self.get_vault,
            "GET /api/v1/credit/{name}": self.get_credit,
            "POST /api/v1/erasures": self.post_erasure,
            "GET /api/v1/trace/{name}": self.get_trace,
            "GET /api/v1/obligations/{name}": self.get_obligations,
            "GET /api/v1/summary": self.get_summary,
            "GET /api/v1/schemas/{name}": self.get_schema,
            "GET /api/v1/openapi.json": self.get_openapi,
            "GET /checkpoint": self.get_checkpoint,
            "GET /tile/{path:path}": self.get_tile,
            "GET /genesis": self.get_genesis,
            "GET /blocks": self.get_blocks,
            "GET /justifications": self.get_justifications,
            "GET /health": self.get_health,
            "GET /metrics": self.get_metrics,
        }
        for route, handler in handlers.items():
            method, path = route.split(" ")
            app.add_route(path, self.door.guard(route, handler), methods=[method])
        install_errors(app)
        app.add_middleware(KnownNames, names=self.driver.config.names)
        app.add_middleware(KnownProxies, proxies=self.driver.config.proxies)


def install_errors(app: FastAPI) -> None:
    """Every error leaves as a problem document."""
    app.add_exception_handler(AllianceError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, on_mistake)


async def read_body(
    request: Request, limit: int, wait_ms: int, count: Callable[[int], None] = lambda _size: None
) -> bytes:
    """The whole body of a request; `count` is told of every part. Raises `TooLargeError` (O5.large)
    or `MalformedError` (O5.truncated).
    """
    stated = _number(request.headers.get("content-length", ""))
    if stated is not None and stated > limit:
        raise TooLargeError("O5.large", limit=limit)
    parts: list[bytes] = []
    received = 0
    try:
        async with asyncio.timeout(wait_ms / 1000):
            async for part in request.stream():
                received += len(part)
                if received > limit:
                    raise TooLargeError("O5.large", limit=limit)
                count(len(part))
                parts.append(part)
    except (ClientDisconnect, TimeoutError):
        raise MalformedError("O5.truncated", received=received) from None
    if stated is not None and stated != received:
        raise MalformedError("O5.truncated", received=received)
    return b"".join(parts)


class KnownNames:
    """Refuses requests for other host names than this node's: a web page must not reach it through
    a name of its own, and a request that was signed for another node is none for this one.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is meant for this node."""
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            host = ",".join(hosts)
            if LOOPBACK.match(host) is None and host.lower() not in self._names:
                await respond(problem_of(RefusedError("O5.host", host=host[:80])))(
                    scope, receive, send
                )
                return
        await self.app(scope, receive, send)


class KnownProxies:
    """Refuses whoever does not come through a declared proxy, where there are any: the way to the
    node itself is in clear then.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        self.app = app
        self._proxies = frozenset(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from a proxy, or from this machine."""
        if scope["type"] == "http" and self._proxies:
            address = (scope.get("client") or ("?",))[0]
            if address not in self._proxies and not address.startswith("127.") and address != "::1":
                refusal = problem_of(ForbiddenError("O5.proxy", address=address))
                await respond(refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _refusal(raw: bytes, error: AllianceError) -> dict[str, object]:
    problem = problem_of(error)
    status = "refused" if problem.status < 500 else "failed"
    if isinstance(error, BusyError):
        status = "busy"
    result: dict[str, object] = {"problem": problem, "status": status}
    try:
        result["id"] = decode_entry(raw).record.id
    except AllianceError:
        result["id"] = None
    return result


def _number(text: str) -> int | None:
    """A plain decimal, or None: Python takes digits of any script, and only so many of them."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def _parameter(request: Request, name: str, default: int, limit: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = _number(text)
    if number is None or number > limit:
        raise MalformedError("Q2", field=name)
    return number


def path_number(request: Request) -> int:
    """The number of a piece. Raises `MalformedError` (Q2)."""
    number = _number(request.path_params["number"])
    if number is None:
        raise MalformedError("Q2", field="number")
    return number


def _code(request: Request, name: str) -> str | None:
    """A parameter that goes on the chain as it is. Raises `MalformedError` (Q2)."""
    text = request.query_params.get(name)
    if text is not None and CODE.match(text) is None:
        raise MalformedError("Q2", field=name)
    return text


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def _on_error(_request: Request, error: Any) -> Response:  # noqa: ANN401  # Starlette's own type
    return respond(problem_of(error))


async def _on_http(_request: Request, _error: Any) -> Response:  # noqa: ANN401
    return respond(problem_of(NotFoundError("O6.route")))


async def on_mistake(_request: Request, error: Any) -> Response:  # noqa: ANN401
    """What ours went wrong stays here: the log has it, the caller learns that it was us."""
    LOG.error("mistake", exc_info=error, extra={"fields": {}})
    return respond(internal_problem())
