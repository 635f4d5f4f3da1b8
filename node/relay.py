"""What a hub hands on: the facts of members that cannot be called, to members that cannot be called
(consensus.md 2.14). Used by the writer's thread alone.

Everything handed on is signed by its author and was checked here; each thing is handed on once, at
once. What is of no use to anybody, or may be one of endless many, is left to the member that said
it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from ledger.consensus import Certificate, Fact, Proposal, Status, Vote
from ledger.encoding import encode_bundle
from ledger.notes import Note, encode_note
from ledger.records.envelope import Entry
from node.admission import Body, Cosigned

REMEMBERED: Final = 65_536
"""So many things are known to have been handed on; the oldest would be handed on again."""
STATUS_MS: Final = 1_000
"""Heartbeats of one member are handed on this far apart, by their own clock."""


class Relay:
    """What was handed on before."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._clocks: dict[int, int] = {}
        self._sizes: dict[str, int] = {}

    def fresh(
        self,
        facts: Sequence[Fact],
        bodies: Sequence[Body],
        entries: Sequence[Entry],
        cosigned: Sequence[Cosigned],
        views: range,
    ) -> dict[str, Any]:
        """The parts of a message with what is new of all this; empty when nothing is. Words on
        other views than these are not handed on.
        """
        parts: dict[str, tuple[Any, ...]] = {
            "blocks": tuple(encode_bundle(b.raws) for b in bodies if self._first(b.info.id)),
            "cosignatures": tuple(
                encode_note(Note(word.text, (word.line,))) for word in cosigned if self._grows(word)
            ),
            "entries": tuple(entry.raw for entry in entries if self._first(entry.leaf)),
            "facts": tuple(fact for fact in facts if self._is_fresh(fact, views)),
        }
        return {name: part for name, part in parts.items() if part}

    def _is_fresh(self, fact: Fact, views: range) -> bool:
        if isinstance(fact, Status):
            last = self._clocks.get(fact.signer)
            if last is not None and fact.clock_ms < last + STATUS_MS:
                return False
            self._clocks[fact.signer] = fact.clock_ms
            return True
        view = fact.vote.view if isinstance(fact, Proposal) else fact.view
        if view not in views and not isinstance(fact, Certificate):
            return False
        # A proposal is its vote: of its justification there may be many.
        named: Vote | Certificate = fact.vote if isinstance(fact, Proposal) else fact
        return self._first(sha256(msgspec.msgpack.encode(named)).digest())

    def _grows(self, word: Cosigned) -> bool:
        """Of a member's heads the newest counts."""
        if word.size <= self._sizes.get(word.org, 0):
            return False
        self._sizes[word.org] = word.size
        return True

    def _first(self, what: bytes) -> bool:
        if what in self._known:
            return False
        self._known[what] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True
