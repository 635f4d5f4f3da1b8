"""What a node cosigns, and what it never cosigns: two trees that contradict each other, whatever
became of its database (definitions.md 5).
"""

import time
from pathlib import Path

import pytest

from ledger.chain import Applied
from ledger.consensus import Certificate, Vote, signed_bytes
from ledger.consensus.messages import make_certificate
from ledger.crypto import Signer
from ledger.encoding import encode_bundle
from ledger.merkle import Tree, leaf_hashes
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    decode_note,
    encode_checkpoint,
    encode_note,
    sign_note,
)
from ledger.verify import cosigner_name, verify_checkpoint
from node.admission import Cosigned
from node.cosigning import MAX_EARLY, Cosigning, View
from node.driver import Driver
from node.main import open_driver
from node.wire import Exchange
from tests.support.copies import Chain
from tests.support.node import make_config, make_home, peer_of
from tests.support.world import World, make_world

FOUR = ("h1", "h2", "h3", "h4")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


def others(world: World) -> list[int]:
    """All members but h1."""
    return [i for i, member in enumerate(world.config.members) if member.org != "h1"]


def finalize(world: World, block: Applied, signers: list[int]) -> Certificate:
    """The finalization of a block by these members."""
    config, tip = world.config, block.tip
    message = signed_bytes(config, "finalize", tip.view, tip.height, tip.seal_leaf)
    votes = []
    for index in signers:
        signature = world.keys[config.members[index].org].node.sign(message)
        place = (config.epoch, tip.view, tip.height, tip.seal_leaf)
        votes.append(Vote("finalize", *place, index, signature))
    return make_certificate(config, votes)


def word(world: World, org: str, size: int, root: bytes) -> bytes:
    """A member's cosignature of a head, as a note."""
    origin = world.genesis.tip.origin
    text = encode_checkpoint(Checkpoint(origin, size, root))
    line = cosign(text, cosigner_name(org, origin), world.keys[org].cosigner, 1_800_000_000)
    return encode_note(Note(text, (line,)))


def feed(driver: Driver, world: World, chain: Chain, *words: bytes) -> None:
    """All blocks of a chain with the finalization of the last one by all but h1, and words."""
    last = chain.applied[-1]
    driver.deliver(
        peer_of("h2"),
        Exchange(
            v=1,
            pin=world.genesis.seal.leaf,
            blocks=tuple(encode_bundle(raws) for raws in chain.blocks[1:]),
            facts=(finalize(world, last, others(world)),),
            cosignatures=words,
        ),
    )
    deadline = time.monotonic() + 10
    while driver.final.tip.height < last.tip.height:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_chain(world: World, first_seq: int, blocks: int = 2) -> Chain:
    """A chain of one entry in each block."""
    chain = Chain(world)
    for number in range(blocks):
        chain.add([world.access(seq=first_seq + number)])
    return chain


def cosigned(driver: Driver) -> tuple[int, bytes]:
    """The last head that a stopped driver had cosigned."""
    driver.stop()
    note = decode_note(driver._heads.cosigning.own)
    checkpoint = note.text.split(b"\n")
    return int(checkpoint[1]), note.text


def test_a_final_head_is_cosigned_in_order(tmp_path: Path, world: World) -> None:
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    driver.start()
    chain = make_chain(world, 1)
    feed(driver, world, chain)
    assert driver.store.cosigned()[0] == chain.applied[-1].tip.size
    assert all(driver.store.block(height).checkpoint for height in (1, 2))
    assert cosigned(driver)[0] == chain.applied[-1].tip.size


def test_an_old_database_cosigns_nothing_against_an_earlier_word(
    tmp_path: Path, world: World
) -> None:
    """The node has cosigned one tree; its database is lost; more than b members lie."""
    earlier, fork = make_chain(world, 1), make_chain(world, 100)
    tip = earlier.applied[-1].tip
    own = word(world, "h1", tip.size, tip.tree.root())
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    start = driver.store.cosigned()
    driver.start()
    feed(driver, world, fork, own)
    assert fork.applied[-1].tip.size == tip.size
    time.sleep(0.3)
    assert driver.store.cosigned() == start
    assert [driver.store.block(height).checkpoint for height in (1, 2)] == [b"", b""]
    assert "h1" in driver._heads.cosigning.contradictions
    assert cosigned(driver)[0] == start[0]


def test_an_old_database_cosigns_again_once_it_holds_what_it_cosigned(
    tmp_path: Path, world: World
) -> None:
    chain = make_chain(world, 1, blocks=3)
    tip = chain.applied[2].tip
    config = make_config(make_home(world, tmp_path / "home"))
    driver = open_driver(config)
    driver.start()
    feed(driver, world, chain, word(world, "h1", tip.size, tip.tree.root()))
    deadline = time.monotonic() + 10
    while driver.store.cosigned()[0] < chain.applied[-1].tip.size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [bool(driver.store.block(height).checkpoint) for height in (1, 2, 3)] == [
        False,
        False,
        True,
    ]
    driver.stop()
    again = open_driver(config)
    assert again.final.tip.height == 3
    again.stop()


def test_a_head_that_was_not_cosigned_is_cosigned_after_a_restart(
    tmp_path: Path, world: World
) -> None:
    chain = make_chain(world, 1)
    tip = chain.applied[-1].tip
    config = make_config(make_home(world, tmp_path / "home"))
    driver = open_driver(config)
    driver.start()
    feed(driver, world, chain, word(world, "h1", tip.size + 100, bytes(32)))
    assert driver.published is None
    driver.stop()
    again = open_driver(config)
    again.start()
    deadline = time.monotonic() + 10
    while again.store.cosigned()[0] < tip.size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    again.stop()


# --- words of others ------------------------------------------------------------------------------


def heard(world: World, org: str, size: int, root: bytes = bytes(32)) -> Cosigned:
    note = decode_note(word(world, org, size, root))
    return Cosigned(org, size, note.text, note.signatures[0])


def test_early_words_of_one_member_take_no_room_of_another(world: World) -> None:
    cosigning = Cosigning("h1")
    cosigning.learn([heard(world, "h2", 50)])
    cosigning.learn([heard(world, "h4", 1 + size) for size in range(3 * MAX_EARLY)])
    assert {org: len(early) for org, early in cosigning._early.items()} == {
        "h2": 1,
        "h4": MAX_EARLY,
    }


def test_a_member_contradicts_itself_once(world: World) -> None:
    cosigning = Cosigning("h1")
    tree = Tree(leaf_hashes([b"entry"]))
    for size in (1, 1, 1):
        cosigning.learn([heard(world, "h1", size)])
        assert not cosigning.settle_remembered(tree)
    assert list(cosigning.contradictions) == ["h1"]


def test_only_a_key_of_the_heads_own_epoch_counts(world: World) -> None:
    """A member's key of another epoch is no word on this head, however well it signs."""
    block = make_chain(world, 1, blocks=1).applied[-1]
    tip, origin = block.tip, world.genesis.tip.origin
    text = encode_checkpoint(Checkpoint(origin, tip.size, tip.tree.root()))

    def said(org: str, signer: Signer) -> Cosigned:
        line = cosign(text, cosigner_name(org, origin), signer, 1_800_000_000)
        return Cosigned(org, tip.size, text, line)

    own = sign_note(text, origin, world.keys["h1"].log), said("h1", world.keys["h1"].cosigner).line
    cosigning = Cosigning("h1")
    assert cosigning.advance(View(tip, block.seal, b""), Note(text, own)) is None
    others = ("h2", "h3")
    assert cosigning.learn([said(org, world.keys[org].log) for org in others]) is None
    view = cosigning.learn([said(org, world.keys[org].cosigner) for org in others])
    assert view is not None
    assert len(verify_checkpoint(decode_note(view.checkpoint), tip.config, origin)[1]) == 3
