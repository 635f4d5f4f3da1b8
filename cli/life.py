"""How a story is told with real commands: who types them, who agrees, what must hold.

`cli.story` is the story; `alliance demo` tells it with four institutions on a running chain,
`alliance tour` with one, step by step, to a person.
"""

import contextlib
import io
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from cli.hospitals import decision_at
from cli.screen import code_text, finding_text, say
from cli.stage import Demo
from ledger.errors import ProofError

Words = str | Path


class House(NamedTuple):
    """An institution of the story: its code, and where its keys are."""

    org: str
    home: Path


class Cast(NamedTuple):
    """Who plays: two hospitals (the second one is the clinic) and a data centre. With one
    institution all of them are the same one.
    """

    hospital: House
    clinic: House
    centre: House
    committee: tuple[House, ...]
    """Everybody with a vote in the management committee."""

    @property
    def is_alone(self) -> bool:
        """Whether one institution plays all parts."""
        return len(self.committee) == 1


class Life(NamedTuple):
    """The means of telling: a stage, a cast, and what happens between records and between acts."""

    scene: Demo
    cast: Cast
    settle: Callable[[], None]
    """Until every node has what one of them recorded."""
    pause: Callable[[], None]
    """Between acts."""

    @property
    def folder(self) -> Path:
        """Where the story's files are."""
        return self.scene.out / "story"

    def act(self, name: str, **facts: str | int) -> None:
        """The heading of an act, and in a sentence or two what happens and why."""
        self.pause()
        self.scene.step(name, **facts)
        typer.echo(say(f"{name}-why", **facts))

    # --- commands ---

    def do(self, house: House, key: str, *words: Words) -> Any:  # noqa: ANN401
        """Run a command that records something, as this key of this house; gives what it says."""
        done = self.scene.ask(*words, "--key", key, "--home", house.home)
        self._tell(done)
        self.settle()
        return done

    def _tell(self, done: Any) -> None:  # noqa: ANN401
        status = f" {code_text(done['decision'])}" if done.get("decision") else ""
        place = {"type": done["type"], "index": done["index"], "height": done["height"]}
        typer.echo(typer.style(say("story-recorded", **place, status=status), fg="green"))
        for code in done["findings"]:
            typer.echo(say("finding", code=code, meaning=finding_text(code)))

    def show(self, house: House, *words: Words) -> None:
        """Run a command that asks something, and show all that it says."""
        self.scene.run(*words, "--home", house.home, home=False)

    def agree(self, leaf: str, voters: Sequence[tuple[House, str]]) -> None:
        """Others sign what one of them proposed, one after the other, until it is decided.

        Raises `ProofError` (X6.story) when it does not take effect.
        """
        for house, key in voters:
            if decision_at(house.home, leaf) != "PENDING":
                break
            self.do(house, key, "endorse", leaf)
        status = decision_at(self.cast.committee[0].home, leaf)
        self.holds(status == "EFFECTIVE", "the committee's decision must take effect", status)
        typer.echo(typer.style(say("story-effective"), fg="green"))

    def by_committee(self, leaf: str, *officers: House) -> None:
        """The committees of all members, and the officers of these houses."""
        others = [(house, "officer") for house in officers]
        self.agree(leaf, [*others, *((house, "committee") for house in self.cast.committee[1:])])

    def new_key(self, house: House, name: str, capacity: str, subject: str) -> None:
        """Somebody gets a key, and the house's officer puts it on the chain."""
        self.scene.run_quietly("keys", "new", name, "--home", house.home)
        file = self.folder / f"{house.org}-{name}.key"
        words = ["keys", "public", name, "--org", house.org, "--capacity", capacity]
        said = self._said(*words, "--subject", subject, "--home", house.home)
        file.write_text(said, encoding="utf-8")
        self.do(house, "officer", "key", "register", file)

    def _said(self, *words: Words) -> str:
        arguments = [str(word) for word in words]
        self._echo(arguments)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.scene.command(arguments)
        return said.getvalue()

    def wrapped(self, house: House, options: Sequence[Words], command: Sequence[Words]) -> Any:  # noqa: ANN401
        """Run an analysis under `alliance run wrap`; gives what it says of its record."""
        words = ["run", "wrap", *map(str, options), "--home", str(house.home)]
        after = ["--", *map(str, command)]
        self._echo([*words, *after])
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.scene.command([*words, "--json", *after])
        done = json.loads(said.getvalue())
        self._tell(done)
        self.settle()
        return done

    @staticmethod
    def _echo(words: Sequence[str]) -> None:
        typer.echo(typer.style("$ alliance " + shlex.join(words), fg="cyan"))

    # --- what must hold ---

    def holds(self, condition: bool, what: str, found: object = "-") -> None:
        """The story stops where something does not hold. Raises `ProofError` (X6.story)."""
        if not condition:
            raise ProofError("X6.story", what=what, found=str(found))
