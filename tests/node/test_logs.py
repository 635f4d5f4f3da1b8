"""What a node writes: one line for each event, as text or JSON, with nothing of keys or contents;
and how it stops under load.
"""

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import AllianceError, InvariantError
from node import logs
from node.client import NodeClient
from tests.node.test_accusations import wait_for
from tests.support.process import make_served_home, node_signer
from tests.support.world import World, make_world
from tests.tidy.source import modules

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_restored")
def test_one_line_for_each_event_in_both_forms() -> None:
    for form in logs.FORMATS:
        stream = io.StringIO()
        logs.set_up(form, stream)
        logs.log_event(logging.WARNING, "clock-off", offset_ms=2_500, note='two "words"\nand more')
        logging.getLogger("library.of.others").warning("Invalid HTTP request received.")
        logging.getLogger("library.of.others").info("Started server process")
        lines = stream.getvalue().splitlines()
        assert len(lines) == 2
        if form == "json":
            first, second = map(json.loads, lines)
            assert TIME.match(first.pop("time"))
            assert first == {
                "level": "warning", "event": "clock-off", "offset_ms": 2_500,
                "note": 'two "words"\nand more',
            }  # fmt: skip
            assert second["event"] == "http-server"
        else:
            assert lines[0].split(" ", 1)[1].startswith('warning clock-off offset_ms=2500 note="')
            assert TIME.match(lines[0].split(" ")[0])


@pytest.mark.usefixtures("_restored")
def test_of_a_mistake_only_its_kind_and_place_are_written() -> None:
    stream = io.StringIO()
    logs.set_up("json", stream)
    try:
        int("a patient's name")
    except ValueError as error:
        logs.LOG.error("mistake", exc_info=error, extra={"fields": {}})
    line = json.loads(stream.getvalue())
    assert line["exception"] == "ValueError"
    assert "test_of_a_mistake" in line["trace"]
    assert "patient" not in stream.getvalue()


def test_every_event_is_known() -> None:
    with pytest.raises(InvariantError):
        logs.log_event(logging.INFO, "something else")
    written = {
        name
        for path in modules("node")
        for name in re.findall(r'log_event\(\s*\w+,\s*"([a-z-]+)"', path.read_text())
    }
    computed = {"clock-off", "clock-right", "mistake", "http-server"}
    assert written | computed == set(logs.EVENTS)


class Watched:
    """A node as an operator starts it, with its lines."""

    def __init__(self, home: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "node", "run", "--home", str(home), *words],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        port = re.findall(r"port = (\d+)", (home / "node.toml").read_text())[0]
        self.client = NodeClient(f"http://127.0.0.1:{port}", node_signer(home))

    def answers(self) -> bool:
        try:
            return bool(self.client.health())
        except AllianceError:
            return False

    def stop(self) -> tuple[int, str]:
        self.process.terminate()
        _out, err = self.process.communicate(timeout=60)
        self.client.close()
        return self.process.returncode, err


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    """Starts nodes; ends what a failed test leaves."""
    started: list[Watched] = []

    def start(home: Path, *words: str) -> Watched:
        started.append(Watched(home, *words))
        wait_for(started[-1].answers)
        return started[-1]

    yield start
    for node in started:
        if node.process.poll() is None:
            node.process.kill()
            node.process.communicate()


def test_a_node_writes_no_secret_and_no_content_and_stops_gracefully_under_load(
    tmp_path: Path, watched: Callable[..., Watched]
) -> None:
    world = make_world()
    home = make_served_home(world, tmp_path / "home")
    node = watched(home, "--log-format", "json")
    published: dict[str, int] = {}
    refused = world.access(seq=1, dataset="SecretStudy", person="ext:ward:4711")[:-1] + b"x"
    with pytest.raises(AllianceError):
        node.client.submit(refused)
    stopping = threading.Event()
    load = threading.Thread(target=_load, args=(home, node.client.url, world, published, stopping))
    load.start()
    wait_for(lambda: len(published) > 200)
    code, err = node.stop()
    stopping.set()
    load.join(60)
    assert code == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in err.splitlines()]
    events = [line["event"] for line in lines]
    assert (events[0], events[-2:]) == ("node-started", ["node-stopping", "node-stopped"])
    assert lines[-1]["pending"] == 0
    assert all(TIME.match(line["time"]) for line in lines)
    for word in ("SecretStudy", "4711", "for tests only", "PRIVATE", "idash", '"D1"'):
        assert word not in err
    again = watched(home)
    for leaf, index in list(published.items())[:: max(1, len(published) // 50)]:
        assert again.client.entry(leaf)["index"] == index
    assert again.client.health()["size"] >= len(published)
    code, text = again.stop()
    assert (code, "node-started org=h1" in text) == (0, True)


def _load(
    home: Path, url: str, world: World, published: dict[str, int], stopping: threading.Event
) -> None:
    """Bundles without a pause, until nobody answers any more."""
    seq = 100
    with NodeClient(url, node_signer(home)) as client:
        while not stopping.is_set():
            raws = world.accesses(40, first_seq=seq)
            seq += 40
            try:
                results = client.submit_chunk(raws)["results"]
            except AllianceError:
                return
            published |= {r["leaf"]: r["index"] for r in results if r["status"] == "published"}
