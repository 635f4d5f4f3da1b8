"""The story of four institutions: found together, each recording its own log, one of them killed in
the middle; a fifth joins; at the end five copies that are equal, and an audit of one.
"""

import shutil
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import typer

from cli.accession import take_in
from cli.hospitals import SETTLE_S, Board, Hospital, settle
from cli.idash import DEFAULT_SYSTEM, read_lines
from cli.life import Cast, House, Life
from cli.screen import say
from cli.stage import (
    LEFT_OUT,
    ORIGIN,
    Demo,
    names_of,
    register_quietly,
)
from cli.story import attribution, tell
from ledger.errors import ProofError

KILL_AFTER: Final = 0.25
"""The part of its log that the member to be killed has recorded by then."""
GO_ON: Final = 3_000
"""So many lines the others record while it is down."""


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
        live(scene, hospitals)
        hospitals.append(take_in(scene, hospitals))
        compare(scene, hospitals)
    finally:
        for hospital in hospitals:
            hospital.stop()
    audit(scene, hospitals)


class Old(NamedTuple):
    """What founders have of a chain that can go on no more, by organisation: the home with their
    officers' keys, and their own last copy.
    """

    homes: Mapping[str, Path]
    copies: Mapping[str, Path]


def found_together(scene: Demo, hospitals: list[Hospital], old: Old | None = None) -> None:
    """Each member makes its own keys; together they make block 0, of a chain that goes on from the
    `old` one.
    """
    scene.step("demo-found", count=len(hospitals))
    out, convener = scene.out, hospitals[0]
    for hospital in hospitals:
        kept: list[str | Path] = ["--keep-keys-of", old.homes[hospital.org]] if old else []
        scene.run_quietly(
            "create", "part", "--org", hospital.org, "--home", hospital.home,
            "--port", str(hospital.port), *kept, "--out", out / f"{hospital.org}.part",
        )  # fmt: skip
    parts = [out / f"{hospital.org}.part" for hospital in hospitals]
    credit = out / "credit.json"
    credit.write_bytes(attribution())
    origin = ORIGIN + "-2" if old else ORIGIN
    scene.run(
        "create", "draft", *parts, "--home", convener.home, "--origin", origin,
        "--name-en", "Critical care alliance", "--name-zh", "重症医学联盟",
        "--attribution", credit, *_end(old, convener), "--out", out / "draft", home=False,
    )  # fmt: skip
    for hospital in hospitals:
        scene.run_quietly(
            "create", "accept", out / "draft", "--home", hospital.home, *_end(old, hospital),
            "--out", out / f"{hospital.org}.acceptance",
        )  # fmt: skip
    accepted = [out / f"{hospital.org}.acceptance" for hospital in hospitals]
    scene.run_quietly(
        "create", "finish", out / "draft", *accepted, "--home", convener.home,
        "--out", out / "genesis",
    )  # fmt: skip
    _take(scene, hospitals)


def _end(old: Old | None, hospital: Hospital) -> list[str | Path]:
    """The own copy of the chain that a founder goes on from."""
    return ["--continues", old.copies[hospital.org]] if old else []


def _take(scene: Demo, hospitals: list[Hospital]) -> None:
    """The others take the genesis; all are told where the others are."""
    for hospital in hospitals:
        if hospital is not hospitals[0]:
            scene.run_quietly("create", "take", scene.out / "genesis", "--home", hospital.home)
        others = [
            f"{other.org}=http://127.0.0.1:{other.peer_port}"
            for other in hospitals
            if other is not hospital
        ]
        listen = f"127.0.0.1:{hospital.peer_port}"
        scene.run_quietly("node", "peers", *others, "--listen", listen, "--home", hospital.home)


def register(scene: Demo, hospitals: list[Hospital]) -> None:
    """The first member's officer registers the datasets of all logs, but for two."""
    names = names_of(line for h in hospitals for file in h.files for line in read_lines(file))
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
    settle(hospitals)
    typer.echo(say("demo-caught-up", victim=victim.org))
    scene.step("demo-close")
    for hospital in hospitals:
        node = next(read_lines(hospital.files[0])).node
        scene.run("source-close", f"{DEFAULT_SYSTEM}-{node}", "--home", hospital.home, home=False)
    settle(hospitals)
    scene.run("node", "status", "--home", hospitals[1].home, home=False)


def _counts(hospitals: list[Hospital]) -> str:
    return ", ".join(f"{hospital.org} {hospital.recorded}" for hospital in hospitals)


def live(scene: Demo, hospitals: list[Hospital]) -> None:
    """One whole life of a data use among these members. Raises `ProofError` (X6.story)."""
    houses = tuple(House(hospital.org, hospital.home) for hospital in hospitals)
    cast = Cast(houses[0], houses[1], houses[-2], houses)
    tell(Life(scene, cast, settle=lambda: settle(hospitals), pause=lambda: None))


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
