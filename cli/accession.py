"""A fifth institution joins the running chain on the stage: by the commands that its people and the
committee type, while the others go on.
"""

from pathlib import Path

import typer

from cli.hospitals import Board, Hospital, settle
from cli.operators import decide, is_at_work, is_current, make_ready
from cli.screen import say
from cli.stage import Demo

ORG = "h5"
RESOLUTION = "2026-7"
DATASET = "h5-icu"


def take_in(scene: Demo, hospitals: list[Hospital]) -> Hospital:
    """From the invitation to the first record of the new member. Raises what a command raises."""
    scene.step("demo-fifth", org=ORG)
    joiner = Hospital(scene, ORG)
    joiner.state = "demo-joining"
    host = hospitals[0]
    file = scene.out / f"{ORG}.invite"
    pin = scene.ask("invite", ORG, "--out", file, "--home", host.home)["pin"]
    listen = f"127.0.0.1:{joiner.peer_port}"
    hospitals_and_joiner = [*hospitals, joiner]
    try:
        joiner.join(file, "--pin", pin, "--port", str(joiner.port), "--listen", listen)
        others = hospitals[1:]
        decide(scene, hospitals, others, *_resolution(host))
        part = joiner.home / f"{ORG}.part"
        admit = ("admit", part, "--resolution", RESOLUTION, "--home", host.home)
        decide(scene, hospitals, others, *admit)
        with Board(hospitals_and_joiner) as board:
            board.until(lambda: is_current(joiner))
        typer.echo(say("demo-followed", org=ORG))
        # The committee has five members now: four of them are needed.
        decide(scene, hospitals, hospitals, "config", "add", part, "--home", host.home)
        make_ready(scene, hospitals[:-1])
        with Board(hospitals_and_joiner) as board:
            board.until(lambda: is_at_work(joiner))
            joiner.state = "demo-working"
        scene.run("config", "show", "--home", joiner.home, home=False)
        scene.run(
            "dataset", "register", DATASET, "--openness", "conditional", "--home", joiner.home,
            home=False,
        )  # fmt: skip
        settle(hospitals_and_joiner)
    except BaseException:
        joiner.stop()
        raise
    return joiner


def _resolution(host: Hospital) -> list[str | Path]:
    """What the committee's meeting decided."""
    return [
        "resolution", RESOLUTION, "--kind", "admit", "--date", "2026-11-20", "--present", "4",
        "--for", "4", "--home", host.home,
    ]  # fmt: skip
