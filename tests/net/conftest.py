"""Networks of real node processes; every one of them is ended by the test that started it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.process import Node, make_network
from tests.support.world import World, make_world

WAIT_S = 30.0


class Network:
    """The nodes of a world, by organisation."""

    def __init__(self, folder: Path, orgs: tuple[str, ...]) -> None:
        self.world: World = make_world(orgs)
        self.homes = make_network(self.world, folder)
        self.nodes: dict[str, Node] = {}

    def start(self, *orgs: str) -> None:
        """Start these members' nodes; all when none is named."""
        for org in orgs or self.homes:
            self.nodes[org] = Node.start(self.homes[org])

    def kill(self, org: str) -> None:
        """As `kill -9` does."""
        self.nodes.pop(org).kill()

    def stop(self) -> None:
        """End all that still run."""
        for org in list(self.nodes):
            self.nodes.pop(org).kill()

    def health(self, org: str) -> dict[str, Any]:
        """What a node says of itself."""
        return self.nodes[org].client.health()

    def metric(self, org: str, name: str) -> int:
        """A counter of a node."""
        text = httpx.get(self.nodes[org].client.url + "/metrics").text
        lines = [line for line in text.splitlines() if line.startswith(f"alliance_{name} ")]
        return int(lines[0].rpartition(" ")[2])

    def wait(self, reached: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
        """Until something holds."""
        deadline = time.monotonic() + wait_s
        while not reached():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def wait_equal(self, size: int) -> None:
        """Until all running nodes have published this size, with one root."""
        for org in self.nodes:
            self.wait(lambda org=org: self.health(org)["published"] == size, f"{org} at {size}")  # type: ignore[misc]
        heads = {bytes(node.client.checkpoint().split(b"\n\n")[0]) for node in self.nodes.values()}
        assert len(heads) == 1


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Callable[..., Network]]:
    """Makes networks; ends them with the test."""
    made: list[Network] = []

    def make(*orgs: str) -> Network:
        made.append(Network(tmp_path / str(len(made)), orgs))
        return made[-1]

    yield make
    for item in made:
        item.stop()
