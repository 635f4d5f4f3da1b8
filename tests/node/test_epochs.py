"""A node goes on through a change of epoch, while it runs and after a restart; it stops before an
epoch whose rules it does not know (SPEC 7.3, L15, O10).
"""

from pathlib import Path

import msgspec
import pytest

from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import BusyError
from ledger.members import EpochConfig
from ledger.records.envelope import Shape
from ledger.records.epochs import ConfigBody
from ledger.records.governance import EndorseBody
from ledger.verify import verify_block_receipt, verify_receipt
from node.driver import Driver, Published
from node.receipts import Receipts
from tests.support.epochs import config_of, ready_body
from tests.support.node import make_config, make_home, running
from tests.support.world import Located, World, make_world

LATER = "2099-01-01T00:00:00.000Z"


def put(driver: Driver, world: World, kind: str, body: Shape, **fields: object) -> bytes:
    """A record on the chain of a running node; its leaf hash."""
    raw = world.record(kind, body, **fields)  # type: ignore[arg-type]
    outcome = driver.submit([raw]).result(20)[0]
    assert isinstance(outcome, Published), outcome
    return outcome.entry.leaf


def change(driver: Driver, world: World, config: EpochConfig, *versions: int) -> None:
    """The committee decides, and the one node is ready."""
    leaf = put(driver, world, "config", ConfigBody(config=config), not_after=LATER)
    body = EndorseBody(capacity="dac", target=b64url(leaf), verdict="approve")
    resolved = {leaf: Located(0, "config", "h1", "config")}
    put(driver, world, "endorse", body, by="committee", resolved=resolved)
    put(driver, world, "ready", ready_body(config, *versions), by="node", not_after=LATER)


def limited(world: World, epoch: int) -> EpochConfig:
    """The same member with other limits."""
    limits = msgspec.structs.replace(world.config.limits, block_records=100 + epoch)
    return config_of(world, ["h1"], epoch, limits=limits)


@pytest.fixture
def world() -> World:
    # The clock of the node is the real one; what confers rights must not have run out.
    return make_world()


def test_a_node_works_through_epochs_and_restarts(tmp_path: Path, world: World) -> None:
    config = make_config(make_home(world, tmp_path / "home"))
    seq = 0
    for epoch in (1, 2, 3):
        with running(config) as driver:
            for _turn in range(2):
                seq += 1
                driver.submit([world.access(seq=seq)]).result(20)
            change(driver, world, limited(world, epoch))
            tip = driver.final.tip
            assert tip.is_boundary
            assert tip.config == limited(world, epoch)
            if epoch > 1:
                seq += 1
                driver.submit([world.access(seq=seq)]).result(20)
                assert driver.final.seal.seal.epoch == epoch
                assert driver.final.seal.seal.parent_view == 0
    with running(config) as driver:
        tip = driver.final.tip
        assert [b.config.epoch for b in tip.boundaries] == [0, 1, 2]
        receipts = Receipts(driver.store, driver.genesis.tip)
        for height in range(1, tip.height + 1):
            block = driver.store.block(height)
            proven = verify_receipt(
                receipts.entry(driver.view, block.start), world.genesis.tip, verify
            )
            assert (proven.height, len(proven.head.configs)) == (height, 4)
            verify_block_receipt(receipts.block(driver.view, height), world.genesis.tip)
        assert receipts.state(driver.view, "config", "3").state.value is not None


def test_a_node_stops_before_an_epoch_whose_rules_it_does_not_know(
    tmp_path: Path, world: World
) -> None:
    """It says so, keeps what it has, and serves it; whatever else it did would be a guess."""
    home = make_config(make_home(world, tmp_path / "home"))
    following = config_of(world, ["h1"], rules_version=2)
    with running(home) as driver:
        change(driver, world, following, 1, 2)
        assert driver.final.tip.config == following
        assert driver.status == "silent"
        assert driver.alarms["rules-version"] == 1
        with pytest.raises(BusyError, match="O10"):
            driver.submit([world.access(seq=1)])
        height = driver.final.tip.height
    with running(home) as driver:
        assert (driver.final.tip.height, driver.status) == (height, "silent")
        assert driver.alarms["rules-version"] == 1


def test_a_declaration_without_the_rules_in_question_is_refused(
    tmp_path: Path, world: World
) -> None:
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        following = config_of(world, ["h1"], rules_version=2)
        with pytest.raises(AssertionError, match="G19"):
            change(driver, world, following, 1)
        assert driver.final.tip.config == world.config
