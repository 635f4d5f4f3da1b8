"""A node that lies: every answer that carries a proof is checked before anything is believed, kept
or printed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cli import doctor, importing
from cli import session as sessions
from cli.exporting import copy_chain
from cli.home import load_signer
from cli.importing import import_files
from cli.options import Place
from cli.screen import EXIT_INTERNAL
from cli.session import Session
from cli.statements import clock_ms, make_record, new_id, sign
from ledger.crypto import Signer
from ledger.encoding import b64url
from ledger.errors import AllianceError
from ledger.records.use import AccessBody, Source
from node.client import NodeClient
from tests.cli.conftest import Chain, log_file

Answer = dict[str, Any]
Lie = Callable[[Answer], object]
WAITS = {"status": "pending"}
"""The answer to a request whose entries are not published yet."""


def lying(chain: Chain, lie: Lie, *, times: int = 1_000) -> Session:
    """A session with the chain's node, whose first answers somebody changes on the way."""
    left = [times]

    def handle(request: httpx.Request) -> httpx.Response:
        true = httpx.request(
            request.method, str(request.url), content=request.read(), headers=request.headers
        )
        if left[0] == 0 or "json" not in true.headers["content-type"]:
            return true
        left[0] -= 1
        answer = true.json()
        lie(answer)
        status = 202 if answer == WAITS else true.status_code
        return httpx.Response(status, json=answer)

    session = Session(Place(chain.home, None, None, "system"))
    session.client.close()
    session.client = NodeClient(chain.url, session.signer, transport=httpx.MockTransport(handle))
    return session


def _post(session: Session, seq: int) -> object:
    body = AccessBody(
        action="read", activity="LOOK", channel="file", dataset="D", outcome="ok",
        source=Source(seq=seq, system="ward"),
    )  # fmt: skip
    author = session.author
    at_ms = clock_ms()
    record = make_record("access", body, chain=author.chain, at_ms=at_ms, record_id=new_id(at_ms))
    return session.post(sign(author, record))


def _another_receipt(chain: Chain) -> Lie:
    with NodeClient(chain.url, load_signer(chain.home, "officer", None)) as client:
        other = client.entry("0")["receipt"]
    return lambda answer: answer.update(receipt=other)


def _rule(action: Callable[[], object]) -> str:
    with pytest.raises(AllianceError) as error:
        action()
    return error.value.rule


def _flip(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


POSTED: dict[str, tuple[Lie, str]] = {
    "not published": (lambda answer: answer.update(status="pending"), "X4"),
    "no receipt": (lambda answer: answer.update(receipt={"format": "none"}), "S1"),
    "other findings": (lambda answer: answer["receipt"]["findings"].update(codes=[]), "V4"),
    "other entry": (
        lambda answer: answer["receipt"].update(entry=_flip(answer["receipt"]["entry"])), "B1.tag"
    ),
    "other seal": (
        lambda answer: answer["receipt"].update(seal=answer["receipt"]["head"] | {"index": 0}),
        "M2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POSTED)
def test_no_receipt_is_believed_unseen(chain: Chain, name: str) -> None:
    lie, rule = POSTED[name]
    kept = set((chain.home / "receipts").glob("*"))
    with lying(chain, lie) as session:
        assert _rule(lambda: _post(session, 1 + list(POSTED).index(name))) == rule
    assert set((chain.home / "receipts").glob("*")) == kept


def test_the_receipt_of_another_record_is_none(chain: Chain) -> None:
    kept = set((chain.home / "receipts").glob("*"))
    with lying(chain, _another_receipt(chain)) as session:
        assert _rule(lambda: _post(session, 100)) == "V3"
    assert set((chain.home / "receipts").glob("*")) == kept


def _state(answer: Answer, **changes: object) -> None:
    answer["state"].update(changes)


@pytest.mark.parametrize(
    ("lie", "rule"),
    [
        (lambda answer: _state(answer, value=None), "V7"),
        (lambda answer: _state(answer, key="member/h2"), "V7"),
        (lambda answer: answer.pop("head"), "S1"),
        (lambda answer: answer["head"].update(path=[]), "M2"),
    ],
)
def test_no_state_is_believed_unseen(chain: Chain, lie: Lie, rule: str) -> None:
    with lying(chain, lie) as session:
        assert _rule(lambda: session.proven_state("member", "h1")) == rule


@pytest.mark.parametrize(
    ("lie", "rule"),
    [
        (lambda answer: answer["leaves"].pop(), "V8"),
        (lambda answer: answer["leaves"].append(b64url(bytes(32))), "V8"),
        (lambda answer: _state(answer, key="subject/org:h2"), "V8"),
    ],
)
def test_no_list_is_believed_complete_unseen(chain: Chain, lie: Lie, rule: str) -> None:
    with lying(chain, lie) as session:
        assert _rule(lambda: session.subject("org:h1")) == rule


def _seal(answer: Answer) -> None:
    answer.pop("receipt", None)


def test_a_seal_has_no_receipt(chain: Chain) -> None:
    with lying(chain, _seal) as session:
        assert _rule(lambda: session.receipt("0")) == "O6"


# --- import -----------------------------------------------------------------------------------


def _only_chunks(lie: Lie) -> Lie:
    """Change the answers to requests of several entries, and no others."""
    return lambda answer: lie(answer) if "results" in answer else None


@pytest.mark.parametrize(
    ("lie", "rule"),
    [
        (lambda answer: answer.update(receipts=[]), "V3"),
        (lambda answer: answer.update(receipts=[{"format": "none"}]), "S1"),
        (lambda answer: answer["receipts"][0]["findings"][0].append("X"), "V4"),
        (lambda answer: answer["receipts"][0]["leaves"].reverse(), "V3"),
        (lambda answer: answer["results"][3].update(status="refused", problem={}), "O9"),
        (
            lambda answer: answer["results"][3].update(status="refused", problem={"rule": "S12"}),
            "S12",
        ),
        (
            lambda answer: answer["results"][3].update(
                status="refused", problem={"rule": "S12", "code": "refused"}
            ),
            "X3.refused",
        ),
    ],
)
def test_an_import_counts_nothing_unseen(chain: Chain, tmp_path: Path, lie: Lie, rule: str) -> None:
    path = log_file(tmp_path / "node1.tsv", 12)
    with lying(chain, _only_chunks(lie)) as session:
        assert _rule(lambda: import_files(session, [path], "lies", print)) == rule


def test_an_import_waits_for_a_busy_node(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BUSY_PAUSE_S", 0.0)
    path = log_file(tmp_path / "node2.tsv", 12, node=2)
    answers = iter([WAITS, "busy", None])

    def busy(answer: Answer) -> None:
        if "results" not in answer:
            return
        lie = next(answers)
        if isinstance(lie, dict):
            answer.clear()
            answer.update(lie)
        elif lie is not None:
            answer["results"][0]["status"] = "busy"

    with lying(chain, busy) as session:
        done = import_files(session, [path], "patience", print)
    assert (done.lines, done.new) == (12, 12)


def test_an_import_gives_up_on_a_node_that_stays_busy(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BUSY_PAUSE_S", 0.0)
    monkeypatch.setattr(importing, "BUSY_TRIES", 3)
    path = log_file(tmp_path / "node3.tsv", 12, node=3)
    waits = _only_chunks(lambda answer: (answer.clear(), answer.update(WAITS)))
    with lying(chain, waits) as session:
        assert _rule(lambda: import_files(session, [path], "never", print)) == "X4"


# --- export -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [lambda _blocks: b"", lambda blocks: blocks.replace(b"founder", b"flounde", 1)],
    ids=["no blocks", "another entry"],
)
def test_a_copy_that_is_not_what_the_checkpoint_says_is_not_made(
    chain: Chain, tmp_path: Path, lie: Callable[[bytes], bytes]
) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        true = httpx.get(str(request.url), headers=request.headers)
        if request.url.path != "/blocks":
            return true
        return httpx.Response(200, content=lie(true.content), headers=dict(true.headers))

    with Session(Place(chain.home, None, None, "system")) as session:
        session.client.close()
        session.client = NodeClient(
            chain.url, session.signer, transport=httpx.MockTransport(handle)
        )
        assert _rule(lambda: copy_chain(session, tmp_path / "copy")) == "M2"
    assert list(tmp_path.iterdir()) == []


# --- the wire ---------------------------------------------------------------------------------


def _client(status: int, content: bytes, kind: str = "application/json") -> NodeClient:
    headers = {"content-type": kind}
    return NodeClient(
        "http://127.0.0.1:1",
        transport=httpx.MockTransport(
            lambda _request: httpx.Response(status, content=content, headers=headers)
        ),
    )


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "content", "kind", "rule", "code"),
    [
        (200, b"<html>", "text/html", "O7.answer", "unreachable"),
        (200, b"[]", "application/json", "O7.answer", "unreachable"),
        (502, b"bad gateway", "text/plain", "O7.answer", "unreachable"),
        (400, b"not json", PROBLEM, "O7.answer", "unreachable"),
        (400, b'{"rule":"\xff"}', PROBLEM, "O7.answer", "unreachable"),
        (401, b'{"facts":' + b"[" * 100_000, PROBLEM, "O7.answer", "unreachable"),
        (400, b'{"rule":"Z99","code":"refused"}', PROBLEM, "O9", "internal"),
        (500, b'{"rule":"O9","code":"internal","facts":{}}', PROBLEM, "O9", "internal"),
        (422, b'{"rule":"S12","code":"refused","facts":{}}', PROBLEM, "S12", "refused"),
        (422, b'{"rule":"S12","code":"later","facts":7}', PROBLEM, "S12", "internal"),
    ],
)
def test_answers_of_strangers(status: int, content: bytes, kind: str, rule: str, code: str) -> None:
    with _client(status, content, kind) as client, pytest.raises(AllianceError) as error:
        client.health()
    assert (error.value.rule, error.value.code) == (rule, code)


def test_blocks_that_are_cut_are_no_answer() -> None:
    cut = (3).to_bytes(4, "big") + b"abc"
    with _client(200, cut, "application/vnd.alliance.blocks") as client:
        assert _rule(lambda: client.blocks(0)) == "O7.answer"


@pytest.mark.parametrize("facts", [None, {}, {"what": ["x"]}, {"rule": 1, "self": 2, "name": "n"}])
def test_facts_of_a_stranger_never_break_a_sentence(facts: object) -> None:
    """A node of another version may leave out a fact, or send others."""
    document = msgspec.json.encode({"rule": "O6", "code": "not-found", "facts": facts})
    with _client(404, document, PROBLEM) as client, pytest.raises(AllianceError) as error:
        client.health()
    assert error.value.rule == "O6"
    for language in ("en", "zh"):
        assert error.value.sentence(language)
        assert error.value.next_step(language)


# --- answers that are none of this API ----------------------------------------------------------

Change = Callable[[Any, str], None]
DAMAGE: dict[str, Change] = {
    "missing": lambda holder, key: holder.pop(key),
    "a word": lambda holder, key: holder.update({key: "never heard of"}),
}
"""What becomes of one field of an answer."""

READERS: dict[str, tuple[str, ...]] = {
    "accesses": ("accesses", "--lang", "en"),
    "accesses as CSV": ("accesses", "--format", "csv", "--count"),
    "doctor": ("doctor",),
    "findings": ("findings",),
    "node status": ("node", "status"),
    "proof": ("proof", "1"),
    "state": ("state", "member", "h1"),
    "subject": ("subject", "org:h1"),
}
WRITERS: dict[str, tuple[str, ...]] = {
    "access record": ("access", "record", "--dataset", "D", "--activity", "LOOK"),
    "policy": ("policy", "P"),
}


class Between:
    """A proxy between a command and the node: it keeps what it saw, and damages one field."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.damage: tuple[str, tuple[str, ...], str] | None = None
        """Route, path to the field, and what becomes of it."""

    def handle(self, request: httpx.Request) -> httpx.Response:
        true = httpx.request(
            request.method, str(request.url), content=request.read(), headers=request.headers
        )
        if true.headers["content-type"] != "application/json":
            return true
        answer, route = true.json(), request.url.path.rpartition("/")[0]
        # A receipt or proof is one value of a form of its own, tested above.
        depth = 2 if route in ("", "/api/v1") else 1
        self.seen += [(route, path) for path in fields_of(answer, depth)]
        if self.damage and self.damage[0] == route:
            _route, path, name = self.damage
            damaged(answer, path, DAMAGE[name])
        return httpx.Response(true.status_code, json=answer)


def fields_of(answer: object, depth: int) -> list[tuple[str, ...]]:
    """The paths to all fields of an answer, down to some depth; of a list, in its first item."""
    if isinstance(answer, list):
        return [("0", *path) for path in fields_of(answer[0], depth)] if answer else []
    if not isinstance(answer, dict) or depth == 0:
        return []
    below = [(key, *path) for key in answer for path in fields_of(answer[key], depth - 1)]
    return [*((key,) for key in answer), *below]


def damaged(answer: Any, path: tuple[str, ...], change: Change) -> None:  # noqa: ANN401
    """Change the field at the end of a path, where this answer has it."""
    *above, key = path
    for step in above:
        answer = answer[0] if step == "0" and isinstance(answer, list) else answer.get(step)
        if not isinstance(answer, dict | list) or not answer:
            return
    if isinstance(answer, dict) and key in answer:
        change(answer, key)


@pytest.mark.parametrize("name", [*READERS, *WRITERS])
def test_no_answer_of_another_form_is_a_mistake_of_ours(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever field a node leaves out or fills with something else: a sentence, never X9."""
    between = Between(chain)

    def client(
        url: str, signer: Signer | None = None, timeout_s: float = 5.0, **_trust: object
    ) -> NodeClient:
        return NodeClient(url, signer, timeout_s, httpx.MockTransport(between.handle))

    for module in (sessions, doctor):
        monkeypatch.setattr(module, "NodeClient", client)
    assert chain("access", "record", "--dataset", "D", "--activity", "LOOK").code == 0
    words = {**READERS, **WRITERS}[name]
    between.seen.clear()
    assert chain(*words).code != EXIT_INTERNAL
    fields = sorted(set(between.seen))
    assert fields
    for route, path in fields:
        for kind in DAMAGE:
            between.damage = (route, path, kind)
            result = chain(*words)
            assert result.code != EXIT_INTERNAL, (route, path, kind, result.err)
