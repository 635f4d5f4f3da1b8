"""A node at work: ingest of single signatures and of batches, fsyncs, bytes on disk, queries, and
the audit of its export on two cores (G5, G6, G7, G8, G12).

The node is a process of its own; its CPU time is what the kernel says. Constants are measured here,
in turns with the node's work.
"""

import itertools
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cli.home import load_signer
from cli.offline import Audit, Held
from ledger.crypto import EDDSA, verify
from ledger.encoding import decode_statement
from node.client import NodeClient
from node.store.schema import PRAGMAS
from tests.bench.measure import Goal, cpu_s
from tests.cli.conftest import log_file, make_chain
from tests.support.copies import Chain, write_copy
from tests.support.process import Node, make_served_home
from tests.support.world import make_world

ROUNDS = 5
SINGLE = 4_000
BATCHES = 160
EVENTS = 150
AUDITED = 60_000
ROWS = 40_000
PAGE_S = 0.05
CORES = 2
DATA = Path(__file__).parents[3] / "shared" / "data" / "idash2018"
_TERMS: dict[str, str | int] = {
    "dataset": "MOD_SGD",
    "person": "ext:idash:6",
    "activity": "FILE_ACCESS",
    "system": "idash-1",
    "request": "idash-1/1",
    "finding": "UNREGISTERED",
    "from": "2018-03-25T18:00:00.000Z",
    "to": "2018-03-26",
}
_SORTS = ("at", "-at", "dataset", "-person", "activity", "-system", "seq", "-seq")
QUESTIONS = [
    {**dict(terms), "sort": sort, "limit": 50}
    for count in range(4)
    for terms in itertools.combinations(_TERMS.items(), count)
    for sort in _SORTS
]
"""Every choice of up to three predicates, in eight orders."""


def goals() -> Iterator[Goal]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _single(Path(folder) / "single")
        yield from _batched(Path(folder) / "batched")
        yield from _audit(Path(folder) / "copy")
        yield from _queries(Path(folder) / "queries")


def node_cpu_s(node: Node) -> float:
    """CPU seconds of a node process so far, all threads, user and system.

    Linux has a clock for every process, of nanoseconds where /proc counts ticks of ten
    milliseconds: `MAKE_PROCESS_CPUCLOCK` of its posix-timers.h.
    """
    return time.clock_gettime(~node.process.pid << 3 | 2)


def ingest(node: Node, raws: Sequence[bytes]) -> float:
    """CPU seconds of the node for these entries, in requests of up to 1,000."""
    before = node_cpu_s(node)
    for answer in node.client.submit_many(raws):
        if not all(result["status"] == "published" for result in answer["results"]):
            raise RuntimeError("the node refused an entry of the measurement")
    return node_cpu_s(node) - before


def counter(client: NodeClient, name: str) -> int:
    """A counter of `GET /metrics`."""
    for line in client.metrics().splitlines():
        if line.startswith(f"alliance_{name} "):
            return int(line.rpartition(" ")[2])
    raise KeyError(name)


def _single(home: Path) -> Iterator[Goal]:
    world = make_world()
    node = Node.start(make_served_home(world, home))
    key = world.keys["h1"].system.public_key
    node_s, bare_s, held = [], [], 0
    for number in range(ROUNDS):
        raws = world.accesses(SINGLE, first_seq=1 + number * SINGLE)
        held += sum(map(len, raws))
        statements = [decode_statement(raw) for raw in raws]
        checks = [(s.signature, s.to_be_signed) for s in statements]
        bare_s.append(cpu_s(lambda checks=checks: verify_all(key, checks)))  # type: ignore[misc]
        node_s.append(ingest(node, raws))
    fsyncs, blocks = counter(node.client, "fsyncs_total"), counter(node.client, "height") + 1
    node.stop()
    ratio = min(bare_s) / min(node_s)
    beyond = (min(node_s) - min(bare_s)) / min(bare_s)
    each = min(node_s) / SINGLE * 1e6
    what = f"G6 signatures alone / node ({each:.0f} us CPU an entry; {beyond:.2f} checks beyond)"
    yield Goal(f"node::ingest/single/n={SINGLE}", what, ratio, 0.55, at_least=True)
    yield Goal("node::fsyncs", "G8 transactions for each block", fsyncs / blocks, 1.0)
    size = (home / "ledger.db").stat().st_size
    yield Goal(f"node::disk/single/n={ROUNDS * SINGLE}", "G12 database / entries", size / held, 1.6)


def verify_all(key: bytes, checks: Sequence[tuple[bytes, bytes]]) -> None:
    """One bare check after the other."""
    for signature, message in checks:
        verify(EDDSA, key, signature, message)


def _batched(home: Path) -> Iterator[Goal]:
    world = make_world()
    node = Node.start(make_served_home(world, home))
    node_s = []
    for number in range(ROUNDS):
        first = 1 + number * BATCHES * EVENTS
        raws = [world.batch(EVENTS, first_seq=first + at * EVENTS) for at in range(BATCHES)]
        node_s.append(ingest(node, raws))
    node.stop()
    bare_s = min(bare_insert_s(home / "ledger.db") for _ in range(ROUNDS)) / ROUNDS
    each = min(node_s) / BATCHES / EVENTS * 1e6
    what = f"G7 bare inserts of the same rows / node ({each:.1f} us CPU an event)"
    name = f"node::ingest/batched/n={BATCHES * EVENTS}"
    yield Goal(name, what, bare_s / min(node_s), 0.45, at_least=True)


def bare_insert_s(database: Path, before: Path | None = None) -> float:
    """CPU seconds to put the rows of a database into one of the same tables, indexes and settings,
    in as many transactions as it has blocks.

    That one is empty, or holds what `before` does, an earlier copy of the database: rows cost more
    where there are many already.
    """
    copy = database.with_suffix(".again")
    with closing(sqlite3.connect(database)) as source:
        schema, rows = _content(source)
    held = {}
    if before is not None:
        with closing(sqlite3.connect(before)) as earlier:
            held = _content(earlier)[1]
    with closing(sqlite3.connect(copy, isolation_level=None)) as target:
        for pragma in PRAGMAS:
            target.execute(pragma)
        for sql in schema:
            target.execute(sql)
        _insert(target, held)
        known = {name: set(those) for name, those in held.items()}
        fresh = {
            name: [row for row in those if row not in known.get(name, ())]
            for name, those in rows.items()
        }
        spent = cpu_s(lambda: _insert(target, fresh))
    copy.unlink()
    return spent


def _content(source: sqlite3.Connection) -> tuple[list[str], dict[str, list[Any]]]:
    """The statements that make the tables and indexes, and the rows of each table."""
    schema = source.execute("SELECT type, name, sql FROM sqlite_master WHERE sql > ''").fetchall()
    rows: dict[str, list[Any]] = {
        name: source.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
        for kind, name, _sql in schema
        if kind == "table"
    }
    return [sql for _kind, _name, sql in schema], rows


def _insert(target: sqlite3.Connection, rows: dict[str, list[Any]]) -> None:
    blocks = len(rows.get("block", ()))
    for number in range(blocks):
        target.execute("BEGIN IMMEDIATE")
        for name, all_rows in rows.items():
            start, end = (at * len(all_rows) // blocks for at in (number, number + 1))
            share = all_rows[start:end]
            if share:
                # A few rows change in place: those are there already.
                marks = ",".join("?" * len(share[0]))
                target.executemany(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", share)  # noqa: S608
        target.execute("COMMIT")


def _audit(folder: Path) -> Iterator[Goal]:
    world = make_world()
    chain = Chain(world)
    raws = world.accesses(AUDITED)
    for start in range(0, AUDITED, 1_000):
        chain.add(raws[start : start + 1_000])
    write_copy(folder, world, chain.entries(), chain.certificates())
    wall: dict[int, float] = {}
    for _ in range(3):
        for workers in (0, CORES):
            start_s = time.perf_counter()
            report = Audit(folder, Held(genesis=world.bundle), workers).run(lambda _done: None)
            spent = time.perf_counter() - start_s
            if not report.is_valid:
                raise RuntimeError("the copy of the measurement does not pass the audit")
            wall[workers] = min(spent, wall.get(workers, spent))
    name = f"audit::copy/n={AUDITED}"
    ratio = wall[0] / wall[CORES]
    yield Goal(name, "G5 wall time on one core / on two", ratio, 1.7, at_least=True)


def _queries(folder: Path) -> Iterator[Goal]:
    folder.mkdir()
    files = sorted(DATA.glob("node[1-4].tsv")) or [log_file(folder / "node1.tsv", ROWS)]
    with make_chain(folder / "home") as chain:
        chain.json("import", "idash", *files)
        slowest = 0.0
        with NodeClient(chain.url, load_signer(chain.home, "officer", None)) as client:
            for params in QUESTIONS:
                times = []
                for _ in range(ROUNDS):
                    start_s = time.perf_counter()
                    client.accesses(params)
                    times.append(time.perf_counter() - start_s)
                slowest = max(slowest, min(times))
    what = f"slowest first page of {len(QUESTIONS)} questions ({slowest * 1e3:.0f} ms) / 50 ms"
    yield Goal(f"node::accesses/n={ROWS}", what, slowest / PAGE_S, 1.0)
