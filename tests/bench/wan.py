"""Four, seven and ten members over links of 20 to 60 ms, some of them silent: how long one record
takes, and what a block costs each node (consensus.md 5.3, 5.4).

A simulation: real drivers, stores and signatures in one process, stepped on virtual time
(tests/support/stepped.py). Latency is virtual and contains no CPU; CPU is this process's, for all
nodes, and contains the simulation's own share.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ledger.encoding import decode_statement
from ledger.members import tolerated_offline
from tests.bench.measure import Goal, cpu_s
from tests.bench.node import verify_all
from tests.support.stepped import Stepped, published
from tests.support.world import make_world

MEMBERS = (4, 7, 10)
RECORDS = 24
LINK_MS = (20, 60)
HOP_MS = sum(LINK_MS) / 2
PAUSE_MS = 1_500
"""Between two records: the network is idle when the next one comes."""
STEP_MS = 5
PATIENCE_MS = 10_000
SILENT_MS = 1_000
"""A silent member may cost the others so long, once."""


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    check_s = _one_check_s()
    for count in MEMBERS:
        q = -(-2 * count // 3)
        for silent in range(tolerated_offline(count, q) + 1):
            with tempfile.TemporaryDirectory() as folder:
                yield from _network(Path(folder), count, silent, check_s)


def _network(folder: Path, count: int, silent: int, check_s: float) -> Iterator[Goal]:
    orgs = tuple(f"h{number}" for number in range(1, count + 1))
    net = Stepped(folder, make_world(orgs))
    random = Random(count)
    net.delays = {
        frozenset({one, two}): random.randint(*LINK_MS) for one in orgs for two in orgs if one < two
    }
    seqs = iter(range(1, 10_000))
    _one_record(net, orgs[0], next(seqs))
    for org in orgs[count - silent :]:
        net.cut(org)
    awake = orgs[: count - silent]
    # Each silent member costs the others one wait when its turn to lead first comes.
    first = [_one_record(net, awake[at % len(awake)], next(seqs)) for at in range(count)]
    height, start = _height(net), time.process_time()
    waits = [_one_record(net, awake[at % len(awake)], next(seqs)) for at in range(RECORDS)]
    spent_s = time.process_time() - start
    blocks = _height(net) - height
    net.check()
    net.close()
    each_s = spent_s / blocks / len(awake)
    p50, p90 = statistics.median(waits), sorted(waits)[int(0.9 * len(waits))]
    name = f"wan::latency/n={count},silent={silent}"
    what = (
        f"one record published, p90 ({p90} ms; p50 {p50:.0f} ms; {each_s * 1e3:.1f} ms CPU a block"
        f" and node = {each_s / check_s:.0f} signature checks) / one hop of {HOP_MS:.0f} ms"
    )
    yield Goal(name, what, p90 / HOP_MS, 12.0)
    if silent:
        extra = (sum(first) - len(first) * p50) / silent
        what = f"what a member that falls silent costs the others, once ({extra:.0f} ms) / 1 s"
        yield Goal(f"wan::silence/n={count},silent={silent}", what, extra / SILENT_MS, 1.0)


def _one_record(net: Stepped, org: str, seq: int) -> int:
    """Milliseconds of virtual time until one record is published, then an idle pause."""
    future = net.submit(org, net.world.access(seq=seq))
    waited = 0
    while not future.done() and waited < PATIENCE_MS:
        net.run(STEP_MS)
        waited += STEP_MS
    published(future)
    net.run(PAUSE_MS)
    return waited


def _height(net: Stepped) -> int:
    return next(iter(net.drivers.values())).final.tip.height


def _one_check_s() -> float:
    world = make_world(("h1",))
    statements = [decode_statement(raw) for raw in world.accesses(500)]
    checks = [(s.signature, s.to_be_signed) for s in statements]
    key = world.keys["h1"].system.public_key
    return min(cpu_s(lambda: verify_all(key, checks)) for _ in range(3)) / len(checks)
