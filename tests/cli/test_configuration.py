"""Who votes with what quorum, changed by the commands that officers type: `endpoint`, `config
quorum`, `config remove`, `leave` (consensus.md 2.17; SPEC 5.7). Three members, each node a thread.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import call, serving
from tests.cli.test_create import make_accepted
from tests.support.process import free_port

WAIT_S = 60


class Three:
    """Three founders, and what their people type."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, org: str, *words: str | Path) -> Any:  # noqa: ANN401
        """The result of a command, which is tried until this node has seen what it is about."""
        deadline = time.monotonic() + WAIT_S
        while True:
            result = call(*words, "--home", self.folder / org, "--json")
            if result.code == 0:
                return result.json
            assert time.monotonic() < deadline, result.err
            time.sleep(0.05)

    def refused(self, org: str, *words: str) -> str:
        """The rule by which a command is refused at once."""
        result = call(*words, "--home", self.folder / org, "--json")
        assert result.code != 0
        return next(r for r in result.err.split('"') if r[:2] in ("R3", "X8"))

    def decide(self, org: str, *words: str) -> Any:  # noqa: ANN401
        """A proposal by an officer, endorsed by two committees of three; what the first said."""
        made = self.json(org, *words)
        for other in ("h1", "h2"):
            self.json(other, "endorse", made["leaf"])
        return made

    def enter(self, epoch: int, *ready: str) -> dict[str, Any]:
        """These declare themselves ready; the configuration that is in force then."""
        for org in ready:
            self.json(org, "ready")
        deadline = time.monotonic() + WAIT_S
        while (current := self.json("h1", "config", "show")["current"])["epoch"] != epoch:
            assert time.monotonic() < deadline, current
            time.sleep(0.05)
        found: dict[str, Any] = current
        return found


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    orgs = ("h1", "h2", "h3")
    founders = make_accepted(tmp_path, orgs)
    made = founders.finish(*founders.files("acceptance"), out="genesis")
    assert made.code == 0, made.err
    ports = {org: free_port() for org in orgs}
    with ExitStack() as stack:
        for org in orgs:
            home = ("--home", tmp_path / org)
            if org != "h1":
                assert call("create", "take", tmp_path / "genesis", *home).code == 0
            others = [f"{o}=http://127.0.0.1:{ports[o]}" for o in orgs if o != org]
            listen = ("--listen", f"127.0.0.1:{ports[org]}")
            assert call("node", "peers", *others, *listen, *home).code == 0
            stack.enter_context(serving(tmp_path / org))
        yield Three(tmp_path)


def orgs_of(config: dict[str, Any]) -> list[str]:
    return sorted(member["org"] for member in config["members"])


def test_the_quorum_changes_members_go_and_one_is_left(three: Three) -> None:
    # Another quorum, for the same members; one that two halves could reach is none.
    assert three.refused("h1", "config", "quorum", "1") == "R33"
    three.decide("h1", "config", "quorum", "3")
    pending = three.json("h1", "config", "show")["pending"]
    assert (pending["must"], pending["besides"]) == ([], 3)
    config = three.enter(1, "h1", "h2", "h3")
    assert (orgs_of(config), config["q"]) == (["h1", "h2", "h3"], 3)

    # One decision takes the place of another: `leave` by h3 that of the removal of h2.
    assert three.refused("h1", "config", "remove", "h9") == "X8.absent"
    three.decide("h1", "config", "remove", "h2")
    assert orgs_of(three.json("h1", "config", "show")["pending"]["config"]) == ["h1", "h3"]
    three.decide("h3", "leave")
    assert orgs_of(three.json("h1", "config", "show")["pending"]["config"]) == ["h1", "h2"]
    config = three.enter(2, "h1", "h2")
    assert (orgs_of(config), config["q"]) == (["h1", "h2"], 2)
    # h3 is no voter any more, and none that could leave.
    assert three.json("h3", "node", "status")["node"]["status"] == "observing"
    assert three.refused("h1", "config", "remove", "h3") == "X8.absent"

    # The removal that h2 does not propose itself; then h1 decides alone.
    three.decide("h1", "config", "remove", "h2")
    config = three.enter(3, "h1")
    assert (orgs_of(config), config["q"]) == (["h1"], 1)
    assert three.json("h1", "dataset", "register", "GTEx", "--openness", "conditional")
    # Nobody is left to decide when the last one goes.
    assert three.refused("h1", "leave") == "R30"


def test_an_address_is_told_by_the_command_and_taken_back(three: Three) -> None:
    url = "http://127.0.0.1:1"
    three.json("h3", "endpoint", url)
    assert three.json("h1", "state", "endpoint", "h3")["value"]["urls"] == [url]
    three.json("h3", "endpoint")
    value = three.json("h1", "state", "endpoint", "h3")["value"]
    assert value.get("urls") is None
