"""`alliance run wrap -- CMD...`: a real analysis on the record, however it ends.

The command has the terminal for itself: its input, its output, its errors, its exit code. What the
wrapper has to say goes to the error stream, so that the output may go into a pipe or a file.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from cli.catalogue import Permit, Person, Purpose, read_pairs
from cli.interface import Alliance, QueuedWarning, Run
from cli.options import Place
from cli.records import report
from cli.screen import exit_code, explain, say, show
from ledger.errors import AllianceError, ConfigError, NotFoundError

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that ended a program."""

Paths = list[Path] | None


class Ended(NamedTuple):
    """How a command ended: its exit code as a shell says it, and whether somebody stopped it."""

    code: int
    stopped: bool

    @property
    def state(self) -> str:
        """The state of the run."""
        if self.code == 0:
            return "completed"
        return "aborted" if self.stopped else "failed"


def wrap(
    place: Place,
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="What is to run, after --.")],
    permit: Permit = None,
    person: Person = None,
    purpose: Purpose = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="SERIES@VERSION=PATH of data that it reads.")
    ] = None,
    file: Annotated[
        Paths, typer.Option("--input", help="Another file or directory that it reads.")
    ] = None,
    result: Annotated[list[str] | None, typer.Option(help="Id of a result that it reads.")] = None,
    output: Annotated[
        Paths, typer.Option(help="A file or directory that it makes; may be repeated.")
    ] = None,
    code: Annotated[
        Paths, typer.Option(help="Its program; default: the files that the command names.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Digest of the container image.")] = None,
    name: Annotated[str | None, typer.Option("--run", help="Id of the run; default: new.")] = None,
    where: Annotated[
        str | None, typer.Option("--on", help="Where it runs, ORG or ORG/NODE; default: here.")
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="NAMESPACE=NAME of the work; default: local=PROGRAM.")
    ] = None,
) -> None:
    """Run a command and record it: inputs, program, outputs, start, end, exit code, also when it
    fails or is interrupted, and while the node is down. Its exit code is this command's.
    """
    program = shutil.which(command[0])
    if program is None:
        raise NotFoundError("X1.program", name=command[0])
    data = [(series, Path(path)) for series, path in read_pairs(dataset or (), "dataset")]
    inputs, outputs = file or [], output or []
    read = [*(path for _series, path in data), *inputs]
    namespace, title = ("local", Path(program).name)
    if job is not None:
        namespace, title = read_pairs([job], "job")[0]
    options = {"key": place.key, "node": place.node, "passphrase_file": place.passphrase_file}
    with Alliance(place.home, **options) as alliance, warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.simplefilter("ignore", QueuedWarning)
        run = alliance.run(
            title, engine=Path(program).name, image=image, namespace=namespace, permit=permit,
            person=person, purpose=purpose, run_id=name, where=where,
        )  # fmt: skip
        for series, path in data:
            run.used(series, path)
        run.used_file(*inputs)
        for one in result or ():
            run.used_result(one)
        run.code(*(code or named_files(command, program, [*read, *outputs])))
        ended = _recorded(run, command, outputs)
        _tell(alliance, run)
    raise typer.Exit(ended.code or _failure(run))


def named_files(command: Sequence[str], program: str, other: Iterable[Path]) -> list[Path]:
    """The files that a command names and that are neither its input nor its output: its program.

    Where it names none, the program itself.
    """
    data = [path.resolve() for path in other]
    found = []
    for word in command[1:]:
        path = Path(word)
        if path.is_file() and not any(path.resolve().is_relative_to(one) for one in data):
            found.append(path)
    return found or [Path(program)]


def _recorded(run: Run, command: Sequence[str], outputs: Sequence[Path]) -> Ended:
    """The command between the two ends of its run. A record that is refused is told later."""
    ended = Ended(0, stopped=False)
    try:
        with run:
            ended = run_command(command)
            run.exit_code, run.state = ended.code, ended.state
            for path in outputs:
                try:
                    run.made(path)
                except ConfigError:
                    tell_aside("wrap-no-output", file=path.name)
    except AllianceError:
        if run.status != "refused":
            raise
    return ended


def run_command(command: Sequence[str]) -> Ended:
    """Run a command to its end, whatever signals arrive meanwhile: they are for the command.

    Raises `ConfigError` (X1.file) for a program that cannot be started.
    """
    caught: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: object) -> None:
        caught.append(number)
        # A terminal sends its interruption to the command as well.
        if process is not None and not (number == signal.SIGINT and _has_terminal()):
            process.send_signal(number)

    sys.stdout.flush()
    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        process = subprocess.Popen(command)  # noqa: S603  # the user's own command
        for number in caught:
            process.send_signal(number)
        code = process.wait()
    except OSError:
        raise ConfigError("X1.file", file=Path(command[0]).name) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    by = BY_SIGNAL - code if code < 0 else code
    return Ended(by, stopped=bool(caught) or -code in SIGNALS)


def _has_terminal() -> bool:
    """Whether this process is in the foreground of a terminal."""
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp()  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return False


def tell_aside(name: str, /, **facts: str | int) -> None:
    """Print a sentence on the error stream."""
    typer.echo(say(name, **facts), err=True)


def _tell(alliance: Alliance, run: Run) -> None:
    """What became of the record."""
    with contextlib.redirect_stdout(sys.stderr):
        if run.recorded is not None:
            report(alliance._session, run.recorded)
        elif run.status == "waiting" and run.id is not None:
            waiting = {"id": run.id, "leaf": run.leaf, "status": run.status}
            show(waiting, [say("wrap-waiting", id=run.id)])
        elif run.error is not None:
            explain(run.error)


def _failure(run: Run) -> int:
    """A run that went well and was refused is no success."""
    return exit_code(run.error) if run.status == "refused" and run.error is not None else 0
