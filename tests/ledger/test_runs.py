"""Runs of final blocks, judged by the configuration of their epoch alone (SPEC 11.7)."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from ledger.consensus import BlockInfo, Certificate, Vote, check_run, signed_bytes
from ledger.consensus.messages import Kind, make_certificate
from ledger.crypto import verify
from ledger.errors import AllianceError
from node.admission import info_of
from tests.support.world import Blocks, World, make_world

change = msgspec.structs.replace


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(("h1", "h2", "h3", "h4"))


@pytest.fixture(scope="module")
def infos(world: World) -> list[BlockInfo]:
    tip, history, found = world.genesis.tip, Blocks(world.genesis), []
    for seq in range(1, 5):
        block = world.extend(tip, [world.access(seq=seq)], history)
        history.add(block)
        tip = block.tip
        found.append(info_of(block.seal))
    return found


def certificate(world: World, info: BlockInfo, kind: Kind = "finalize", of: int = 3) -> Certificate:
    config = world.config
    message = signed_bytes(config, kind, info.view, info.height, info.id)
    votes = [
        Vote(kind, 0, info.view, info.height, info.id, index, signer.sign(message))
        for index, signer in enumerate(world.keys[m.org].node for m in config.members)
    ]
    return make_certificate(config, votes[:of])


def test_a_run_holds_by_its_last_certificate(world: World, infos: list[BlockInfo]) -> None:
    for first in range(4):
        check_run(infos[first:], certificate(world, infos[-1]), world.config, verify)


Spoil = Callable[[Sequence[BlockInfo]], Sequence[BlockInfo]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _run: [],
        lambda run: run[:-1],
        lambda run: [run[0], run[2], run[3]],
        lambda run: [run[1], run[0], *run[2:]],
        lambda run: [change(run[0], id=bytes(32)), *run[1:]],
        lambda run: [*run[:2], change(run[2], height=9), run[3]],
        lambda run: [change(run[0], epoch=1), *run[1:]],
        lambda run: [change(run[0], config_hash=bytes(32)), *run[1:]],
        lambda run: [run[0], change(run[1], next_config_hash=bytes(32)), *run[2:]],
    ],
    ids=["empty", "short", "gap", "order", "block", "height", "epoch", "config", "closed"],
)  # fmt: skip
def test_a_run_that_does_not_hold_together(
    world: World, infos: list[BlockInfo], spoil: Spoil
) -> None:
    with pytest.raises(AllianceError) as caught:
        check_run(spoil(infos), certificate(world, infos[-1]), world.config, verify)
    assert caught.value.rule == "R38"


def test_a_run_without_a_quorum(world: World, infos: list[BlockInfo]) -> None:
    def rule(cert: Certificate) -> str:
        with pytest.raises(AllianceError) as caught:
            check_run(infos, cert, world.config, verify)
        return caught.value.rule

    good = certificate(world, infos[-1])
    assert rule(certificate(world, infos[-1], "notarize")) == "R38"
    assert rule(certificate(world, infos[-2])) == "R38"
    assert rule(change(good, height=3)) in ("R24", "R38")
    few = change(good, signers=good.signers & 3, signatures=good.signatures[:2])
    assert rule(few) == "R23"
    assert rule(change(good, signatures=(bytes(64), *good.signatures[1:]))) == "R24"
    assert rule(change(good, epoch=1)) == "R21"
