"""The table of routes and roles as SPEC 13.3 shows it, made from the code.

`python -m tests.tidy.access_table` writes it into the document; a test compares.
"""

import re
from typing import get_args

from node.identity import Role
from node.permission import ROUTES
from tests.tidy.source import ROOT

SPEC = ROOT / "ledger" / "SPEC.md"
MARK = re.compile(r"(?<=<!-- routes and roles -->\n)(?:\n\|.*(?:\n\|.*)*\n)?")


def access_table() -> str:
    """One row for each route, one column for each role."""
    roles = get_args(Role)
    head = ["Route", *roles, "", "API key"]
    rows = []
    for route, access in ROUTES.items():
        shown = re.sub(r"\{(\w+):path\}", r"{\1}", route)
        marks = ["yes" if role in access.roles else "-" for role in roles]
        marks_of = {"open": access.is_open, "own": access.own, "page": access.page}
        special = ", ".join(name for name, so in marks_of.items() if so)
        rows.append([f"`{shown}`", *marks, special, access.scope or "-"])
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the table into the specification."""
    text = SPEC.read_text(encoding="utf-8")
    SPEC.write_text(MARK.sub(lambda _: f"\n{access_table()}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
