"""From final to published: collects the members' cosignatures of one tree head after the other
(decision A2; definitions.md 5).

Used by the writer's thread alone. Only this node's own tree says what a head is: a cosignature of
another text is never counted, and reported when it contradicts a head of this node.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.chain import Tip
from ledger.notes import Note, NoteSignature, encode_note
from ledger.records.seal import SealEntry
from node.admission import Cosigned

MAX_EARLY: Final = 64
"""Heads that a member may be ahead of this node, as far as its words are kept."""


class View(NamedTuple):
    """A block and its head, all of one moment: what readers see."""

    tip: Tip
    seal: SealEntry
    checkpoint: bytes
    """The signed note of the tip's size."""


class _Head(NamedTuple):
    view: View
    note: Note
    """The log's line of this node, and its own cosignature."""
    others: dict[str, NoteSignature]


class Cosigning:
    """The heads that are final and not published yet, and who has cosigned them."""

    def __init__(self, org: str) -> None:
        self.org = org
        self._heads: dict[int, _Head] = {}
        self._early: dict[int, dict[str, Cosigned]] = {}
        self._size = 0
        self.own = b""
        """The newest head that this node cosigned, as a note, to be offered to the others."""
        self.contradictions: list[Cosigned] = []

    def advance(self, view: View, note: Note) -> View | None:
        """The next final head, cosigned by this node; gives it back when that publishes it."""
        size = view.tip.size
        self._size = size
        self.own = encode_note(Note(note.text, note.signatures[1:]))
        self._heads[size] = _Head(view, note, {})
        for cosigned in self._early.pop(size, {}).values():
            self._count(cosigned)
        self._early = {at: early for at, early in self._early.items() if at > size}
        return self._published()

    def learn(self, cosigned: Sequence[Cosigned]) -> View | None:
        """Words of other members; gives the newest head that they publish."""
        for word in cosigned:
            if word.size in self._heads:
                self._count(word)
            elif word.size > self._size and word.org != self.org:
                early = self._early.setdefault(word.size, {})
                early[word.org] = word
                while len(self._early) > MAX_EARLY:
                    self._early.pop(max(self._early))
        return self._published()

    def signers(self, size: int) -> list[str]:
        """Who has cosigned a head that is not published yet."""
        head = self._heads.get(size)
        return [] if head is None else sorted([self.org, *head.others])

    def _count(self, word: Cosigned) -> None:
        head = self._heads[word.size]
        if word.text != head.note.text:
            self.contradictions.append(word)
        elif word.org != self.org:
            head.others[word.org] = word.line

    def _published(self) -> View | None:
        """The newest head with a quorum; what is older needs no words of its own any more."""
        for size in sorted(self._heads, reverse=True):
            head = self._heads[size]
            if 1 + len(head.others) < head.view.tip.own_config.q:
                continue
            lines = [head.others[org] for org in sorted(head.others)]
            note = encode_note(Note(head.note.text, (*head.note.signatures, *lines)))
            self._heads = {at: other for at, other in self._heads.items() if at > size}
            return head.view._replace(checkpoint=note)
        return None
