"""The form of one rule's text."""

from typing import NamedTuple


class Rule(NamedTuple):
    """The sentences of one rule; `{names}` are filled from the facts of the error (numbers, codes, names)."""

    en: str
    zh: str
    next_en: str
    next_zh: str
