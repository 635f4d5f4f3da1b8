"""Real nodes on a clock of the test: what takes minutes, or one certain moment, takes neither here
(consensus.md 2.9 to 2.12, 3.5).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.encoding import decode_bundle, encode_bundle
from node.wire import Exchange
from tests.sim.replay import replay
from tests.support.node import peer_of
from tests.support.stepped import Stepped, published
from tests.support.world import World, make_world

FOUR = ("h1", "h2", "h3", "h4")
Make = Callable[..., Stepped]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


@pytest.fixture
def stepped(tmp_path: Path, world: World) -> Iterator[Make]:
    made: list[Stepped] = []

    def make(**settings: int) -> Stepped:
        made.append(Stepped(tmp_path / str(len(made)), world, **settings))
        return made[-1]

    yield make
    for net in made:
        net.close()


def leader_of(net: Stepped, view: int) -> str:
    config = net.world.config
    return config.members[config.leader(view)].org


def spoiled(bundle: bytes) -> bytes:
    """The same seal over other entries."""
    raws = decode_bundle(bundle)
    return encode_bundle([raws[0][:-1] + bytes((raws[0][-1] ^ 1,)), *raws[1:]])


def test_a_body_that_somebody_spoiled_on_the_way_harms_nobody(stepped: Make) -> None:
    """A seal does not protect what travels beside it: a member may hand on other entries with it.
    Whoever took them for the block would refuse what is final, and stop for ever (R11).
    """
    net = stepped()
    victim = next(org for org in FOUR if org != leader_of(net, 1))

    def spoil_first(_sender: str, to: str, item: Exchange) -> bool:
        if to == victim and item.blocks:
            peer = next(org for org in FOUR if org not in (victim, leader_of(net, 1)))
            spoiled_item = Exchange(v=1, pin=item.pin, blocks=tuple(map(spoiled, item.blocks)))
            net.drivers[victim].deliver(peer_of(peer), spoiled_item)
        return True

    net.allow = spoil_first
    future = net.submit("h1", net.world.access(seq=1))
    net.run(10_000)
    published(future)
    assert net.check() == 1
    driver = net.drivers[victim]
    assert (driver.status, dict(driver.alarms)) == ("ok", {})
    assert driver.counters["rejected"] > 0


def test_what_a_node_recorded_replays_in_the_pure_machine(stepped: Make) -> None:
    net = stepped()
    net.settings = dict.fromkeys(FOUR, 'record = "record.jsonl"\n')
    for org in FOUR:
        net.cut(org)
        net.start(org)
    for seq in range(1, 6):
        net.submit(FOUR[seq % 4], net.world.access(seq=seq))
        net.run(300)
    net.cut("h2")
    net.submit("h1", net.world.access(seq=9))
    net.run(5_000)
    net.start("h2")
    net.run(20_000)
    assert net.check() >= 6
    for org in FOUR:
        found = replay(net.homes[org] / "record.jsonl")
        assert found.lives == (2 if org == "h2" else 1)
        assert found.commits >= 6
        assert found.said > 10
