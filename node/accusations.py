"""Members that contradicted themselves: what this node has seen of it, or read on the chain
(consensus.md 2.19).

Two signed words that no honest member says both are kept at first sight, told to the others, and
put on the chain as an `evidence` record, signed with the node key, once: the entry is made when
they are seen and its bytes are kept, so that a restart sends the same one again. Whoever stands
next to the accused in the order of members goes first; the others do it when that one does not.

Used by the writer's thread alone; `listed` may be read by others.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from ledger.chain import Tip
from ledger.consensus import Vote
from ledger.crypto import Signer
from ledger.encoding import (
    b64url,
    encode_time,
    encode_uuid7,
)
from ledger.errors import StorageError
from ledger.records.envelope import Entry, Record
from ledger.records.epochs import EvidenceBody, SignedWord
from ledger.rules.epochs import vote_of
from node.signing import sign_record

MAX_KEPT: Final = 16
"""Contradictions of one member in one epoch that are kept and recorded: the first ones suffice."""
TURN_MS: Final = 2_000
"""How long each member waits for the one before it to record what all have seen."""
AGAIN_MS: Final = 60_000
"""After so long a record that is not on the chain yet is handed in again, the same bytes."""


class Accusation(NamedTuple):
    """One contradiction: of whom, in which view, by which words."""

    epoch: int
    view: int
    signer: int
    """The member's index in the configuration of that epoch."""
    first: Vote
    second: Vote
    raw: bytes = b""
    """This node's record of it; empty where another member's was read on the chain first."""
    leaf: bytes = b""
    """The leaf hash of the first record of it that is final; empty while there is none."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes two sights of it one."""
        return self.epoch, self.view, self.signer

    @property
    def kind(self) -> str:
        """The kinds of its words, as the record names them."""
        return "-".join(sorted({self.first.kind, self.second.kind}))


class Accusations:
    """All that is known here, and what of it must still be recorded."""

    def __init__(self, known: Sequence[Accusation]) -> None:
        self._known = {item.key: item for item in known}
        self._due: dict[tuple[int, int, int], int] = {}
        self.fresh: list[Accusation] = []
        """What is not on the disk yet."""

    @property
    def listed(self) -> tuple[Accusation, ...]:
        """All contradictions, the oldest epoch and view first."""
        known = self._known
        return tuple(known[key] for key in sorted(known))

    def learn(self, first: Vote, second: Vote) -> bool:
        """Two words that contradict each other, as consensus found them. True at first sight."""
        return self._add(Accusation(first.epoch, first.view, first.signer, first, second))

    def _add(self, item: Accusation) -> bool:
        same = [key for key in self._known if (key[0], key[2]) == (item.epoch, item.signer)]
        if item.key in self._known or len(same) >= MAX_KEPT:
            return False
        self._keep(item)
        return True

    def _keep(self, item: Accusation) -> None:
        self._known = {**self._known, item.key: item}
        self.fresh = [other for other in self.fresh if other.key != item.key]
        self.fresh.append(item)

    def sign(self, node: Signer, org: str, tip: Tip, now_ms: int) -> None:
        """Make the records of what was seen since the last time."""
        for item in list(self.fresh):
            if not item.raw and not item.leaf:
                self._keep(item._replace(raw=_record(item, node, org, tip, now_ms)))

    def due(self, index: int, members: int, now_ms: int) -> list[bytes]:
        """The records to hand in now, by the member with this index of so many."""
        found: list[bytes] = []
        for key, item in self._known.items():
            if item.leaf or not item.raw:
                continue
            turn = (index - item.signer) % members - 1
            if now_ms >= self._due.setdefault(key, now_ms + turn * TURN_MS):
                self._due[key] = now_ms + AGAIN_MS
                found.append(item.raw)
        return found

    def next_ms(self) -> int | None:
        """When there is something to hand in; None when there is nothing to."""
        waiting = (self._due.get(k, 0) for k, a in self._known.items() if a.raw and not a.leaf)
        return min(waiting, default=None)

    def recorded(self, entry: Entry) -> None:
        """A record of evidence is final, this node's or another's."""
        body: EvidenceBody = entry.record.body
        first, second = vote_of(body.first, body.epoch), vote_of(body.second, body.epoch)
        item = Accusation(body.epoch, first.view, first.signer, first, second)
        self._add(item)
        known = self._known.get(item.key)
        if known is not None and not known.leaf:
            self._keep(known._replace(leaf=entry.leaf))


Row = tuple[int, int, int, bytes, bytes, bytes]
_WORDS: Final = msgspec.json.Decoder(tuple[Vote, Vote])


def to_rows(items: Sequence[Accusation]) -> list[Row]:
    """For the store: epoch, view, signer, words, own entry, leaf hash on the chain."""
    return [(*a.key, msgspec.json.encode((a.first, a.second)), a.raw, a.leaf) for a in items]


def from_rows(rows: Sequence[Row]) -> list[Accusation]:
    """What `to_rows` gave. Raises `StorageError` (O2.corrupt)."""
    try:
        return [
            Accusation(epoch, view, signer, *_WORDS.decode(words), raw, leaf)
            for epoch, view, signer, words, raw, leaf in rows
        ]
    except msgspec.DecodeError as error:
        raise StorageError("O2.corrupt", what="accusation", height=0) from error


def _record(item: Accusation, node: Signer, org: str, tip: Tip, now_ms: int) -> bytes:
    """The entry of an `evidence` record about it."""
    body = EvidenceBody(
        epoch=item.epoch,
        first=_word(item.first),
        kind=item.kind,  # type: ignore[arg-type]  # consensus reports no other pair
        second=_word(item.second),
    )
    chance = sha256(item.first.signature + item.second.signature).digest()
    record = Record(
        at=encode_time(now_ms),
        body=body,
        chain=tip.chain,
        id=encode_uuid7(now_ms, chance),
        type="evidence",
        v=1,
    )
    return sign_record(node, org, record, {})


def _word(vote: Vote) -> SignedWord:
    return SignedWord(
        block=b64url(vote.block),
        height=vote.height,
        kind=vote.kind,
        signature=b64url(vote.signature),
        signer=vote.signer,
        view=vote.view,
    )
