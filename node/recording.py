"""Everything that consensus takes in and gives out, as lines of JSON: what was recorded at a real
node replays in the simulator, effect by effect (`python -m tests.sim.replay FILE`).

Nothing secret is in it: words, certificates, blocks by their ids, signatures that were sent anyway.

    ["begin",node_keys,timing]
    ["in",kind,event]
    ["out",[[kind,effect],...]]

A line may be cut short by a crash; the next start begins on a line of its own.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from logging import ERROR
from pathlib import Path
from typing import Final, get_args

import msgspec

from ledger.consensus import Consensus, Effect, Event, Timing
from node.logs import log_event

EVENTS: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(Event)}


class Recorder:
    """One file, which grows by two lines for each step; a disk that is full ends the record, not
    the node.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def begin(self, node_keys: Sequence[bytes], timing: Timing) -> None:
        """A machine that is new: everything up to the next such line is its own."""
        torn = self._path.exists() and not _ends_with_a_line(self._path)
        self._write((b"\n" if torn else b"") + _line("begin", node_keys, timing))

    def take(self, event: Event) -> None:
        """Before the step, so that an event which the machine does not survive is known."""
        self._write(_line("in", type(event).__name__, event))

    def give(self, effects: Iterable[Effect]) -> None:
        """After the step, before anything is carried out."""
        self._write(encode_effects(effects))

    def _write(self, line: bytes) -> None:
        if self._failed:
            return
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            self._failed = True
            log_event(ERROR, "recording-failed", kind=error.strerror)


def encode_effects(effects: Iterable[Effect]) -> bytes:
    """The line of the effects of one step."""
    return _line("out", [(type(effect).__name__, effect) for effect in effects])


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"\n", b"")


def _line(*parts: object) -> bytes:
    return msgspec.json.encode(parts) + b"\n"


class Step(msgspec.Struct, frozen=True):
    """One step of a recorded machine; `effects` is None where the record ends within it."""

    event: Event
    effects: bytes | None


def read_record(path: Path) -> Iterator[tuple[Consensus, list[Step]]]:
    """Each machine of a record, new, and its steps. Raises `msgspec.DecodeError` for a line that is
    none of ours and not the last of its machine.
    """
    lives: list[list[bytes]] = []
    for line in path.read_bytes().splitlines():
        if line.startswith(b'["begin"'):
            lives.append([])
        lives[-1].append(line)
    for begin, *lines in lives:
        kind = tuple[str, tuple[bytes, ...], Timing]
        _, node_keys, timing = msgspec.json.decode(begin, type=kind)
        yield Consensus(*node_keys, timing=timing), _steps(lines)


def _steps(lines: list[bytes]) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(lines):
        if line.startswith(b'["out"') and steps:
            complete = line.endswith(b"]]]") or line == b'["out",[]]'
            steps[-1] = Step(steps[-1].event, line if complete else None)
            continue
        try:
            _, kind, event = msgspec.json.decode(line, type=tuple[str, str, msgspec.Raw])
            steps.append(Step(msgspec.json.decode(event, type=EVENTS[kind]), None))
        except msgspec.DecodeError:
            if number + 1 < len(lines):
                raise
    return steps
