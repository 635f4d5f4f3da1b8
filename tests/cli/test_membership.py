"""A chain that grows and changes by commands alone, as the operators of hospitals type them (SPEC
5.7, 11.5).
"""

import contextvars
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.joining import Newcomer
from cli.main import main
from cli.screen import language, set_language
from node.client import NodeClient
from tests.support.process import free_port

WAIT_S = 40


class Office:
    """One institution: its home directory, its node, and the commands of its people."""

    def __init__(self, folder: Path, org: str) -> None:
        self.org = org
        self.home = folder / org
        self.port, self.peer_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"{org}.log"

    def run(self, *words: str | Path) -> None:
        """Start a command that stays."""
        command = [sys.executable, "-m", "cli", *map(str, words), "--home", str(self.home)]
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.run("node", "run")
        self.wait(lambda: bool(self.health()))

    def health(self) -> dict[str, Any]:
        with NodeClient(f"http://127.0.0.1:{self.port}") as client:
            try:
                return client.health()
            except Exception:  # noqa: BLE001  # not there yet
                return {}

    def wait(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not reached():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def says(self, text: str) -> None:
        """Until the command that stays has said something."""
        self.wait(lambda: text in self.log.read_text())


class Town:
    """The institutions, and how a command is run for one of them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.offices: dict[str, Office] = {}
        self._capsys = capsys

    def office(self, org: str) -> Office:
        return self.offices.setdefault(org, Office(self.folder, org))

    def command(self, org: str, *words: str | Path, code: int = 0) -> Any:  # noqa: ANN401
        """Run a command; what it prints as JSON."""
        self._capsys.readouterr()
        home = ["--home", str(self.office(org).home), "--json"]
        assert main([*map(str, words), *home]) == code, self._capsys.readouterr().err
        said = self._capsys.readouterr()
        return json.loads(said.err if code else said.out)

    def found(self, org: str) -> None:
        office = self.office(org)
        self.command(org, "init", "--org", org, "--port", str(office.port))
        self.command(org, "node", "peers", "--listen", f"127.0.0.1:{office.peer_port}")
        office.run("node", "run")
        office.wait(lambda: bool(office.health()))

    def decide(self, org: str, others: list[str], *words: str | Path) -> str:
        """A proposal, and the endorsements of these committees; its leaf hash."""
        leaf = str(self.command(org, *words)["leaf"])
        for other in others:
            self.retry(other, "endorse", leaf)
        return leaf

    def retry(self, org: str, *words: str | Path) -> Any:  # noqa: ANN401
        """Run a command until the node of this institution has seen what it is about."""
        deadline = time.monotonic() + WAIT_S
        while True:
            self._capsys.readouterr()
            code = main([*map(str, words), "--home", str(self.office(org).home), "--json"])
            said = self._capsys.readouterr()
            if code == 0:
                return json.loads(said.out)
            assert time.monotonic() < deadline, said.err
            time.sleep(0.2)

    def invite(self, org: str, by: str) -> Office:
        """The invitation, and the joiner's command with it."""
        joiner = self.office(org)
        file = self.folder / f"{org}.invite"
        pin = self.command(by, "invite", org, "--out", file)["pin"]
        listen = f"127.0.0.1:{joiner.peer_port}"
        joiner.run("join", file, "--pin", pin, "--port", str(joiner.port), "--listen", listen)
        joiner.wait(lambda: (joiner.home / f"{org}.part").exists())
        return joiner

    def resolve(self, org: str, others: list[str], no: str) -> None:
        """The resolution of a meeting that admits somebody."""
        words = ["resolution", no, "--kind", "admit", "--date", "2026-01-01"]
        words += ["--present", "1", "--for", "1"]
        self.decide(org, others, *words)


@pytest.fixture
def town(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Town]:
    made = Town(tmp_path, capsys)
    yield made
    for office in made.offices.values():
        office.kill()


def test_a_second_member_joins_by_commands(town: Town) -> None:
    town.found("h1")
    h2 = town.invite("h2", by="h1")
    h2.says("No member answers h2 yet")
    town.resolve("h1", [], "R-1")
    part = h2.home / "h2.part"
    town.command("h1", "admit", part, "--resolution", "R-1")
    h2.says("waits for the committee to decide")
    # The committee has two members now; the second one decides at its own node.
    town.decide("h1", ["h1", "h2"], "config", "add", part)
    h2.says("Declared ready for epoch 1")
    assert town.command("h1", "ready")["type"] == "ready"
    h2.says("h2 is a member since epoch 1")
    found = town.retry("h2", "config", "show")
    assert {m["org"] for m in found["current"]["members"]} == {"h1", "h2"}
    assert (found["current"]["q"], found["pending"]) == (2, None)


def test_the_watching_of_a_newcomer_speaks_the_language_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken: list[str] = []
    monkeypatch.setattr(Newcomer, "_run", lambda _self: spoken.append(language()))

    def command() -> None:
        set_language("zh")
        newcomer = Newcomer(tmp_path, None, "h2")
        newcomer.start()
        newcomer.stop()

    contextvars.copy_context().run(command)
    assert spoken == ["zh"]
