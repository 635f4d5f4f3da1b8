"""Watching the own node from outside while it finds its way to the chain, and saying how far it is:
what `alliance join` and `alliance observe` do beside the node that they run.
"""

import contextvars
import json
import threading
from typing import Final

import typer

from cli.options import Place
from cli.screen import language, tell, wants_json
from cli.session import Session
from ledger.errors import AllianceError

LOOK_S: Final = 0.5


def report_step(name: str, **facts: str | int) -> None:
    """One step, as a sentence or as a line of JSON."""
    if wants_json():
        typer.echo(json.dumps({"step": name, **facts}, ensure_ascii=False))
    else:
        tell(name, **facts)


class Follower:
    """The thread that looks. `look` is what each command makes of it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._said: tuple[object, ...] = ()
        self._stopping = threading.Event()
        # A thread of its own speaks the language of the command.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._run), name="follower", daemon=True
        )

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """The node has stopped, or never began."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def look(self, session: Session) -> bool:
        """One look at the node; whether there is nothing left to watch."""
        raise NotImplementedError

    def say(self, name: str, /, **facts: str | int) -> None:
        """A step, once."""
        said = (name, *facts.values())
        if said != self._said:
            self._said = said
            report_step(name, **facts)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                with Session(self._place) as session:
                    if self.look(session):
                        return
            except AllianceError as error:
                # It has not begun to answer, or cannot prove anything yet: looked at again.
                if error.code not in ("busy", "unreachable"):
                    self.say("join-trouble", sentence=error.sentence(language()))
