"""From final to published: collects the members' cosignatures of one tree head after the other
(decision A2; definitions.md 5).

Used by the writer's thread alone. Only this node's own tree says what a head is: a cosignature of
another text is never counted, and reported when it contradicts a head of this node.
"""

from collections.abc import Sequence
from logging import CRITICAL
from typing import Final, NamedTuple

from ledger.chain import Tip
from ledger.merkle import Tree
from ledger.notes import Note, NoteSignature, decode_checkpoint, encode_note
from ledger.records.seal import SealEntry
from node.admission import Cosigned
from node.logs import log_event

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
        self._early: dict[str, dict[int, Cosigned]] = {}
        self._newest: dict[str, Cosigned] = {}
        self._size = 0
        self.own = b""
        """The newest head that this node cosigned, as a note, to be offered to the others."""
        self.remembered: Cosigned | None = None
        """The largest head that this node has cosigned as others show, while its tree is smaller:
        its database is older than its word (definitions.md 5).
        """
        self.contradictions: dict[str, Cosigned] = {}
        """The first word of each member, this one among them, that contradicts a head of this
        node.
        """

    def advance(self, view: View, note: Note) -> View | None:
        """The next final head, cosigned by this node; gives it back when that publishes it."""
        size = view.tip.size
        self._size = size
        self.own = encode_note(Note(note.text, note.signatures[1:]))
        self._heads[size] = _Head(view, note, {})
        for org, early in self._early.items():
            if size in early:
                self._count(early[size])
            self._early[org] = {at: word for at, word in early.items() if at > size}
        return self._published()

    def learn(self, cosigned: Sequence[Cosigned]) -> View | None:
        """Words of other members; gives the newest head that they publish."""
        for word in cosigned:
            if word.org == self.org:
                if self.remembered is None or word.size > self.remembered.size:
                    self.remembered = word
                continue
            known = self._newest.get(word.org)
            if known is None or word.size > known.size:
                self._newest[word.org] = word
            if word.size in self._heads:
                self._count(word)
            elif word.size > self._size:
                self._keep_early(word)
        return self._published()

    def _keep_early(self, word: Cosigned) -> None:
        """A member that is ahead, or says so, takes room of nobody else."""
        early = self._early.setdefault(word.org, {})
        early[word.size] = word
        while len(early) > MAX_EARLY:
            early.pop(max(early))

    def settle_remembered(self, tree: Tree) -> bool:
        """Whether this node may cosign: what it is known to have cosigned lies in this tree.

        A tree that is smaller may still become another one; one that differs never fits.
        """
        word = self.remembered
        if word is None or word.size > tree.size:
            return word is None
        if decode_checkpoint(word.text).root == tree.root(word.size):
            self.remembered = None
        else:
            self._contradicted(word)
        return self.remembered is None

    def word_of(self, org: str) -> bytes | None:
        """The newest word of a member that is known here, as a note: to remind it."""
        word = self._newest.get(org)
        return None if word is None else encode_note(Note(word.text, (word.line,)))

    def _count(self, word: Cosigned) -> None:
        head = self._heads[word.size]
        if word.text != head.note.text:
            self._contradicted(word)
        else:
            head.others[word.org] = word.line

    def _contradicted(self, word: Cosigned) -> None:
        if word.org not in self.contradictions:
            self.contradictions[word.org] = word
            log_event(CRITICAL, "cosigned-otherwise", org=word.org, size=word.size)

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
