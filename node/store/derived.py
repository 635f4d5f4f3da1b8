"""Rows that make the chain searchable, worked out from blocks; all of them can be thrown away and
made again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.chain import Applied, History
from ledger.encoding import b64url, decode_moments
from ledger.records.envelope import Entry
from ledger.records.use import AccessBody, Column, Columns, Source, in_columns
from ledger.rules.subjects import subjects_of

EVENTS: Final = 256
"""Places for the events of one entry in `access.id`."""
ABSENT: Final = 0
"""The term of a field that a record does not have."""

TOGETHER: Final = 64
"""Rows of one statement, where there are so many."""
COUNT_TERM: Final = "UPDATE term SET count = count + ? WHERE id = ?"

AccessRow = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int]


class Insert:
    """How rows come into one of the tables: many in a statement, because SQLite opens the table and
    all its indexes anew for each statement.

    OR FAIL, because a row that cannot be added ends the whole transaction anyhow: preparing to undo
    the statement alone (a copy of every page that it touches) would cost as much as is saved.
    """

    def __init__(self, table: str, *columns: str) -> None:
        row = f"({', '.join('?' * len(columns))})"
        self._one = f"INSERT OR FAIL INTO {table} ({', '.join(columns)}) VALUES {row}"
        self._many = ", ".join([self._one, *[row] * (TOGETHER - 1)])

    def pieces(
        self, rows: Sequence[tuple[object, ...]]
    ) -> Iterator[tuple[str, Sequence[tuple[object, ...]]]]:
        """Statements that add the rows in their order, each with the values of its every run."""
        whole = len(rows) - len(rows) % TOGETHER
        yield (
            self._many,
            [
                tuple(chain.from_iterable(rows[start : start + TOGETHER]))
                for start in range(0, whole, TOGETHER)
            ],
        )
        yield self._one, rows[whole:]


INSERT_ID: Final = Insert("entry_id", "id", "kid", "idx")
INSERT_LEAF: Final = Insert("entry_leaf", "prefix", "idx")
INSERT_ACCESS: Final = Insert(
    "access",
    *("id", "at", "dataset", "person", "activity", "system", "seq", "request", "request_seq"),
    *("permit", "action", "outcome", "org", "findings"),
)
INSERT_POSTING: Final = Insert("posting", "subject", "idx")
INSERT_TERM: Final = Insert("term", "id", "kind", "text")


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
    accesses = _Accesses(terms, rows.accesses, rows.counts)
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
        elif record.type == "access-batch" and record.body.events:
            batch = record.body
            first = index * EVENTS + 1
            numbers = range(first, first + len(batch.events))
            accesses.add(numbers, batch.columns, batch.times, statement.iss, found)
        else:
            rows.others.append((index, entry))
        index += 1
    for (org, found), alike in singles.items():
        # Together: what one access of its own costs around its row is more than the row.
        places, bodies, times = zip(*alike, strict=True)
        accesses.add(places, in_columns(bodies), decode_moments(times), org, found)
    rows.accesses.sort(key=itemgetter(0))  # SQLite appends what comes in order
    rows.leaves.append((int.from_bytes(block.seal.leaf[:8], "big", signed=True), index))
    _count(rows, terms, types, codes)
    return rows


class _Accesses:
    """The inner loop of bulk ingest: rows are made of whole columns, most of which say the same in
    every row.
    """

    def __init__(self, terms: Terms, rows: list[AccessRow], counts: Counter[int]) -> None:
        self._terms = terms
        self._rows = rows
        self._counts = counts

    def add(
        self,
        numbers: Sequence[int],
        columns: Columns,
        times: Sequence[int],
        org: str,
        found: tuple[str, ...],
    ) -> None:
        """Accesses with the same observer and findings as rows with these numbers."""
        requests, request_seqs = self._asked(columns.requests)
        self._rows += zip(
            numbers,
            times,
            self._words("dataset", columns.datasets),
            self._words("person", columns.persons),
            self._words("activity", columns.activities),
            self._words("system", columns.systems),
            columns.seqs,
            requests,
            request_seqs,
            self._words("permit", columns.permits),
            self._words("action", columns.actions),
            self._words("outcome", columns.outcomes),
            self._same("org", org, len(times)),
            self._same("findings", ",".join(found), len(times)),
            strict=True,
        )

    def _words(self, kind: str, column: Column) -> list[int]:
        """The numbers of the words of a column, which are counted; new words get theirs."""
        if len(column.words) == 1:
            return self._same(kind, column.words[0], len(column.places))
        terms = self._terms
        known = [ABSENT if word is None else terms.intern(kind, word) for word in column.words]
        numbers = [known[place] for place in column.places]
        self._counts.update(numbers)
        return numbers

    def _same(self, kind: str, word: str | None, count: int) -> list[int]:
        """One word in all rows, or none in any."""
        number = self._terms.intern(kind, word) if word else ABSENT
        self._counts[number] += count
        return [number] * count

    def _asked(self, requests: Sequence[Source | str | None]) -> tuple[list[int], list[int]]:
        """What requests are found by, in two columns: the leaf, or the system and the number."""
        words, seqs = [ABSENT] * len(requests), [0] * len(requests)
        if any(requests):
            for place, request in enumerate(requests):
                if isinstance(request, str):
                    words[place] = self._terms.intern("leaf", request)
                elif request is not None:
                    words[place] = self._terms.intern("system", request.system)
                    seqs[place] = request.seq
        return words, seqs


def _count(rows: Rows, terms: Terms, types: Counter[str], codes: Counter[tuple[str, ...]]) -> None:
    counts = rows.counts
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
