"""L1 to L16: every block that is not its leader's honest work is refused."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger.chain import (
    Applied,
    Tip,
    build_block,
    chain_id_of,
    check_block,
    check_genesis,
    finish_block,
    try_entries,
)
from ledger.crypto import verify
from ledger.encoding import b64url, decode_bundle, encode_bundle
from ledger.errors import AllianceError, MalformedError, ProofError
from ledger.members import Limits
from ledger.records import decode_entry
from ledger.records.envelope import ENCODE
from ledger.records.seal import Previous, Seal, decode_seal
from tests.support.world import (
    GENESIS_MS,
    Blocks,
    World,
    make_world,
    sign_payload,
    sign_record,
    sign_seal,
)

SMALL = Limits(block_bytes=65_535, block_records=4, min_interval_ms=0)
NOW = GENESIS_MS + 60_000


def block(world: World, count: int = 3) -> tuple[Tip, list[bytes], Blocks]:
    """A good block on the genesis: parent, entries with the seal, and the history before."""
    history = Blocks(world.genesis)
    raws = world.accesses(count)
    applied = world.extend(world.genesis.tip, raws, history)
    return world.genesis.tip, [*raws, applied.seal.raw], history


def resealed(world: World, raws: list[bytes], **changes: Any) -> list[bytes]:
    """The block with other fields in its seal, honestly signed."""
    seal = msgspec.structs.replace(decode_seal(raws[-1]).seal, **changes)
    return [*raws[:-1], sign_seal(world.keys[seal.proposer].node, seal).raw]


def same(left: Applied, right: Applied) -> bool:
    """Whether two ways led to the same tip."""
    one, other = left.tip, right.tip
    heads = one.seal_leaf == other.seal_leaf and one.tree == other.tree
    return heads and one.state.root == other.state.root and left.findings == right.findings


def test_building_and_checking_agree() -> None:
    world = make_world()
    history = Blocks(world.genesis)
    parent = world.genesis.tip
    for number in range(3):
        raws = world.accesses(5, first_seq=1 + 5 * number)
        built = world.extend(parent, raws, history, NOW + number)
        checked = check_block(parent, [*raws, built.seal.raw], history, verify)
        assert same(built, checked)
        assert checked.tip.size == parent.size + 6
        history.add(checked)
        parent = checked.tip


def test_seal_time_is_later_than_the_parents_even_when_the_clock_jumps_back() -> None:
    world = make_world()
    history = Blocks(world.genesis)
    first = world.extend(world.genesis.tip, world.accesses(1), history, NOW)
    history.add(first)
    second = world.extend(first.tip, world.accesses(1, first_seq=2), history, GENESIS_MS)
    assert second.tip.time_ms == NOW + 1


def test_a_parent_proposed_again_is_built_on_by_its_later_view() -> None:
    world = make_world()
    history = Blocks(world.genesis)
    first = world.extend(world.genesis.tip, world.accesses(1), history, NOW)
    history.add(first)
    second = world.extend(first.tip, world.accesses(1, first_seq=2), history, NOW + 1)
    raws = [*(entry.raw for entry in second.entries), second.seal.raw]
    for parent_view, view, rule in ((1, 2, ""), (4, 5, ""), (0, 2, "L2"), (2, 2, "L2")):
        other = resealed(world, raws, parent_view=parent_view, view=view)
        if rule:
            with pytest.raises(ProofError, match=rule):
                check_block(first.tip, other, history, verify)
        else:
            assert check_block(first.tip, other, history, verify).tip.view == view


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"chain": b64url(bytes(16))}, "L2"),
        ({"config_hash": b64url(bytes(32))}, "L2"),
        ({"epoch": 1}, "L2"),
        ({"height": 2}, "L2"),
        ({"next_config_hash": b64url(bytes(32))}, "L2"),
        ({"parent_view": 1}, "L2"),
        ({"prev": Previous(index=1, leaf=b64url(bytes(32)))}, "L2"),
        ({"prev": None}, "L2"),
        ({"rules_version": 2}, "L2"),
        ({"start": 4}, "L2"),
        ({"view": 0}, "L2"),
        ({"time_ms": GENESIS_MS}, "L4"),
        ({"entries_root": b64url(bytes(32))}, "L6"),
        ({"results_root": b64url(bytes(32))}, "L7"),
        ({"state_root": b64url(bytes(32))}, "L8"),
    ],
)
def test_seals_that_do_not_fit(changes: dict[str, Any], rule: str) -> None:
    world = make_world()
    parent, raws, history = block(world)
    with pytest.raises(ProofError) as caught:
        check_block(parent, resealed(world, raws, **changes), history, verify)
    assert caught.value.rule == rule
    assert caught.value.sentence("zh")


def test_only_the_leader_seals() -> None:
    world = make_world(("h1", "h2"))
    parent, raws, history = block(world)
    seal = decode_seal(raws[-1]).seal
    other = next(org for org in world.keys if org != seal.proposer)
    with pytest.raises(ProofError, match=r"L3\.leader"):
        check_block(parent, resealed(world, raws, proposer=other), history, verify)
    stolen = sign_seal(world.keys[seal.proposer].officer, seal).raw
    with pytest.raises(ProofError, match=r"L3\.leader"):
        check_block(parent, [*raws[:-1], stolen], history, verify)


def test_seals_are_signed() -> None:
    world = make_world()
    parent, raws, history = block(world)
    forged = raws[-1][:-1] + bytes([raws[-1][-1] ^ 1])
    with pytest.raises(ProofError, match=r"L3\.signature"):
        check_block(parent, [*raws[:-1], forged], history, verify)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raws: raws[1:],
        lambda raws: [raws[1], raws[0], *raws[2:]],
        lambda raws: [raws[0], *raws],
    ],
)
def test_entries_are_those_of_the_seal(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    world = make_world()
    parent, raws, history = block(world)
    with pytest.raises(ProofError) as caught:
        check_block(parent, spoil(raws), history, verify)
    assert caught.value.rule in ("L6", "L9")


def test_an_entry_that_the_rules_refuse_refuses_the_block() -> None:
    world = make_world()
    parent, raws, history = block(world)
    damaged = raws[1][:-1] + bytes([raws[1][-1] ^ 1])
    with pytest.raises(ProofError) as caught:
        check_block(parent, [raws[0], damaged, *raws[2:]], history, verify)
    assert caught.value.rule == "L9"
    assert caught.value.facts == {"index": parent.size + 1, "inner": "S3.signature"}
    with pytest.raises(ProofError) as caught:
        check_block(parent, [raws[0], b"junk", *raws[2:]], history, verify)
    assert caught.value.facts["inner"] == "B1.tag"


def test_a_used_id_refuses_the_block() -> None:
    world = make_world()
    parent, raws, history = block(world)
    history.add(check_block(parent, raws, history, verify))
    with pytest.raises(ProofError) as caught:
        check_block(parent, raws, history, verify)
    assert caught.value.facts["inner"] == "S6"


def test_blocks_are_not_empty_and_end_in_a_seal() -> None:
    world = make_world()
    parent, raws, history = block(world)
    with pytest.raises(ProofError, match=r"L5\.empty"):
        check_block(parent, raws[-1:], history, verify)
    with pytest.raises(MalformedError):
        check_block(parent, raws[:-1], history, verify)
    with pytest.raises(ProofError) as caught:
        check_block(parent, [*raws, raws[-1]], history, verify)
    assert caught.value.rule in ("L6", "L9")


def test_blocks_keep_the_limits() -> None:
    small = make_world(limits=SMALL)
    built = build_block(
        small.genesis.tip,
        [decode_entry(raw) for raw in small.accesses(9)],
        view=1,
        proposer="h1",
        time_ms=NOW,
        history=Blocks(small.genesis),
        verify=verify,
    )
    assert len(built.done.entries) == 4
    large = make_world()
    parent, raws, history = block(large, 5)
    config = msgspec.structs.replace(parent.config, limits=SMALL)
    narrow = parent._replace(config=config)
    seal = msgspec.structs.replace(
        decode_seal(raws[-1]).seal, config_hash=b64url(config.config_hash)
    )
    raws[-1] = sign_seal(large.keys["h1"].node, seal).raw
    with pytest.raises(ProofError, match=r"L5\.large"):
        check_block(narrow, raws, history, verify)


def test_seal_headers_name_chain_and_proposer() -> None:
    world = make_world()
    _, raws, _ = block(world)
    payload = decode_seal(raws[-1]).statement.payload
    for org, sub in (("h1", "other"), ("h2", "chain")):
        with pytest.raises(MalformedError, match=r"L1\.header"):
            decode_seal(sign_payload(world.keys["h1"].node, org, sub, payload))


# --- block 0 ---


def genesis(world: World) -> list[bytes]:
    """The entries of block 0."""
    return decode_bundle(world.bundle)


def changed_genesis(world: World, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    """Block 0 with its genesis record changed and signed again; the rest as it was."""
    raws = genesis(world)
    payload = msgspec.json.decode(decode_entry(raws[0]).statement.payload)
    change(payload)
    signer = world.keys[world.org].officer
    return [sign_payload(signer, world.org, "alliance", ENCODE(payload)), *raws[1:]]


def rule_of(raws: list[bytes]) -> str:
    """The rule that refuses this block 0."""
    with pytest.raises(AllianceError) as caught:
        check_genesis(encode_bundle(raws), verify)
    return caught.value.rule


def test_a_founded_chain() -> None:
    world = make_world(("h1", "h2", "h3", "h4"))
    tip = world.genesis.tip
    payload = decode_entry(genesis(world)[0]).statement.payload
    assert tip.config.chain == chain_id_of(payload)
    assert tip.size == 6
    assert (tip.config.n, tip.config.q) == (4, 3)


def test_block_0_has_its_records() -> None:
    world = make_world(("h1", "h2"))
    raws = genesis(world)
    assert rule_of([]) == "L10"
    assert rule_of(raws[:2]) == "L10"
    assert rule_of([raws[1], *raws[1:]]) == "L10"
    assert rule_of([raws[0], raws[2], raws[1], raws[3]]) == "L11"
    assert rule_of([raws[0], raws[1], raws[3]]) == "L11"


def test_founders_sign_as_officers() -> None:
    world = make_world()
    raws = genesis(world)
    acceptance = decode_entry(raws[1]).record
    for role in ("committee", "node"):
        signer = getattr(world.keys["h1"], role)
        assert (
            rule_of([raws[0], sign_record(signer, "h1", "alliance", acceptance), raws[2]]) == "L12"
        )
    assert rule_of([raws[0], raws[1][:-1] + bytes([raws[1][-1] ^ 1]), raws[2]]) == "L12"


def test_acceptances_are_of_this_genesis() -> None:
    world = make_world()
    raws = genesis(world)
    entry = decode_entry(raws[1])
    officer = world.keys["h1"].officer
    for change in (
        {"chain": b64url(bytes(16))},
        {"body": msgspec.structs.replace(entry.record.body, chain_id=b64url(bytes(32)))},
    ):
        other = msgspec.structs.replace(entry.record, **change)
        assert rule_of([raws[0], sign_record(officer, "h1", "alliance", other), raws[2]]) == "L13"

    def rename(payload: dict[str, Any]) -> None:
        payload["body"]["alliance"]["en"] = "Another alliance"

    assert rule_of(changed_genesis(world, rename)) == "L13"


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("config", "epoch"), 1, "L14"),
        (("config", "rules_version"), 2, "L15"),
        (("config", "q"), 0, "R33"),
        (("policy", "min_reviewers"), 1, "G8"),
    ],
)
def test_what_a_genesis_may_say(path: tuple[str, str], value: int, rule: str) -> None:
    world = make_world()

    def change(payload: dict[str, Any]) -> None:
        payload["body"][path[0]][path[1]] = value

    assert rule_of(changed_genesis(world, change)) == rule


def test_founders_run_the_nodes() -> None:
    world = make_world()

    def rename(payload: dict[str, Any]) -> None:
        payload["body"]["founders"][0]["org"] = "h9"

    assert rule_of(changed_genesis(world, rename)) == "L14"


def test_the_first_seal_fits_its_records() -> None:
    world = make_world()
    raws = genesis(world)
    entry = decode_seal(raws[-1])
    other: Seal = msgspec.structs.replace(entry.seal, time_ms=entry.seal.time_ms + 1)
    assert rule_of([*raws[:-1], sign_seal(world.keys["h1"].node, other).raw]) == "L16"
    assert rule_of([*raws[:-1], raws[-1][:-1] + bytes([raws[-1][-1] ^ 1])]) == "L3.signature"
    assert rule_of([*raws[:-1], sign_seal(world.keys["h1"].log, entry.seal).raw]) == "L3.leader"


def test_own_block_is_finished_with_its_signed_seal() -> None:
    world = make_world()
    history = Blocks(world.genesis)
    entries = [decode_entry(raw) for raw in world.accesses(2)]
    built = build_block(
        world.genesis.tip,
        entries,
        view=1,
        proposer="h1",
        time_ms=NOW,
        history=history,
        verify=verify,
    )
    seal = sign_seal(world.keys["h1"].node, built.seal)
    applied = finish_block(world.genesis.tip, built, seal)
    raws = [*(entry.raw for entry in entries), seal.raw]
    assert same(applied, check_block(world.genesis.tip, raws, history, verify))


def test_entries_are_tried_without_a_block() -> None:
    """What the rules would refuse now, each with its rule; nothing is built."""
    world = make_world()
    tip, history = world.genesis.tip, Blocks(world.genesis)
    good, late = world.access(seq=1), world.access(seq=2, at_ms=GENESIS_MS + 3_600_000)
    tried = try_entries(
        tip, [decode_entry(raw) for raw in (good, late, good)], GENESIS_MS, history, verify
    )
    assert [(refusal.entry.raw, refusal.error.rule) for refusal in tried] == [
        (late, "S5"),
        (good, "S6"),
    ]
