"""Questions about accesses: any AND of fields, a time range, any order; one page costs what it
finds.

The plan is ours, not SQLite's: the predicate with the fewest rows (`term.count`, or counts that
stop early) drives the query through its index. Rows are an index, not evidence: each names its
entry, whose receipt proves it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from ledger.encoding import (
    b64url,
    decode_date,
    decode_json,
    decode_time,
    encode_time,
    unb64url,
)
from ledger.errors import AllianceError, MalformedError, NotFoundError, StorageError
from ledger.rules.values import SubjectLog
from ledger.state import SUBJECT_START, State, state_key, subject_head
from node.store.database import Store
from node.store.derived import EVENTS

MAX_PAGE: Final = 1_000
FIRST_COUNT: Final = 64
"""A plan first counts so many rows of each predicate; further only when all have more."""
TERMS: Final = (
    "dataset", "person", "activity", "system", "permit", "action", "outcome", "org",
)  # fmt: skip
INDEXED: Final = frozenset(
    {"at", "dataset", "person", "activity", "system", "seq", "permit", "request_seq", "findings"}
)
SORTS: Final = frozenset({"index", "at", "seq", "request", "finding", *TERMS})
COLUMNS: Final = (
    "id", "at", "dataset", "person", "activity", "system", "seq", "request", "request_seq",
    "permit", "action", "outcome", "org", "findings",
)  # fmt: skip


@dataclass(frozen=True)
class AccessQuery:
    """What is asked: all given fields must fit. Times in POSIX ms, `to_ms` exclusive."""

    terms: Mapping[str, str] = field(default_factory=dict)
    seq: int | None = None
    request: str | None = None
    """`system/number`, a number of any system, or the leaf hash of an entry."""
    finding: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    sort: str = "index"
    descending: bool = False
    limit: int = 100
    after: str | None = None
    count: bool = False
    """Whether to count all rows that fit: costs as much as they are."""


class AccessRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One access, as the index has it."""

    index: int
    event: int = 0
    leaf: str
    at: str
    dataset: str
    person: str | None = None
    activity: str
    system: str
    seq: int
    request: str | None = None
    permit: str | None = None
    action: str
    outcome: str
    org: str
    findings: tuple[str, ...] = ()


class Page(NamedTuple):
    """Some rows; `after` asks for the next ones."""

    rows: list[AccessRow]
    after: str | None
    total: int | None


# --- reading a query ------------------------------------------------------------------------------


def parse_integer(name: str, text: str) -> int:
    """A plain number. Raises `MalformedError` (Q2)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise MalformedError("Q2", field=name)
    return int(text)


def parse_time(name: str, text: str) -> int:
    """An instant, a date, or POSIX milliseconds. Raises `MalformedError` (Q2)."""
    try:
        if len(text) == 10 and "-" in text:
            return decode_date(text)
        return decode_time(text) if "T" in text else parse_integer(name, text)
    except MalformedError:
        raise MalformedError("Q2", field=name) from None


def parse_query(items: Sequence[tuple[str, str]]) -> AccessQuery:
    """A query from the parameters of a request. Raises `MalformedError` (Q1 to Q4)."""
    values: dict[str, Any] = {"terms": {}}
    for name, text in items:
        if name in values or name in values["terms"]:
            raise MalformedError("Q2", field=name)
        if name in TERMS:
            values["terms"][name] = text
        elif name in ("seq", "limit"):
            values[name] = parse_integer(name, text)
        elif name in ("from", "to"):
            values[f"{name}_ms"] = parse_time(name, text)
        elif name == "sort":
            values["sort"], values["descending"] = text.removeprefix("-"), text.startswith("-")
        elif name == "count":
            values["count"] = text in ("1", "true")
        elif name in ("request", "finding", "after"):
            values[name] = text
        else:
            raise MalformedError("Q1", field=name)
    return _checked(AccessQuery(**values))


def _checked(query: AccessQuery) -> AccessQuery:
    if query.sort not in SORTS:
        raise MalformedError("Q3", field=query.sort)
    if not 1 <= query.limit <= MAX_PAGE:
        raise MalformedError("Q4", limit=MAX_PAGE)
    return query


# --- planning and answering -----------------------------------------------------------------------


class _Condition(NamedTuple):
    """One conjunct; `column` is empty when no index can serve it. `rows` is how many fit it."""

    sql: str
    values: tuple[int, ...]
    column: str
    rows: int


class _Nothing(Exception):
    """A word that no row has: the answer is empty without a query."""


class Queries:
    """Answers from the derived tables of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def accesses(self, query: AccessQuery) -> Page:
        """One page. Raises `MalformedError` (Q2, Q5)."""
        try:
            conditions = self._conditions(query)
        except _Nothing:
            return Page([], None, 0 if query.count else None)
        driver = min(
            (item for item in conditions if item.column), key=lambda item: item.rows, default=None
        )
        where = [item.sql for item in conditions]
        values = [value for item in conditions for value in item.values]
        total = self._total(driver, where, values) if query.count else None
        rows = self._page(query, driver, where, values)
        after = None
        if len(rows) > query.limit:
            rows = rows[: query.limit]
            after = _cursor(query, rows[-1][-1], rows[-1][0])
        return Page([self._row(row) for row in rows], after, total)

    def _conditions(self, query: AccessQuery) -> list[_Condition]:
        terms, found = self.store.terms, []
        for name, text in query.terms.items():
            number = terms.find(name, text)
            if number is None:
                raise _Nothing
            indexed = name if name in INDEXED else ""
            # `system` also counts the words of requests; an overestimate costs nothing but a worse
            # plan.
            sql = f"a.{name} = ?" + (" AND a.permit <> 0" if name == "permit" else "")
            found.append(_Condition(sql, (number,), indexed, terms.counts[number]))
        if query.finding is not None:
            found.append(self._finding(query.finding))
        asked: list[_Condition] = []
        if query.request is not None:
            asked.append(self._request(query.request))
        if query.seq is not None:
            asked.append(_Condition("a.seq = ?", (query.seq,), "seq", 0))
        if query.from_ms is not None or query.to_ms is not None:
            low, high = query.from_ms or 0, query.to_ms if query.to_ms is not None else 1 << 60
            asked.append(_Condition("a.at >= ? AND a.at < ?", (low, high), "at", 0))
        return found + self._counted(asked, found)

    def _finding(self, code: str) -> _Condition:
        terms = self.store.terms
        numbers = tuple(
            number
            for text, number in list(terms.kind("findings").items())
            if code in text.split(",")
        )
        if not numbers:
            raise _Nothing
        rows = sum(terms.counts[number] for number in numbers)
        marks = ",".join("?" * len(numbers))
        return _Condition(f"a.findings IN ({marks})", numbers, "findings", rows)

    def _request(self, text: str) -> _Condition:
        system, slash, number = text.rpartition("/")
        terms = self.store.terms
        if slash:
            known = terms.find("system", system)
            if known is None:
                raise _Nothing
            values = (parse_integer("request", number), known)
            return _Condition("a.request_seq = ? AND a.request = ?", values, "request_seq", 0)
        if text.isdigit():
            return _Condition(
                "a.request_seq = ?", (parse_integer("request", text),), "request_seq", 0
            )
        leaf = terms.find("leaf", text)
        if leaf is None:
            raise _Nothing
        return _Condition("a.request_seq = 0 AND a.request = ?", (leaf,), "", 0)

    def _counted(self, asked: list[_Condition], found: Sequence[_Condition]) -> list[_Condition]:
        """The same with their rows: counted side by side, not much further than the rarest goes."""
        if sum(bool(item.column) for item in (*asked, *found)) < 2:
            return asked  # there is nothing to choose from
        best = min(
            (item.rows for item in found if item.column), default=self.store.tree.size * EVENTS
        )
        limit = min(FIRST_COUNT, best)
        while asked:
            asked = [item._replace(rows=self._count(item, limit + 1)) for item in asked]
            if limit == best or any(item.column and item.rows <= limit for item in asked):
                break
            limit = min(4 * limit, best)
        return asked

    def _count(self, item: _Condition, limit: int) -> int:
        """How many rows fit a condition, or `limit`."""
        if not item.column:
            return limit
        rows = self.store.select(
            f"SELECT count(*) FROM (SELECT 1 FROM access a INDEXED BY access_{item.column}"
            f" WHERE {item.sql} LIMIT ?)",
            *item.values,
            limit,
        )
        count: int = rows[0][0]
        return count

    def _total(self, driver: _Condition | None, where: list[str], values: list[int]) -> int:
        clause = " WHERE " + " AND ".join(where) if where else ""
        rows = self.store.select(
            f"SELECT count(*) FROM access a{_by(driver)}{clause}",
            *values,
        )
        total: int = rows[0][0]
        return total

    def _page(
        self, query: AccessQuery, driver: _Condition | None, where: list[str], values: list[int]
    ) -> Sequence[Any]:
        order, source = _order(query.sort, driver)
        conditions, wanted = list(where), list[Any](values)
        if query.after is not None:
            key, row = _read_cursor(query)
            sign = "<" if query.descending else ">"
            conditions.append(
                f"({order}, a.id) {sign} (?, ?)" if order != "a.id" else f"a.id {sign} ?"
            )
            wanted += (key, row) if order != "a.id" else (row,)
        clause = " WHERE " + " AND ".join(conditions) if conditions else ""
        way = " DESC" if query.descending else ""
        by = f"{order}{way}" + (f", a.id{way}" if order != "a.id" else "")
        columns = ", ".join(f"a.{name}" for name in COLUMNS)
        return self.store.select(
            f"SELECT {columns}, {order} FROM {source}{clause} ORDER BY {by} LIMIT ?",
            *wanted,
            query.limit + 1,
        )

    def _row(self, row: Sequence[Any]) -> AccessRow:
        text, tree = self.store.terms.text, self.store.tree
        index, event = divmod(row[0], EVENTS)
        request = text(row[7]) or None
        if row[8]:
            request = f"{request}/{row[8]}"
        return AccessRow(
            index=index,
            event=event,
            leaf=b64url(tree.leaf(index)),
            at=encode_time(row[1]),
            dataset=text(row[2]),
            person=text(row[3]) or None,
            activity=text(row[4]),
            system=text(row[5]),
            seq=row[6],
            request=request,
            permit=text(row[9]) or None,
            action=text(row[10]),
            outcome=text(row[11]),
            org=text(row[12]),
            findings=tuple(text(row[13]).split(",")) if row[13] else (),
        )

    # --- subjects and counts ----------------------------------------------------------------------

    def subject(self, name: str, size: int, state: State) -> list[int]:
        """The indexes of all records below `size` on a subject, proven complete by the rule state.

        Raises `NotFoundError` (O6) for a subject without records.
        """
        log = state.get(state_key("subject", name))
        if not isinstance(log, SubjectLog):
            raise NotFoundError("O6", what="subject", name=name)
        kind, _, rest = name.partition(":")
        found = set(self.posted(name))
        select = _SUBJECTS.get(kind)
        if select is not None:
            found.update(select(self, rest))
        indexes = sorted(index for index in found if index < size)
        head = SUBJECT_START
        for index in indexes:
            head = subject_head(head, self.store.tree.leaf(index))
        if (len(indexes), b64url(head)) != (log.count, log.head):
            raise StorageError("O2.derived", height=self.store.height_of(size - 1))
        return indexes

    def posted(self, name: str) -> list[int]:
        """The indexes of the records on a subject that are no accesses."""
        number = self.store.terms.find("subject", name)
        if number is None:
            return []
        return [
            row[0] for row in self.store.select("SELECT idx FROM posting WHERE subject = ?", number)
        ]

    def _of_column(self, column: str, text: str, more: str = "") -> list[int]:
        number = self.store.terms.find(column, text)
        if number is None:
            return []
        rows = self.store.select(
            f"SELECT DISTINCT id / 256 FROM access WHERE {column} = ?{more}",
            number,
        )
        return [row[0] for row in rows]

    def _of_dataset(self, text: str) -> list[int]:
        """A series also has the accesses to its versions."""
        names = [text]
        if "@" not in text:
            # The writer adds words at any time: look through a copy.
            words = list(self.store.terms.kind("dataset"))
            names += [name for name in words if name.startswith(f"{text}@")]
        return [index for name in names for index in self._of_column("dataset", name)]

    def counts(self, kind: str) -> dict[str, int]:
        """How many rows (types: entries) have each word of a kind."""
        terms = self.store.terms
        words = list(terms.kind(kind).items())
        return {text: terms.counts[number] for text, number in sorted(words)}


_SUBJECTS: Final[dict[str, Callable[[Queries, str], list[int]]]] = {
    "dataset": Queries._of_dataset,
    "person": lambda queries, text: queries._of_column("person", text),
    "permit": lambda queries, text: queries._of_column("permit", text, " AND permit <> 0"),
    # Only batches join the log of their source (SPEC S13); event 0 is a single access.
    "source": lambda queries, text: queries._of_column("system", text, " AND id % 256 > 0"),
    "org": lambda queries, text: queries._of_column("org", text),
}


def _by(driver: _Condition | None) -> str:
    return f" INDEXED BY access_{driver.column}" if driver else ""


def _order(sort: str, driver: _Condition | None) -> tuple[str, str]:
    """The expression to sort by, and the tables that give the rows in that order where they can."""
    plain = {"index": "a.id", "at": "a.at", "seq": "a.seq", "request": "a.request_seq"}
    if sort in plain:
        column = plain[sort][2:]
        index = f" INDEXED BY access_{column}" if driver is None and column in INDEXED else ""
        return plain[sort], f"access a{_by(driver) or index}"
    column = "findings" if sort == "finding" else sort
    if driver is not None:
        return (
            "coalesce(t.text, '')",
            f"access a{_by(driver)} LEFT JOIN term t ON t.id = a.{column}",
        )
    return "coalesce(t.text, '')", f"access a LEFT JOIN term t ON t.id = a.{column}"


def _cursor(query: AccessQuery, key: object, row: int) -> str:
    return b64url(msgspec.json.encode([query.sort, int(query.descending), key, row]))


def _read_cursor(query: AccessQuery) -> tuple[int | str, int]:
    """Raises `MalformedError` (Q5)."""
    try:
        value = decode_json(unb64url(query.after or ""))
    except AllianceError:
        raise MalformedError("Q5") from None
    match value:
        case [sort, down, int() | str() as key, int() as row] if (sort, down) == (
            query.sort,
            int(query.descending),
        ):
            return key, row
    raise MalformedError("Q5")
