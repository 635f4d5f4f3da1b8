"""The model of agreement holds in the small bound and catches mutants. `make model` does all."""

from pathlib import Path

import pytest

from tests.model.__main__ import BOUNDS, SMALL
from tests.model.explore import explore, missing_tools

pytestmark = [
    pytest.mark.thirdparty,
    pytest.mark.skipif(bool(missing_tools()), reason="spin and gcc are not installed here"),
]


@pytest.mark.parametrize("bounds", BOUNDS[:2], ids=" ".join)
def test_the_rules_hold_in_every_state(tmp_path: Path, bounds: tuple[str, ...]) -> None:
    run = explore(tmp_path, *bounds)
    assert (run.broken, run.complete) == ("", True)
    assert run.states > 10_000


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [("-DSKIPS_UNCHECKED", "agreement"), ("-DCERTIFICATE_NOT_DURABLE", "nobody is stuck for ever")],
)
def test_a_mutant_is_caught(tmp_path: Path, mutant: str, broken: str) -> None:
    assert explore(tmp_path, *SMALL, mutant).broken == broken
