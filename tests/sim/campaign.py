"""One seed: draw the faults, break things for a while, heal, then demand progress and silence."""

from random import Random

from ledger.consensus import Consensus
from tests.sim.adversaries import Liar, Mute, Twin, Withholder
from tests.sim.invariants import must
from tests.sim.world import Faults, Node, World, key_of, make_config

TROUBLE_MS = 20_000
HEAL_MS = 180_000


def build_world(
    seed: int, machine: type[Consensus] = Consensus, driver: type[Node] = Node
) -> World:
    """The world of a seed."""
    rng = Random(seed)
    n = rng.choice((1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 6, 7) * 4 + (10, 16))
    config = make_config(tuple(range(n)))
    # With more liars than may be missing there is safety to check, and no progress to demand.
    liars = config.lying if rng.random() < 0.5 else min(config.lying, config.offline)
    kinds: dict[int, type[Node]] = {}
    for index in rng.sample(range(n), rng.randrange(liars + 1) if rng.random() < 0.7 else 0):
        kinds[index] = rng.choice((Liar, Liar, Liar, Twin, Mute, Withholder))
    world = World(
        seed, n, faults=Faults.drawn(rng), machine=machine, config=config, kinds=kinds,
        driver=driver,
    )  # fmt: skip
    for index, kind in kinds.items():
        if kind is Twin:
            twin = Twin(world, len(world.nodes), machine)
            twin.keys = (key_of(index),)
            world.nodes.append(twin)
            twin.start()
    world.draw_links()
    return world


def trouble(world: World, for_ms: int = TROUBLE_MS) -> list[str]:
    """Schedule records, crashes and partitions; returns the records that correct nodes accepted."""
    rng, start = world.rng, world.now
    records: list[str] = []
    for i in range(rng.choice((3, 10, 40))):
        node = rng.choice(world.correct)
        world.at(start + rng.randrange(for_ms), submit, world, node, f"r{i}", records)
    if world.genesis_config.n > 2 and rng.random() < 0.4:
        members = tuple(range(world.genesis_config.n))
        world.plans["config/1"] = members[:-1] if len(world.correct) == len(members) else members
        world.at(
            start + rng.randrange(for_ms), submit, world, world.correct[0], "config/1", records
        )
    for _ in range(world.faults.crashes):
        node = rng.choice(world.correct)
        world.at(start + rng.randrange(for_ms), bounce, world, node, rng.randrange(1, 5_000))
    if (
        len(world.correct) == len(world.nodes)
        and world.genesis_config.offline
        and rng.random() < 0.3
    ):
        node = rng.choice(world.correct)
        lose = rng.choice((wipe, roll_back, damage))
        world.at(start + rng.randrange(for_ms), lose, world, node, rng.randrange(1, 5_000))
    for _ in range(world.faults.partitions):
        at = start + rng.randrange(for_ms)
        world.at(at, partition, world)
        world.at(at + rng.randrange(500, 6_000), world.cut.clear)
    return records


def submit(world: World, node: Node, record: str, records: list[str]) -> None:
    if node.up:
        node.submit(record)
        records.append(record)
        world.note("submit", node.index, record)


def bounce(world: World, node: Node, down_ms: int) -> None:
    if node.up:
        world.note("crash", node.index)
        node.crash()
        world.after(down_ms, revive, node)


def wipe(world: World, node: Node, down_ms: int) -> None:
    world.note("wipe", node.index)
    node.crash()
    node.life += 1
    world.after(down_ms, node.wipe)


def roll_back(world: World, node: Node, down_ms: int) -> None:
    """A copy of a while ago is put in the place of the disk, and the operator says so."""
    world.note("roll back", node.index)
    copy = node.disk.copy()

    def restore() -> None:
        node.crash()
        node.life += 1
        world.after(down_ms, node.replace, copy)

    world.after(world.rng.randrange(100, 4_000), restore)


def damage(world: World, node: Node, down_ms: int) -> None:
    """One bit flips on the disk while the node is down; it notices by itself."""
    world.note("damage", node.index)
    node.crash()
    node.life += 1
    node.disk.flip(world.rng)
    world.after(down_ms, revive, node)


def revive(node: Node) -> None:
    if not node.up:
        node.start()


def partition(world: World) -> None:
    rng = world.rng
    pairs = [(a.index, b.index) for a in world.nodes for b in world.nodes if a is not b]
    if rng.random() < 0.5:
        side = {node.index for node in world.nodes if rng.random() < 0.5}
        world.cut |= {(a, b) for a, b in pairs if (a in side) != (b in side)}
    else:
        world.cut |= {pair for pair in pairs if rng.random() < 0.4}


def heal(world: World) -> None:
    world.cut.clear()
    world.shares.clear()
    world.faults = Faults(delay_ms=20, sync_ms=2)
    for node in world.nodes:
        if not node.up:
            node.start()


def must_recover(world: World, records: list[str], within_ms: int = HEAL_MS) -> None:
    """3.5: after healing, every accepted record is final at every correct node."""
    deadline = world.now + within_ms
    expected = set(records)
    while world.now < deadline:
        world.run(2_000)
        # A disk that is lost late takes along what it alone held.
        expected &= {record for node in world.correct for record in node.disk.records}
        heights = {len(node.disk.chain) for node in world.correct}
        done = all(expected <= node.disk.included for node in world.correct)
        tips = {node.core.tip.height for node in world.correct}
        if done and len(heights) == 1 and tips == {h - 1 for h in heights}:
            return
    state = [(n.index, n.core.view, len(n.disk.chain), n.core.index) for n in world.correct]
    must(False, "no progress after healing", state)


def must_be_silent(world: World, for_ms: int = 60_000) -> None:
    """Idle: nothing is signed and no view changes."""
    for node in world.nodes:
        if not node.correct and not isinstance(node, Mute | Twin):
            node.crash()
    world.run(10_000)
    signatures = world.invariants.signatures
    views = [node.core.view for node in world.correct]
    world.run(for_ms)
    must(world.invariants.signatures == signatures, "words in idle time")
    must([node.core.view for node in world.correct] == views, "views change in idle time")


def run_seed(seed: int, machine: type[Consensus] = Consensus, driver: type[Node] = Node) -> World:
    """Everything for one seed. Raises `Broken`, or `InvariantError` from the machine itself."""
    world = build_world(seed, machine, driver)
    records = trouble(world)
    world.run(TROUBLE_MS)
    world.invariants.bounded()
    heal(world)
    bad = {node.key for node in world.nodes if not node.correct}
    if len(bad) > world.genesis_config.offline:
        world.run(TROUBLE_MS)
        return world
    must_recover(world, records)
    must_be_silent(world)
    return world
