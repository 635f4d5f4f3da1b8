"""The committee's twelve questions (domain.md D16), and the agreements of the chain: each answer at
a published head, with the records of every row, page by page; and where an object came from in the
standard forms of provenance, whole.

    reports = Reports(store)
    page = reports.page(view, "uses", [("dataset", "GTEx")], local)

Rows are counts over the index and values of the rule state: an index, not evidence. The records
named in each prove it. "Now" is the time of the head.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from threading import Lock
from typing import Any, Final, NamedTuple

import msgspec

from ledger.encoding import b64url, decode_json, unb64url
from ledger.errors import AllianceError, MalformedError, NotFoundError
from ledger.rules import At
from node.cosigning import View
from node.reports.answer import Answer, Asked
from node.reports.copies import copies
from node.reports.crate import crate_of
from node.reports.datacite import datacite_of, output_of
from node.reports.ground import Ground
from node.reports.lineage import lineage_of
from node.reports.local import Local
from node.reports.members import committee, member
from node.reports.notes import NOTES
from node.reports.origins import consequences, credit, provenance
from node.reports.outputs import certificate, egress
from node.reports.people import person
from node.reports.permits import permits, register
from node.reports.prov import prov_of
from node.reports.uses import coverage, uses
from node.store import Store, parse_integer

MAX_ROWS: Final = 1_000
"""Rows of one page."""
KEPT_GROUNDS: Final = 4
KEPT_ANSWERS: Final = 8
"""Answers that further pages are cut from, and heads that they stand on."""


class Question(NamedTuple):
    """A question: its number in domain.md D16, which the register has none of, and its
    parameters. One that is `paged` by itself knows where each page ends; one of the `moment`
    changes without the chain.
    """

    number: str
    ask: Callable[[Ground, Asked], Answer]
    parameters: tuple[str, ...] = ()
    paged: bool = False
    moment: bool = False


QUESTIONS: Final[Mapping[str, Question]] = {
    "uses": Question("Q1", uses, ("dataset", "descendants", "from", "to"), paged=True),
    "provenance": Question("Q2", provenance, ("object",)),
    "coverage": Question("Q3", coverage, ("dataset", "permit", "from", "to")),
    "permits": Question("Q4", permits, ("within",)),
    "credit": Question("Q5", credit, ("object", "notice")),
    "egress": Question("Q6", egress, ("org",)),
    "consequences": Question("Q7", consequences, ("of",)),
    "member": Question("Q8", member, ("org", "from", "to")),
    "committee": Question("Q9", committee, ("from", "to")),
    "copies": Question("Q10", copies, moment=True),
    "person": Question("Q11", person, ("pid",), moment=True),
    "certificate": Question("Q12", certificate, ("number",)),
    "register": Question("", register),
}

FORMS: Final[Mapping[str, Callable[[Ground, str], dict[str, Any]]]] = {
    "crate": lambda ground, name: crate_of(lineage_of(ground, name)),
    "datacite": lambda ground, name: datacite_of(output_of(ground, name)),
    "prov": lambda ground, name: prov_of(lineage_of(ground, name)),
}
"""The standard forms that say where an object came from."""


class _Cursor(NamedTuple):
    """Where the next page begins: of which question, at which head, at which place."""

    mark: str
    size: int
    place: tuple[int, int]


class Reports:
    """The answers of one node. All methods may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grounds: OrderedDict[int, Ground] = OrderedDict()
        self._answers: OrderedDict[tuple[str, int], Answer] = OrderedDict()
        self._lock = Lock()

    def page(
        self, view: View, name: str, items: Sequence[tuple[str, str]], local: Local
    ) -> dict[str, Any]:
        """One page of an answer, from its beginning or where a cursor says: a cursor goes on at its
        own head, however far the chain has grown.

        Raises `NotFoundError` (O6, Q6), `MalformedError` (Q1, Q2, Q4, Q5), or what the question
        raises.
        """
        question = QUESTIONS.get(name)
        if question is None:
            raise NotFoundError("O6", what="report", name=name[:80])
        known = {"after", *question.parameters, *(() if question.paged else ("limit",))}
        given = _parameters(known, items)
        mark = _mark(name, given)
        after, limit = given.get("after"), _limit(given)
        cursor = None if after is None else _read_cursor(after, mark)
        ground = self._ground(view, None if cursor is None else cursor.size)
        place = None if cursor is None else cursor.place
        if question.paged:
            answer = question.ask(ground, Asked(given, local, place))
        else:
            whole = self._whole(ground, question, mark, Asked(given, local))
            answer = _cut(whole, place[0] if place else 0, limit)
        following = None
        if answer.after is not None:
            following = _write_cursor(_Cursor(mark, ground.tip.size, answer.after))
        return {**_describe(ground, question, answer), "next": following, "report": name}

    def export(self, view: View, form: str, items: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Where an object came from, in one of the standard forms: whole, at the newest head.

        Raises `NotFoundError` (O6), `MalformedError` (Q1, Q2) or `TooLargeError` (W1).
        """
        name = _parameters(("object",), items).get("object")
        if name is None:
            raise MalformedError("Q2", field="object")
        return FORMS[form](self._ground(view, None), name)

    def _ground(self, view: View, size: int | None) -> Ground:
        """The head of a size, the newest one without. Raises `NotFoundError` (Q6)."""
        wanted = view.tip.size if size is None else size
        with self._lock:
            found = self._grounds.get(wanted)
            if found is None and wanted == view.tip.size:
                found = self._grounds[wanted] = Ground(self._store, view)
            if found is None:
                raise NotFoundError("Q6", size=wanted)
            self._grounds.move_to_end(wanted)
            while len(self._grounds) > KEPT_GROUNDS:
                self._grounds.popitem(last=False)
        return found

    def _whole(self, ground: Ground, question: Question, mark: str, asked: Asked) -> Answer:
        """All rows; kept for the pages after the first."""
        if question.moment:
            return question.ask(ground, asked)
        key = (mark, ground.tip.size)
        with self._lock:
            found = self._answers.get(key)
        if found is None:
            found = question.ask(ground, asked)
            with self._lock:
                self._answers[key] = found
                while len(self._answers) > KEPT_ANSWERS:
                    self._answers.popitem(last=False)
        return found


def _parameters(known: Collection[str], items: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Raises `MalformedError` (Q1, Q2)."""
    given = dict(items)
    if len(given) != len(items):
        raise MalformedError("Q2", field=items[-1][0])
    for name in given:
        if name not in known:
            raise MalformedError("Q1", field=name)
    return given


def _limit(given: Mapping[str, str]) -> int:
    """Raises `MalformedError` (Q2, Q4)."""
    limit = parse_integer("limit", given.get("limit", str(MAX_ROWS)))
    if not 1 <= limit <= MAX_ROWS:
        raise MalformedError("Q4", limit=MAX_ROWS)
    return limit


def _cut(whole: Answer, start: int, limit: int) -> Answer:
    """Some rows of an answer, and where the next ones begin."""
    end = start + limit
    after = (end, 0) if end < len(whole.rows) else None
    return whole._replace(rows=whole.rows[start:end], after=after)


def _describe(ground: Ground, question: Question, answer: Answer) -> dict[str, Any]:
    """An answer with the head that it stands on, the policy in force there, and what it cannot
    know.
    """
    tip = ground.tip
    policy = ground.draft.policy(At(tip.height + 1, ground.now_ms))
    return {
        "facts": answer.facts,
        "head": {
            "checkpoint": ground.view.checkpoint.decode(),
            "height": tip.height,
            "origin": tip.origin,
            "size": tip.size,
            "time_ms": tip.time_ms,
        },
        "notes": [{"code": code, **NOTES[code]._asdict()} for code in answer.notes],
        "policy": {"leaf": policy.leaf, "version": policy.body.version},
        "question": question.number,
        "rows": answer.rows,
    }


# --- cursors ---


def _mark(name: str, given: Mapping[str, str]) -> str:
    """What tells a question with its parameters from others."""
    about = sorted((key, text) for key, text in given.items() if key not in ("after", "limit"))
    return b64url(sha256(msgspec.json.encode([name, about])).digest()[:9])


def _write_cursor(cursor: _Cursor) -> str:
    return b64url(msgspec.json.encode([cursor.mark, cursor.size, *cursor.place]))


def _read_cursor(text: str, mark: str) -> _Cursor:
    """Raises `MalformedError` (Q5)."""
    try:
        value = decode_json(unb64url(text))
    except AllianceError:
        raise MalformedError("Q5") from None
    match value:
        case [str() as found, int() as size, int() as first, int() as second] if (
            found == mark and min(size, first, second) >= 0
        ):
            return _Cursor(mark, size, (first, second))
    raise MalformedError("Q5")
