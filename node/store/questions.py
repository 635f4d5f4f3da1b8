"""Uses counted from the index, for the committee's questions (domain.md D16): the SQL, and nothing
of what the counts mean. Counts stop at a published head: the index may be ahead of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from node.store.database import Store
from node.store.derived import EVENTS

EVER_MS: Final = 10**15
"""Later than every time of a record."""
ALIKE: Final = "dataset, permit, person, action, findings"
COUNTS: Final = "count(*), min(at), max(at), min(id), max(id)"


class Window(NamedTuple):
    """Times in POSIX ms, `to_ms` exclusive."""

    from_ms: int = 0
    to_ms: int = EVER_MS


EVER: Final = Window()


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
    """The entries of the first and the last of them."""


class Scan(NamedTuple):
    """The uses among some accesses in their order, and the place of the last one looked at; None
    where there are no more.
    """

    groups: list[Group]
    looked_at: int
    last: int | None


class Uses:
    """The index of accesses below a size of the tree."""

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._end = size * EVENTS

    def groups(self, column: str, names: Sequence[str], window: Window = EVER) -> Iterator[Group]:
        """Uses with one of these words in a column, counted by what they have in common."""
        terms = self._store.terms
        used = "permit <> 0 AND " if column == "permit" else ""
        for name in names:
            number = terms.find(column, name)
            if number is not None:
                yield from self._counted(
                    f"access INDEXED BY access_{column} WHERE {used}{column} = ? AND at >= ?"
                    " AND at < ? AND id < ?",
                    number, *window, self._end,
                )  # fmt: skip

    def all(self, window: Window = EVER) -> Iterator[Group]:
        """All uses, counted by what they have in common: looks at every one of them."""
        yield from self._counted(
            "access WHERE at >= ? AND at < ? AND id < ?", *window, self._end
        )  # fmt: skip

    def scan(self, dataset: str, window: Window, after: int, count: int) -> Scan:
        """The uses among the next so many accesses of a dataset: bounded, whatever the window
        leaves of them.
        """
        number = self._store.terms.find("dataset", dataset)
        if number is None:
            return Scan([], 0, None)
        next_ones = (
            f"SELECT id, at, {ALIKE} FROM access INDEXED BY access_dataset"
            " WHERE dataset = ? AND id > ? AND id < ? ORDER BY id LIMIT ?"
        )
        given = (number, after, self._end, count)
        ((found, last),) = self._store.select(
            f"SELECT count(*), max(id) FROM ({next_ones})", *given
        )
        groups = self._counted(f"({next_ones}) WHERE at >= ? AND at < ?", *given, *window)
        return Scan(list(groups), found, last if found == count else None)

    def _counted(self, source: str, *values: int) -> Iterator[Group]:
        rows = self._store.select(
            f"SELECT {ALIKE}, {COUNTS} FROM {source} GROUP BY {ALIKE}", *values
        )
        return map(self._group, rows)

    def _group(self, row: Sequence[Any]) -> Group:
        text = self._store.terms.text
        dataset, permit, person, action, codes, uses, first_ms, last_ms, first, last = row
        words = tuple(text(codes).split(",")) if codes else ()
        return Group(
            text(dataset), text(permit), text(person), text(action), words,
            uses, first_ms, last_ms, first // EVENTS, last // EVENTS,
        )  # fmt: skip

    def words(self, kind: str) -> list[str]:
        """All words of a column, sorted. The writer adds some at any time: this is a copy."""
        return sorted(list(self._store.terms.kind(kind)))

    def signed_by(self, kid: str) -> list[int]:
        """The entries that a key signed; looks at the id of every entry."""
        number = self._store.terms.find("kid", kid)
        rows = self._store.select(
            "SELECT idx FROM entry_id WHERE kid = ? AND idx < ? ORDER BY idx",
            -1 if number is None else number,
            self._end // EVENTS,
        )
        return [row[0] for row in rows]
