"""Names that are spelled nearly as one that nobody knows, for the rules that propose them (O6.near,
X10.near).
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

MOST: Final = 3
"""So many names are told."""
LONGEST: Final = 80
"""A longer word is compared with nothing."""
COMPARED: Final = 2_000
"""With so many names a word is compared at most, those first that begin as it does: a fifth of a
second where all are long.
"""


def near(word: str, names: Iterable[str]) -> list[str]:
    """Up to three of these names, the nearest first; capitals make no difference."""
    wanted = word.casefold()
    if len(word) > LONGEST:
        return []
    known: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (name[:1].casefold() != wanted[:1], name)):
        if len(known) == COMPARED:
            break
        known.setdefault(name.casefold(), name)
    return [known[found] for found in get_close_matches(wanted, known, MOST)]


def listed(names: Iterable[str]) -> str:
    """Names for a sentence that has them between its own signs for code."""
    return "`, `".join(names)
