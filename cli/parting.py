"""Procedure 6 of OPERATING.md on the stage: a chain with two final histories, as mistakes make it.

Nothing is forged. Of three members none may lie (b = 0); one of them puts back an old image of its
disk by hand, without `alliance restore`, while another one is away: it signs twice, and does not
know it.
"""

import shutil
from pathlib import Path

import typer

from cli.hospitals import Hospital, settle
from cli.operators import ask, must, record, until
from cli.screen import say
from cli.stage import Demo
from ledger.errors import ProofError


def part(scene: Demo, members: list[Hospital]) -> None:
    """Two histories come about, are compared, and are shown to a node. The members are stopped
    before and afterwards.
    """
    twice, first, second = members
    scene.step("drill-parted", twice=twice.org, first=first.org, second=second.org)
    image = scene.out / f"image-{twice.org}"
    shutil.copytree(twice.home, image)
    copies = [_go_on(scene, twice, first, "OneHistory")]
    shutil.rmtree(twice.home)
    image.rename(twice.home)
    typer.echo(say("drill-image", folder=str(twice.home)))
    copies.append(_go_on(scene, twice, second, "OtherHistory"))
    scene.step("drill-compare")
    rule, named = _compare(scene, *copies)
    must((rule, named) == ("V31", 1), "the fork must be found, and who signed both", rule)
    _show(scene, [first, second])


def _show(scene: Demo, both: list[Hospital]) -> None:
    """Who has seen one of the histories meets who has seen the other."""
    scene.step("drill-shown", orgs=", ".join(member.org for member in both))
    for member in both:
        member.start()
    until(lambda: any(map(_has_seen, both)), "a node must notice that there are two histories")
    seeing = next(member for member in both if _has_seen(member))
    scene.run("node", "status", "--home", seeing.home, home=False)
    found = {str(item.get("rule")) for item in ask(scene, seeing, "doctor")["findings"]}
    must(found & {"O11.alarm", "O11.apart"}, "the doctor must tell of two histories", found)
    for member in both:
        member.stop()


def _go_on(scene: Demo, twice: Hospital, other: Hospital, name: str) -> Path:
    """Two of three members are a quorum; a copy of what they made final."""
    both = [twice, other]
    for member in both:
        member.start()
    record(scene, other, name)
    settle(both)
    copy = scene.out / f"copy-{other.org}"
    scene.run("export", copy, "--home", other.home, home=False)
    for member in both:
        member.stop()
    return copy


def _compare(scene: Demo, one: Path, other: Path) -> tuple[str, object]:
    """By which rule the copies differ, and how many members signed both."""
    try:
        scene.run("audit", "compare", one, other, home=False)
    except ProofError as error:
        return error.rule, error.facts.get("count")
    return "-", 0


def _has_seen(member: Hospital) -> bool:
    """Whether its node was shown another tree head, or another final block."""
    health = member.health()
    return health is not None and bool(health["cosigned_otherwise"] or "safety" in health["alarms"])
