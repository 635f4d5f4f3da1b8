"""The committee's questions, answered from the index at a published head (domain.md D16): who used
a dataset (Q1), which permits are due (Q4), what one organisation gave and took (Q8).

Rows are counts over the index, not evidence; each names its first and last entry, whose receipts
prove them, and every answer says at which head it was counted. "Now" is the time of that head.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ledger.chain import Tip
from ledger.encoding import encode_time
from ledger.errors import MalformedError, NotFoundError
from ledger.rules.machines import permit_status
from ledger.rules.standing import PermitState
from ledger.rules.values import DatasetState, ImportedState, MemberState
from ledger.state import State, state_key
from node.store.database import Store
from node.store.derived import EVENTS
from node.store.queries import parse_integer, parse_time

DAY_MS: Final = 86_400_000
EVER_MS: Final = 10**15
"""Later than every time of a record."""


class Window(NamedTuple):
    """Times in POSIX ms, `to_ms` exclusive."""

    from_ms: int = 0
    to_ms: int = EVER_MS


class UseRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Uses of one dataset by one person under one permit."""

    dataset: str
    org: str | None = None
    """Whose permit it is; None where none is named or known."""
    permit: str | None = None
    study: str | None = None
    person: str | None = None
    uses: int
    actions: dict[str, int]
    findings: dict[str, int]
    first_day: str
    last_day: str
    first_entry: int
    last_entry: int


class PermitRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A permit, or an agreement that was taken over, and what is due of it."""

    permit: str
    org: str
    status: str
    """As in SPEC 5.11, or IMPORTED."""
    study: str | None = None
    datasets: tuple[str, ...]
    valid_from: str | None = None
    valid_until: str | None = None
    uses: int
    last_day: str | None = None
    due: tuple[str, ...] = ()
    """EXPIRING, NEVER_USED, PAST_DUE:<obligation> (its day has passed; whether it was met is not
    looked at), USED_AFTER_END; sorted.
    """


class DataRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one organisation had of one dataset, or others of its own."""

    dataset: str
    side: str
    """`given` (it is the custodian) or `taken`."""
    org: str
    """The other side: who took it, or who holds it; empty where that is not known."""
    uses: int
    findings: dict[str, int]


class Group(NamedTuple):
    """Uses that are alike."""

    dataset: str
    permit: str
    person: str
    action: str
    codes: tuple[str, ...]
    uses: int
    first_ms: int
    last_ms: int
    first: int
    last: int


class Permit(NamedTuple):
    """Whose a permit is."""

    org: str
    study: str | None
    state: PermitState | ImportedState


class Questions:
    """Answers of one store at one head."""

    def __init__(self, store: Store, tip: Tip) -> None:
        self._store = store
        self._tip = tip
        self._state: State = tip.state

    def uses(self, dataset: str, window: Window) -> list[UseRow]:
        """Q1: by whom and under which permits a dataset was used, all its versions for a series.

        Raises `NotFoundError` (O6) for a dataset that nobody registered or used.
        """
        names = self._names(dataset)
        if not names and self._state.get(state_key("dataset", dataset)) is None:
            raise NotFoundError("O6", what="dataset", name=dataset)
        rows: dict[tuple[str, str, str], list[Group]] = {}
        for group in self._groups("dataset", names, window):
            rows.setdefault((group.dataset, group.permit, group.person), []).append(group)
        return [self._use_row(key, rows[key]) for key in sorted(rows)]

    def permits(self, within_days: int) -> list[PermitRow]:
        """Q4: every permit and how it stands; `EXPIRING` ends within so many days."""
        groups: dict[str, list[Group]] = {}
        names = [name for name in self._permit_names() if self._permit(name)]
        for group in self._groups("permit", names, Window()):
            groups.setdefault(group.permit, []).append(group)
        found = ((name, self._permit(name)) for name in names)
        return [
            self._permit_row(name, permit, groups.get(name, []), within_days)
            for name, permit in found
            if permit is not None
        ]

    def member(self, org: str, window: Window) -> list[DataRow]:
        """Q8: which data an organisation gave to others and took from others.

        Raises `NotFoundError` (O6) for one that is neither a member nor named by any permit.
        """
        own = [name for name in self._words("dataset") if self._custodian(name) == org]
        permits = [name for name in self._permit_names() if self._org_of(name) == org]
        member = self._state.get(state_key("member", org))
        if not isinstance(member, MemberState) and not permits:
            raise NotFoundError("O6", what="organisation", name=org)
        given = self._sides(self._groups("dataset", own, window), "given", self._taker)
        taken = self._sides(self._groups("permit", permits, window), "taken", self._giver)
        return [*given, *taken]

    # --- rows ---

    def _use_row(self, key: tuple[str, str, str], groups: list[Group]) -> UseRow:
        dataset, name, person = key
        permit = self._permit(name)
        return UseRow(
            dataset=dataset,
            org=permit.org if permit else None,
            permit=name or None,
            study=permit.study if permit else None,
            person=person or None,
            uses=sum(group.uses for group in groups),
            actions=_tally((group.action, group.uses) for group in groups),
            findings=_codes(groups),
            first_day=_day(min(group.first_ms for group in groups)),
            last_day=_day(max(group.last_ms for group in groups)),
            first_entry=min(group.first for group in groups),
            last_entry=max(group.last for group in groups),
        )

    def _permit_row(
        self, name: str, permit: Permit, groups: list[Group], within_days: int
    ) -> PermitRow:
        state, uses = permit.state, sum(group.uses for group in groups)
        last_ms = max((group.last_ms for group in groups), default=None)
        due = set() if uses else {"NEVER_USED"}
        row = PermitRow(
            permit=name,
            org=permit.org,
            status="IMPORTED",
            study=permit.study,
            datasets=state.datasets if isinstance(state, ImportedState) else state.terms.datasets,
            uses=uses,
            last_day=None if last_ms is None else _day(last_ms),
            due=tuple(sorted(due)),
        )
        if isinstance(state, ImportedState):
            return row
        terms, now_ms = state.terms, self._tip.time_ms
        if last_ms is not None and last_ms > terms.until_ms:
            due.add("USED_AFTER_END")
        status = permit_status(state.spans, terms.until_ms, now_ms) or ""
        if status == "ACTIVE" and terms.until_ms - now_ms <= within_days * DAY_MS:
            due.add("EXPIRING")
        today = _day(now_ms)
        owed = [one.code for one in terms.obligations if one.due is not None and one.due < today]
        due.update(f"PAST_DUE:{code}" for code in owed)
        return msgspec.structs.replace(
            row,
            status=status,
            valid_from=_day(terms.from_ms),
            valid_until=_day(terms.until_ms),
            due=tuple(sorted(due)),
        )

    def _sides(
        self, groups: Iterator[Group], side: str, other: Callable[[Group], str]
    ) -> list[DataRow]:
        found: dict[tuple[str, str], list[Group]] = {}
        for group in groups:
            found.setdefault((group.dataset, other(group)), []).append(group)
        return [
            DataRow(
                dataset=dataset,
                side=side,
                org=org,
                uses=sum(group.uses for group in found[dataset, org]),
                findings=_codes(found[dataset, org]),
            )
            for dataset, org in sorted(found)
        ]

    def _taker(self, group: Group) -> str:
        return self._org_of(group.permit) or ""

    def _giver(self, group: Group) -> str:
        return self._custodian(group.dataset) or ""

    # --- the index and the state ---

    def _groups(self, column: str, names: list[str], window: Window) -> Iterator[Group]:
        """Uses with one of these words in a column, counted by what they have in common."""
        terms, text = self._store.terms, self._store.terms.text
        used = "a.permit <> 0 AND " if column == "permit" else ""
        for name in names:
            number = terms.find(column, name)
            if number is None:
                continue
            rows = self._store.select(
                "SELECT dataset, permit, person, action, findings, count(*), min(at), max(at),"
                f" min(id), max(id) FROM access a INDEXED BY access_{column}"
                f" WHERE {used}a.{column} = ? AND a.at >= ? AND a.at < ? AND a.id < ?"
                " GROUP BY dataset, permit, person, action, findings",
                number,
                window.from_ms,
                window.to_ms,
                self._tip.size * EVENTS,
            )
            for dataset, permit, person, action, codes, *counts in rows:
                words = tuple(text(codes).split(",")) if codes else ()
                uses, first_ms, last_ms, first, last = counts
                yield Group(
                    text(dataset), text(permit), text(person), text(action), words,
                    uses, first_ms, last_ms, first // EVENTS, last // EVENTS,
                )  # fmt: skip

    def _words(self, kind: str) -> list[str]:
        # The writer adds words at any time: look through a copy.
        return sorted(list(self._store.terms.kind(kind)))

    def _names(self, dataset: str) -> list[str]:
        """A dataset, and all versions of a series, as far as they were used."""
        words = self._words("dataset")
        versions = () if "@" in dataset else (w for w in words if w.startswith(f"{dataset}@"))
        return [*(word for word in words if word == dataset), *versions]

    def _permit_names(self) -> list[str]:
        kind = "permit:"
        posted = {name[len(kind) :] for name in self._words("subject") if name.startswith(kind)}
        return sorted(posted | set(self._words("permit")) - {""})

    def _permit(self, name: str) -> Permit | None:
        state = self._state.get(state_key("permit", name))
        if isinstance(state, PermitState):
            return Permit(state.lead_org, state.study, state)
        imported = self._state.get(state_key("imported", name))
        if isinstance(imported, ImportedState):
            return Permit(imported.org, None, imported)
        return None

    def _org_of(self, name: str) -> str | None:
        permit = self._permit(name)
        return permit.org if permit else None

    def _custodian(self, dataset: str) -> str | None:
        series = self._state.get(state_key("dataset", dataset.partition("@")[0]))
        return series.custodian if isinstance(series, DatasetState) else None


def answer(store: Store, tip: Tip, name: str, items: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The answer to a question by name, with the head that it was counted at.

    Raises `NotFoundError` (O6) for a question that there is none of, `MalformedError` (Q1, Q2).
    """
    given = _parameters(items)
    questions = Questions(store, tip)
    window = Window(
        parse_time("from", given.pop("from", "0")), parse_time("to", given.pop("to", str(EVER_MS)))
    )
    rows: Sequence[UseRow | PermitRow | DataRow]
    if name == "uses":
        rows = questions.uses(_needed(given, "dataset"), window)
    elif name == "permits":
        rows = questions.permits(parse_integer("within", given.pop("within", "30")))
    elif name == "member":
        rows = questions.member(_needed(given, "org"), window)
    else:
        raise NotFoundError("O6", what="report", name=name)
    if given:
        raise MalformedError("Q1", field=next(iter(given)))
    head = {"height": tip.height, "origin": tip.origin, "size": tip.size, "time_ms": tip.time_ms}
    return {"head": head, "report": name, "rows": rows}


def _parameters(items: Sequence[tuple[str, str]]) -> dict[str, str]:
    given = dict(items)
    if len(given) != len(items):
        raise MalformedError("Q2", field=items[-1][0])
    return given


def _needed(given: dict[str, str], name: str) -> str:
    try:
        return given.pop(name)
    except KeyError:
        raise MalformedError("Q2", field=name) from None


def _day(ms: int) -> str:
    return encode_time(ms)[:10]


def _tally(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for word, number in pairs:
        counts[word] += number
    return dict(sorted(counts.items()))


def _codes(groups: list[Group]) -> dict[str, int]:
    return _tally((code, group.uses) for group in groups for code in group.codes)
