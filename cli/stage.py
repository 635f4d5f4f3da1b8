"""The stage of `alliance demo`: one folder for everything, commands as people type them, and nodes
as processes of their own.
"""

import contextlib
import io
import json
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from cli.idash import Line
from cli.options import Place
from cli.records import write
from cli.screen import say, set_json
from cli.session import Session
from ledger.errors import AllianceError, ConfigError
from node.client import NodeClient

ORIGIN: Final = "chain.example.org/critical-care"
LEFT_OUT: Final = 2
"""So many datasets of the log stay unregistered, to show what a finding looks like."""
MARK: Final = ".made-by-alliance-demo"
START_S: Final = 30
STOP_S: Final = 30


class Demo(NamedTuple):
    """Where the demo works, and how it runs a command."""

    out: Path
    home: Path
    port: int
    command: Callable[[list[str]], None]
    numbers: Iterator[int]

    def step(self, name: str, /, **facts: str | int) -> None:
        """Print the heading of a step."""
        heading = f"{next(self.numbers)}. {say(name, **facts)}"
        typer.echo("\n" + typer.style(heading, bold=True))

    def run(self, *words: str | Path, home: bool = True) -> None:
        """Print a command and run it in this process, against the demo's home directory."""
        arguments = [str(word) for word in words]
        typer.echo(typer.style("$ alliance " + shlex.join(arguments), fg="cyan"))
        place = ["--home", str(self.home)] if home else []
        self.command([*arguments, *place])

    def ask(self, *words: str | Path) -> Any:  # noqa: ANN401  # whatever it prints as JSON
        """Print a command and run it; gives its result."""
        arguments = [str(word) for word in words]
        typer.echo(typer.style("$ alliance " + shlex.join(arguments), fg="cyan"))
        return self.look(*arguments)

    def look(self, *words: str | Path) -> Any:  # noqa: ANN401  # whatever it prints as JSON
        """The result of a command that nobody needs to see."""
        arguments = [str(word) for word in words]
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                self.command([*arguments, "--json"])
        except (SystemExit, typer.Exit):
            # What it found wrong stands in its result, where it has one.
            if not said.getvalue():
                raise
        finally:
            # What comes next is for people again.
            set_json(False)
        return json.loads(said.getvalue())

    def run_quietly(self, *words: str | Path) -> None:
        """Print a command and run it; what it prints was seen before."""
        arguments = [str(word) for word in words]
        typer.echo(typer.style("$ alliance " + shlex.join(arguments), fg="cyan"))
        with contextlib.redirect_stdout(io.StringIO()):
            self.command(arguments)


def clean(out: Path, option: str) -> None:
    """Empty the folder that was named by this option. Raises `ConfigError` (X6.folder, X1.file) for
    one that holds anybody else's.
    """
    try:
        if out.exists():
            if not (out / MARK).exists() and any(out.iterdir()):
                raise ConfigError("X6.folder", folder=str(out), option=option)
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARK).touch()
    except OSError:
        raise ConfigError("X1.file", file=str(out)) from None


@contextlib.contextmanager
def folder_for(name: str, keep: Path | None) -> Iterator[Path]:
    """The folder that was asked for, else one of this name that is gone afterwards. Raises as
    `clean`.
    """
    if keep is not None:
        clean(keep, "--keep")
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix=f"alliance-{name}-") as folder:
        yield Path(folder)


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_node(home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """The node of a home directory, as a process of its own."""
    return start_command(["node", "run"], home, log)


def start_command(words: list[str], home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """A command that stays, as a process of its own."""
    words = [*words, "--home", str(home)]
    typer.echo(typer.style("$ alliance " + shlex.join(words) + " &", fg="cyan"))
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603  # our own program, words of our own
            [sys.executable, "-m", "cli", *words], stdout=file, stderr=subprocess.STDOUT
        )


def stop_node(process: "subprocess.Popen[bytes]") -> None:
    """As an operator does; by force when it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_node(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the node answers. Raises `ConfigError` (X6.node)."""
    deadline = time.monotonic() + START_S
    with NodeClient(f"http://127.0.0.1:{port}") as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.alive()
            except AllianceError:
                time.sleep(0.1)
            else:
                return
    raise ConfigError("X6.node", seconds=START_S, log=str(log))


def names_of(lines: Iterable[Line]) -> list[str]:
    """The datasets that a log names, the most used one first."""
    return [name for name, _count in Counter(line.resource for line in lines).most_common()]


def register_quietly(home: Path, org: str, names: Iterable[str]) -> None:
    """Register datasets as `alliance dataset register` does, with one line for each."""
    with Session(Place(home, None, None, "officer")) as session:
        for name in names:
            fields = {"custodian": org, "openness": "conditional", "series_id": name}
            done = write(session, "dataset", fields)
            typer.echo(say("demo-registered", name=name, index=done.index, height=done.height))
