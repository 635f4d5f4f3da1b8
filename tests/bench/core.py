"""The core alone: tree, audit of a chain, proofs (G1, G4, G11)."""

from collections.abc import Iterator
from hashlib import sha256

from ledger.chain import Tip, check_block
from ledger.crypto import EDDSA, verify
from ledger.encoding import decode_statement
from ledger.merkle import Frontier, Tree, leaf_hashes, verify_inclusion
from tests.bench.measure import Goal, best_cpu_s
from tests.support.graphs import calculation_of, graph_of, node
from tests.support.world import Blocks, World, make_world

ENTRIES = 4_000
BLOCK = 1_000
LEAVES = 1 << 20
NODES = 10_000


class Chain:
    """A world with blocks of individually signed accesses."""

    def __init__(self, world: World, raws: list[bytes], size: int = BLOCK) -> None:
        self.world = world
        self.raws = raws
        self.blocks: list[list[bytes]] = []
        history = Blocks(world.genesis)
        tip = world.genesis.tip
        for start in range(0, len(raws), size):
            entries = raws[start : start + size]
            applied = world.extend(tip, entries, history)
            history.add(applied)
            self.blocks.append([*entries, applied.seal.raw])
            tip = applied.tip
        self.tip = tip

    def audit(self) -> Tip:
        """Parse, canonical form, signatures, rules, findings, state and tree of all blocks."""
        history = Blocks(self.world.genesis)
        tip = self.world.genesis.tip
        for entries in self.blocks:
            applied = check_block(tip, entries, history, verify)
            history.add(applied)
            tip = applied.tip
        return tip


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    yield from _tree()
    yield from _audit()
    yield from _proofs()
    yield from _attribution()


def _tree() -> Iterator[Goal]:
    data = [b"%410d" % n for n in range(50_000)]
    pairs = [b"\x01" + sha256(b"%d" % n).digest() * 2 for n in range(50_000)]
    prefixed = [b"\x00" + item for item in data]

    def bare() -> None:
        for leaf in prefixed:
            sha256(leaf).digest()
        for pair in pairs:
            sha256(pair).digest()

    best = best_cpu_s({"tree": lambda: Frontier().extend(leaf_hashes(data)).root(), "bare": bare})
    yield Goal(
        "merkle::root/n=50000", "G1 tree and hashes / bare hashes", best["tree"] / best["bare"], 1.5
    )


def _audit() -> Iterator[Goal]:
    world = make_world()
    chain = Chain(world, world.accesses(ENTRIES))
    key = world.keys["h1"].system.public_key
    statements = [decode_statement(raw) for raw in chain.raws]

    def signatures() -> None:
        for statement in statements:
            verify(EDDSA, key, statement.signature, statement.to_be_signed)

    best = best_cpu_s({"audit": chain.audit, "signatures": signatures})
    ratio = best["audit"] / best["signatures"]
    per_entry = best["audit"] / ENTRIES * 1e6
    what = f"full audit / signatures alone ({per_entry:.0f} us CPU an entry)"
    yield Goal(f"chain::check_block/n={ENTRIES}", what, ratio, 1.6)


def _proofs() -> Iterator[Goal]:
    tree = Tree(sha256(b"%d" % n).digest() for n in range(LEAVES))
    places = [n * 7919 % LEAVES for n in range(2_000)]
    root = tree.root(LEAVES)
    paths = [(n, tree.leaf(n), tree.inclusion(n, LEAVES)) for n in places]
    left, right = sha256(b"left").digest(), sha256(b"right").digest()

    def unit() -> None:
        for _ in range(20_000):
            sha256(b"\x01" + left + right).digest()

    def check() -> None:
        for index, leaf, path in paths:
            verify_inclusion(index, LEAVES, leaf, path, root)

    best = best_cpu_s(
        {"unit": unit, "make": lambda: [tree.inclusion(n, LEAVES) for n in places], "check": check}
    )
    one = best["unit"] / 20_000
    for name, work, bound in (("inclusion", "make", 15.0), ("verify_inclusion", "check", 30.0)):
        what = f"G11 {'generate' if work == 'make' else 'verify'} a proof / one node hash"
        yield Goal(f"merkle::{name}/n={LEAVES}", what, best[work] / len(places) / one, bound)


def _attribution() -> Iterator[Goal]:
    """Layers of derived datasets, and the same number of signatures to check: what a second is."""
    layers = [
        node(
            f"d{n}",
            "dataset-version",
            [
                ("derived_from", f"d{n - 10 - n % 10 + (n + k * 3) % 10}")
                for k in range(3)
                if n >= 10
            ],
            [(f"org:{n % 30}", "custodian", None), (f"pid:{n % 2000}", "contributor", "lead")],
        )
        for n in range(NODES - 2)
    ]
    used = [("used", f"d{n}") for n in range(NODES - 12, NODES - 2)]
    graph = graph_of(
        [*layers, node("run", "compute-run", used), node("r", "result", [("generated_by", "run")])]
    )
    signer = make_world().keys["h1"].system
    message = b"a message"
    signature = signer.sign(message)

    def signatures() -> None:
        for _ in range(NODES):
            verify(EDDSA, signer.public_key, signature, message)

    best = best_cpu_s(
        {"shares": lambda: calculation_of(graph, "r").digest, "signatures": signatures}, rounds=3
    )
    ratio = best["shares"] / best["signatures"]
    what = f"attribution of a graph / as many signatures ({best['shares']:.2f} s CPU)"
    yield Goal(f"attribution::calculate/n={NODES}", what, ratio, 0.8)
