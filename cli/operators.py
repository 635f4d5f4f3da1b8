"""What operators on the stage do again and again: record, ask, decide, and see what must hold."""

import contextlib
import io
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from cli.hospitals import SETTLE_S, Hospital, decision_at, settle
from cli.screen import say
from cli.stage import Demo
from ledger.errors import AllianceError, ProofError


def record(scene: Demo, member: Hospital, name: str) -> None:
    """Something that must not be lost, with the officer's key."""
    words = ("dataset", "register", name, "--openness", "conditional", "--home", member.home)
    scene.run(*words, home=False)


def ask(scene: Demo, member: Hospital, *words: str | Path) -> Any:  # noqa: ANN401
    """The result of a command at a member's home, as JSON."""
    return scene.ask(*words, "--home", member.home)


def into(scene: Demo, file: Path, *words: str | Path) -> None:
    """What a command prints, in a file."""
    arguments = [str(word) for word in words]
    shown = f"$ alliance {shlex.join(arguments)} > {shlex.quote(str(file))}"
    typer.echo(typer.style(shown, fg="cyan"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        scene.command(arguments)
    file.write_text(said.getvalue(), encoding="utf-8")


def refused(scene: Demo, *words: str | Path) -> str:
    """By which rule a command is refused; `-` when it is not."""
    try:
        scene.ask(*words)
    except AllianceError as error:
        return error.rule
    return "-"


def decide(
    scene: Demo, members: list[Hospital], voters: Sequence[Hospital], *words: str | Path
) -> None:
    """A proposal, and the committees that endorse it one after the other until it takes effect.

    Raises `ProofError` (X6.story) when it does not, or what a command raises.
    """
    leaf = scene.ask(*words)["leaf"]
    settle(members)
    agree(scene, members, voters, leaf)


def agree(scene: Demo, members: list[Hospital], voters: Sequence[Hospital], leaf: str) -> None:
    """The committees that endorse what was proposed. Raises as `decide`."""
    for voter in voters:
        if decision_at(voter.home, leaf) != "PENDING":
            break
        scene.run_quietly("endorse", leaf, "--home", voter.home)
        settle(members)
    status = decision_at(voters[0].home, leaf)
    must(status == "EFFECTIVE", "the committee's decision must take effect", status)
    typer.echo(typer.style(say("story-effective"), fg="green"))


def must(holds: object, what: str, found: Any) -> None:  # noqa: ANN401  # whatever there was
    """Raises `ProofError` (X6.story) where something does not hold that must."""
    if not holds:
        raise ProofError("X6.story", what=what, found=str(found))


def is_at_work(member: Hospital) -> bool:
    """Whether its node votes."""
    health = member.health()
    return health is not None and health["status"] == "ok"


def is_current(member: Hospital) -> bool:
    """Whether its node has heard how far the others are, and lacks nothing."""
    health = member.health()
    return health is not None and health["behind"] == 0


def make_ready(scene: Demo, members: Sequence[Hospital]) -> None:
    """They declare themselves ready for the next epoch. Raises `ProofError` (X6.story)."""
    until(lambda: all(map(is_current, members)), "the members must know that they lack nothing")
    for member in members:
        scene.run_quietly("ready", "--home", member.home)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what must come true. Raises `ProofError` (X6.story) when it does not."""
    end = time.monotonic() + SETTLE_S
    while not holds():
        must(time.monotonic() < end, what, "-")
        time.sleep(0.2)
