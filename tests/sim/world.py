"""A small world for the consensus machine: a clock that is an integer, one seeded generator, links
that lose, delay, double and reorder, and a disk per node with an unsynced tail that a crash loses.

Signatures are a keyed hash: unforgeable here because the adversaries only sign with their own keys.
Every seed draws its own fault rates (swarm testing).
"""

import heapq
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from random import Random
from typing import NamedTuple

import msgspec

from ledger.consensus import (
    BlockBuilt,
    BlockChecked,
    BlockInfo,
    BlockReceived,
    BuildBlock,
    Certificate,
    CheckBlock,
    Commit,
    Committed,
    Consensus,
    Durable,
    Effect,
    Event,
    Fact,
    Fetch,
    Heartbeat,
    NothingToBuild,
    PeerSummary,
    Persist,
    Proposal,
    Received,
    Send,
    SetTimer,
    Sign,
    Signed,
    Started,
    Summary,
    Tick,
    Timing,
    Work,
    decode_journal,
    encode_journal,
    verify_fact,
)
from ledger.consensus.events import Verdict
from ledger.consensus.journal import LAST_VIEW
from ledger.encoding import b64url
from ledger.errors import AllianceError
from ledger.members import EpochConfig, Limits, Member, default_quorum
from tests.sim.invariants import Invariants

CHAIN = sha256(b"a small world").digest()


def key_of(index: int) -> bytes:
    return sha256(b"key %d" % index).digest()


def sign(key: bytes, message: bytes) -> bytes:
    return blake2b(message, key=key).digest()


@lru_cache(200_000)
def verify(_alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
    return sign(key, message) == signature


class PowerCut(Exception):  # nothing is wrong with anybody
    """The lights go out at a persist point."""


class Faults(NamedTuple):
    """The rates that one seed drew; probabilities in thousandths, times in milliseconds. A link
    takes its own share of them: some are good, some are worse than others.
    """

    loss: int = 0
    double: int = 0
    delay_ms: int = 40
    sync_ms: int = 5
    crashes: int = 0
    partitions: int = 0

    @staticmethod
    def drawn(rng: Random) -> "Faults":
        return Faults(
            loss=rng.choice((0, 0, 20, 100, 300)),
            double=rng.choice((0, 50, 200)),
            delay_ms=rng.choice((5, 60, 300, 900, 2_500)),
            sync_ms=rng.choice((1, 10, 100)),
            crashes=rng.choice((0, 0, 2, 6, 15)),
            partitions=rng.choice((0, 1, 4)),
        )


class Body(msgspec.Struct, frozen=True):
    """A block with its records. A record "config/<name>" activates a configuration."""

    info: BlockInfo
    records: tuple[str, ...]


def make_config(nodes: tuple[int, ...], q: int = 0, epoch: int = 0) -> EpochConfig:
    members = [
        Member(
            cosigner_pk=b64url(bytes(32)),
            leader_eligible=True,
            log_pk=b64url(bytes(32)),
            node_pk=b64url(key_of(i)),
            org=f"h{i}",
        )
        for i in sorted(nodes, key=key_of)
    ]
    return EpochConfig(
        epoch=epoch,
        limits=Limits(block_bytes=1 << 20, block_records=100, min_interval_ms=20),
        members=tuple(members),
        q=q or default_quorum(len(nodes)),
        rules_version=1,
        v=1,
    ).with_chain(CHAIN)


def make_body(
    parent: BlockInfo,
    view: int,
    parent_view: int,
    time_ms: int,
    records: tuple[str, ...],
    config: EpochConfig,
    following: bytes | None = None,
) -> Body:
    fields = (parent.id, view, parent_view, config.config_hash, time_ms, records, following)
    name = sha256(repr(fields).encode()).digest()
    info = BlockInfo(
        name, parent.height + 1, view, parent.id, parent_view, config.epoch, config.config_hash,
        time_ms, following, sum(map(len, records)),
    )  # fmt: skip
    return Body(info, records)


class Disk:
    """What a node has written. `copy` is what a crash leaves behind."""

    def __init__(self, config: EpochConfig, genesis: BlockInfo) -> None:
        self.config = config
        self.previous: EpochConfig | None = None
        self.anchor = genesis
        self.anchor_cert: Certificate | None = None
        self.cert: Certificate | None = None
        self.chain = [Body(genesis, ("genesis",))]
        self.commits: list[Commit] = []
        self.rows: dict[tuple[int, int], bytes] = {}
        self.bodies: dict[bytes, Body] = {}
        self.records: dict[str, None] = {}
        self.included: set[str] = set()

    def copy(self) -> "Disk":
        other = Disk(self.config, self.anchor)
        for name, value in vars(self).items():
            plain = isinstance(value, list | dict | set)
            setattr(other, name, value.copy() if plain else value)
        return other

    def is_damaged(self) -> bool:
        """Whether a journal row cannot be read; what can is kept, as the driver does (2.12)."""
        broken = [key for key, data in self.rows.items() if not is_row(data)]
        for key in broken:
            del self.rows[key]
        return bool(broken)

    def flip(self, rng: Random) -> None:
        """One bit of one journal row, or of one saved block, which is then no block any more."""
        if self.rows:
            key = rng.choice(sorted(self.rows))
            data, at = self.rows[key], rng.randrange(len(self.rows[key]))
            self.rows[key] = data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
        elif self.bodies:
            del self.bodies[rng.choice(sorted(self.bodies))]

    def write(self, item: object, configs: dict[bytes, EpochConfig]) -> None:
        if isinstance(item, Commit):
            self.commit(item, configs)
        elif isinstance(item, str):
            self.records[item] = None
        elif isinstance(item, Body):
            self.bodies[item.info.id] = item
        elif isinstance(item, bytes):
            row = decode_journal(item)
            self.rows[row.epoch, row.view] = item

    def commit(self, commit: Commit, configs: dict[bytes, EpochConfig]) -> None:
        for info in commit.blocks:
            body = self.bodies.pop(info.id)
            self.chain.append(body)
            self.included.update(body.records)
        self.commits.append(commit)
        self.cert = cert = commit.certificate
        gone = [key for key in self.rows if key[0] == cert.epoch and key[1] <= cert.view]
        for key in gone:
            del self.rows[key]
        final = self.chain[-1].info
        dead = [k for k, body in self.bodies.items() if body.info.height <= final.height]
        for name in dead:
            del self.bodies[name]
        if commit.blocks and final.next_config_hash is not None:
            self.previous = self.config
            self.config = configs[final.next_config_hash]
            self.anchor, self.anchor_cert, self.cert = final, cert, None
            self.rows = {k: v for k, v in self.rows.items() if k[0] >= self.config.epoch}


def plan_of(record: str) -> str:
    """The configuration that a record is about: "config/<name>", "ready/<name>/<key>"."""
    parts = record.split("/")
    return f"config/{parts[1]}" if parts[0] in ("config", "ready") else ""


def is_row(data: bytes) -> bool:
    try:
        decode_journal(data)
    except AllianceError:
        return False
    return True


class Node:
    """A correct driver around the machine."""

    def __init__(self, world: "World", index: int, machine: type[Consensus]) -> None:
        self.world = world
        self.index = index
        self.machine = machine
        self.keys = (key_of(index),)
        self.disk = Disk(world.genesis_config, world.genesis)
        self.life = 0
        self.up = False
        self.correct = True
        self.skew_ms = 0
        self.lost = False
        self.disks = 1

    def start(self) -> None:
        self.up = True
        self.world.invariants.started(self)
        self.lost |= self.disk.is_damaged()
        # The operator's word stands until the quarantine itself is on the disk.
        self.lost &= not any(view == LAST_VIEW for _, view in self.disk.rows)
        self.life += 1
        self.beat_at = 0
        self.boot_id = self.world.rng.randbytes(16)
        self.mem = self.disk.copy()
        self.unsynced: list[tuple[int, list[object], list[Callable[[], None]]]] = []
        self.synced_at = 0
        self.bodies = dict(self.mem.bodies)
        self.core = self.machine(*self.keys, timing=self.world.timing)
        mem = self.mem
        durable = Durable(
            mem.config, mem.anchor, mem.chain[-1].info, mem.cert, mem.anchor_cert,
            tuple(decode_journal(row) for row in mem.rows.values()),
            tuple(body.info for body in mem.bodies.values()), self.lost,
        )  # fmt: skip
        self.timer = -1
        self.batch([Started(durable, self.pending(mem.chain[-1].info), self.now)])
        self.world.after(self.world.rng.randrange(1, 1_000), self.gossip, self.life)

    @property
    def now(self) -> int:
        return self.world.now + self.skew_ms

    @property
    def key(self) -> bytes:
        """What it speaks with now: of two keys the one that its epoch lists."""
        listed = [key for key in self.keys if self.core.config.index_of(key) is not None]
        return (listed or list(self.keys))[0]

    def index_in(self, config: EpochConfig) -> int | None:
        """Which member of a configuration it is."""
        found = [config.index_of(key) for key in self.keys]
        return next((index for index in found if index is not None), None)

    def crash(self) -> None:
        self.up = False
        self.life += 1

    def wipe(self) -> None:
        """The disk is lost; the operator knows it."""
        self.replace(Disk(self.world.genesis_config, self.world.genesis))

    def replace(self, disk: Disk) -> None:
        """Another disk, empty or with a copy of old; the operator says so."""
        self.disk = disk
        self.disks += 1
        self.lost = True
        self.start()

    def batch(self, events: list[Event], writes: list[object] | None = None) -> None:
        """Step all, answer all, write once, and only then let messages out."""
        tip = None if isinstance(events[0], Started) else self.core.tip
        tx: list[object] = list(writes or ())
        out: list[Callable[[], None]] = []
        inbox = list(events)
        while inbox:
            for effect in self.core.step(inbox.pop(0)):
                inbox[:0] = self.carry_out(effect, tx, out)
            if not inbox and tip is not None and self.core.tip != tip:
                tip = self.core.tip
                inbox = [Work(self.pending(tip), self.now)]
        self.sync(tx, out)

    def carry_out(
        self, effect: Effect, tx: list[object], out: list[Callable[[], None]]
    ) -> list[Event]:
        now = self.now
        if isinstance(effect, Sign):
            self.world.invariants.signed(self, effect.message)
            return [Signed(effect.request, sign(self.key, effect.message), now)]
        if isinstance(effect, BuildBlock):
            return [self.build(effect)]
        if isinstance(effect, CheckBlock):
            return [BlockChecked(effect.block.id, self.check(effect.block), now)]
        if isinstance(effect, Commit):
            return [self.commit(effect, tx)]
        if isinstance(effect, Persist):
            items = [*map(encode_journal, effect.rows), *(self.bodies[b] for b in effect.blocks)]
            for item in items:
                self.write(item, tx)
        elif isinstance(effect, Send):
            out.append(lambda: self.send(effect))
        elif isinstance(effect, Fetch):
            out.append(lambda: self.fetch(effect))
        elif isinstance(effect, SetTimer):
            self.set_timer(effect.at_ms)
        else:
            self.world.invariants.noticed(self, effect)
        return []

    def write(self, item: object, tx: list[object]) -> None:
        tx.append(item)
        self.mem.write(item, self.world.configs)

    def commit(self, effect: Commit, tx: list[object]) -> Event:
        for info in effect.blocks:
            if info.id not in self.mem.bodies:
                self.write(self.bodies[info.id], tx)
        self.write(effect, tx)
        final = self.mem.chain[-1].info
        boundary = bool(effect.blocks) and final.boundary
        config = self.mem.config if boundary else None
        return Committed(final.height, self.pending(final), self.now, config)

    def sync(self, tx: list[object], out: list[Callable[[], None]]) -> None:
        """The disk takes its time, first in first out; a crash before loses the tail."""
        wait = self.world.rng.randrange(self.world.faults.sync_ms + 1) if tx else 0
        self.synced_at = max(self.synced_at, self.world.now + wait)
        self.unsynced.append((self.synced_at, tx, out))
        self.world.at(self.synced_at, self.flush, self.life)

    def flush(self, life: int) -> None:
        while life == self.life and self.unsynced and self.unsynced[0][0] <= self.world.now:
            _, tx, out = self.unsynced.pop(0)
            self.world.reach(self, bool(tx))
            for item in tx:
                self.disk.write(item, self.world.configs)
                if isinstance(item, Commit):
                    self.world.invariants.committed(self, item)
            self.world.reach(self, bool(tx))
            for release in out:
                release()

    def path(self, block: bytes) -> list[Body] | None:
        """The bodies from above the final block up to `block`."""
        path: list[Body] = []
        while block != self.mem.chain[-1].info.id:
            body = self.bodies.get(block)
            if body is None or body.info.height <= self.mem.chain[-1].info.height:
                return None
            path.append(body)
            block = body.info.parent
        return path

    def waiting(self, tip: BlockInfo) -> list[str]:
        used = {record for body in self.path(tip.id) or () for record in body.records}
        known = self.mem.included
        return [r for r in self.mem.records if r not in known and r not in used]

    def pending(self, tip: BlockInfo) -> int:
        return len(self.waiting(tip))

    def build(self, effect: BuildBlock) -> Event:
        records = self.waiting(effect.parent)[: effect.block_records]
        if not records:
            return NothingToBuild(effect.view, self.now)
        config = self.mem.config
        count, following = self.closes(records, self.path(effect.parent.id) or [])
        records = records[:count]
        body = make_body(
            effect.parent, effect.view, effect.parent_view, effect.time_ms, tuple(records), config,
            following,
        )  # fmt: skip
        self.bodies[body.info.id] = body
        return BlockBuilt(body.info, self.now)

    def check(self, info: BlockInfo) -> Verdict:
        body = self.bodies.get(info.id)
        path = self.path(info.parent)
        if body is None or path is None:
            return "missing"
        used = {record for other in path for record in other.records} | self.mem.included
        fresh = len(set(body.records)) == len(body.records) and not used & set(body.records)
        closes = len(body.records), info.next_config_hash
        right = closes == self.closes(body.records, path)
        sound = body.records and fresh and right and "poison" not in body.records
        return "valid" if sound else "invalid"

    def closes(self, records: Sequence[str], path: list[Body]) -> tuple[int, bytes | None]:
        """How many of these records a block above `path` may hold, and what it closes the epoch
        with: the record that completes a configuration is its last (2.17).
        """
        have = self.mem.included | {record for body in path for record in body.records}
        for number, record in enumerate(records, 1):
            before, have = have, have | {record}
            name = plan_of(record)
            if name and self.world.is_complete(name, have, self.mem.config):
                if not self.world.is_complete(name, before, self.mem.config):
                    return number, self.world.following(name, self.mem.config).config_hash
        return len(records), None

    def set_timer(self, at_ms: int | None) -> None:
        self.timer += 1
        if at_ms is not None:
            self.world.at(at_ms - self.skew_ms, self.tick, self.life, self.timer)

    def tick(self, life: int, timer: int) -> None:
        if self.up and life == self.life and timer == self.timer:
            self.batch([Tick(self.now)])

    def submit(self, record: str) -> None:
        """A client's record: durable here, pushed to all."""
        if self.up and record not in self.mem.records:
            self.mem.write(record, self.world.configs)
            self.batch([Work(self.pending(self.core.tip), self.now)], [record])
            for peer in self.world.peers(self):
                self.world.send(self, peer, record)

    def send(self, effect: Send) -> None:
        self.world.invariants.released(self, effect.facts)
        peers = self.world.peers(self)
        if effect.to is not None:
            peers = [p for p in peers if self.member(p) == effect.to]
        for fact in effect.facts:
            item: object = fact
            if isinstance(fact, Proposal) and fact.vote.block in self.bodies:
                item = (self.bodies[fact.vote.block], fact)
            for peer in peers:
                self.world.send(self, peer, item)

    def member(self, node: "Node") -> int:
        """The member index of a node here; observers are addressed below -1."""
        index = node.index_in(self.core.config)
        return -2 - node.index if index is None else index

    def fetch(self, effect: Fetch) -> None:
        peers = self.world.peers(self)
        named = [p for p in peers if self.member(p) == effect.peer]
        for peer in named or peers:
            self.world.send(self, peer, effect)

    def gossip(self, life: int) -> None:
        """Anti-entropy: what I hold, to somebody; what waits here, too."""
        if not self.up or life != self.life:
            return
        self.world.after(self.world.timing.sync_ms, self.gossip, life)
        self.world.invariants.bounded()
        if self.world.now - self.beat_at >= 2_000:
            self.beat_at = self.world.now
            self.batch([Heartbeat(self.boot_id, "sim", self.now)])
        peers = self.world.peers(self)
        if peers:
            peer = self.world.rng.choice(peers)
            self.world.send(self, peer, self.core.summary())
            for record in self.waiting(self.core.tip)[:20]:
                self.world.send(self, peer, record)

    def receive(self, sender: "Node", item: object) -> None:
        if isinstance(item, str):
            self.receive_record(item)
        elif isinstance(item, Summary):
            self.batch([PeerSummary(self.member(sender), item, self.now)])
        elif isinstance(item, Fetch):
            self.serve(sender, item)
        else:
            for part in item if isinstance(item, tuple) else (item,):
                self.receive_fact(sender, part)

    def receive_record(self, record: str) -> None:
        if record not in self.mem.records:
            self.mem.write(record, self.world.configs)
            self.batch([Work(self.pending(self.core.tip), self.now)], [record])

    def receive_fact(self, sender: "Node", item: Body | Fact) -> None:
        if isinstance(item, Body):
            self.bodies.setdefault(item.info.id, item)
            self.batch([BlockReceived(item.info, self.now)])
            return
        accepted = True
        try:
            verify_fact(item, self.core.config, verify, self.mem.previous)
        except AllianceError:
            accepted = False
        self.world.invariants.judge(self, item, accepted)
        if not accepted:
            return
        self.batch([Received(item, self.now, self.member(sender))])

    def serve(self, sender: "Node", want: Fetch) -> None:
        if want.block is not None:
            if want.block in self.disk.bodies:
                self.world.send(self, sender, (self.disk.bodies[want.block],))
            else:
                found = [b for b in self.disk.chain[-50:] if b.info.id == want.block]
                if found:
                    self.world.send(self, sender, tuple(found))
            return
        items: list[object] = []
        for commit in self.disk.commits:
            if commit.certificate.height >= want.first and len(items) < 100:
                bodies = [self.disk.chain[info.height] for info in commit.blocks]
                items += [b for b in bodies if b.info.height >= want.first]
                items += [*commit.justification, commit.certificate]
        if items:
            self.world.send(self, sender, tuple(items))


class World:
    """The nodes, the links between them, and time."""

    verify = staticmethod(verify)

    def __init__(
        self,
        seed: int,
        nodes: int,
        *,
        faults: Faults | None = None,
        machine: type[Consensus] = Consensus,
        config: EpochConfig | None = None,
        kinds: dict[int, type[Node]] | None = None,
        driver: type[Node] = Node,
    ) -> None:
        self.rng = Random(seed)
        self.faults = faults or Faults()
        self.timing = Timing()
        self.now = 1_700_000_000_000
        self.heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self.sequence = 0
        self.genesis_config = config or make_config(tuple(range(nodes)))
        zero = bytes(32)
        self.genesis = BlockInfo(CHAIN, 0, 0, zero, 0, 0, self.genesis_config.config_hash, self.now)
        self.configs = {self.genesis_config.config_hash: self.genesis_config}
        self.plans: dict[str, tuple[int, ...]] = {}
        self.waits: set[str] = set()
        """Configurations that wait for readiness; all others act with their own record."""
        self.cut: set[tuple[int, int]] = set()
        self.shares: dict[tuple[int, int], int] = {}
        self.persisted = 0
        self.cut_at = 0
        self.cut_node: Node | None = None
        self.filter: Callable[[Node, Node, object], bool] = lambda *_: True
        self.invariants = Invariants(self)
        self.transcript = sha256()
        self.nodes = [(kinds or {}).get(i, driver)(self, i, machine) for i in range(nodes)]
        for node in self.nodes:
            node.start()

    def following(self, record: str, config: EpochConfig) -> EpochConfig:
        """The configuration of "config/<name>", once it is complete."""
        after = make_config(self.plans[record], epoch=config.epoch + 1)
        self.configs[after.config_hash] = after
        return after

    def is_complete(self, name: str, have: set[str], config: EpochConfig) -> bool:
        """2.17: every member whose key is new has said that it is ready, and a quorum in all."""
        if name not in have or name not in self.waits:
            return name in have
        members = self.plans[name]
        ready = [i for i in members if f"ready/{name[7:]}/{i}" in have]
        new = [i for i in members if config.index_of(key_of(i)) is None]
        return set(new) <= set(ready) and len(ready) >= default_quorum(len(members))

    def peers(self, node: Node) -> list[Node]:
        return [other for other in self.nodes if other is not node]

    @property
    def correct(self) -> list[Node]:
        return [node for node in self.nodes if node.correct]

    def at(self, time_ms: int, what: Callable[..., None], *args: object) -> None:
        self.sequence += 1
        heapq.heappush(self.heap, (max(time_ms, self.now), self.sequence, what, args))

    def after(self, wait_ms: int, what: Callable[..., None], *args: object) -> None:
        self.at(self.now + wait_ms, what, *args)

    def send(self, sender: Node, to: Node, item: object) -> None:
        faults, rng = self.faults, self.rng
        if (sender.index, to.index) in self.cut or not self.filter(sender, to, item):
            return
        share = self.shares.get((sender.index, to.index), 100)
        copies = 2 if rng.randrange(1000) < faults.double else 1
        for _ in range(copies):
            if rng.randrange(100_000) >= faults.loss * share:
                wait_ms = rng.randrange(1, faults.delay_ms * share // 100 + 2)
                self.after(wait_ms, self.deliver, sender, to, item)

    def draw_links(self) -> None:
        """Each direction of each link has its own share of the seed's loss and delay."""
        pairs = [(a.index, b.index) for a in self.nodes for b in self.nodes if a is not b]
        self.shares = {pair: self.rng.choice((10, 50, 100, 100, 200)) for pair in pairs}

    def reach(self, node: Node, writes: bool) -> None:
        """A persist point: before and after something becomes durable. Raises `PowerCut` at the
        chosen one.
        """
        if writes and self.cut_node in (None, node):
            self.persisted += 1
            if self.persisted == self.cut_at:
                raise PowerCut

    def deliver(self, sender: Node, to: Node, item: object) -> None:
        if to.up and (sender.index, to.index) not in self.cut:
            to.receive(sender, item)

    def run(self, for_ms: int) -> None:
        end = self.now + for_ms
        while self.heap and self.heap[0][0] <= end:
            self.now, _, what, args = heapq.heappop(self.heap)
            what(*args)
        self.now = end

    def note(self, *facts: object) -> None:
        """One line of the transcript; its hash must be the same when the seed is run again."""
        self.transcript.update(repr((self.now, *facts)).encode())
