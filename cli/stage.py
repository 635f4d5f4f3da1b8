"""The stage of `alliance demo`: one folder for everything, commands as people type them, and nodes
as processes of their own.
"""

import contextlib
import io
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import typer

from cli.screen import say
from ledger.errors import AllianceError, ConfigError
from node.client import NodeClient

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

    def run_quietly(self, *words: str | Path) -> None:
        """Print a command and run it; what it prints was seen before."""
        arguments = [str(word) for word in words]
        typer.echo(typer.style("$ alliance " + shlex.join(arguments), fg="cyan"))
        with contextlib.redirect_stdout(io.StringIO()):
            self.command(arguments)


def clean(out: Path) -> None:
    """Empty the demo's folder. Raises `ConfigError` (X6.folder, X1.file) for anybody else's."""
    try:
        if out.exists():
            if not (out / MARK).exists() and any(out.iterdir()):
                raise ConfigError("X6.folder", folder=str(out))
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARK).touch()
    except OSError:
        raise ConfigError("X1.file", file=str(out)) from None


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_node(home: Path, log: Path) -> "subprocess.Popen[bytes]":
    """The node of a home directory, as a process of its own."""
    words = ["node", "run", "--home", str(home)]
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
                client.health()
            except AllianceError:
                time.sleep(0.1)
            else:
                return
    raise ConfigError("X6.node", seconds=START_S, log=str(log))
