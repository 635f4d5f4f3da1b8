"""The published vectors hold, and the generator gives exactly them."""

import json
from pathlib import Path

import pytest

from tests.vectors.cases import DECODERS, Case, cases, folds, run
from tests.vectors.generate import HERE, text_of

FILES = sorted(path for path in HERE.rglob("*.json") if path.name != "pinned.json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text("utf-8"))
    case = Case(vector["format"], vector["name"], vector["input"])
    assert run(case) == vector["expect"]


def test_generator_leaves_no_difference() -> None:
    made = {HERE / case.format / f"{case.name}.json": text_of(case) for case in cases()}
    assert {path: path.read_text("utf-8") for path in FILES} == made


def test_every_format_has_a_good_case_and_damaged_ones() -> None:
    for name in DECODERS:
        verdicts = [
            json.loads(path.read_text("utf-8"))["expect"]
            for path in FILES
            if path.parent.name == name
        ]
        good = [v for v in verdicts if v.get("value", "false") != "false"]
        assert good, name
        assert len(verdicts) > len(good), name


def test_pinned_folds() -> None:
    assert json.loads((HERE / "pinned.json").read_text()) == folds()
