"""A real node, killed at random moments under load: what was answered is there, nothing is half
written.
"""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.encoding import b64url
from ledger.errors import AllianceError, BusyError
from ledger.records import decode_entry
from node.client import UnreachableError
from node.main import rebuild
from tests.support.node import make_config, running
from tests.support.process import PROGRAM, Node, make_served_home
from tests.support.world import World, make_world

ROUNDS = 5


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    return make_served_home(world, tmp_path / "home")


def _entries(world: World) -> Iterator[list[bytes]]:
    """Requests of changing sizes without end."""
    chance = random.Random(3)
    seq = 1
    while True:
        count = chance.choice((1, 1, 5, 40, 150))
        yield world.accesses(count, first_seq=seq)
        seq += count


def _send(node: Node, raws: list[bytes], answered: dict[str, int]) -> None:
    if not raws:
        return
    for result in node.client.submit_chunk(raws)["results"]:
        assert result["status"] == "published"
        answered[result["leaf"]] = result["index"]


def test_killed_at_any_moment_nothing_answered_is_lost(home: Path, world: World) -> None:
    chance = random.Random(os.environ.get("ALLIANCE_TEST_SEED", "1"))
    answered: dict[str, int] = {}
    unsure: list[bytes] = []
    requests = _entries(world)
    for _ in range(ROUNDS):
        node = Node.start(home)
        # What had no answer when the node died is sent again: on the chain once, however often it
        # is sent.
        _send(node, unsure, answered)
        unsure = []
        end = time.monotonic() + chance.uniform(0.05, 1.2)
        killer = subprocess.Popen(  # kills from outside, in the middle of a request
            ["/bin/sh", "-c", f"sleep {end - time.monotonic():.3f}; kill -9 {node.process.pid}"]
        )
        try:
            for raws in requests:
                unsure = raws
                _send(node, raws, answered)
                unsure = []
        except UnreachableError:
            pass
        killer.wait(10)
        node.kill()
    node = Node.start(home)
    _send(node, unsure, answered)
    assert len(answered) > 20
    for leaf, index in random.Random(1).sample(sorted(answered.items()), 20):
        assert node.client.entry(leaf)["index"] == index
    assert node.stop() == 0
    _check_copy(home, answered)


def _check_copy(home: Path, answered: dict[str, int]) -> None:
    """Every answered entry stands where the answer said, each once; the indexes are those of a
    rebuild.
    """
    with running(make_config(home)) as driver:
        size = driver.view.tip.size
        leaves = {b64url(driver.store.tree.leaf(index)): index for index in range(size)}
        assert len(leaves) == size
        for leaf, index in answered.items():
            assert leaves[leaf] == index
        ids = [decode_entry(raw).record.id for raw in _records(driver.store.entries(0, size))]
        assert len(set(ids)) == len(ids)
        before = driver.store.select("SELECT * FROM access")
    list(rebuild(make_config(home)))
    with running(make_config(home)) as driver:
        assert driver.store.select("SELECT * FROM access") == before
        assert driver.view.tip.size == size


def _records(raws: list[bytes]) -> Iterator[bytes]:
    for raw in raws:
        try:
            decode_entry(raw)
        except AllianceError:
            continue
        yield raw


def test_a_second_process_is_refused_and_the_first_goes_on(home: Path, world: World) -> None:
    node = Node.start(home)
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home)], capture_output=True, text=True, timeout=60
    )
    assert other.returncode != 0
    assert "O2.locked" in other.stderr
    assert node.client.submit(world.access(seq=1))["status"] == "published"
    assert node.stop() == 0


def test_a_truncated_request_of_a_real_connection(home: Path, world: World) -> None:
    node = Node.start(home)
    port = int(node.client.url.rpartition(":")[2])
    raw = world.access(seq=1)
    head = f"POST /api/v1/entries HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cose\r\nContent-Length: {len(raw)}\r\n\r\n"  # noqa: E501
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + raw[:100])
    assert node.client.health()["size"] == 3
    assert node.client.submit(raw)["index"] == 3
    with pytest.raises(AllianceError) as error:
        node.client.submit(raw[:-1])
    assert error.value.rule == "B1.signature"
    assert node.stop() == 0


def test_a_node_that_stops_answers_whoever_waits(tmp_path: Path) -> None:
    """Alone of four nothing becomes final; its caller is told so, not left to wait for that."""
    world = make_world(("h1", "h2", "h3", "h4"))
    home = make_served_home(world, tmp_path / "home")
    with (home / "node.toml").open("a") as settings:
        settings.write("wait_ms = 300_000\nstop_ms = 300_000\n")
    node = Node.start(home)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(node.client.submit, world.access(seq=1))
        deadline = time.monotonic() + 30
        while not node.client.health()["pending"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert node.stop() == 0
        with pytest.raises(BusyError, match=r"O4\.stopping"):
            asked.result()


def test_a_stopped_node_leaves_one_small_file(home: Path, world: World) -> None:
    node = Node.start(home)
    raws = world.accesses(3_000)
    answers = list(node.client.submit_many(raws))
    assert [len(answer["results"]) for answer in answers] == [1000, 1000, 1000]
    rows = list(node.client.all_accesses({"dataset": "D3", "sort": "-seq", "limit": 100}))
    assert [row["seq"] for row in rows] == [seq for seq in range(3_000, 0, -1) if seq % 8 == 3]
    assert len(node.client.blocks(0)) == 4
    assert node.stop() == 0
    files = [file for file in home.iterdir() if file.name.startswith("ledger.db")]
    assert {file.name for file in files} == {"ledger.db", "ledger.db.lock"}
    assert sum(file.stat().st_size for file in files) <= 1.6 * sum(map(len, raws))
