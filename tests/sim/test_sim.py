"""A hundred seeds, the seeds that once failed, directed runs, and sabotages that must not pass.

`SIM_SEEDS=20000` runs more. `SIM_FIRST` is where they begin.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.consensus import Consensus
from ledger.errors import AllianceError, InvariantError
from tests.sim import scenarios
from tests.sim.campaign import run_seed
from tests.sim.invariants import Broken
from tests.sim.mutants import MUTANTS, SpeaksFirst
from tests.sim.scenarios import SCENARIOS, Machine
from tests.sim.world import Node

FIRST = int(os.environ.get("SIM_FIRST", "0"))
SEEDS = int(os.environ.get("SIM_SEEDS", "100"))
REGRESSIONS = Path(__file__).parent / "regressions.txt"

# What catches a sabotage that random faults do not meet within a few seeds.
DIRECTED: dict[str, Callable[[Machine], None]] = {
    "NullifiesFinalized": scenarios.nullify_after_finalize,
    "IgnoresSkips": scenarios.skip_without_certificate,
    "FinalizesAnother": scenarios.finalize_another,
    "NeverAgain": scenarios.notarized_only,
    "NeverJoins": scenarios.known_to_some,
    "BuildsOnBoundary": scenarios.block_above_boundary,
}


@pytest.mark.parametrize("part", range(10))
def test_seeds(part: int) -> None:
    for seed in range(FIRST + part, FIRST + SEEDS, 10):
        world = run_seed(seed)
        if seed % 100 < 10:
            again = run_seed(seed).transcript.hexdigest()
            assert again == world.transcript.hexdigest(), f"seed {seed} is not reproducible"


def test_regressions() -> None:
    for line in REGRESSIONS.read_text().splitlines():
        if line and not line.startswith("#"):
            run_seed(int(line.split()[0]))


def test_runs_do_not_depend_on_the_hash_seed_of_python() -> None:
    program = "from tests.sim.campaign import run_seed; print(run_seed(8).transcript.hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": value, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for value in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenarios(scenario: Callable[[Machine], None]) -> None:
    scenario(Consensus)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_sabotage_is_caught(mutant: Machine) -> None:
    attack = DIRECTED.get(mutant.__name__, some_seeds)
    with pytest.raises((Broken, InvariantError, AllianceError)):
        attack(mutant)


def test_a_driver_that_speaks_before_it_saves_is_caught() -> None:
    with pytest.raises(Broken, match="said but not written"):
        some_seeds(Consensus, SpeaksFirst)


def some_seeds(machine: Machine, driver: type[Node] = Node) -> None:
    for seed in range(60):
        run_seed(seed, machine, driver)
