"""`python -m tests.model`: the rules at every bound, then the mutants; prints the table of the
README. Exit code 1 when a rule fails or a mutant lives, 2 when a tool is missing.
"""

import sys
import tempfile
from pathlib import Path

from tests.model.explore import Run, explore, missing_tools

BOUNDS = (("-DVIEWS=2", "-DBLOCKS=1"), ("-DVIEWS=2", "-DBLOCKS=2"), ("-DVIEWS=3", "-DBLOCKS=1"))
SMALL = BOUNDS[0]
SIX = ("-DHONEST=5", *SMALL)
"""Six members of which one lies: a quorum is four, and five are left without the liar."""
MUTANTS = (
    "-DFINALIZE_AFTER_NULLIFY",
    "-DSKIPS_UNCHECKED",
    "-DNULLIFY_NOT_DURABLE",
    "-DCERTIFICATE_NOT_DURABLE",
)
HARMLESS = "-DFINALIZE_OTHER"


def row(run: Run) -> str:
    """One line of the table."""
    flags = " ".join(run.flags).replace("-D", "")
    found = run.broken or ("holds, complete" if run.complete else "holds, not complete")
    cost = f"{run.seconds:.1f} s | {run.megabytes:.0f} MB"
    return f"| `{flags}` | {run.states:,} | {run.depth} | {cost} | {found} |"


def check(*flags: str) -> Run:
    """One run in a folder of its own; its line is printed."""
    with tempfile.TemporaryDirectory() as folder:
        run = explore(Path(folder), *flags)
    print(row(run), flush=True)
    return run


def main() -> int:
    """Everything, in about two minutes."""
    missing = missing_tools()
    if missing:
        print(f"make model needs {' and '.join(missing)}: apt-get install spin gcc")
        return 2
    print("| run | states | depth | time | memory | found |\n|---|--:|--:|--:|--:|---|")
    rules = [check(*bound) for bound in (*BOUNDS, SIX, (*SMALL, HARMLESS))]
    mutants = [check(*SMALL, "-DQUORUM=2"), check(*SIX, "-DQUORUM=3")]
    mutants += [check(*bound, mutant) for bound in (SMALL, SIX) for mutant in MUTANTS]
    sound = all(run.complete and not run.broken for run in rules)
    return 0 if sound and all(run.broken for run in mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
