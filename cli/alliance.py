"""The story of four institutions: found together, each recording its own log, one of them killed in
the middle; at the end four copies that are equal, and an audit of one.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.home import AnySigner, load_signer
from cli.idash import DEFAULT_SYSTEM, read_lines
from cli.importing import check_files, import_files
from cli.options import Place
from cli.screen import say
from cli.session import Session
from cli.stage import (
    LEFT_OUT,
    ORIGIN,
    Demo,
    free_port,
    names_of,
    register_quietly,
    start_node,
    stop_node,
    wait_for_node,
)
from ledger.errors import AllianceError, ProofError
from node.client import NodeClient
from node.forms import Health

KILL_AFTER: Final = 0.25
"""The part of its log that the member to be killed has recorded by then."""
GO_ON: Final = 3_000
"""So many lines the others record while it is down."""
REFRESH_S: Final = 0.5
LINE_EVERY_S: Final = 5.0
SETTLE_S: Final = 120.0


class Hospital:
    """One member on the stage."""

    def __init__(self, scene: Demo, org: str, file: Path) -> None:
        self.org = org
        self.file = file
        self.home = scene.out / org
        self.log = scene.out / f"{org}.log"
        self.port = free_port()
        self.peer_port = free_port()
        self.lines = check_files([file])
        self.recorded = 0
        self.state = "demo-working"
        self.process: subprocess.Popen[bytes] | None = None
        self.thread: threading.Thread | None = None
        self.error: AllianceError | None = None

    def start(self) -> None:
        """Start the node and wait until it answers. Raises `ConfigError` (X6.node)."""
        self.process = start_node(self.home, self.log)
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
                import_files(session, [self.file], DEFAULT_SYSTEM, self._advance)
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
        """The officer's key, which asks how far the node is."""
        return load_signer(self.home, "officer", None)

    def health(self) -> Health | None:
        """What its node says; None when it says nothing."""
        url = f"http://127.0.0.1:{self.port}"
        try:
            with NodeClient(url, self.signer, timeout_s=5) as client:
                return client.health()
        except AllianceError:
            return None


def show_alliance(scene: Demo, files: list[Path]) -> None:
    """From the founders' keys to the comparison of all copies."""
    hospitals = [Hospital(scene, f"h{n}", file) for n, file in enumerate(files, 1)]
    found_together(scene, hospitals)
    try:
        scene.step("demo-nodes", count=len(hospitals))
        for hospital in hospitals:
            hospital.start()
        register(scene, hospitals)
        record_all(scene, hospitals)
        compare(scene, hospitals)
    finally:
        for hospital in hospitals:
            hospital.stop()
    audit(scene, hospitals)


def found_together(scene: Demo, hospitals: list[Hospital]) -> None:
    """Each member makes its own keys; together they make block 0."""
    scene.step("demo-found", count=len(hospitals))
    out = scene.out
    convener = hospitals[0]
    for hospital in hospitals:
        scene.run_quietly(
            "create", "part", "--org", hospital.org, "--home", hospital.home,
            "--port", str(hospital.port), "--out", out / f"{hospital.org}.part",
        )  # fmt: skip
    parts = [out / f"{hospital.org}.part" for hospital in hospitals]
    scene.run(
        "create", "draft", *parts, "--home", convener.home, "--origin", ORIGIN,
        "--name-en", "Critical care alliance", "--name-zh", "重症医学联盟",
        "--out", out / "draft", home=False,
    )  # fmt: skip
    for hospital in hospitals:
        scene.run_quietly(
            "create", "accept", out / "draft", "--home", hospital.home,
            "--out", out / f"{hospital.org}.acceptance",
        )  # fmt: skip
    accepted = [out / f"{hospital.org}.acceptance" for hospital in hospitals]
    scene.run_quietly(
        "create", "finish", out / "draft", *accepted, "--home", convener.home,
        "--out", out / "genesis",
    )  # fmt: skip
    for hospital in hospitals:
        if hospital is not convener:
            scene.run_quietly("create", "take", out / "genesis", "--home", hospital.home)
        others = [
            f"{other.org}=http://127.0.0.1:{other.peer_port}"
            for other in hospitals
            if other is not hospital
        ]
        listen = f"127.0.0.1:{hospital.peer_port}"
        scene.run_quietly("node", "peers", *others, "--listen", listen, "--home", hospital.home)


def register(scene: Demo, hospitals: list[Hospital]) -> None:
    """The first member's officer registers the datasets of all logs, but for two."""
    names = names_of(line for h in hospitals for line in read_lines(h.file))
    left = ", ".join(names[-LEFT_OUT:])
    scene.step("demo-datasets", count=len(names) - LEFT_OUT, left=left)
    first = hospitals[0]
    register_quietly(first.home, first.org, sorted(names[:-LEFT_OUT]))
    scene.step("demo-early-copy")
    scene.run("export", scene.out / "early-copy", "--home", first.home, home=False)


# --- all at the same time ---


def record_all(scene: Demo, hospitals: list[Hospital]) -> None:
    """Every member records its own log at its own node; the last one's node is killed and started
    again in the middle. Raises what stops a member for good.
    """
    victim = hospitals[-1]
    scene.step("demo-all", count=sum(h.lines for h in hospitals), victim=victim.org)
    for hospital in hospitals:
        typer.echo(
            typer.style(f"$ alliance import idash {hospital.file} --home {hospital.home} &", "cyan")
        )
        hospital.record()
    board = Board(hospitals)
    with board:
        board.until(lambda: victim.recorded >= KILL_AFTER * victim.lines or not victim.busy)
        victim.kill()
        victim.state = "demo-killed"
        others = hospitals[:-1]
        goal = sum(hospital.recorded for hospital in others) + GO_ON
        end = time.monotonic() + SETTLE_S
        board.until(
            lambda: (
                sum(h.recorded for h in others) >= goal
                or not any(h.busy for h in others)
                or time.monotonic() > end
            )
        )
        victim.state = "demo-working"
    typer.echo(say("demo-others", counts=_counts(hospitals[:-1])))
    victim.start()
    if victim.thread is not None:
        victim.thread.join()
    victim.record()
    with board:
        board.until(lambda: not any(hospital.busy for hospital in hospitals))
    for hospital in hospitals:
        if hospital.error is not None:
            raise hospital.error
    _settle(hospitals)
    typer.echo(say("demo-caught-up", victim=victim.org))
    scene.step("demo-close")
    for hospital in hospitals:
        node = next(read_lines(hospital.file)).node
        scene.run("source-close", f"{DEFAULT_SYSTEM}-{node}", "--home", hospital.home, home=False)
    _settle(hospitals)
    scene.run("node", "status", "--home", hospitals[1].home, home=False)


def _counts(hospitals: list[Hospital]) -> str:
    return ", ".join(f"{hospital.org} {hospital.recorded}" for hospital in hospitals)


def _settle(hospitals: list[Hospital]) -> None:
    """Until all have published the same size. Raises `ProofError` (V30) when they do not."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        healths = [hospital.health() for hospital in hospitals]
        sizes = {health["published"] if health else None for health in healths}
        if len(sizes) == 1 and sizes != {None}:
            return
        time.sleep(0.1)
    raise ProofError("V30", count=len(hospitals))


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


# --- the end ---


def compare(scene: Demo, hospitals: list[Hospital]) -> None:
    """A copy from each member's node: the same files, byte for byte."""
    scene.step("demo-copies", count=len(hospitals))
    prints = []
    for hospital in hospitals:
        folder = scene.out / f"copy-{hospital.org}"
        scene.run("export", folder, "--home", hospital.home, home=False)
        prints.append(_fingerprint(folder))
    if len(set(prints)) != 1:
        raise ProofError("V30", count=len(hospitals))
    typer.echo(typer.style(say("demo-equal", count=len(prints), digest=prints[0][:16]), fg="green"))
    for hospital in hospitals[2:]:
        shutil.rmtree(scene.out / f"copy-{hospital.org}")


def _fingerprint(folder: Path) -> str:
    """One digest over all entries and tiles: what the members must have in common."""
    digest = sha256()
    for path in sorted((folder / "tile").rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def audit(scene: Demo, hospitals: list[Hospital]) -> None:
    """What an auditor does with a copy, without any node."""
    genesis = scene.out / "genesis"
    scene.step("demo-audit-any", org=hospitals[1].org)
    scene.run(
        "audit", scene.out / f"copy-{hospitals[1].org}", "--genesis", genesis,
        "--since", scene.out / "early-copy", home=False,
    )  # fmt: skip
    scene.step("demo-drill")
    scene.run("audit", "drill", scene.out / "early-copy", home=False)
