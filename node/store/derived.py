"""Rows that make the chain searchable, worked out from blocks; all of them can be thrown away and
made again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.chain import Applied, History
from ledger.encoding import b64url
from ledger.records.envelope import Entry
from ledger.records.use import AccessBody, AccessEvent, Source
from ledger.rules.structure import occurred_all
from ledger.rules.subjects import subjects_of

EVENTS: Final = 256
"""Places for the events of one entry in `access.id`."""
ABSENT: Final = 0
"""The term of a field that a record does not have."""

INSERT_ID: Final = "INSERT INTO entry_id (id, kid, idx) VALUES (?, ?, ?)"
INSERT_LEAF: Final = "INSERT INTO entry_leaf (prefix, idx) VALUES (?, ?)"
INSERT_ACCESS: Final = (
    "INSERT INTO access (id, at, dataset, person, activity, system, seq, request, request_seq,"
    " permit, action, outcome, org, findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_POSTING: Final = "INSERT INTO posting (subject, idx) VALUES (?, ?)"
INSERT_TERM: Final = "INSERT INTO term (id, kind, text) VALUES (?, ?, ?)"
COUNT_TERM: Final = "UPDATE term SET count = count + ? WHERE id = ?"

_WORDS: Final = itemgetter(2, 3, 4, 5, 9, 10, 11, 12, 13)
"""The columns whose words are counted."""

AccessRow = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int]


class Terms:
    """The words of all columns, as small integers; `count` says how many rows hold one."""

    def __init__(self, rows: Iterable[tuple[int, str, str, int]] = ()) -> None:
        self._ids: dict[str, dict[str, int]] = {}
        self._texts: dict[int, str] = {ABSENT: ""}
        self.counts: Counter[int] = Counter()
        self.fresh: list[tuple[int, str, str]] = []
        self._last = 0
        for number, kind, text, count in rows:
            self._ids.setdefault(kind, {})[text] = number
            self._texts[number] = text
            self.counts[number] = count
            self._last = max(self._last, number)

    def kind(self, kind: str) -> dict[str, int]:
        """The numbers of one kind's words."""
        return self._ids.setdefault(kind, {})

    def find(self, kind: str, text: str) -> int | None:
        """The number of a word, or None when nothing on the chain has it."""
        return self.kind(kind).get(text)

    def intern(self, kind: str, text: str) -> int:
        """The number of a word; a new one is noted in `fresh`, to be stored."""
        words = self.kind(kind)
        number = words.get(text)
        if number is None:
            self._last += 1
            number = words[text] = self._last
            self._texts[number] = text
            self.fresh.append((number, kind, text))
        return number

    def text(self, number: int) -> str:
        """The word of a number."""
        return self._texts[number]


class Rows(NamedTuple):
    """What one block adds to the derived tables."""

    ids: list[tuple[bytes, int, int]]
    leaves: list[tuple[int, int]]
    accesses: list[AccessRow]
    others: list[tuple[int, Entry]]
    """Entries that are no accesses, with their index: their subjects are posted one by one."""
    counts: Counter[int]


def derive(block: Applied, terms: Terms) -> Rows:
    """The rows of a block, except postings: these may need entries of the same block
    (`postings`).
    """
    rows = Rows([], [], [], [], Counter())
    index = block.tip.seal_index - len(block.entries)
    kids: dict[bytes, int] = {}
    types: Counter[str] = Counter()
    events = _Events(terms, rows.accesses)
    singles: dict[tuple[str, tuple[str, ...]], list[tuple[int, AccessBody, str]]] = {}
    codes: Counter[tuple[str, ...]] = Counter(block.findings)
    for entry, found in zip(block.entries, block.findings, strict=True):
        statement, record = entry.statement, entry.record
        kid = kids.get(statement.kid)
        if kid is None:
            kid = kids[statement.kid] = terms.intern("kid", b64url(statement.kid))
        rows.ids.append((entry.id_key[len(statement.kid) :], kid, index))
        rows.leaves.append((int.from_bytes(entry.leaf[:8], "big", signed=True), index))
        types[record.type] += 1
        if record.type == "access":
            alike = singles.setdefault((statement.iss, found), [])
            alike.append((index * EVENTS, record.body, record.at))
        elif record.type == "access-batch":
            batch = record.body.events
            first = index * EVENTS + 1
            numbers = range(first, first + len(batch))
            times = tuple([event.at for event in batch])
            events.add(numbers, batch, times, statement.iss, found)
        if record.type != "access" and not (record.type == "access-batch" and record.body.events):
            rows.others.append((index, entry))
        index += 1
    for (org, found), alike in singles.items():
        # Together: what one access of its own costs around its row is more than the row.
        places, bodies, times = zip(*alike, strict=True)
        events.add(places, bodies, times, org, found)
    rows.accesses.sort(key=itemgetter(0))  # SQLite appends what comes in order
    rows.leaves.append((int.from_bytes(block.seal.leaf[:8], "big", signed=True), index))
    _count(rows, terms, types, codes)
    return rows


class _Events:
    """The inner loop of bulk ingest: everything that it needs is one dictionary away."""

    def __init__(self, terms: Terms, rows: list[AccessRow]) -> None:
        self.terms = terms
        self.rows = rows
        self.datasets, self.persons = terms.kind("dataset"), terms.kind("person")
        self.activities, self.systems = terms.kind("activity"), terms.kind("system")
        self.actions, self.outcomes = terms.kind("action"), terms.kind("outcome")
        self.permits = terms.kind("permit")

    def add(
        self,
        numbers: Sequence[int],
        events: Sequence[AccessBody | AccessEvent],
        times: tuple[str, ...],
        org: str,
        found: tuple[str, ...],
    ) -> None:
        """Accesses with the same observer and findings as rows with these numbers."""
        codes = ",".join(found)
        observer = self.terms.intern("org", org)
        findings = self.terms.intern("findings", codes) if codes else ABSENT
        try:
            self.rows += self._rows(numbers, events, times, observer, findings)
        except KeyError:
            self._learn(events)
            self.rows += self._rows(numbers, events, times, observer, findings)

    def _rows(
        self,
        numbers: Sequence[int],
        events: Sequence[AccessBody | AccessEvent],
        times: tuple[str, ...],
        observer: int,
        findings: int,
    ) -> list[AccessRow]:
        """Raises `KeyError` for a word that no row has had before."""
        datasets, persons, permits = self.datasets, self.persons, self.permits
        activities, actions, outcomes = self.activities, self.actions, self.outcomes
        systems, asked = self.systems, self._asked
        return [
            (
                number,
                at,
                datasets[event.dataset],
                persons[event.person] if event.person else ABSENT,
                activities[event.activity],
                systems[event.source.system],
                event.source.seq,
                *((ABSENT, 0) if event.request is None else asked(event.request)),
                permits[event.permit] if event.permit else ABSENT,
                actions[event.action],
                outcomes[event.outcome],
                observer,
                findings,
            )
            for number, event, at in zip(numbers, events, occurred_all(times), strict=True)
        ]

    def _asked(self, request: Source | str) -> tuple[int, int]:
        """What a request is found by: its leaf, or its system and number."""
        if isinstance(request, str):
            return self.terms.intern("leaf", request), 0
        return self.terms.intern("system", request.system), request.seq

    def _learn(self, events: Sequence[AccessBody | AccessEvent]) -> None:
        """Number the words of these events, in their order."""
        intern = self.terms.intern
        for event in events:
            intern("dataset", event.dataset)
            intern("activity", event.activity)
            intern("system", event.source.system)
            intern("action", event.action)
            intern("outcome", event.outcome)
            if event.person:
                intern("person", event.person)
            if event.permit:
                intern("permit", event.permit)


def _count(rows: Rows, terms: Terms, types: Counter[str], codes: Counter[tuple[str, ...]]) -> None:
    counts = rows.counts
    # Many rows of a block have the same words: these are counted as one.
    for words, number in Counter(map(_WORDS, rows.accesses)).items():
        for word in words:
            counts[word] += number
    for kind, number in types.items():
        counts[terms.intern("type", kind)] += number
    for found, number in codes.items():
        for code in found:
            counts[terms.intern("finding", code)] += number
    counts[terms.intern("type", "seal")] += 1
    del counts[ABSENT]
    terms.counts.update(counts)


def postings(
    others: Sequence[tuple[int, Entry]], terms: Terms, history: History
) -> list[tuple[int, int]]:
    """Which subject logs the entries that are no accesses join."""
    rows: list[tuple[int, int]] = []
    resolved = history.find_leaves([leaf for _, e in others for leaf in e.targets])
    for index, entry in others:
        subjects = subjects_of(entry.statement.iss, entry.record, resolved)
        rows.extend(
            (terms.intern("subject", subject), index) for subject in dict.fromkeys(subjects)
        )
    return rows
