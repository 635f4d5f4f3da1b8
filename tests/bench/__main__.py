"""`python -m tests.bench GROUP...`: run groups of measurements (access, core, lives, node, net,
reports, wan), print the table, keep it as JSON.
"""

import itertools
import json
import platform
import sys
from pathlib import Path

from tests.bench import access, core, lives, net, node, reports, wan
from tests.bench.measure import Goal

RESULTS = Path(__file__).parent / "results.json"
GROUPS = {
    "access": access.goals,
    "core": core.goals,
    "lives": lives.goals,
    "node": node.goals,
    "net": net.goals,
    "reports": reports.goals,
    "wan": wan.goals,
}


def line_of(goal: Goal) -> str:
    """One row of the table, as the README quotes it."""
    sign = "≥" if goal.at_least else "≤"
    mark = "yes" if goal.met else "NO"
    return f"| `{goal.name}` | {goal.what} | {goal.value:.2f} | {sign} {goal.bound:g} | {mark} |"


def main() -> int:
    """Exit code 1 when a bound is missed."""
    print("| measurement | what | ratio | bound | met |\n|---|---|--:|--:|---|")
    goals = []
    for goal in itertools.chain.from_iterable(GROUPS[name]() for name in sys.argv[1:] or GROUPS):
        goals.append(goal)
        print(line_of(goal), flush=True)
    before = json.loads(RESULTS.read_text())["goals"] if RESULTS.exists() else {}
    kept = {
        "python": platform.python_version(),
        "goals": before | {g.name: round(g.value, 3) for g in goals},
    }
    RESULTS.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
