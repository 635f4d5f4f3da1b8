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

import msgspec
import pytest

from cli.joining import INVITES, Newcomer
from cli.main import main
from cli.screen import language, set_language
from ledger.errors import AllianceError
from ledger.records.envelope import ENCODE, decode_canonical
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
        self.wait(self.answers)

    def answers(self) -> bool:
        with NodeClient(f"http://127.0.0.1:{self.port}") as client:
            try:
                client.alive()
            except AllianceError:
                return False
        return True

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
        office.wait(office.answers)

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


def test_a_lone_member_changes_its_keys_by_commands(town: Town) -> None:
    town.found("h1")
    office = town.office("h1")
    old = (office.home / "keys" / "node.json").read_text()
    assert town.command("h1", "ready", code=14)["rule"] == "X8.pending"
    leaf = town.command("h1", "node", "rotate")["leaf"]
    town.command("h1", "endorse", leaf)
    # The node that runs has not seen the keys: a word of theirs now would leave it without any.
    assert town.command("h1", "ready", code=18)["rule"] == "X8.restart"
    office.restart()
    town.retry("h1", "ready")
    assert town.retry("h1", "config", "show")["current"]["epoch"] == 1
    office.restart()
    assert (office.home / "keys" / "node.json").read_text() != old
    assert list((office.home / "keys").glob("next-*")) == []
    town.retry("h1", "dataset", "register", "GTEx", "--openness", "conditional")


def test_an_auditor_runs_a_read_replica_with_one_command(town: Town, tmp_path: Path) -> None:
    """And the member with another one, which registers its key."""
    town.found("h1")
    town.command("h1", "dataset", "register", "GTEx", "--openness", "conditional")
    file, auditor = tmp_path / "auditor.invite", town.office("auditor")
    pin = town.command("h1", "invite", "h1", "--out", file)["pin"]
    auditor.run("observe", file, "--pin", pin, "--port", str(auditor.port))
    auditor.says("Waits until h1 has registered the key")
    described = auditor.home / "observer.key"
    town.command("h1", "key", "register", described)
    auditor.says("Up to date")
    found = town.retry("auditor", "state", "dataset", "GTEx")
    assert found == town.command("h1", "state", "dataset", "GTEx")
    # It reads, and its key writes nothing.
    words = ["dataset", "register", "mine", "--openness", "closed", "--key", "observer"]
    assert town.command("auditor", *words, code=20)["rule"] == "P1"
    # The same command goes on, with the same key.
    auditor.kill()
    before = described.read_bytes()
    auditor.run("observe", file, "--port", str(auditor.port))
    town.command("h1", "dataset", "register", "TCGA", "--openness", "conditional")
    town.retry("auditor", "state", "dataset", "TCGA")
    assert described.read_bytes() == before


# --- what an invitation may not be ----------------------------------------------------------------


def test_invitations_that_somebody_changed(town: Town, tmp_path: Path) -> None:
    for org in ("h1", "h9"):
        town.command(org, "init", "--org", org)
    file, other = tmp_path / "h2.invite", tmp_path / "other.invite"
    said = town.command("h1", "invite", "h2", "--address", "http://127.0.0.1:1", "--out", file)
    town.command("h9", "invite", "h2", "--address", "http://127.0.0.1:1", "--out", other)
    good = decode_canonical(file.read_bytes(), INVITES)
    foreign = decode_canonical(other.read_bytes(), INVITES)
    changed = tmp_path / "changed.invite"

    def refused(code: int, *words: str) -> str:
        return str(town.command("h2", "join", changed, *words, code=code)["rule"])

    for fields in ({"genesis": foreign.genesis}, {"pin": foreign.pin}):
        changed.write_bytes(ENCODE(msgspec.structs.replace(good, **fields)))
        assert refused(15) == "X8.damaged"
    for text in (b"", b"{}", file.read_bytes()[:-1], file.read_bytes().replace(b"http:", b"file:")):
        changed.write_bytes(text)
        assert refused(10) == "X8.invite"
    # Another chain as a whole shows only by the pin that people compare.
    changed.write_bytes(other.read_bytes())
    assert refused(15, "--pin", said["pin"]) == "X8.pin"
    assert not town.office("h2").home.exists()
    # A home that is on a chain stays on it.
    assert town.command("h1", "join", changed, code=13)["rule"] == "X8.other"
    # And of the institution that it is of; one that was begun for something else is left as it is.
    assert town.command("h1", "join", file, code=13)["rule"] == "X8.home"
    assert not (town.office("h1").home / "h2.part").exists()
    town.command("h3", "create", "part", "--org", "h3", "--out", tmp_path / "h3.part")
    before = (town.office("h3").home / "node.toml").read_bytes()
    assert town.command("h3", "join", file, code=14)["rule"] == "X1.key"
    assert (town.office("h3").home / "node.toml").read_bytes() == before
    assert town.command("h1", "invite", "h2", "--out", file, code=13)["rule"] == "X1.exists"
    assert (
        town.command("h1", "invite", "h3", "--out", tmp_path / "x", code=18)["rule"] == "X8.address"
    )
