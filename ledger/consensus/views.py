"""What a node holds in memory: the facts of each view, and the blocks above the final one
(consensus.md 2.7).
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from ledger.consensus.journal import UNSIGNED, Row
from ledger.consensus.messages import BlockInfo, Certificate, CertificateKind, Kind, Vote
from ledger.errors import ensure

KINDS: Final[tuple[Kind, ...]] = ("propose", "notarize", "nullify", "finalize")

State: TypeAlias = Literal["unknown", "checking", "valid", "invalid"]


class View:
    """The facts of one view, and this node's own words in it."""

    __slots__ = ("certs", "epoch", "equivocated", "number", "own", "received_ms", "votes")

    def __init__(self, epoch: int, number: int) -> None:
        self.epoch = epoch
        self.number = number
        self.own: dict[Kind, Vote] = {}
        self.votes: dict[Kind, dict[int, Vote]] = {kind: {} for kind in KINDS}
        self.certs: dict[CertificateKind, Certificate] = {}
        self.equivocated = False
        self.received_ms = 0

    @property
    def positive(self) -> Certificate | None:
        """The notarization, or a finalization, which says more."""
        return self.certs.get("finalize") or self.certs.get("notarize")

    @property
    def nullification(self) -> Certificate | None:
        """The certificate that skips this view."""
        return self.certs.get("nullify")

    @property
    def proposal(self) -> Vote | None:
        """The first proposal of the leader that arrived."""
        return next(iter(self.votes["propose"].values()), None)

    def said(self, kind: Kind) -> Vote | None:
        """This node's own word of that kind, signed or about to be."""
        return self.own.get(kind)

    def row(self) -> Row:
        """The durable part."""
        return Row(
            epoch=self.epoch,
            view=self.number,
            proposed=self.own.get("propose"),
            notarized=self.own.get("notarize"),
            nullified=self.own.get("nullify"),
            finalized=self.own.get("finalize"),
            finalization=self.certs.get("finalize"),
            notarization=self.certs.get("notarize"),
            nullification=self.certs.get("nullify"),
        )

    def restore(self, row: Row) -> None:
        """Fill in what `row` remembers."""
        for vote in (row.proposed, row.notarized, row.nullified, row.finalized):
            if vote is not None:
                self.own[vote.kind] = vote
                if vote.signature != UNSIGNED:
                    self.votes[vote.kind][vote.signer] = vote
        for cert in (row.notarization, row.nullification, row.finalization):
            if cert is not None:
                self.certs[cert.kind] = cert


class Candidate:
    """A block above the final one. `valid` implies that its parent is valid or final."""

    __slots__ = ("info", "saved", "state")

    def __init__(self, info: BlockInfo, state: State, saved: bool) -> None:
        self.info = info
        self.state = state
        self.saved = saved


class Candidates:
    """The blocks above the final one, by id."""

    def __init__(self, final: BlockInfo) -> None:
        self.final = final
        self._blocks: dict[bytes, Candidate] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, block: bytes) -> Candidate | None:
        """The candidate, or None when it is unknown (or final)."""
        return self._blocks.get(block)

    def add(self, info: BlockInfo, state: State = "unknown", saved: bool = False) -> None:
        """Learn a block; one that is known, or not above the final one, changes nothing."""
        if info.height > self.final.height and info.id not in self._blocks:
            self._blocks[info.id] = Candidate(info, state, saved)

    def count_of(self, view: int) -> int:
        """How many blocks of a view are here."""
        return sum(candidate.info.view == view for candidate in self._blocks.values())

    def forget(self, block: bytes) -> None:
        """The body is not here after all."""
        self._blocks.pop(block, None)

    def info(self, block: bytes) -> BlockInfo | None:
        """What is known of a block: the final one or a candidate."""
        if block == self.final.id:
            return self.final
        candidate = self._blocks.get(block)
        return None if candidate is None else candidate.info

    def is_valid(self, block: bytes) -> bool:
        """Whether the block and all its ancestors are here and validated."""
        candidate = self._blocks.get(block)
        return block == self.final.id or (candidate is not None and candidate.state == "valid")

    def unchecked(self, needed: Iterable[bytes]) -> list[tuple[Candidate, BlockInfo, State]]:
        """Candidates to judge now, with their parent and its state; lowest first. Of what is needed
        alone, and of what that stands on: whoever signs more blocks makes nobody work.
        """
        wanted: dict[bytes, Candidate] = {}
        for block in needed:
            candidate = self._blocks.get(block)
            while candidate is not None and candidate.info.id not in wanted:
                wanted[candidate.info.id] = candidate
                candidate = self._blocks.get(candidate.info.parent)
        found: list[tuple[Candidate, BlockInfo, State]] = []
        for candidate in sorted(wanted.values(), key=lambda item: item.info.height):
            if candidate.state != "unknown":
                continue
            parent = self._blocks.get(candidate.info.parent)
            if candidate.info.parent == self.final.id:
                found.append((candidate, self.final, "valid"))
            elif parent is not None and parent.state in ("valid", "invalid"):
                found.append((candidate, parent.info, parent.state))
        return found

    def path(self, block: bytes) -> list[BlockInfo] | None:
        """The blocks from above the final one up to `block`, or None while one of them is not
        here.
        """
        path: list[BlockInfo] = []
        while block != self.final.id:
            candidate = self._blocks.get(block)
            if candidate is None:
                return None
            path.append(candidate.info)
            block = candidate.info.parent
        return path[::-1]

    def save(self, block: bytes) -> list[bytes]:
        """The bodies up to `block` that are not on the disk yet, lowest first; now they will be."""
        unsaved = []
        for info in self.path(block) or ():
            candidate = self._blocks[info.id]
            if not candidate.saved:
                candidate.saved = True
                unsaved.append(info.id)
        return unsaved

    def forks(self, block: bytes) -> bool:
        """Whether `block` is known to stand on another history than the final block."""
        while block != self.final.id:
            candidate = self._blocks.get(block)
            if candidate is None:
                return False
            if candidate.info.height == self.final.height + 1:
                return candidate.info.parent != self.final.id
            block = candidate.info.parent
        return False

    def missing_root(self, block: bytes) -> bytes | None:
        """The nearest ancestor of `block` (or itself) that is not here; None when all are."""
        while block != self.final.id:
            candidate = self._blocks.get(block)
            if candidate is None:
                return block
            if candidate.info.height == self.final.height + 1:
                return None
            block = candidate.info.parent
        return None

    def finalize(self, final: BlockInfo) -> None:
        """Move the final block up and drop what can never be final any more."""
        ensure(final.height >= self.final.height, "finality never goes back")
        self.final = final
        kept: dict[bytes, Candidate] = {}
        for candidate in sorted(self._blocks.values(), key=lambda item: item.info.height):
            info = candidate.info
            above = info.height == final.height + 1 and info.parent == final.id
            orphan = info.height > final.height + 1 and info.parent not in self._blocks
            if above or orphan or info.parent in kept:
                kept[info.id] = candidate
        self._blocks = kept
