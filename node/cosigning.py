"""From final to published: collects the members' cosignatures of one tree head after the other
(decision A2; definitions.md 5).

Used by the writer's thread alone. Only this node's own tree says what a head is: a cosignature of
another text is never counted, and reported when it contradicts a head of this node.
"""

from collections.abc import Sequence
from logging import CRITICAL
from typing import Final, NamedTuple

from ledger.chain import Tip
from ledger.errors import AllianceError
from ledger.merkle import Tree
from ledger.notes import (
    Checkpoint,
    Note,
    NoteSignature,
    decode_checkpoint,
    encode_checkpoint,
    encode_note,
    verify_note,
)
from ledger.records.seal import SealEntry
from ledger.verify import cosigner_keys, log_keys
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
    text: bytes
    own: tuple[NoteSignature, ...]
    """The log's line of this node and its own cosignature; empty where it does not cosign."""
    keys: dict[str, bytes]
    """The members who count here, with the ids of their cosigner keys."""
    others: dict[str, Cosigned]


class Cosigning:
    """The heads that are final and not published yet, and who has cosigned them."""

    def __init__(self, org: str) -> None:
        self.org = org
        self._heads: dict[int, _Head] = {}
        self._early: dict[str, dict[int, Cosigned]] = {}
        self._newest: dict[str, Cosigned] = {}
        self._size = 0
        self._keys: tuple[bytes, dict[str, bytes]] = (b"", {})
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

    def advance(self, view: View, note: Note | None) -> View | None:
        """The next final head, cosigned by this node or not; gives it back when it is published
        by that.
        """
        tip = view.tip
        size = self._size = tip.size
        if note is not None:
            self.own = encode_note(note)
        text = encode_checkpoint(Checkpoint(tip.origin, size, tip.tree.root()))
        known = self._heads.get(size)
        others = known.others if known else {}
        own = note.signatures if note else ()
        self._heads[size] = _Head(view, text, own, self._keys_of(tip), others)
        for org, early in self._early.items():
            if size in early:
                self._count(early[size])
            self._early[org] = {at: word for at, word in early.items() if at > size}
        return self._published()

    def _keys_of(self, tip: Tip) -> dict[str, bytes]:
        """The cosigner keys of the epoch that a head belongs to, read once for each epoch."""
        config = tip.own_config
        if self._keys[0] != config.config_hash:
            keys = cosigner_keys(config, tip.origin)
            self._keys = config.config_hash, {org: key.key_id for org, key in keys.items()}
        return self._keys[1]

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
        return None if word is None else _note_of(word)

    @property
    def newest(self) -> tuple[bytes, ...]:
        """The newest word of every member that is known here, this node's first."""
        own = (self.own,) if self.own else ()
        return (*own, *(_note_of(self._newest[org]) for org in sorted(self._newest)))

    def _count(self, word: Cosigned) -> None:
        head = self._heads[word.size]
        if word.text != head.text:
            self._contradicted(word)
        elif head.keys.get(word.org) == word.line.key_id:
            head.others[word.org] = word

    def _contradicted(self, word: Cosigned) -> None:
        if word.org not in self.contradictions:
            self.contradictions[word.org] = word
            log_event(CRITICAL, "cosigned-otherwise", org=word.org, size=word.size)

    def _published(self) -> View | None:
        """The newest head with a quorum; what is older needs no words of its own any more."""
        for size in sorted(self._heads, reverse=True):
            head = self._heads[size]
            if bool(head.own) + len(head.others) < head.view.tip.own_config.q:
                continue
            words = [head.others[org] for org in sorted(head.others)]
            lines = head.own or self._log_line(head, words)
            if not lines:
                continue
            note = Note(head.text, (*lines, *(word.line for word in words)))
            self._heads = {at: other for at, other in self._heads.items() if at > size}
            return head.view._replace(checkpoint=encode_note(note))
        return None

    def _log_line(self, head: _Head, words: Sequence[Cosigned]) -> tuple[NoteSignature, ...]:
        """Who does not cosign shows the head under the log key of a member that does."""
        tip = head.view.tip
        keys = log_keys(tip.own_config, tip.origin)
        for word in words:
            if word.log is not None:
                try:
                    verify_note(Note(head.text, (word.log,)), keys)
                except AllianceError:
                    continue
                return (word.log,)
        return ()


def _note_of(word: Cosigned) -> bytes:
    lines = (word.line,) if word.log is None else (word.log, word.line)
    return encode_note(Note(word.text, lines))
