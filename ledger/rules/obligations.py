"""What a permit owes, and whether it was done: derived, never declared (domain.md D15; SPEC
12.8).
"""

from typing import Final, Literal

from ledger.encoding import decode_date
from ledger.errors import NotFoundError
from ledger.provenance import Onward, Walk
from ledger.records.authorisation import Obligation
from ledger.records.envelope import Shape
from ledger.rules.draft import Draft
from ledger.rules.standing import PermitState, StudyState, status_at
from ledger.rules.structure import DAY_MS
from ledger.rules.terms import CREDIT, MOR, PUB, RTN
from ledger.rules.values import FindingState

REMOVAL: Final = "EC:REMOVAL"
REPORT: Final = "EC:REPORT"
"""The alliance's own codes for the removal of data and the yearly report."""

Standing = Literal["MET", "OPEN", "OVERDUE", "BREACHED", "BY_HAND"]


class Owed(Shape, frozen=True, kw_only=True):
    """One obligation of a permit. `by` is the record that met or breached it; BY_HAND is one that
    no record can show.
    """

    by: str | None = None
    code: str
    due: str | None = None
    params: tuple[str, ...] = ()
    standing: Standing


def obligations_of(draft: Draft, graph: Onward, name: str, time_ms: int) -> tuple[Owed, ...]:
    """The obligations of a permit at a time, in the order of its terms.

    Raises `NotFoundError` (O6) for an unknown permit, `TooLargeError` (W1).
    """
    permit = draft.get(PermitState, "permit", name)
    if permit is None:
        raise NotFoundError("O6", what="permit", name=name)
    study = draft.get(StudyState, "study", permit.study)
    walk = graph.walk([permit.terms.decision])
    events = graph.walk([study.leaf]) if study else walk
    closed = status_at(permit.spans, time_ms) == "CLOSED"
    return tuple(
        _owed(draft, one, walk, events, closed, time_ms) for one in permit.terms.obligations
    )


def _owed(
    draft: Draft, one: Obligation, walk: Walk, events: Walk, closed: bool, time_ms: int
) -> Owed:
    by, standing = None, None
    if one.code in (PUB, CREDIT):
        by = _publication(draft, walk, one.code == CREDIT)
    elif one.code == RTN:
        by = _first(walk, "dataset-version")
    elif one.code == REPORT:
        by = _first(events, "study-event", "annual-report")
    elif one.code == MOR:
        return _moratorium(draft, one, walk, time_ms)
    elif one.code == REMOVAL:
        standing = "MET" if closed else None
    else:
        standing = "BY_HAND"
    if standing is None:
        late = one.due is not None and time_ms >= decode_date(one.due) + DAY_MS
        standing = "MET" if by else "OVERDUE" if late else "OPEN"
    return Owed(by=by, code=one.code, due=one.due, params=one.params, standing=standing)  # type: ignore[arg-type]


def _first(walk: Walk, kind: str, name: str | None = None) -> str | None:
    """The nearest record of this type that a walk reached."""
    for leaf, node in walk.nodes.items():
        if node.kind == kind and name in (None, node.name):
            return leaf
    return None


def _publication(draft: Draft, walk: Walk, credited: bool) -> str | None:
    """A publication of what came out; with `credited` one that acknowledges everybody."""
    for leaf, node in walk.nodes.items():
        if node.kind == "publication" and not (credited and _has(draft, leaf, "CREDIT_MISSING")):
            return leaf
    return None


def _moratorium(draft: Draft, one: Obligation, walk: Walk, time_ms: int) -> Owed:
    """Kept when its day has come and nothing appeared before it."""
    early = next(
        (
            leaf
            for leaf, node in walk.nodes.items()
            if node.kind == "publication" and _has(draft, leaf, "EMBARGOED")
        ),
        None,
    )
    over = bool(one.params) and time_ms >= decode_date(one.params[0])
    standing: Standing = "BREACHED" if early else "MET" if over else "OPEN"
    return Owed(by=early, code=one.code, due=one.due, params=one.params, standing=standing)


def _has(draft: Draft, leaf: str, code: str) -> bool:
    found = draft.get(FindingState, "finding", leaf)
    return found is not None and code in found.codes
