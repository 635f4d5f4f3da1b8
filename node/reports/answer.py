"""One answer to a question: rows with the records that show them, what the question is about as a
whole, and what the answer cannot know.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ledger.errors import MalformedError
from node.reports.local import Local
from node.store import EVER_MS, Group, Window, parse_time


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row. `records` are the leaf hashes of what shows it, each provable by its receipt."""

    records: tuple[str, ...] = ()


class Answer(NamedTuple):
    """All rows of an answer, or those of one page; `after` is where the next page begins, for
    answers that are worked out page by page.
    """

    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = {}
    after: tuple[int, int] | None = None


class Asked:
    """The parameters of a question, the node that is asked, and, for answers that are worked out
    page by page, where the page begins.
    """

    def __init__(
        self, given: Mapping[str, str], local: Local, after: tuple[int, int] | None = None
    ) -> None:
        self._given = given
        self.local = local
        self.after = after

    def take(self, name: str) -> str | None:
        """A parameter, or None."""
        return self._given.get(name)

    def need(self, name: str) -> str:
        """A parameter that must be there. Raises `MalformedError` (Q2)."""
        found = self.take(name)
        if found is None:
            raise MalformedError("Q2", field=name)
        return found

    def flag(self, name: str) -> bool:
        """Whether a parameter is `1` or `true`. Raises `MalformedError` (Q2)."""
        found = self.take(name)
        if found not in (None, "0", "1", "false", "true"):
            raise MalformedError("Q2", field=name)
        return found in ("1", "true")

    def window(self) -> Window:
        """`from` and `to`. Raises `MalformedError` (Q2)."""
        first, last = self.take("from"), self.take("to")
        return Window(
            parse_time("from", first) if first else 0, parse_time("to", last) if last else EVER_MS
        )


def tally(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Counts by word, sorted."""
    counts: Counter[str] = Counter()
    for word, number in pairs:
        counts[word] += number
    return dict(sorted(counts.items()))


def codes_of(groups: Iterable[Group]) -> dict[str, int]:
    """How many uses have each finding."""
    return tally((code, group.uses) for group in groups for code in group.codes)


def unique(*leaves: str | None) -> tuple[str, ...]:
    """Each leaf hash once, in this order."""
    return tuple(dict.fromkeys(leaf for leaf in leaves if leaf))
