"""Who used a dataset, under which permits, and what came out (Q1); whether every access was covered
(Q3).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from ledger.rules.standing import RunState
from ledger.rules.values import ImportedState
from node.reports.answer import Answer, Asked, Row, codes_of, tally, unique
from node.reports.ground import Ground, Made, day_of
from node.reports.known import check_dataset, check_permit
from node.store import Group, Window

FIRST_PAGE: Final = 250
"""Accesses that the first page of Q1 looks at: each may be a row of its own."""
NEXT_PAGES: Final = 10_000

Key = tuple[str, str, str]
"""Dataset, permit, person."""


class UseRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """Uses of one dataset by one person under one permit, and what came out of them."""

    dataset: str
    org: str | None = None
    """Whose permit it is; None where none is named or known."""
    permit: str | None = None
    study: str | None = None
    person: str | None = None
    uses: int
    actions: dict[str, int] = msgspec.field(default_factory=dict)
    findings: dict[str, int] = msgspec.field(default_factory=dict)
    first_day: str | None = None
    last_day: str | None = None
    first_entry: int | None = None
    last_entry: int | None = None
    runs: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()


def uses(ground: Ground, asked: Asked) -> Answer:
    """Q1, one page: by whom and under which permits a dataset was used, all its versions for a
    series, with `descendants` also what was derived from it.

    A page covers so many accesses; rows of other pages that are equal in dataset, permit and person
    add up with its own. The first page also has what ran without a recorded access.

    Raises `NotFoundError` (O6, O6.near) for a dataset that nobody registered or used.
    """
    dataset, window = asked.need("dataset"), asked.window()
    names = _names(ground, dataset, asked.flag("descendants"))
    if not names:
        check_dataset(ground, dataset, _used(ground))
    found: dict[Key, list[Group]] = {}
    if asked.after is None:
        found = {key: [] for key in ground.made if key[0] in names and _within(ground, key, window)}
    at, last = asked.after or (0, 0)
    left = NEXT_PAGES if asked.after else FIRST_PAGE
    while at < len(names) and left > 0:
        scan = ground.uses.scan(names[at], window, last, left)
        for group in scan.groups:
            found.setdefault((group.dataset, group.permit, group.person), []).append(group)
        left -= scan.looked_at + 1
        if scan.last is None:
            at, last = at + 1, 0
        else:
            last, left = scan.last, 0
    rows = [_use_row(ground, key, found[key], window) for key in sorted(found)]
    notes = ("recorded-only", "count-buckets", "pseudonyms", "imported")
    return Answer(rows, notes, after=(at, last) if at < len(names) else None)


def _names(ground: Ground, dataset: str, with_descendants: bool) -> list[str]:
    """A dataset, all versions of a series, and what was derived from these, as far as used."""
    wanted = {dataset, *(ground.descendants(dataset) if with_descendants else ())}
    return [
        word
        for word in sorted(_used(ground))
        if word in wanted or ("@" not in dataset and word.startswith(f"{dataset}@"))
    ]


def _used(ground: Ground) -> set[str]:
    """The names of data that accesses and runs name."""
    return {*ground.uses.words("dataset"), *(used for used, _permit, _person in ground.made)}


def _within(ground: Ground, key: Key, window: Window) -> bool:
    return any(_ran(made, window) for made in ground.made[key])


def _ran(made: Made, window: Window) -> bool:
    return made.started_ms is None or window.from_ms <= made.started_ms < window.to_ms


def _use_row(ground: Ground, key: Key, groups: list[Group], window: Window) -> UseRow:
    dataset, name, person = key
    permit = ground.permit(name) if name else None
    made = [one for one in ground.made.get(key, ()) if _ran(one, window)]
    decision = None
    if permit is not None and not isinstance(permit.state, ImportedState):
        decision = permit.state.terms.decision
    entries = [entry for group in groups for entry in (group.first, group.last)]
    ends = [min(entries), max(entries)] if entries else []
    return UseRow(
        dataset=dataset,
        org=permit.org if permit else None,
        permit=name or None,
        study=permit.study if permit else None,
        person=person or None,
        uses=sum(group.uses for group in groups),
        actions=tally((group.action, group.uses) for group in groups),
        findings=codes_of(groups),
        first_day=day_of(min(group.first_ms for group in groups)) if groups else None,
        last_day=day_of(max(group.last_ms for group in groups)) if groups else None,
        first_entry=ends[0] if ends else None,
        last_entry=ends[1] if ends else None,
        runs=tuple(sorted({one.run for one in made})),
        results=tuple(sorted({name for one in made for name in one.results})),
        publications=tuple(sorted({name for one in made for name in one.publications})),
        records=unique(
            *map(ground.leaf_at, ends), decision, *(leaf for one in made for leaf in one.records)
        ),
    )


# --- Q3 ---

RECORDING: Final = "recording"
DIMENSIONS: Final[dict[str, frozenset[str]]] = {
    "permit": frozenset({"CLOSED", "NO_PERMIT", "REVOKED", "SUSPENDED"}),
    "registration": frozenset({"UNREGISTERED", "UNREGISTERED_INPUT"}),
    "person": frozenset({"NO_PERSON", "PERSON_NOT_LISTED"}),
    "dataset": frozenset({"DATASET_NOT_LISTED", "DATASET_WITHDRAWN"}),
    "purpose": frozenset({"PURPOSE_MISMATCH"}),
    "node": frozenset({"NODE_NOT_LISTED", "NODE_NOT_MEMBER"}),
    "ethics": frozenset({"ETHICS_INVALID"}),
    "time": frozenset({"EXPIRED", "NOT_ACTIVE"}),
}
"""What an access has to be covered in, and the findings that say it was not."""
UNJUDGED: Final = frozenset({"IMPORTED", "NO_PERMIT", "UNREGISTERED"})
"""With one of these no permit of this chain was there to judge by."""
WITHOUT_PERMIT: Final = frozenset({"permit", "registration"})
"""What is judged of every access."""


class CoverageRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """How many accesses, or runs, are alike in one dimension."""

    of: str
    """`access` or `run`."""
    dimension: str
    verdict: str
    """covered, exception or not-judged; `noted` for findings on how it was recorded."""
    finding: str | None = None
    count: int
    first_day: str | None = None
    last_day: str | None = None
    first_entry: int | None = None
    last_entry: int | None = None


def coverage(ground: Ground, asked: Asked) -> Answer:
    """Q3: every access, and every run by its open findings, against permit, person, dataset,
    purpose, place, ethics and time; exceptions by finding with first and last seen.

    Raises `NotFoundError` (O6, O6.near) for a dataset or a permit that nobody registered or named:
    no exception at all would be the answer for every slip of the pen.
    """
    dataset, permit, window = asked.take("dataset"), asked.take("permit"), asked.window()
    if dataset is not None:
        check_dataset(ground, dataset, _used(ground))
    if permit is not None:
        ran = (under for _used, under, _person in ground.made)
        check_permit(ground, permit, {*ground.uses.words("permit"), *ran})
    if permit is not None:
        groups = list(ground.uses.groups("permit", [permit], window))
    elif dataset is not None:
        groups = list(ground.uses.groups("dataset", _names(ground, dataset, False), window))
    else:
        groups = list(ground.uses.all(window))
    if dataset is not None:
        groups = [group for group in groups if dataset in (group.dataset, _series(group.dataset))]
    found: dict[tuple[str, str, str], list[Group]] = {}
    for group in groups:
        for place in _places(group.codes):
            found.setdefault(place, []).append(group)
    rows = [_coverage_row(ground, place, found[place]) for place in sorted(found)]
    rows += _runs(ground, dataset, permit, window)
    total = sum(group.uses for group in groups)
    clean = sum(group.uses for group in groups if not any(map(_is_exception, group.codes)))
    judged = sum(group.uses for group in groups if not UNJUDGED.intersection(group.codes))
    facts = {"accesses": total, "judged": judged, "without_exception": clean}
    return Answer(rows, ("recorded-only", "node-by-runs", "runs-by-open-findings"), facts)


def _series(name: str) -> str:
    return name.partition("@")[0]


def _is_exception(code: str) -> bool:
    return any(code in codes for codes in DIMENSIONS.values())


def _places(codes: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Dimension, verdict and finding of an access with these findings, in every dimension."""
    judged = not UNJUDGED.intersection(codes)
    for dimension, wrong in DIMENSIONS.items():
        exceptions = wrong.intersection(codes)
        yield from ((dimension, "exception", code) for code in exceptions)
        if not exceptions and dimension != "node":
            seen = judged or dimension in WITHOUT_PERMIT
            yield dimension, "covered" if seen else "not-judged", ""
    yield from ((RECORDING, "noted", code) for code in codes if not _is_exception(code))


def _coverage_row(ground: Ground, place: tuple[str, str, str], groups: list[Group]) -> CoverageRow:
    dimension, verdict, code = place
    first, last = min(group.first for group in groups), max(group.last for group in groups)
    return CoverageRow(
        of="access",
        dimension=dimension,
        verdict=verdict,
        finding=code or None,
        count=sum(group.uses for group in groups),
        first_day=day_of(min(group.first_ms for group in groups)),
        last_day=day_of(max(group.last_ms for group in groups)),
        first_entry=first,
        last_entry=last,
        records=unique(ground.leaf_at(first), ground.leaf_at(last)),
    )


def _runs(
    ground: Ground, dataset: str | None, permit: str | None, window: Window
) -> list[CoverageRow]:
    """Runs by their open findings; those without any are covered."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, run in ground.all(RunState, "run").items():
        names = {used.name for used in run.used if used.name is not None}
        names |= {_series(used) for used in names}
        late = run.started_ms is not None and not (window.from_ms <= run.started_ms < window.to_ms)
        if late or (permit not in (None, run.permit)) or (dataset and dataset not in names):
            continue
        leaves = ground.run_records.get(name, [])
        codes = sorted({code for leaf in leaves for code in ground.findings(leaf)})
        places = [(_dimension(code), "exception", code) for code in codes]
        for place in places or [("all", "covered", "")]:
            found.setdefault(place, []).extend(leaves[-1:])
    return [
        CoverageRow(
            of="run",
            dimension=dimension,
            verdict=verdict,
            finding=code or None,
            count=len(leaves),
            records=tuple(leaves),
        )
        for (dimension, verdict, code), leaves in sorted(found.items())
    ]


def _dimension(code: str) -> str:
    return next((name for name, codes in DIMENSIONS.items() if code in codes), RECORDING)
