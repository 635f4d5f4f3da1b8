"""`alliance tour`: a newcomer sees one whole life of a data use, step by step, on a scratch ledger
that is gone afterwards.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cli.demo import make_scene, running
from cli.life import Cast, House, Life
from cli.options import Keep, Lang
from cli.screen import say
from cli.stage import ORIGIN, folder_for
from cli.story import PERMIT, RESULT, attribution, tell

ORG = "h1"


def tour(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not wait for Enter.")] = False,
    keep: Keep = None,
    lang: Lang = None,  # noqa: ARG001
) -> None:
    """Walk through one whole life of a data use, from the first key to an audit."""
    with folder_for("tour", keep) as out:
        typer.echo(say("tour-welcome", folder=str(out)))
        scene = make_scene(context, out)
        house = House(ORG, scene.home)
        life = Life(scene, Cast(house, house, house, (house,)), settle=_go_on, pause=pause_of(yes))
        _take(life)
        typer.echo("\n" + say("tour-end"))
        if keep is not None:
            typer.echo(say("tour-kept", folder=str(out)))


def pause_of(yes: bool) -> Callable[[], None]:
    """What happens between acts: a person at a terminal is waited for."""
    return _wait if not yes and sys.stdin.isatty() else _go_on


def _wait() -> None:
    typer.echo(say("tour-enter"), nl=False)
    sys.stdin.readline()


def _go_on() -> None:
    """Nobody is asked, nothing is waited for."""


def _take(life: Life) -> None:
    """From the first key to an audit. Raises what a command raises."""
    scene, house = life.scene, life.cast.hospital
    credit = scene.out / "credit.json"
    credit.write_bytes(attribution())
    life.act("tour-init")
    scene.run(
        "init", "--org", ORG, "--origin", ORIGIN, "--port", str(scene.port), "--attribution", credit
    )
    life.act("tour-node")
    copy = scene.out / "copy"
    with running(scene):
        tell(life)
        life.act("tour-ask")
        life.show(house, "trace", RESULT)
        life.show(house, "obligations", PERMIT)
        life.act("tour-audit")
        life.show(house, "export", copy)
    scene.run("audit", copy, "--genesis", scene.home / "genesis", home=False)
