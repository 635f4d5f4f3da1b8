"""Speaks to a node over HTTP, for the command line; for other nodes see `node.peerclient`.

Every request is signed by whoever asks (SPEC 13.1). Errors come back as the classes of
`ledger.errors`, with the node's rule number and facts.
"""

import math
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from string import Formatter
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec

from ledger.consensus import decode_certificate
from ledger.crypto import Signer
from ledger.encoding import UNREADABLE, decode_bundle, decode_time, encode_bundle
from ledger.errors import (
    AllianceError,
    AuthenticationError,
    BusyError,
    ConfigError,
    ConflictError,
    ErasedError,
    Fact,
    ForbiddenError,
    LimitError,
    MalformedError,
    NotFoundError,
    ProofError,
    RefusedError,
    SignatureError,
    StorageError,
    TooLargeError,
)
from ledger.records.envelope import Payload
from ledger.records.payloads import Deposit, check_deposited, decode_deposit, encode_deposit
from ledger.rulebook import RULES
from node.config import MAX_POST_ENTRIES
from node.forms import (
    BYTES_TYPE,
    EXPORTS,
    Accesses,
    Alive,
    AttachmentState,
    Chunk,
    Described,
    Health,
    Opening,
    Posted,
    Report,
    Row,
    Summary,
    has_form,
)
from node.httpsig import NO_BODY, Request, sign_request
from node.merging import USE_KEY, merged
from node.tls import Trust, context_of, is_wrong_certificate

NOTHING: Final = httpx.ByteStream(b"")
PAYLOADS_PATH: Final = "/api/v1/payloads"
ATTACHMENTS_PATH: Final = "/api/v1/attachments"
DEPOSIT_TYPE: Final = "application/vnd.alliance.deposit+json"
BUNDLE_TYPE: Final = "application/vnd.alliance.entries"
ENTRY_TYPE: Final = "application/cose"
AUTHENTICATION_STATUS: Final = 401
CHUNK_BYTES: Final = 8 << 20
"""A chunk of a bulk submission holds at most so many bytes, and MAX_POST_ENTRIES entries."""


WAITING_STATUS: Final = 202
NO_PINS: Final = Trust()

A = TypeVar("A")


class UnreachableError(AllianceError):
    """The node cannot be reached, or something else answers in its place."""

    code: ClassVar[str] = "unreachable"


class RemoteError(AllianceError):
    """The node made a mistake, or knows a rule that this software does not know."""

    code: ClassVar[str] = "internal"


CLASSES: Final[dict[str, type[AllianceError]]] = {
    kind.code: kind
    for kind in (
        AuthenticationError,
        BusyError,
        ConfigError,
        ConflictError,
        ErasedError,
        ForbiddenError,
        LimitError,
        MalformedError,
        NotFoundError,
        ProofError,
        RefusedError,
        SignatureError,
        StorageError,
        TooLargeError,
    )
}


def not_reached(url: str, error: BaseException) -> UnreachableError:
    """Nothing answers there, or somebody else than the pins name."""
    if is_wrong_certificate(error):
        return UnreachableError("O7.pin", url=url)
    return UnreachableError("O7", url=url)


def error_of(problem: Mapping[str, Any]) -> AllianceError:
    """The error that a problem document tells of."""
    rule = str(problem.get("rule", ""))
    if rule not in RULES:
        return RemoteError("O9")
    kind = CLASSES.get(str(problem.get("code", "")), RemoteError)
    facts = problem.get("facts")
    return kind(rule, **_facts_of(rule, facts if isinstance(facts, dict) else {}))


def _facts_of(rule: str, given: Mapping[str, Any]) -> dict[str, Fact]:
    """What the sentences of a rule need, whatever a node of another version sends."""
    parts = Formatter().parse("".join(RULES[rule]))
    names = [name for _text, name, _spec, _conversion in parts if name]
    facts = {name: given.get(name) for name in names}
    return {name: fact if isinstance(fact, Fact) else "?" for name, fact in facts.items()}


class Signing(httpx.Auth):
    """Signs each request of an httpx client, synchronous or not, with one key.

    A node that says that the clocks differ is believed about its own: the request is signed once
    more, by that clock. What it could gain, a signature for later, is good for that node alone.
    """

    requires_request_body = True
    requires_response_body = True

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._ahead_s = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its signature; twice where the clocks differ."""
        self._sign(request)
        response = yield request
        ahead_s = _clock_of(response)
        if ahead_s is not None and ahead_s != self._ahead_s:
            self._ahead_s = ahead_s
            self._sign(request)
            yield request

    def _sign(self, request: httpx.Request) -> None:
        raw_path, _mark, query = request.url.raw_path.partition(b"?")
        headers = request.headers
        parts = Request(
            request.method,
            headers.get("host", request.url.netloc.decode()),
            raw_path.decode(),
            f"?{query.decode()}",
            headers.get("content-type", NO_BODY),
            request.content,
        )
        created_s = int(time.time()) + self._ahead_s
        headers.update(sign_request(parts, self._signer, created_s, secrets.token_bytes(16)))


def _clock_of(response: httpx.Response) -> int | None:
    """How far the node's clock is ahead of this one, in seconds, when it says that they differ."""
    if response.status_code != AUTHENTICATION_STATUS:
        return None
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
        now_ms = decode_time(problem["facts"]["now"])
    except (*UNREADABLE, AllianceError, KeyError, TypeError):
        return None
    return math.ceil(now_ms / 1000 - time.time())


class _Connection:
    """HTTP to one address. Use it with `with`, or `close` it."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
        signer: Signer | None = None,
        trust: Trust = NO_PINS,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            auth=Signing(signer) if signer else None,
            verify=context_of(trust) if self.url.startswith("https:") else False,
        )

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
        """Close the connection."""
        self._http.close()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            try:
                response = self._http.request(method, path, **options)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if method != "GET":
                    raise
                # A kept connection that the node closed at this very moment: who only asks may
                # ask again on a new one (RFC 9110 9.2.2).
                response = self._http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise not_reached(self.url, error) from None
        # It is read, and httpx ties it to its stream: without this a body would stay in memory
        # until the garbage collector comes by.
        response.stream = NOTHING
        if response.status_code >= 400:
            raise self._problem(response)
        return response

    def _problem(self, response: httpx.Response) -> AllianceError:
        kind = response.headers.get("content-type", "")
        if not kind.startswith("application/problem+json"):
            return self._unexpected(response)
        return error_of(self._object(response))

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            value = msgspec.json.decode(response.content, type=dict[str, Any])
        except UNREADABLE:
            raise self._unexpected(response) from None
        return value

    def _answer(self, response: httpx.Response, form: type[A]) -> A:
        """The object of an answer, which has the fields of this form. Raises `UnreachableError`
        (O7.answer).
        """
        value = self._object(response)
        if not has_form(value, form):
            raise self._unexpected(response)
        return cast("A", value)

    def _unexpected(self, response: httpx.Response) -> UnreachableError:
        """Something else answers in the node's place."""
        return UnreachableError("O7.answer", url=self.url, status=response.status_code)


class NodeClient(_Connection):
    """A connection to one node, as whoever holds `signer`; without one only open routes answer.

    Every method raises what the node refused (`ledger.errors`), or `UnreachableError` (O7).
    """

    def __init__(
        self,
        url: str,
        signer: Signer | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        trust: Trust = NO_PINS,
    ) -> None:
        super().__init__(url, timeout_s, transport, signer, trust)

    # --- entries ----------------------------------------------------------------------------------

    def submit(self, raw: bytes) -> Posted:
        """One entry; the answer of `POST /api/v1/entries`, whose `receipt` proves it.

        `status` is `published`, or `pending` when the node's wait ran out.
        """
        response = self._post("/api/v1/entries", raw, ENTRY_TYPE)
        posted = self._answer(response, Posted)
        if posted["status"] == "published" and "receipt" not in posted:
            raise self._unexpected(response)
        return posted

    def submit_many(self, raws: Iterable[bytes]) -> Iterator[Chunk]:
        """Entries in chunks of up to 1,000; yields the answer to each chunk: `results`, `receipts`.

        One answer is complete and durable before the next chunk is sent.
        """
        for chunk in chunks(raws):
            yield self.submit_chunk(chunk)

    def submit_chunk(self, raws: list[bytes]) -> Chunk:
        """At most 1,000 entries in one request; no results when the node's wait ran out."""
        response = self._post("/api/v1/entries", encode_bundle(raws), BUNDLE_TYPE)
        if response.status_code == WAITING_STATUS:
            return {"receipts": [], "results": []}
        chunk = self._answer(response, Chunk)
        if len(chunk["results"]) != len(raws):
            raise self._unexpected(response)
        return chunk

    def entry(self, name: str | int) -> Described:
        """An entry by UUID, leaf hash or index, with its receipt."""
        return self._answer(self._get(f"/api/v1/entries/{name}"), Described)

    # --- payloads ---------------------------------------------------------------------------------

    def deposit(self, deposit: Deposit) -> Payload:
        """Hand a payload in; the answer is how a record names it, in its `payloads`."""
        response = self._post(PAYLOADS_PATH, encode_deposit(deposit), DEPOSIT_TYPE)
        try:
            return msgspec.json.decode(response.content, type=Payload)
        except UNREADABLE:
            raise self._unexpected(response) from None

    def payload(self, commit: str, purpose: str = "", permit: str = "") -> Deposit:
        """A payload that the node releases, checked against its commitment. The reading of a
        restricted one is put on the chain, with what it is for, where that is given.

        Raises `NotFoundError` (T3), `ErasedError` (T4), `ForbiddenError` (T5), `BusyError` (T11) or
        `ProofError` (T2).
        """
        given = {"permit": permit, "purpose": purpose}
        params = {name: text for name, text in given.items() if text}
        deposit = decode_deposit(self._get(f"{PAYLOADS_PATH}/{quote(commit)}", params).content)
        check_deposited(deposit, commit)
        return deposit

    def attachment(self, commit: str) -> AttachmentState:
        """How far an attachment is at the node, and how a record names its payload. Raises as
        `payload`, and `NotFoundError` (T15).
        """
        response = self._get(f"{ATTACHMENTS_PATH}/{quote(commit)}")
        try:
            return msgspec.json.decode(response.content, type=AttachmentState)
        except UNREADABLE:
            raise self._unexpected(response) from None

    def put_chunk(self, commit: str, number: int, data: bytes) -> None:
        """Hand in the next piece of an attachment. Raises `ConflictError` (T14), `ProofError`
        (T12), `ForbiddenError` (T16) or as `attachment`.
        """
        path = f"{ATTACHMENTS_PATH}/{quote(commit)}/{number}"
        self._send("PUT", path, content=data, headers={"content-type": BYTES_TYPE})

    def chunk(self, commit: str, number: int, purpose: str = "", permit: str = "") -> bytes:
        """A piece of an attachment; whoever has all of them checks the hash. Raises as `payload`,
        `BusyError` (T13) while the node does not have all of it, `NotFoundError` (T15).
        """
        given = {"permit": permit, "purpose": purpose}
        params = {name: text for name, text in given.items() if text}
        return self._get(f"{ATTACHMENTS_PATH}/{quote(commit)}/{number}", params).content

    def erase(self, commits: Sequence[str], group: str, ground: str) -> list[str]:
        """Have payloads destroyed at the node, and on record; gives those that were there.

        Raises `NotFoundError` (T3), `ErasedError` (T4), `ForbiddenError` (P1, P4) or `RefusedError`
        (T9, T10).
        """
        order: dict[str, object] = {"ground": ground}
        if group:
            order["group"] = group
        if commits:
            order["commits"] = list(commits)
        body = msgspec.json.encode(order, order="deterministic")
        answer = self._object(self._post("/api/v1/erasures", body, "application/json"))
        return [str(commit) for commit in answer.get("erased", [])]

    def vault(self) -> dict[str, Any]:
        """What the node's vault holds and misses, and who read restricted payloads."""
        return self._object(self._get("/api/v1/vault"))

    def login(self) -> tuple[str, int]:
        """A code that opens a session of a browser in the name of the signer, and for how many
        seconds it is good. Raises `ForbiddenError` (P1, P2).
        """
        response = self._post("/api/v1/sessions", b"", NO_BODY)
        answer = self._answer(response, Opening)
        return answer["code"], answer["seconds"]

    # --- queries ----------------------------------------------------------------------------------

    def accesses(self, params: Mapping[str, str | int]) -> Accesses:
        """One page of accesses: `rows`, `next` (the `after` of the next page), `total` if
        counted.
        """
        return self._answer(self._get("/api/v1/accesses", params), Accesses)

    def report(self, name: str, params: Mapping[str, str | int]) -> Report:
        """One page of the answer to one of the committee's questions; `after` is the `next` of the
        page before.
        """
        return self._answer(self._get(f"/api/v1/reports/{name}", params), Report)

    def report_pages(self, name: str, params: Mapping[str, str | int]) -> Iterator[Report]:
        """All pages of an answer, at one head. Raises `NotFoundError` (Q6) where the node let go of
        that head meanwhile.
        """
        wanted = dict(params)
        while True:
            page = self.report(name, wanted)
            yield page
            if page["next"] is None:
                return
            wanted["after"] = page["next"]

    def whole_report(self, name: str, params: Mapping[str, str | int]) -> Report:
        """All pages of an answer as one: rows that add up are added up."""
        pages = list(self.report_pages(name, params))
        rows = [row for page in pages for row in page["rows"]]
        if name == "uses":
            rows = merged(rows, USE_KEY)
        return {**pages[-1], "rows": rows}

    def export(self, form: str, name: str) -> dict[str, Any]:
        """Where an object came from, in one of the standard `EXPORTS`."""
        response = self._get(f"/api/v1/exports/{form}", {"object": name})
        found: dict[str, Any] = self._answer(response, EXPORTS[form])
        return found

    def all_accesses(self, params: Mapping[str, str | int]) -> Iterator[Row]:
        """The rows of all pages."""
        wanted = dict(params)
        while True:
            page = self.accesses(wanted)
            yield from page["rows"]
            if page["next"] is None:
                return
            wanted["after"] = page["next"]

    def state(self, namespace: str, name: str) -> dict[str, Any]:
        """A value of the rule state, or its absence, with proof."""
        return self._object(self._get(f"/api/v1/state/{namespace}/{name}"))

    def subject(self, name: str) -> dict[str, Any]:
        """All records on a subject, with proof that there are no others."""
        return self._object(self._get(f"/api/v1/subjects/{name}"))

    def trace(self, leaf: str, cause: str | None = None) -> dict[str, Any]:
        """What an object comes from; with a cause, what rests on it."""
        params = {} if cause is None else {"cause": cause}
        return self._object(self._get(f"/api/v1/trace/{leaf}", params))

    def obligations(self, permit: str) -> dict[str, Any]:
        """What a permit owes, and whether it was done."""
        return self._object(self._get(f"/api/v1/obligations/{permit}"))

    def credit(self, leaf: str, notice: str | None = None) -> dict[str, Any]:
        """Who must be credited for an object; `notice` asks for what that notice shows."""
        params = {} if notice is None else {"notice": notice}
        return self._object(self._get(f"/api/v1/credit/{leaf}", params))

    def summary(self) -> Summary:
        """Counts of types and findings."""
        return self._answer(self._get("/api/v1/summary"), Summary)

    def health(self) -> Health:
        """Whether the node works and how far it is, for whoever holds a key of the chain."""
        return self._answer(self._get("/health"), Health)

    def alive(self) -> Alive:
        """Whether the node works: what everybody may know."""
        return self._answer(self._get("/health"), Alive)

    def metrics(self) -> str:
        """The node's counters, in Prometheus' text form."""
        return self._get("/metrics").text

    # --- bytes ------------------------------------------------------------------------------------

    def genesis(self) -> bytes:
        """Block 0 in entry-bundle form."""
        return self._get("/genesis").content

    def checkpoint(self) -> bytes:
        """The newest signed note."""
        return self._get("/checkpoint").content

    def tile(self, path: str) -> bytes:
        """A tile or an entry bundle by its path, `tile/0/000`."""
        return self._get(f"/{path}").content

    def blocks(self, first: int, limit: int = 64) -> list[tuple[list[bytes], bytes, bytes]]:
        """Blocks from a height on: entries (seal last), certificate (empty for block 0),
        checkpoint.
        """
        parts = list(_frames(self._get("/blocks", {"from": first, "limit": limit}).content))
        if len(parts) % 3:
            raise UnreachableError("O7.answer", url=self.url, status=200)
        return [
            (decode_bundle(parts[at]), parts[at + 1], parts[at + 2])
            for at in range(0, len(parts), 3)
        ]

    def justifications(self, epoch: int) -> Iterator[bytes]:
        """The certificates that led to the final blocks of an epoch, as far as the node has them.

        Raises `MalformedError` (R20) where it gives something else.
        """
        first, seen = 0, set[bytes]()
        while True:
            params = {"epoch": epoch, "from": first}
            page = list(_frames(self._get("/justifications", params).content))
            fresh = [data for data in page if data not in seen]
            if not fresh:
                return
            yield from fresh
            # A page may end between the certificates of a view: it is asked for again.
            first, seen = decode_certificate(page[-1]).view, set(page)

    # --- HTTP -------------------------------------------------------------------------------------

    def _post(self, path: str, body: bytes, kind: str) -> httpx.Response:
        return self._send("POST", path, content=body, headers={"content-type": kind})

    def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> httpx.Response:
        return self._send("GET", path, params=dict(params) if params else None)


def chunks(raws: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Entries in requests: at most 1,000 each, and not much more than 8 MiB."""
    chunk: list[bytes] = []
    size = 0
    for raw in raws:
        chunk.append(raw)
        size += len(raw)
        if len(chunk) == MAX_POST_ENTRIES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + length]
        at += 4 + length
