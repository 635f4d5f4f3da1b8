"""The members on the stage of `alliance demo`, and the table that shows what they do."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.home import AnySigner, load_signer
from cli.idash import DEFAULT_SYSTEM
from cli.importing import check_files, import_files
from cli.options import Place
from cli.screen import say
from cli.session import Session
from cli.stage import Demo, free_port, start_command, start_node, stop_node, wait_for_node
from ledger.errors import AllianceError, ProofError
from ledger.rules.values import DecisionState
from node.client import NodeClient
from node.forms import Health

REFRESH_S: Final = 0.5
LINE_EVERY_S: Final = 5.0
SETTLE_S: Final = 120.0


class Hospital:
    """One member on the stage."""

    def __init__(self, scene: Demo, org: str, file: Path | None = None) -> None:
        self.org = org
        self.file = file
        """Its own log; None for an institution that has none to record."""
        self.home = scene.out / org
        self.log = scene.out / f"{org}.log"
        self.port = free_port()
        self.peer_port = free_port()
        self.lines = check_files([file]) if file else 0
        self.recorded = 0
        self.state = "demo-working"
        self.process: subprocess.Popen[bytes] | None = None
        self.thread: threading.Thread | None = None
        self.error: AllianceError | None = None

    @property
    def files(self) -> list[Path]:
        """The logs that it records."""
        return [self.file] if self.file else []

    def start(self) -> None:
        """Start the node and wait until it answers. Raises `ConfigError` (X6.node)."""
        self._forget_key()
        self.process = start_node(self.home, self.log)
        wait_for_node(self.port, self.process, self.log)

    def join(self, *words: str | Path) -> None:
        """Start the node with the command that joins it, which stays. Raises `ConfigError`
        (X6.node).
        """
        self._forget_key()
        self.process = start_command(["join", *map(str, words)], self.home, self.log)
        wait_for_node(self.port, self.process, self.log)

    def kill(self) -> None:
        """As `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """As an operator does."""
        if self.process is not None:
            stop_node(self.process)
            self.process = None

    def record(self) -> None:
        """Begin to record this member's own log at its own node."""
        self.recorded = 0
        self.error = None
        self.thread = threading.Thread(target=self._record, name=self.org, daemon=True)
        self.thread.start()

    def _record(self) -> None:
        try:
            with Session(Place(self.home, None, None, "system")) as session:
                import_files(session, self.files, DEFAULT_SYSTEM, self._advance)
        except AllianceError as error:
            self.error = error

    def _advance(self, step: int) -> None:
        self.recorded += step

    @property
    def busy(self) -> bool:
        """Whether its log is still being recorded."""
        return self.thread is not None and self.thread.is_alive()

    @cached_property
    def signer(self) -> AnySigner:
        """The node's own key, which asks how far it is: it is known there before the chain knows
        it.
        """
        return load_signer(self.home, "node", None)

    def _forget_key(self) -> None:
        """The node may have been given another one since it was asked last."""
        vars(self).pop("signer", None)

    def health(self) -> Health | None:
        """What its node says; None when it says nothing."""
        url = f"http://127.0.0.1:{self.port}"
        try:
            with NodeClient(url, self.signer, timeout_s=5) as client:
                return client.health()
        except AllianceError:
            return None


def settle(hospitals: list[Hospital]) -> None:
    """Until all have published the same size. Raises `ProofError` (V30) when they do not."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        healths = [hospital.health() for hospital in hospitals]
        sizes = {health["published"] if health else None for health in healths}
        if len(sizes) == 1 and sizes != {None}:
            return
        time.sleep(0.1)
    raise ProofError("V30", count=len(hospitals))


def decision_at(home: Path, leaf: str) -> str:
    """How a decision stands, as the member's own node proves it."""
    with Session(Place(home, None, None, "officer")) as session:
        decision = session.state(DecisionState, "decision", leaf)
    return decision.status if decision else "PENDING"


class Board:
    """What happens, while it happens: a table on a terminal, a line now and then elsewhere."""

    def __init__(self, hospitals: list[Hospital]) -> None:
        self.hospitals = hospitals
        self._live: Live | None = None
        self._said = 0.0

    def __enter__(self) -> "Board":
        if sys.stdout.isatty():
            self._live = Live(self.table(), console=Console(), transient=False)
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.update(self.table())
            self._live.stop()
            self._live = None

    def until(self, done: Callable[[], bool]) -> None:
        """Show how far all are, until something holds."""
        while not done():
            if self._live is not None:
                self._live.update(self.table())
            elif time.monotonic() - self._said >= LINE_EVERY_S:
                self._said = time.monotonic()
                typer.echo("  " + "   ".join(" ".join(row) for row in self.rows()))
            time.sleep(REFRESH_S)

    def rows(self) -> list[tuple[str, ...]]:
        """For each member: name, lines recorded, height, published size, state."""
        rows: list[tuple[str, ...]] = []
        for hospital in self.hospitals:
            health = hospital.health()
            height, published = (health["height"], health["published"]) if health else (None, None)
            rows.append((
                hospital.org,
                f"{hospital.recorded}/{hospital.lines}",
                "-" if height is None else str(height),
                str(published or "-"),
                say(hospital.state),
            ))  # fmt: skip
        return rows

    def table(self) -> Table:
        """The rows on a terminal."""
        table = Table()
        for name in ("member", "recorded", "height", "published", "state"):
            table.add_column(say(f"demo-column-{name}"))
        for row in self.rows():
            table.add_row(*row)
        return table
