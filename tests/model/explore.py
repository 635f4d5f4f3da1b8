"""Runs Spin over `simplex.pml`: makes the verifier, lets it visit every state, reads what it says.

A broken property is named by the comment beside its `assert`.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

MODEL = Path(__file__).parent / "simplex.pml"
TOOLS = ("spin", "gcc")
COMPILE = ("gcc", "-O2", "-w", "-DSAFETY", "-DNOREDUCE", "-DMEMLIM=4000", "-o", "pan", "pan.c")
DEPTH = 10_000
HASH_BITS = 25
LIMIT_S = 600


class Run(NamedTuple):
    """What the verifier said."""

    flags: tuple[str, ...]
    states: int
    depth: int
    seconds: float
    megabytes: float
    complete: bool
    """Whether every state was visited; a run ends at the first property that is broken."""
    broken: str
    """The property that does not hold; empty when all do."""


def missing_tools() -> list[str]:
    """What has to be installed first."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def explore(folder: Path, *flags: str) -> Run:
    """Check the model with these bounds and mutants, in an empty folder of its own."""
    model = folder / MODEL.name
    shutil.copy(MODEL, model)
    _run(folder, "spin", *flags, "-a", model.name)
    _run(folder, *COMPILE)
    said = _run(folder, "./pan", f"-m{DEPTH}", f"-w{HASH_BITS}")
    broken = ""
    if "assertion violated" in said:
        broken = _property(_run(folder, "spin", *flags, "-t", model.name))
    return Run(
        flags=flags,
        states=int(_number(r"(\d+) states, stored", said)),
        depth=int(_number(r"depth reached (\d+)", said)),
        seconds=_number(r"elapsed time ([\d.e+-]+)", said),
        megabytes=_number(r"([\d.]+)\s+total actual memory", said),
        complete="Search not completed" not in said and "too small" not in said,
        broken=broken,
    )


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode and "violated" not in done.stdout:
        raise RuntimeError(f"{command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise ValueError(f"the verifier does not say {pattern}")
    return float(found.group(1))


def _property(trail: str) -> str:
    """The words beside the assertion at which the trail ends."""
    line = int(_number(r":(\d+), Error: assertion violated", trail))
    found = re.search(r"/\* (.*) \*/", MODEL.read_text().splitlines()[line - 1])
    return found.group(1) if found else f"line {line}"
