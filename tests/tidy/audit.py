"""What the locked versions are, and whether anybody knows holes in them: `make audit`.

Two halves. Offline, and binding: each package of the lock files stands there with one version and
its hashes, the run-time lock is a part of the developers', and what is installed is what is locked.
Then pip-audit, from a lock file of its own, asks its advisory service about every version.

Where that service cannot be asked (a hospital, CI) nothing fails, and nothing passes silently
either: it says NOT AUDITED. pip-audit itself does not: of a version that the service knows nothing
about it says "no known vulnerabilities found".
"""

import json
import re
import subprocess
import sys
from importlib import metadata
from typing import Any, Final, NamedTuple

from tests.tidy.source import ROOT

RUNTIME: Final = "requirements.lock"
DEVELOPERS: Final = "requirements-dev.lock"
TOOL: Final = "requirements-audit.lock"
LOCKS: Final = (RUNTIME, DEVELOPERS, TOOL)
FOLDER: Final = ROOT / ".venv" / "audit"
ASK_S: Final = 120
_PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^\]]*\])?==(\S+)(.*)$")


class Locked(NamedTuple):
    """One package of a lock file."""

    version: str
    hashes: int
    condition: str


def read_lock(text: str) -> tuple[dict[str, Locked], list[str]]:
    """The packages of a lock file, and the lines that pin nothing."""
    found: dict[str, Locked] = {}
    loose = []
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        pinned = _PINNED.match(line)
        if pinned is None:
            loose.append(line)
            continue
        name, version, rest = pinned.groups()
        condition = re.sub(r"--hash=\S+", "", rest).strip(" ;")
        found[name] = Locked(version, rest.count("--hash=sha256:"), condition)
    return found, loose


def problems_of(locks: dict[str, str], installed: dict[str, str]) -> list[str]:
    """What is wrong with the texts of lock files, and with what is installed by them."""
    wrong = []
    read = {name: read_lock(text) for name, text in locks.items()}
    for name, (packages, loose) in read.items():
        wrong += [f"{name}: {line[:60]!r} names no single version" for line in loose]
        wrong += [f"{name}: {each} has no hash" for each, at in packages.items() if not at.hashes]
    ours, theirs = read[RUNTIME][0], read[DEVELOPERS][0]
    for each, at in ours.items():
        if each not in theirs or theirs[each].version != at.version:
            wrong.append(f"{each} {at.version} of {RUNTIME} is not what {DEVELOPERS} has")
    for each, at in theirs.items():
        there = installed.get(each)
        if there != at.version and not (there is None and at.condition):
            wrong.append(f"{each} {at.version} is locked, and {there} is installed")
    return wrong


def installed_versions() -> dict[str, str]:
    """What this environment holds, by the names of lock files."""
    found = metadata.distributions()
    return {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in found}


def verdict(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Of a report of pip-audit: known holes, and packages that nobody could be asked about."""
    holes, unknown = [], []
    for item in report["dependencies"]:
        if "skip_reason" in item:
            unknown.append(item["name"])
        for hole in item.get("vulns", ()):
            fixed = ", ".join(hole["fix_versions"]) or "no version"
            holes.append(f"{item['name']} {item['version']}: {hole['id']}, mended in {fixed}")
    return holes, unknown


def ask() -> dict[str, Any] | None:
    """The report of pip-audit about the developers' lock, which holds the other; None where it
    cannot be had.
    """
    tool = FOLDER / "bin" / "pip-audit"
    steps = [[str(tool), "-r", DEVELOPERS, "--no-deps", "--disable-pip", "-f", "json",
              "--progress-spinner", "off", "--timeout", "10"]]  # fmt: skip
    if not tool.exists():
        pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps",
               "--disable-pip-version-check", "--require-hashes", "-r", TOOL]  # fmt: skip
        steps[:0] = [[sys.executable, "-m", "venv", str(FOLDER)], pip]
    for step in steps:
        try:
            done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, timeout=ASK_S)
        except (OSError, subprocess.TimeoutExpired):
            return None
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return report


def main() -> int:
    """Print what was found; 1 where something is wrong."""
    locks = {name: (ROOT / name).read_text() for name in LOCKS}
    wrong = problems_of(locks, installed_versions())
    for line in wrong:
        print(f"audit: {line}")
    report = ask()
    holes, unknown = verdict(report) if report else ([], ["all"])
    for line in holes:
        print(f"audit: KNOWN HOLE: {line}")
    if unknown:
        about = "any package" if unknown == ["all"] else f"{len(unknown)} packages"
        print(
            f"audit: NOT AUDITED: no advisory service answers from here about {about}; the lock "
            "files hold, and whether holes are known in their versions is open.\n"
            "audit: Run `make audit` where the network reaches it, before each release."
        )
    elif not holes:
        print("audit: no hole is known in any locked version.")
    return 1 if wrong or holes else 0


if __name__ == "__main__":
    sys.exit(main())
