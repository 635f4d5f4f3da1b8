"""A hundred seeds, the seeds that once failed, and the sabotages that must not pass."""

import os
from pathlib import Path

import pytest

from tests.sim.campaign import run_seed

SEEDS = int(os.environ.get("SIM_SEEDS", "100"))
REGRESSIONS = Path(__file__).parent / "regressions.txt"


@pytest.mark.parametrize("block", range(10))
def test_seeds(block: int) -> None:
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        world = run_seed(seed)
        if seed % 10 == 0:
            again = run_seed(seed).transcript.hexdigest()
            assert again == world.transcript.hexdigest(), f"seed {seed} is not reproducible"


def test_regressions() -> None:
    for line in REGRESSIONS.read_text().splitlines():
        if line and not line.startswith("#"):
            run_seed(int(line.split()[0]))
