"""Real processes, killed in the middle of an import: the same command again finishes it; nothing
is there twice or missing.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from cli.idash import read_lines
from node.client import NodeClient, UnreachableError
from tests.cli.conftest import Chain, call, free_port, log_file

LINES = 4_000
ROUNDS = 2
NODES = (1, 2)
TOTAL = LINES * len(NODES)
START_S = 300
PROGRAM = (sys.executable, "-m", "cli")


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A home directory whose node is not running yet."""
    port = free_port()
    made = call("init", "--org", "h1", "--port", str(port), "--home", tmp_path / "home")
    assert made.code == 0, made.err
    return Chain(tmp_path / "home", f"http://127.0.0.1:{port}")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [log_file(tmp_path / f"node{node}.tsv", LINES, node=node) for node in NODES]


@contextmanager
def node_process(chain: Chain) -> Iterator["subprocess.Popen[bytes]"]:
    """`alliance node run`, until the end of the block or until somebody kills it."""
    process = subprocess.Popen([*PROGRAM, "node", "run", "--home", str(chain.home)])
    try:
        with NodeClient(chain.url) as client:
            deadline = time.monotonic() + START_S
            while True:
                assert process.poll() is None, "the node did not start"
                assert time.monotonic() < deadline, "the node did not start"
                try:
                    client.alive()
                    break
                except UnreachableError:
                    time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(300)


def start_import(chain: Chain, files: list[Path]) -> "subprocess.Popen[bytes]":
    """`alliance import idash` as a process of its own."""
    return subprocess.Popen(
        [*PROGRAM, "import", "idash", *map(str, files), "--home", str(chain.home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "ALLIANCE_LANG": "en"},
    )


def acknowledged(chain: Chain) -> dict[str, int]:
    """What the import holds block receipts for: leaf hash to index on the chain."""
    found = {}
    for path in (chain.home / "receipts").glob("block-*.json"):
        receipt = msgspec.json.decode(path.read_bytes())
        start = receipt["seal"]["index"] - len(receipt["leaves"])
        found.update({leaf: start + at for at, leaf in enumerate(receipt["leaves"])})
    return found


def wait_for_more(chain: Chain, process: "subprocess.Popen[bytes]", before: int) -> None:
    """Until the import has been answered some more."""
    deadline = time.monotonic() + START_S
    while len(acknowledged(chain)) <= before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def check_complete(chain: Chain, files: list[Path], answered: dict[str, int]) -> None:
    """Every line once, at the place that was answered; the sources' ends are without findings."""
    places = {}
    for node, path in zip(NODES, files, strict=True):
        page = chain.json("accesses", "--system", f"idash-{node}", "--sort", "index", "--all")
        lines = list(read_lines(path))
        assert [row["seq"] for row in page["rows"]] == [line.seq for line in lines]
        assert [row["dataset"] for row in page["rows"]] == [line.resource for line in lines]
        places.update({row["leaf"]: row["index"] for row in page["rows"]})
    assert len(places) == TOTAL
    assert answered.items() <= places.items()
    for node in NODES:
        assert chain.json("source-close", f"idash-{node}")["findings"] == []
    assert chain.json("node", "status")["types"]["access"] == TOTAL


def check_audit(chain: Chain, folder: Path) -> None:
    """A stranger finds the copy in order."""
    assert chain("export", folder).code == 0
    done = call("audit", folder, "--genesis", chain.home / "genesis", "--lang", "en")
    assert done.code == 0, done.out + done.err


def test_an_import_killed_again_and_again_is_finished_by_the_same_command(
    chain: Chain, files: list[Path], tmp_path: Path
) -> None:
    chance = random.Random(5)
    answered: dict[str, int] = {}
    with node_process(chain):
        for _round in range(ROUNDS):
            process = start_import(chain, files)
            wait_for_more(chain, process, len(answered))
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
            process.communicate(timeout=300)
            assert process.returncode == -9
            assert answered.items() <= acknowledged(chain).items()
            answered = acknowledged(chain)
        on_chain = chain.json("node", "status")["types"]["access"]
        assert len(answered) <= on_chain < TOTAL
        last = chain("import", "idash", *files, "--lang", "en")
        assert last.code == 0, last.err
        again = chain("import", "idash", *files, "--lang", "en")
        check_complete(chain, files, answered)
        check_audit(chain, tmp_path / "copy")
    head, _, _ = last.out.partition(";")
    new, known = int(head.split()[2]), int(head.split()[5])
    assert head.startswith(f"{TOTAL} lines: ")
    assert new + known == TOTAL
    # The node may have finished a request whose sender was dead already.
    assert known >= on_chain
    assert f"{TOTAL} lines: 0 newly recorded, {TOTAL} recorded before" in again.out


def test_a_node_killed_under_an_import_loses_nothing_that_it_answered(
    chain: Chain, files: list[Path], tmp_path: Path
) -> None:
    chance = random.Random(6)
    answered: dict[str, int] = {}
    for _round in range(ROUNDS):
        with node_process(chain) as node:
            process = start_import(chain, files)
            wait_for_more(chain, process, len(answered))
            time.sleep(chance.uniform(0, 0.1))
            node.kill()
            node.wait(300)
            _out, err = process.communicate(timeout=300)
        assert process.returncode == 19
        assert b"O7" in err
        assert b"alliance node run" in err
        assert b"Traceback" not in err
        assert answered.items() <= acknowledged(chain).items()
        answered = acknowledged(chain)
    assert 0 < len(answered) < TOTAL
    with node_process(chain):
        on_chain = chain.json("node", "status")["types"]["access"]
        assert on_chain >= len(answered)
        done = chain.json("import", "idash", *files)
        assert (done["lines"], done["known"]) == (TOTAL, on_chain)
        assert done["new"] == TOTAL - on_chain
        check_complete(chain, files, answered)
        check_audit(chain, tmp_path / "copy")
