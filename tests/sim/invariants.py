"""What must hold after every event. Shares no code with the machine, and counts for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.consensus import (
    Alarm,
    Certificate,
    Commit,
    Effect,
    Evidence,
    Fact,
    Proposal,
    Vote,
    decode_journal,
    verify_certificate,
)
from ledger.consensus.messages import certificate_votes

if TYPE_CHECKING:
    from tests.sim.world import Body, Node, World


class Broken(AssertionError):
    """An invariant does not hold."""


def must(condition: bool, *why: object) -> None:
    if not condition:
        raise Broken(*why)


class Invariants:
    """An oracle that sees every word said and every block committed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.final: dict[int, bytes] = {0: world.genesis.id}
        self.words: dict[tuple[int, int, str], dict[bytes, set[int]]] = {}
        self.evidence: list[Evidence] = []
        self.alarms: list[tuple[int, Alarm]] = []
        self.signatures = 0
        self.counting = True
        self.expected: set[str] = set()

    def signed(self, node: Node, message: bytes) -> None:
        self.signatures += b"pl1/status" not in message[:11]
        self.world.note("sign", node.index, message)

    def noticed(self, node: Node, effect: Effect) -> None:
        if isinstance(effect, Evidence):
            self.evidence.append(effect)
            config = node.core.config
            culprit = self.by_key(config.node_keys[effect.first.signer])
            must(
                not culprit.correct or not node.correct,
                "evidence against a correct member",
                culprit.index,
                effect,
            )
        elif isinstance(effect, Alarm):
            self.alarms.append((node.index, effect))
            calm = effect.kind == "quarantine" or not node.correct
            must(calm or effect.kind in self.expected, "alarm", node.index, effect)

    def by_key(self, key: bytes) -> Node:
        return next(node for node in self.world.nodes if node.key == key)

    def released(self, node: Node, facts: tuple[Fact, ...]) -> None:
        """7: whatever a correct node says is covered by what is on its disk."""
        for fact in facts:
            own = fact.vote if isinstance(fact, Proposal) else fact
            if node.correct and isinstance(own, Vote) and not self.is_known(own):
                self.must_be_durable(node, own)
            for vote in votes_in(fact):
                self.heard(vote)

    def is_known(self, vote: Vote) -> bool:
        table = self.words.get((vote.epoch, vote.view, vote.kind), {})
        return vote.signer in table.get(vote.block, ())

    def must_be_durable(self, node: Node, vote: Vote) -> None:
        disk = node.disk
        mine = disk.config.index_of(node.key)
        if vote.epoch != disk.config.epoch or vote.signer != mine:
            return
        if disk.cert is not None and vote.view <= disk.cert.view:
            return
        data = disk.rows.get((vote.epoch, vote.view))
        must(data is not None, "said but not written", node.index, vote)
        row = decode_journal(data or b"")
        said = (row.proposed, row.notarized, row.nullified, row.finalized)
        same = [v for v in said if v is not None and v.kind == vote.kind and v.block == vote.block]
        must(bool(same), "said but not written", node.index, vote)
        if vote.kind in ("notarize", "finalize"):
            self.must_have_bodies(node, vote.block)
        if vote.kind == "finalize":
            must(row.notarization is not None, "finalize without the notarization", node.index)
        elif vote.view > 1:
            self.must_have_left(node, vote.view - 1)

    def must_have_bodies(self, node: Node, block: bytes) -> None:
        """The block and all its ancestors are on the disk."""
        final = {body.info.id for body in node.disk.chain[-20:]}
        while block not in final:
            body = node.disk.bodies.get(block)
            must(body is not None, "a word for a block that is not written", node.index, block)
            block = body.info.parent if body is not None else block

    def must_have_left(self, node: Node, view: int) -> None:
        """What justified leaving `view` is on the disk: a chain of skips down to a certified
        block.
        """
        disk = node.disk
        while view > (disk.cert.view if disk.cert else 0):
            data = disk.rows.get((disk.config.epoch, view))
            must(data is not None, "left a view without a certificate", node.index, view)
            row = decode_journal(data or b"")
            if row.notarization or row.finalization:
                return
            must(row.nullification is not None, "left without a certificate", node.index, view)
            view -= 1

    def heard(self, vote: Vote) -> None:
        """3 and 4: what certificates could be made of all the words ever said."""
        table = self.words.setdefault((vote.epoch, vote.view, vote.kind), {})
        table.setdefault(vote.block, set()).add(vote.signer)
        if vote.kind == "propose" or not self.counting:
            return
        q = self.quorum(vote.epoch)
        certified = [block for block, signers in table.items() if len(signers) >= q]
        must(len(certified) <= 1, "two certificates of a kind in a view", vote)
        if self.certified(vote.epoch, vote.view, "nullify"):
            must(not self.certified(vote.epoch, vote.view, "finalize"), "skipped and final", vote)

    def quorum(self, epoch: int) -> int:
        return next(c.q for c in self.world.configs.values() if c.epoch == epoch)

    def certified(self, epoch: int, view: int, kind: str) -> set[bytes]:
        table = self.words.get((epoch, view, kind), {})
        q = self.quorum(epoch)
        return {block for block, signers in table.items() if len(signers) >= q}

    def committed(self, node: Node, commit: Commit) -> None:
        self.world.note("commit", node.index, commit.certificate.height, commit.certificate.block)
        if not node.correct:
            return
        cert = commit.certificate
        config = next(c for c in self.world.configs.values() if c.config_hash == cert.config_hash)
        verify_certificate(cert, config, self.world.verify)
        for fact in (cert, *commit.justification):
            for vote in votes_in(fact):
                self.heard(vote)
        for body in node.disk.chain[len(node.disk.chain) - len(commit.blocks) :]:
            info = body.info
            known = self.final.setdefault(info.height, info.id)
            must(known == info.id, "FORK", node.index, info.height)
            below = node.disk.chain[info.height - 1].info
            must(info.parent == below.id, "a gap", node.index, info.height)
            must(bool(body.records), "an empty block", info.height)
            must(info.time_ms > below.time_ms, "time stands still", info.height)
            closed = below.boundary and below.epoch == info.epoch and below.height > 0
            must(not closed, "a block above a boundary", info.height)
            self.must_be_linked(body, below.epoch == info.epoch)
        every = [record for body in node.disk.chain for record in body.records]
        must(len(every) == len(set(every)), "a record twice", node.index)

    def must_be_linked(self, body: Body, same_epoch: bool) -> None:
        """5: every skipped view was nullified, and the parent was notarized in its view."""
        info = body.info
        for view in range(info.parent_view + 1, info.view):
            skipped = self.certified(info.epoch, view, "nullify")
            must(bool(skipped), "a skip without a certificate", info.height, view)
        if info.parent_view > 0:
            kinds = ("notarize", "finalize")
            found = [self.certified(info.epoch, info.parent_view, kind) for kind in kinds]
            must(any(info.parent in blocks for blocks in found), "an unjustified parent", info)
        else:
            must(info.parent == self.final[info.height - 1], "not on the anchor", same_epoch)

    def bounded(self) -> None:
        """13: what a node keeps in memory does not grow with what others send."""
        for node in self.world.correct:
            if node.up:
                views = len(node.core.summary().views)
                must(views <= 400, "too many views in memory", node.index, views)


def votes_in(fact: Fact) -> list[Vote]:
    if isinstance(fact, Vote):
        return [fact]
    if isinstance(fact, Certificate):
        return list(certificate_votes(fact))
    if isinstance(fact, Proposal):
        certs = (fact.parent_cert, *fact.skips)
        return [fact.vote, *(v for c in certs if c is not None for v in certificate_votes(c))]
    return []
