"""Four members at work, each a process of its own: ingest, a late member, one record, a dead one
(G6, G7, G8, G9, G13).

CPU is what the kernel says of all node processes together; constants are measured here, in turns
with the network's work.
"""

import os
import shutil
import signal
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from ledger.encoding import decode_statement
from tests.bench.measure import Goal, cpu_s
from tests.bench.node import bare_insert_s, counter, node_cpu_s, verify_all
from tests.support.process import Node, free_port, make_network
from tests.support.world import World, make_world

ORGS = ("h1", "h2", "h3", "h4")
ROUNDS = 3
TRIES = 6
"""Four processes on two cores meet more noise than one: the best of so many."""
SINGLE = 2_000
BATCHES = 80
EVENTS = 150
RECORDS = 40
FSYNCS = 200
FSYNC_BYTES = 4_096
WAIT_S = 60.0
ASK_S = 0.2
"""Asking how far the nodes are costs them, too."""


class Network:
    """The node processes of a world, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.world: World = make_world(ORGS)
        self.homes = make_network(self.world, folder, {org: free_port() for org in ORGS})
        self.nodes: dict[str, Node] = {}

    def start(self, *orgs: str) -> None:
        """Start the nodes of these members."""
        for org in orgs:
            self.nodes[org] = Node.start(self.homes[org])

    def stop(self, *orgs: str) -> None:
        """End these, or all."""
        for org in orgs or tuple(self.nodes):
            self.nodes.pop(org).kill()

    def signal(self, number: signal.Signals) -> None:
        """To all nodes that run."""
        for node in self.nodes.values():
            node.process.send_signal(number)

    def cpu_s(self) -> float:
        """CPU seconds of all nodes so far."""
        return sum(map(node_cpu_s, self.nodes.values()))

    def wait_equal(self) -> None:
        """Until all running nodes have published the largest size. Raises `TimeoutError`."""
        deadline = time.monotonic() + WAIT_S
        while True:
            # The others are a moment behind, and asked too early all are asked twice.
            time.sleep(ASK_S)
            healths = [node.client.health() for node in self.nodes.values()]
            size = max(health["size"] for health in healths)
            if all(health["published"] == size for health in healths):
                return
            if time.monotonic() > deadline:
                raise TimeoutError("the nodes of the measurement do not reach the same size")

    def ingest(self, org: str, raws: Sequence[bytes]) -> tuple[float, float]:
        """Entries in requests of up to 1,000 to one member, until all have them: CPU seconds of
        all nodes, and seconds until the answer.
        """
        before, start = self.cpu_s(), time.perf_counter()
        for answer in self.nodes[org].client.submit_many(raws):
            if not all(result["status"] == "published" for result in answer["results"]):
                raise RuntimeError("the network refused an entry of the measurement")
        spent = time.perf_counter() - start
        self.wait_equal()
        return self.cpu_s() - before, spent


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _single(Path(folder) / "single")
        yield from _batched(Path(folder) / "batched")


def _single(folder: Path) -> Iterator[Goal]:
    net = Network(folder)
    net.start(*ORGS)
    try:
        yield from _individually(net)
        yield _one_record(net, folder)
        yield _one_dead(net)
    finally:
        net.stop()


def _individually(net: Network) -> Iterator[Goal]:
    key = net.world.keys["h1"].system.public_key
    node_s, bare_s = [], []
    fsyncs = blocks = 0
    for number in range(TRIES):
        raws = net.world.accesses(SINGLE, first_seq=1 + number * SINGLE)
        statements = [decode_statement(raw) for raw in raws]
        checks = [(s.signature, s.to_be_signed) for s in statements]
        bare_s.append(cpu_s(lambda checks=checks: verify_all(key, checks)))  # type: ignore[misc]
        before = _written(net)
        node_s.append(net.ingest("h1", raws)[0])
        after = _written(net)
        fsyncs, blocks = fsyncs + after[0] - before[0], blocks + after[1] - before[1]
    each = min(node_s) / SINGLE / len(ORGS)
    what = f"G6 n x signatures alone / all nodes ({each * 1e6:.0f} us CPU an entry and node)"
    ratio = len(ORGS) * min(bare_s) / min(node_s)
    yield Goal(f"net::ingest/single/n=4x{SINGLE}", what, ratio, 0.55, at_least=True)
    yield Goal("net::fsyncs", "G8 transactions for each block and node", fsyncs / blocks, 4.0)


def _written(net: Network) -> tuple[int, int]:
    """Transactions and blocks of all nodes so far."""
    clients = [node.client for node in net.nodes.values()]
    return (
        sum(counter(client, "fsyncs_total") for client in clients),
        sum(counter(client, "height") for client in clients),
    )


def _one_record(net: Network, folder: Path) -> Goal:
    """A single record to an idle network, until it is published."""
    waits, fsyncs = [], []
    for number in range(RECORDS):
        raw = net.world.access(seq=1_000_000 + number)
        start = time.perf_counter()
        net.nodes[ORGS[number % 4]].client.submit(raw)
        waits.append(time.perf_counter() - start)
        net.wait_equal()
        fsyncs += _fsync_times(folder / "fsync", FSYNCS // RECORDS)
    wait, unit = statistics.median(waits), statistics.median(fsyncs)
    what = f"G13 one record until published, p50 ({wait * 1e3:.1f} ms) / one fsync"
    return Goal("net::latency/n=4", f"{what} ({unit * 1e3:.2f} ms)", wait / unit, 25.0)


def _fsync_times(path: Path, count: int) -> list[float]:
    """Seconds to append a page to a file and have it on the disk."""
    times = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            start = time.perf_counter()
            file.write(bytes(FSYNC_BYTES))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return times


def _one_dead(net: Network) -> Goal:
    """Entries a second of the same load without the fourth member, to that with it."""
    walls = []
    for step in range(2):
        rounds = []
        for number in range(ROUNDS):
            first = 2_000_000 + (step * ROUNDS + number) * SINGLE
            rounds.append(_all_at_once(net, first))
        walls.append(min(rounds))
        if step == 0:
            net.stop("h4")
    what = f"entries a second with one of four dead / alive ({SINGLE / walls[0]:.0f})"
    return Goal("net::throughput/dead=1", what, walls[0] / walls[1], 0.9, at_least=True)


def _all_at_once(net: Network, first: int) -> float:
    """Seconds until three members, loaded together, have answered."""
    orgs = ORGS[:3]
    share = SINGLE // len(orgs)
    loads = [net.world.accesses(share, first_seq=first + share * at) for at in range(len(orgs))]
    start = time.perf_counter()
    with ThreadPoolExecutor(len(orgs)) as pool:
        list(pool.map(net.ingest, orgs, loads))
    return time.perf_counter() - start


def _batched(folder: Path) -> Iterator[Goal]:
    net = Network(folder)
    net.start(*ORGS[:3])
    try:
        for number in range(ROUNDS):
            net.ingest("h1", _batches(net, number))
        yield _late_member(net)
        yield _in_batches(net)
    finally:
        net.stop()


def _batches(net: Network, number: int) -> list[bytes]:
    first = 1 + number * BATCHES * EVENTS
    return [net.world.batch(EVENTS, first_seq=first + at * EVENTS) for at in range(BATCHES)]


def _late_member(net: Network) -> Goal:
    """The fourth member starts with nothing and fetches all blocks; less what its start costs, at
    which the others stand still.
    """
    home, untouched = net.homes["h4"], net.homes["h4"].with_suffix(".untouched")
    shutil.copytree(home, untouched)
    tries, store, fetch = [], [], []
    for _ in range(TRIES):
        if tries:
            net.stop("h4")
            shutil.rmtree(home)
            shutil.copytree(untouched, home)
        net.signal(signal.SIGSTOP)
        net.start("h4")
        fresh_s = node_cpu_s(net.nodes["h4"])
        net.signal(signal.SIGCONT)
        net.wait_equal()
        tries.append(node_cpu_s(net.nodes["h4"]) - fresh_s)
        store.append(bare_insert_s(net.homes["h1"] / "ledger.db"))
        fetch.append(cpu_s(lambda: _fetch(net)))
    spent_s, bare_s = min(tries), min(store) + min(fetch)
    each = spent_s / (ROUNDS * BATCHES * EVENTS) * 1e6
    what = f"G9 late member / unchecked fetch and store ({each:.1f} us CPU an event)"
    return Goal(f"net::sync/batched/n={ROUNDS * BATCHES * EVENTS}", what,
                spent_s / bare_s, 2.5)  # fmt: skip


def _fetch(net: Network) -> None:
    """All blocks, read from one member and believed."""
    client, first = net.nodes["h1"].client, 0
    while blocks := client.blocks(first):
        first += len(blocks)


def _in_batches(net: Network) -> Goal:
    database = net.homes["h1"] / "ledger.db"
    before = database.with_suffix(".before")
    nodes, bare = [], []
    for number in range(TRIES):
        before.unlink(missing_ok=True)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(before)) as copy:
            source.backup(copy)
        nodes.append(net.ingest("h1", _batches(net, ROUNDS + number))[0])
        bare.append(bare_insert_s(database, before))
    node_s, bare_s = min(nodes), min(bare)
    each = node_s / len(ORGS) / BATCHES / EVENTS * 1e6
    what = f"G7 n x bare inserts / all nodes ({each:.1f} us CPU an event and node)"
    name = f"net::ingest/batched/n=4x{BATCHES * EVENTS}"
    return Goal(name, what, len(ORGS) * bare_s / node_s, 0.45, at_least=True)
