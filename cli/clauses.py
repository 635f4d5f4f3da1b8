"""What the specification says of a rule: for `--explain`, from the copy that comes with the
package.
"""

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_CLAUSE = re.compile(r"^\*\*([0-9]+\.[0-9]+)[^*]*\*\*", re.M)
_NEXT = r"(?=(?<=\.)\s[A-Z][0-9]{1,2}\b|\n|\Z)"
"""Where the words about one rule end: at the next rule, or with the line."""


class Clause(NamedTuple):
    """A clause that names a rule."""

    number: str
    text: str


@cache
def specification() -> str:
    """The text of SPEC.md."""
    return files("ledger").joinpath("SPEC.md").read_text(encoding="utf-8")


def clause_of(rule: str) -> Clause | None:
    """The clause that says what a rule is, and its words about it; None where none does."""
    number = re.escape(rule.partition(".")[0])
    text = specification()
    found = re.search(rf"^\| {number} \|[^\n]*", text, re.M) or re.search(
        rf"(?<![\w-]){number}[:)]? (?!(?:to|and) [A-Z][0-9])[\w`][^\n]*?{_NEXT}", text
    )
    if found is None:
        return None
    heads = [head for head in _CLAUSE.finditer(text) if head.start() <= found.start()]
    return Clause(heads[-1][1], found.group().strip("| ")) if heads else None
