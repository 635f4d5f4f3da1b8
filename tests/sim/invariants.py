"""What must hold after every event (consensus.md 3.4): 1 to 13, by number. Shares no code with the
machine: it counts, and reads what is signed, for itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ledger.consensus import (
    Alarm,
    BlockInfo,
    Certificate,
    Commit,
    Effect,
    Evidence,
    Fact,
    Proposal,
    Vote,
    decode_journal,
)

if TYPE_CHECKING:
    from ledger.members import EpochConfig
    from tests.sim.world import Body, Node, World

AHEAD_MS: Final = 2_000
BEHIND_MS: Final = 60_000
"""10 s with all back-off is 30 s at the most, and as long may pass from receipt to vote."""
KINDS: Final = ("notarize", "finalize", "nullify")


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
        self.heights: dict[bytes, int] = {}
        self.chains: dict[tuple[int, int], tuple[int, bytes]] = {}
        self.epochs: dict[int, int] = {}
        self.judged = 0

    def signed(self, node: Node, message: bytes) -> None:
        self.signatures += b"pl1/status" not in message[:11]
        self.world.note("sign", node.index, message)
        if node.correct and b"pl1/notarize" in message[:13]:
            view, block = int.from_bytes(message[85:93], "big"), message[101:]
            self.must_be_in_time(node, view, block)

    def must_be_in_time(self, node: Node, view: int, block: bytes) -> None:
        """11: whoever votes for a new block finds its time within the bounds of its own clock."""
        body = node.bodies.get(block)
        config = node.core.config
        # Who leads goes by its own clock, and by the time of the block before.
        leads = config.leader(view) == node.index_in(config)
        if body is None or body.info.view != view or leads:
            return
        early = body.info.time_ms > node.now + AHEAD_MS
        must(not early, "a vote for a block of the future", node.index, body.info.time_ms)
        late = body.info.time_ms < node.now - BEHIND_MS
        must(not late, "a vote for a block of long ago", node.index, body.info.time_ms)

    def judge(self, node: Node, fact: Fact, accepted: bool) -> None:
        """12: what a node accepts as a certificate is one by this count, too, and the other way
        round.
        """
        if isinstance(fact, Certificate) and node.correct:
            self.judged += 1
            configs = (node.core.config, node.mem.previous)
            right = any(c is not None and is_certificate(fact, c, self.world) for c in configs)
            must(right == accepted, "two verifiers differ", fact, accepted)

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
        return next(node for node in self.world.nodes if key in node.keys)

    def released(self, node: Node, facts: tuple[Fact, ...]) -> None:
        """7: whatever a correct node says is covered by what is on its disk."""
        for fact in facts:
            own = fact.vote if isinstance(fact, Proposal) else fact
            if node.correct and isinstance(own, Vote) and own.kind != "nullify":
                # 9: whoever proposes or votes for a block again means the same one.
                height = self.heights.setdefault(own.block, own.height)
                must(height == own.height, "a block at two heights", node.index, own)
            if node.correct and isinstance(own, Vote) and not self.is_known(own):
                self.must_be_durable(node, own)
            for vote in votes_in(fact):
                self.heard(vote)

    def is_known(self, vote: Vote) -> bool:
        table = self.words.get((vote.epoch, vote.view, vote.kind), {})
        return vote.signer in table.get(vote.block, ())

    def must_be_durable(self, node: Node, vote: Vote) -> None:
        disk = node.disk
        mine = node.index_in(disk.config)
        began = vote.epoch <= disk.config.epoch
        must(began, "a word in an epoch that did not begin on the disk", node.index, vote)
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
        must(is_certificate(cert, config, self.world), "final by no certificate", node.index, cert)
        self.must_only_grow(node, len(commit.blocks))
        for fact in (cert, *commit.justification):
            for vote in votes_in(fact):
                self.heard(vote)
        for body in node.disk.chain[len(node.disk.chain) - len(commit.blocks) :]:
            info = body.info
            known = self.final.setdefault(info.height, info.id)
            must(known == info.id, "FORK", node.index, info.height)
            below = node.disk.chain[info.height - 1].info
            must(info.parent == below.id, "a gap", node.index, info.height)
            must(info.height == below.height + 1, "a height is left out", node.index, info.height)
            must(info.id == id_of(info, body.records), "a block is not what its id says", info)
            last = max(other.now for other in self.world.correct) + AHEAD_MS
            must(info.time_ms <= last, "block time ran away", info.time_ms - last)
            must(bool(body.records), "an empty block", info.height)
            must("poison" not in body.records, "an invalid record", info.height)
            must(info.time_ms > below.time_ms, "time stands still", info.height)
            closed = below.boundary and below.epoch == info.epoch and below.height > 0
            must(not closed, "a block above a boundary", info.height)
            self.must_be_ready(body, node.disk.chain[: info.height + 1])
            self.must_be_linked(body, below.epoch == info.epoch)
        every = [record for body in node.disk.chain for record in body.records]
        must(len(every) == len(set(every)), "a record twice", node.index)

    def started(self, node: Node) -> None:
        """2: what a node had is there again."""
        if node.correct:
            size, last = self.chains.get((node.index, node.disks), (0, b""))
            chain = node.disk.chain
            same = len(chain) >= size and (not size or chain[size - 1].info.id == last)
            must(same, "a chain was changed", node.index, size)

    def must_only_grow(self, node: Node, added: int) -> None:
        """2 and 10: a chain is only added to, across restarts; an epoch never comes back. A lost
        disk begins anew.
        """
        chain = node.disk.chain
        key = (node.index, node.disks)
        size, last = self.chains.get(key, (len(chain) - added, b""))
        same = size == len(chain) - added and (not last or chain[size - 1].info.id == last)
        must(same, "a chain was changed", node.index, size)
        self.chains[key] = (len(chain), chain[-1].info.id)
        epochs = [body.info.epoch for body in chain[-2:]]
        must(epochs == sorted(epochs), "an epoch came back", node.index)

    def must_be_ready(self, body: Body, chain: list[Body]) -> None:
        """10 (2.17): the block that ends an epoch ends with the word that was missing: a quorum of
        the next members has spoken by then, and everybody whose key is new.
        """
        if body.info.next_config_hash is None:
            return
        kind, name, *_key = body.records[-1].split("/")
        config = self.world.configs[body.info.next_config_hash]
        before = self.world.configs[body.info.config_hash]
        old = {member.node_pk for member in before.members}
        new = {int(m.org[1:]) for m in config.members if m.node_pk not in old}
        words = [r.split("/") for other in chain for r in other.records]
        must(["config", name] in words, "an epoch that nobody decided on", name)
        if f"config/{name}" in self.world.waits:
            ready = {int(word[2]) for word in words if word[:2] == ["ready", name]}
            must(new <= ready, "an epoch began before all were ready", new - ready)
            must(len(ready) >= config.q, "an epoch began before a quorum was ready", ready)
        else:
            must(kind == "config", "an epoch ended by another record", body.records[-1])

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
            if not node.up:
                continue
            core, n = node.core, node.core.config.n
            open_views = [v for v in core.summary().views if not (v.notarized or v.nullified)]
            must(len(open_views) <= 4 * n + 2, "too many views in memory", node.index)
            must(len(core._blocks) <= 18 * n + 400, "too many blocks in memory", node.index)
            must(len(core._reported) <= n * (4 * n + 400), "too much evidence", node.index)


def id_of(info: BlockInfo, records: tuple[str, ...]) -> bytes:
    """11: what a block of this world commits to, told once more."""
    fields = (
        info.parent, info.view, info.parent_view, info.config_hash, info.time_ms, records,
        info.next_config_hash,
    )  # fmt: skip
    return sha256(repr(fields).encode()).digest()


def is_certificate(cert: Certificate, config: EpochConfig, world: World) -> bool:
    """12: whether a quorum of distinct members signed exactly this, read from SPEC 8.1 and 8.2."""
    signers = [i for i in range(64) if cert.signers & (1 << i)]
    if cert.epoch != config.epoch or cert.config_hash != config.config_hash:
        return False
    if cert.kind not in KINDS or len(signers) != len(cert.signatures) or len(signers) < config.q:
        return False
    if cert.kind == "nullify" and (cert.height or any(cert.block)):
        return False
    tag = f"pl1/{cert.kind}".encode()
    numbers = (x.to_bytes(8, "big") for x in (cert.view, cert.height))
    epoch = config.epoch.to_bytes(8, "big")
    head = bytes((len(tag),)) + tag + config.chain + epoch + config.config_hash
    message = head + b"".join(numbers) + cert.block
    keys = config.node_keys
    return all(
        index < len(keys) and world.verify(0, keys[index], signature, message)
        for index, signature in zip(signers, cert.signatures, strict=True)
    )


def certificate_votes(cert: Certificate) -> list[Vote]:
    """The words in a certificate."""
    signers = [i for i in range(64) if cert.signers & (1 << i)]
    return [
        Vote(cert.kind, cert.epoch, cert.view, cert.height, cert.block, signer, signature)
        for signer, signature in zip(signers, cert.signatures, strict=True)
    ]


def votes_in(fact: Fact) -> list[Vote]:
    if isinstance(fact, Vote):
        return [fact]
    if isinstance(fact, Certificate):
        return certificate_votes(fact)
    if isinstance(fact, Proposal):
        certs = (fact.parent_cert, *fact.skips)
        return [fact.vote, *(v for c in certs if c is not None for v in certificate_votes(c))]
    return []
