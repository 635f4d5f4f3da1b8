"""Configurations, quorum arithmetic and the order of leaders."""

from hashlib import sha256

import msgspec
import pytest

from ledger.crypto import signer_from_seed
from ledger.encoding import b64url, canonical_json, unb64url
from ledger.errors import AllianceError, MalformedError
from ledger.members import (
    EpochConfig,
    Limits,
    Member,
    check_config,
    check_next_config,
    decode_config,
    default_quorum,
    encode_config,
    join_threshold,
    least_quorum,
    tolerated_lying,
    tolerated_offline,
)

CHAIN = sha256(b"chain").digest()
LIMITS = Limits(block_bytes=1 << 20, block_records=2_000, min_interval_ms=250)


def key(role: str, index: int) -> str:
    seed = sha256(f"{role} {index}".encode()).digest()
    return b64url(signer_from_seed(seed).public_key)


def make_members(n: int) -> tuple[Member, ...]:
    members = [
        Member(
            cosigner_pk=key("cosigner", i),
            leader_eligible=True,
            log_pk=key("log", i),
            node_pk=key("node", i),
            org=f"h{i}",
        )
        for i in range(n)
    ]
    return tuple(sorted(members, key=node_key))


def node_key(member: Member) -> bytes:
    return unb64url(member.node_pk, 32)


def make_config(n: int = 4) -> EpochConfig:
    return EpochConfig(
        chain_id=b64url(CHAIN),
        epoch=3,
        limits=LIMITS,
        members=make_members(n),
        q=default_quorum(n),
        rules_version=2,
        v=1,
    )


# consensus.md 2.1, the table.
TABLE = {
    "n": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 16, 22, 30, 31),
    "q": (1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 9, 11, 15, 20, 21),
    "c": (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 7, 10, 10),
    "b": (0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4, 5, 7, 9, 10),
    "a": (1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 11, 11),
}


@pytest.mark.parametrize(("n", "q", "c", "b", "a"), list(zip(*TABLE.values(), strict=True)))
def test_the_table_of_quorums(n: int, q: int, c: int, b: int, a: int) -> None:
    assert default_quorum(n) == q
    assert tolerated_offline(n, q) == c
    assert tolerated_lying(n, q) == b
    assert join_threshold(n, q) == a


@pytest.mark.parametrize("n", range(1, 32))
def test_no_allowed_quorum_lets_two_histories_through(n: int) -> None:
    for q in range(least_quorum(n), n + 1):
        assert 2 * q > n
        assert tolerated_lying(n, q) >= 0


def test_bytes_are_canonical_and_come_back() -> None:
    config = make_config()
    data = encode_config(config)
    assert data == canonical_json(msgspec.to_builtins(config))
    assert decode_config(data) == config
    assert decode_config(data).config_hash == config.config_hash
    assert len(config.config_hash) == 32
    assert config.chain == CHAIN


def test_the_chain_id_is_absent_until_it_is_known() -> None:
    config = msgspec.structs.replace(make_config(), chain_id="")
    assert b"chain_id" not in encode_config(config)
    assert decode_config(encode_config(config)) == config
    assert config.with_chain(CHAIN) == make_config()
    with pytest.raises(AllianceError):
        _ = config.chain


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b" ",
        lambda data: data.replace(b'"epoch":3', b'"epoch":3.0'),
        lambda data: data.replace(b'"epoch":3', b'"epoch":-1'),
        lambda data: data.replace(b'"v":1', b'"v":2'),
        lambda data: data.replace(b'{"chain_id"', b'{"chainid"'),
        lambda data: data.replace(b'"v":1', b'"v":1,"w":1'),
        lambda data: data.replace(b'"q":3,', b""),
        lambda data: data[:-1],
        lambda data: b"\xff" + data,
    ],
)
def test_other_bytes_are_refused(change: object) -> None:
    assert callable(change)
    data = encode_config(make_config())
    assert change(data) != data
    with pytest.raises(MalformedError) as caught:
        decode_config(change(data))
    assert caught.value.rule == "R37"


def with_members(config: EpochConfig, *members: Member) -> EpochConfig:
    return msgspec.structs.replace(config, members=members)


def with_member(config: EpochConfig, index: int, **fields: object) -> EpochConfig:
    members = list(config.members)
    members[index] = msgspec.structs.replace(members[index], **fields)
    return with_members(config, *members)


def with_limits(**fields: int) -> EpochConfig:
    config = make_config()
    return msgspec.structs.replace(config, limits=msgspec.structs.replace(LIMITS, **fields))


CONFIG = make_config()
BROKEN = [
    ("R30", with_members(CONFIG)),
    ("R30", with_members(CONFIG, *CONFIG.members * 8)),
    ("R31", with_members(CONFIG, *reversed(CONFIG.members))),
    ("R31", with_members(CONFIG, *CONFIG.members[:2], CONFIG.members[1], CONFIG.members[3])),
    ("R32", with_member(CONFIG, 1, log_pk=CONFIG.members[0].log_pk)),
    ("R32", with_member(CONFIG, 1, cosigner_pk=CONFIG.members[1].node_pk)),
    ("R32", with_member(CONFIG, 1, org=CONFIG.members[0].org)),
    ("R33", msgspec.structs.replace(CONFIG, q=2)),
    ("R33", msgspec.structs.replace(CONFIG, q=5)),
    ("R33", msgspec.structs.replace(make_config(3), q=1)),
    ("R33", msgspec.structs.replace(make_config(2), q=1)),
    ("R34", with_members(CONFIG, *(
        msgspec.structs.replace(m, leader_eligible=i == 0) for i, m in enumerate(CONFIG.members)
    ))),
    ("R35", with_limits(block_bytes=0)),
    ("R35", with_limits(block_bytes=(8 << 20) + 1)),
    ("R35", with_limits(block_records=0)),
    ("R35", with_limits(block_records=65_537)),
    ("R35", with_limits(min_interval_ms=60_001)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "config"), BROKEN)
def test_configurations_that_are_refused(rule: str, config: EpochConfig) -> None:
    with pytest.raises(AllianceError) as caught:
        check_config(config)
    assert caught.value.rule == rule
    assert caught.value.sentence("zh")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 31])
def test_configurations_that_are_accepted(n: int) -> None:
    check_config(make_config(n))


def test_a_key_of_small_order_is_refused() -> None:
    neutral = b64url(b"\x01" + bytes(31))
    members = sorted(
        (msgspec.structs.replace(CONFIG.members[0], node_pk=neutral), *CONFIG.members[1:]),
        key=node_key,
    )
    with pytest.raises(AllianceError):
        check_config(with_members(CONFIG, *members))


@pytest.mark.parametrize(
    "fields", [{"epoch": 5}, {"epoch": 3}, {"chain_id": b64url(bytes(32))}, {"rules_version": 1}]
)
def test_the_next_configuration_follows(fields: dict[str, object]) -> None:
    following = msgspec.structs.replace(CONFIG, epoch=4)
    check_next_config(CONFIG, following)
    with pytest.raises(MalformedError) as caught:
        check_next_config(CONFIG, msgspec.structs.replace(following, **fields))
    assert caught.value.rule == "R36"


def test_every_eligible_member_leads_in_turn() -> None:
    config = with_member(CONFIG, 2, leader_eligible=False)
    turns = [config.leader(view) for view in range(1, 7)]
    assert turns[:3] == turns[3:]
    assert sorted(turns[:3]) == [0, 1, 3]
    expected = sorted(
        (0, 1, 3), key=lambda i: sha256(config.config_hash + config.node_keys[i]).digest()
    )
    assert turns[:3] == expected


def test_members_are_found_by_their_keys() -> None:
    assert [CONFIG.index_of(pk) for pk in CONFIG.node_keys] == [0, 1, 2, 3]
    assert CONFIG.index_of(bytes(32)) is None
    assert (CONFIG.n, CONFIG.offline, CONFIG.lying, CONFIG.joining) == (4, 1, 1, 2)
    assert set(CONFIG.node_kids.values()) == set(CONFIG.members)
