"""A hundred seeds, the seeds that once failed, directed runs, and sabotages that must not pass.

`SIM_SEEDS=20000` runs more. `SIM_FIRST` is where they begin.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.consensus import Commit, Consensus
from ledger.consensus.messages import Kind
from ledger.errors import AllianceError, InvariantError
from tests.sim import mutants, scenarios
from tests.sim.campaign import run_seed
from tests.sim.invariants import Broken
from tests.sim.mutants import DRIVERS, MUTANTS, Careless, Hasty
from tests.sim.scenarios import MATRIX, SCENARIOS, Hands, Machine
from tests.sim.world import Node, make_body

FIRST = int(os.environ.get("SIM_FIRST", "0"))
SEEDS = int(os.environ.get("SIM_SEEDS", "100"))
REGRESSIONS = Path(__file__).parent / "regressions.txt"

# What catches a sabotage that random faults do not meet within a few seeds.
DIRECTED: dict[str, Callable[[Machine], None]] = {
    "DoubtsTheFirstEpochAlone": scenarios.lost_in_a_later_epoch,
    "KeepsTheSkipped": scenarios.poison,
    "NoClock": scenarios.skewed_clocks,
    "BelievesForks": scenarios.two_certificates,
    "AcceptsAnyway": scenarios.poison,
    "HearsEverything": scenarios.flood,
    "NeverPresumes": scenarios.heartbeats_of_the_dead,
    "BelievesOldBeats": scenarios.heartbeats_of_the_dead,
    "ShowsNobody": scenarios.equivocation_of_every_shape,
    "FewReports": scenarios.reports_of_a_quarantine,
    "NoFloor": scenarios.floor_across_an_epoch,
    "NoFloorInTheNextEpoch": scenarios.floor_across_an_epoch,
    "FloorForEver": scenarios.floor_of_a_quarantine,
    "IgnoresItsOwnWords": scenarios.cloned_key,
    "NullifiesFinalized": scenarios.nullify_after_finalize,
    "IgnoresSkips": scenarios.skip_without_certificate,
    "FinalizesAnother": scenarios.finalize_another,
    "NeverAgain": scenarios.notarized_only,
    "NeverJoins": scenarios.known_to_some,
    "BuildsOnBoundary": scenarios.block_above_boundary,
    "WaitsForTheWithheld": scenarios.withheld_body,
    "RestoresAnyRow": scenarios.boundary_not_final,
    "ForgetsTheNextKey": scenarios.rotated_key,
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


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.__name__)
def test_a_driver_that_is_sabotaged_is_caught(driver: type[Node]) -> None:
    directed = {Careless: scenarios.invalid_blocks, Hasty: scenarios.lagging_joiner}
    attack = directed.get(driver, some_seeds)
    with pytest.raises(Broken):
        attack(Consensus, driver)


# Each invariant of 3.4, and a sabotage that it, and no other one, finds first.
INVARIANTS: list[tuple[int, str, Callable[[], None]]] = [
    (1, "FORK", lambda: forked()),
    (2, "a chain was changed", lambda: some_seeds(Consensus, mutants.Rewinds)),
    (3, "two certificates of a kind", lambda: two_notarized()),
    (4, "skipped and final", lambda: skipped_and_final()),
    (5, "a skip without a certificate", lambda: some_seeds(mutants.NoContiguity)),
    (6, "evidence against a correct", lambda: some_seeds(mutants.FinalizesNullified)),
    (7, "said but not written", lambda: some_seeds(Consensus, mutants.SpeaksFirst)),
    (8, "a record twice", lambda: some_seeds(Consensus, mutants.IncludesTwice)),
    (8, "an empty block", lambda: some_seeds(Consensus, mutants.BuildsEmpty)),
    (9, "a block at two heights", lambda: some_seeds(mutants.ProposesAnother)),
    (
        10,
        "a block above a boundary",
        lambda: scenarios.block_above_boundary(mutants.BuildsOnBoundary),
    ),
    (10, "before all were ready", lambda: scenarios.lagging_joiner(Consensus, Hasty)),
    (11, "a block of the future", lambda: scenarios.skewed_clocks(mutants.NoClock)),
    (12, "two verifiers differ", lambda: some_seeds(Consensus, mutants.TrustsCertificates)),
    (13, "too many views in memory", lambda: scenarios.flood(mutants.HearsEverything)),
]


@pytest.mark.parametrize(
    ("words", "attack"),
    [pytest.param(words, attack, id=f"{n}-{words}") for n, words, attack in INVARIANTS],
)
def test_an_invariant_finds_what_breaks_it(words: str, attack: Callable[[], None]) -> None:
    with pytest.raises(Broken, match=words):
        attack()


def test_the_invariants_are_all_there() -> None:
    assert {number for number, _, _ in INVARIANTS} == set(range(1, 14))


def forked() -> None:
    """Two members commit different blocks at one height."""
    hands = Hands(Consensus)
    genesis, invariants = hands.world.genesis, hands.world.invariants
    invariants.counting = False
    for node, name in zip(hands.world.nodes, "ab", strict=False):
        body = make_body(genesis, 1, 0, hands.world.now + 1, (name,), hands.config)
        node.correct = True
        node.disk.chain.append(body)
        cert = hands.certificate("finalize", 1, body.info)
        invariants.committed(node, Commit((body.info,), cert, ()))


def words_of(kinds: tuple[tuple[Kind, str], ...]) -> None:
    """Words of three members in a view, as the oracle hears them."""
    hands = Hands(Consensus)
    made = {
        name: make_body(hands.world.genesis, 1, 0, hands.world.now + 1, (name,), hands.config)
        for name in ("a", "b")
    }
    for kind, name in kinds:
        for signer in hands.others:
            info = made[name].info if name else None
            hands.world.invariants.heard(hands.word(kind, signer, 1, info))


def two_notarized() -> None:
    words_of((("notarize", "a"), ("notarize", "b")))


def skipped_and_final() -> None:
    words_of((("finalize", "a"), ("nullify", "")))


def test_every_row_of_the_matrix_is_directed() -> None:
    """3.6: those of this world, each by scenarios that are run."""
    assert set(MATRIX) == set(range(1, 24)) - {16, 17, 22}
    assert {scenario for row in MATRIX.values() for scenario in row} <= set(SCENARIOS)


def some_seeds(machine: Machine, driver: type[Node] = Node) -> None:
    for seed in range(60):
        run_seed(seed, machine, driver)
