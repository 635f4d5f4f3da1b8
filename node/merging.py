"""Rows of several pages that are about the same, added up (SPEC 10, reports)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

USE_KEY: Final = ("dataset", "permit", "person")
"""What rows of Q1 have in common that add up."""


def merged(rows: Iterable[Mapping[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each key, sorted: numbers and counts by word add up, `first_` and `last_` are the
    least and the greatest, lists are joined.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        place = tuple(row.get(name) or "" for name in key)
        known = found.get(place)
        found[place] = dict(row) if known is None else _add(known, row)
    return [found[place] for place in sorted(found)]


def _add(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in other.items():
        one[name] = _sum(name, one[name], value) if name in one else value
    return one


def _sum(name: str, one: Any, other: Any) -> Any:  # noqa: ANN401  # JSON
    if name.startswith(("first_", "last_")):
        return min(one, other) if name.startswith("first_") else max(one, other)
    if isinstance(one, dict):
        both = {word: one.get(word, 0) + other.get(word, 0) for word in {*one, *other}}
        return dict(sorted(both.items()))
    if isinstance(one, list):
        joined = list(dict.fromkeys([*one, *other]))
        return joined if name == "records" else sorted(joined)
    return one + other if isinstance(one, int) else one
