"""`python -m tests.vectors.generate`: write all vectors again."""

import json
from pathlib import Path
from typing import Any

from tests.vectors.cases import Case, cases, folds, run

HERE = Path(__file__).parent


def text_of(case: Case) -> str:
    """The file of a case."""
    return _text(
        {"expect": run(case), "format": case.format, "input": case.input, "name": case.name}
    )


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write every case's file and the pinned folds; files of cases that are no more are removed."""
    written = {HERE / "pinned.json"}
    for case in cases():
        path = HERE / case.format / f"{case.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(case), "utf-8")
        written.add(path)
    (HERE / "pinned.json").write_text(_text(folds()), "utf-8")
    for path in HERE.rglob("*.json"):
        if path not in written:
            path.unlink()


if __name__ == "__main__":
    main()
