"""Membership on the chain: the next configuration, who is ready for it, and the block that closes
an epoch (SPEC 5.7, 7.3; definitions.md 1; consensus.md 2.17).
"""

from typing import Any

import msgspec
import pytest

from ledger.chain import Applied, build_block, check_block, finish_block
from ledger.consensus.messages import Kind, signed_bytes
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url
from ledger.errors import AllianceError
from ledger.members import EpochConfig
from ledger.records import decode_entry
from ledger.records.envelope import Ref
from ledger.records.epochs import ConfigBody, EndpointBody, EvidenceBody, SignedWord
from ledger.records.governance import MemberBody
from ledger.records.seal import decode_seal
from tests.ledger.ledgers import Ledger
from tests.support.epochs import (
    admit,
    approve,
    config_of,
    decide,
    declare,
    grown,
    ready_body,
)
from tests.support.world import Blocks, make_world, seed, sign_seal

FOUR = ("h1", "h2", "h3", "h4")


def refused(ledger: Ledger, raw: bytes) -> str:
    """The rule by which the next block does not take an entry; the chain stays as it was."""
    with pytest.raises(AllianceError) as caught:
        ledger.add(raw)
    caught.value.sentence("zh")
    return caught.value.rule


def joining(*orgs: str) -> tuple[Ledger, EpochConfig]:
    """A chain of one member on which a configuration with these besides is pending."""
    ledger = Ledger()
    for org in orgs:
        admit(ledger, org)
    config = config_of(ledger.world, ["h1", *orgs])
    decide(ledger, config)
    return ledger, config


# --- the good way ---


def test_one_member_becomes_two() -> None:
    ledger, config = joining("h2")
    assert ledger.value("config", "next").config == config
    declare(ledger, config, "h2")
    assert not ledger.tip.is_boundary
    assert ledger.value("config", "next").ready == ("h2",)
    before = ledger.tip
    declare(ledger, config, "h1")
    tip = ledger.tip
    assert tip.is_boundary
    assert ledger.last.seal.seal.next_config_hash == b64url(config.config_hash)
    assert ledger.last.seal.seal.epoch == 0
    assert (tip.config, tip.own_config, tip.view) == (config, before.config, 0)
    assert tip.configs == (before.config, config)
    assert (tip.epoch_of(tip.seal_index), tip.epoch_of(tip.size)) == (0, 1)
    ledger.record("endpoint", EndpointBody(org="h2", urls=("https://h2.example:8443",)), org="h2")
    seal = ledger.last.seal.seal
    assert (seal.epoch, seal.view, seal.parent_view, seal.height) == (1, 1, 0, tip.height + 1)
    assert seal.config_hash == b64url(config.config_hash)
    assert not ledger.tip.is_boundary
    assert ledger.tip.own_config == config


def test_four_members_become_five_and_one_of_them_leaves() -> None:
    ledger = Ledger(make_world(FOUR))
    five = grown(ledger, "h5")
    assert [m.org for m in ledger.tip.config.members] == [m.org for m in five.members]
    assert ledger.value("config", "1").ready == tuple(
        sorted(["h5", *(m.org for m in ledger.tip.boundaries[0].config.members[:3])])
    )
    # Without new keys the quorum of those who stay is enough.
    rest = config_of(ledger.world, ["h1", "h2", "h3", "h5"], 2)
    decide(ledger, rest)
    declare(ledger, rest, "h1", "h2")
    assert not ledger.tip.is_boundary
    declare(ledger, rest, "h5")
    assert ledger.tip.config == rest
    assert [b.config.epoch for b in ledger.tip.boundaries] == [0, 1]
    assert refused(ledger, ledger.sign("evidence", evidence(ledger), by="node", org="h4")) == (
        "S3.unknown"
    )


def test_a_new_node_key_declares_itself() -> None:
    """The old key of the same organisation says nothing about the new one."""
    ledger = Ledger(make_world(FOUR))
    old = ledger.world.keys["h1"]
    new = old._replace(node=signer_from_seed(seed("new node", "h1")))
    ledger.world.keys["h1"] = new  # type: ignore[index]
    config = config_of(ledger.world, FOUR)
    ledger.world.keys["h1"] = old  # type: ignore[index]
    decide(ledger, config)
    assert refused(ledger, ledger.sign("ready", ready_body(config), by="node")) == "G17"
    declare(ledger, config, "h2", "h3", "h4")
    assert not ledger.tip.is_boundary
    raw = signed_with(ledger, new, "ready", ready_body(config))
    ledger.add(raw)
    assert ledger.tip.config == config


def signed_with(ledger: Ledger, keys: Any, kind: str, body: Any) -> bytes:  # noqa: ANN401
    """A record signed with other keys of h1; the chain goes on under the present ones."""
    present = ledger.world.keys["h1"]
    ledger.world.keys["h1"] = keys  # type: ignore[index]
    raw = ledger.sign(kind, body, by="node")
    ledger.world.keys["h1"] = present  # type: ignore[index]
    return raw


# --- config ---


def test_a_configuration_needs_the_committee() -> None:
    ledger = Ledger()
    leaf = ledger.record("config", ConfigBody(config=config_of(ledger.world, ["h1"])))
    assert ledger.decision(leaf).status == "PENDING"
    assert ledger.value("config", "next") is None
    assert approve(ledger, leaf) == "EFFECTIVE"
    assert ledger.value("config", "next").leaf == leaf


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"epoch": 0}, "R36"),
        ({"epoch": 2}, "R36"),
        ({"chain_id": "A" * 43}, "R36"),
        ({"rules_version": 0}, "R36"),
        ({"q": 2}, "R33"),
        ({"members": ()}, "R30"),
    ],
)
def test_a_configuration_that_may_not_follow(changes: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    config = msgspec.structs.replace(config_of(ledger.world, ["h1"]), **changes)
    assert refused(ledger, ledger.sign("config", ConfigBody(config=config))) == rule


def test_only_members_run_nodes() -> None:
    ledger = Ledger()
    ledger.world.keys["h2"] = make_world(("h2",)).keys["h2"]  # type: ignore[index]
    config = config_of(ledger.world, ["h1", "h2"])
    assert refused(ledger, ledger.sign("config", ConfigBody(config=config))) == "G14"
    grown(ledger, "h2")
    leaf = ledger.resolution("R-exit").leaf
    approve(ledger, leaf)
    exit_ = MemberBody(action="exit", org="h2")
    refs = (Ref(leaf=leaf, rel="resolution"),)
    gone = ledger.record("member", exit_, by="committee", refs=refs)
    approve(ledger, gone)
    config = config_of(ledger.world, ["h1", "h2"], 2)
    assert refused(ledger, ledger.sign("config", ConfigBody(config=config))) == "G14"


@pytest.mark.parametrize("role", ["officer", "log"])
def test_one_key_one_role(role: str) -> None:
    """Neither an officer's key nor another role of the present nodes becomes a node key."""
    ledger = Ledger()
    keys = ledger.world.keys["h1"]
    ledger.world.keys["h1"] = keys._replace(  # type: ignore[index]
        node=getattr(keys, role), log=signer_from_seed(seed("other log"))
    )
    config = config_of(ledger.world, ["h1"])
    ledger.world.keys["h1"] = keys  # type: ignore[index]
    assert refused(ledger, ledger.sign("config", ConfigBody(config=config))) == "G15"


def test_a_later_configuration_replaces_the_pending_one() -> None:
    ledger, first = joining("h2")
    declare(ledger, first, "h2")
    second = msgspec.structs.replace(
        first, limits=msgspec.structs.replace(first.limits, block_records=7)
    )
    decide(ledger, second)
    assert ledger.value("config", "next").ready == ()
    assert refused(ledger, ledger.sign("ready", ready_body(first), by="node")) == "G16"
    declare(ledger, second, "h2", "h1")
    assert ledger.tip.config == second


def test_a_configuration_decided_on_again_asks_everybody_again() -> None:
    ledger, config = joining("h2")
    declare(ledger, config, "h2")
    decide(ledger, config)
    declare(ledger, config, "h1")
    assert not ledger.tip.is_boundary
    declare(ledger, config, "h2")
    assert ledger.tip.is_boundary


def test_what_is_decided_after_its_time_is_void() -> None:
    ledger, config = joining("h2")
    late = ledger.record("config", ConfigBody(config=config))
    declare(ledger, config, "h2", "h1")
    assert approve(ledger, late) == "VOID"
    assert ledger.decision(late).rule == "R36"


# --- ready ---


def test_readiness_needs_a_pending_configuration() -> None:
    ledger = Ledger()
    config = config_of(ledger.world, ["h1"])
    assert refused(ledger, ledger.sign("ready", ready_body(config), by="node")) == "G16"
    decide(ledger, config)
    other = msgspec.structs.replace(config, epoch=2)
    assert refused(ledger, ledger.sign("ready", ready_body(other), by="node")) == "G16"
    declare(ledger, config, "h1")
    assert refused(ledger, ledger.sign("ready", ready_body(config), by="node")) == "G16"


def test_readiness_counts_once() -> None:
    ledger, config = joining("h2")
    declare(ledger, config, "h1")
    assert refused(ledger, ledger.sign("ready", ready_body(config), by="node")) == "G18"


def test_readiness_for_other_rules_does_not_count() -> None:
    ledger, config = joining("h2")
    raw = ledger.sign("ready", ready_body(config, 2, 3), by="node")
    assert refused(ledger, raw) == "G19"


def test_a_node_that_leaves_has_no_say() -> None:
    ledger = Ledger(make_world(FOUR))
    config = config_of(ledger.world, FOUR[:3])
    decide(ledger, config)
    assert refused(ledger, ledger.sign("ready", ready_body(config), by="node", org="h4")) == "G17"


def test_a_joining_node_signs_nothing_else() -> None:
    ledger, _config = joining("h2")
    for kind, body in (
        ("evidence", evidence(ledger)),
        ("endpoint", EndpointBody(org="h2")),
    ):
        assert refused(ledger, ledger.sign(kind, body, by="node", org="h2")) == "S3.capacity"


def test_a_joining_key_is_known_from_the_next_block_on_and_no_longer_than_it_is_pending() -> None:
    ledger, config = joining("h2", "h3")
    decide(ledger, config_of(ledger.world, ["h1", "h3"]))
    raw = ledger.sign("ready", ready_body(config), by="node", org="h2")
    assert refused(ledger, raw) == "S3.unknown"


@pytest.mark.parametrize("by", ["officer", "committee", "system"])
def test_only_nodes_are_ready(by: str) -> None:
    ledger = Ledger()
    config = config_of(ledger.world, ["h1"])
    decide(ledger, config)
    assert refused(ledger, ledger.sign("ready", ready_body(config), by=by)) == "S3.capacity"


# --- the block that closes an epoch ---


def closing() -> tuple[Ledger, EpochConfig, list[bytes]]:
    """A chain before its boundary, with the last word of readiness and an entry behind it."""
    ledger, config = joining("h2")
    declare(ledger, config, "h2")
    last = ledger.sign("ready", ready_body(config), by="node")
    return ledger, config, [ledger.world.access(seq=1), last, ledger.world.access(seq=2)]


def block_of(ledger: Ledger, raws: list[bytes], **changes: Any) -> tuple[Applied, list[bytes]]:
    """A block of these entries; `changes` go into its seal before it is signed again."""
    parent = ledger.tip
    view = parent.view + 1
    org = parent.config.members[parent.config.leader(view)].org
    entries = [decode_entry(raw) for raw in raws]
    built = build_block(
        parent,
        entries,
        view=view,
        proposer=org,
        time_ms=parent.time_ms + 1,
        history=ledger.blocks,
        verify=verify,
    )
    assert built.refusals == []
    node = ledger.world.keys[org].node
    applied = finish_block(parent, built, sign_seal(node, built.seal))
    seal = sign_seal(node, msgspec.structs.replace(built.seal, **changes))
    return applied, [*(entry.raw for entry in applied.entries), seal.raw]


def broken(ledger: Ledger, raws: list[bytes]) -> tuple[str, object]:
    """The rule that a block breaks, and the field."""
    with pytest.raises(AllianceError) as caught:
        check_block(ledger.tip, raws, ledger.blocks, verify)
    return caught.value.rule, caught.value.facts.get("field")


def test_the_record_that_activates_is_the_last_one() -> None:
    ledger, config, raws = closing()
    applied, block = block_of(ledger, raws)
    assert [entry.raw for entry in applied.entries] == raws[:2]
    assert applied.seal.seal.next_config_hash == b64url(config.config_hash)
    checked = check_block(ledger.tip, block, ledger.blocks, verify)
    assert checked.tip._replace(state=applied.tip.state) == applied.tip
    assert checked.tip.is_boundary


def test_nothing_stands_behind_the_record_that_activates() -> None:
    ledger, _config, raws = closing()
    _applied, block = block_of(ledger, raws)
    assert broken(ledger, [*block[:2], raws[2], block[2]])[0] == "L17"


@pytest.mark.parametrize("hashed", [None, b64url(bytes(32))])
def test_a_block_that_activates_says_so(hashed: str | None) -> None:
    ledger, _config, raws = closing()
    _applied, block = block_of(ledger, raws, next_config_hash=hashed)
    assert broken(ledger, block) == ("L2", "next_config_hash")


def test_only_a_block_that_activates_says_so() -> None:
    ledger, config, raws = closing()
    _applied, block = block_of(ledger, raws[:1], next_config_hash=b64url(config.config_hash))
    assert broken(ledger, block) == ("L2", "next_config_hash")


def next_block(**changes: Any) -> tuple[str, object]:
    """What is wrong with a block on a boundary."""
    ledger, config, raws = closing()
    applied, _block = block_of(ledger, raws)
    ledger.tip = applied.tip
    ledger.blocks = Blocks()
    _applied, block = block_of(ledger, raws[2:], **changes)
    if not changes:
        assert check_block(ledger.tip, block, ledger.blocks, verify).seal.seal.epoch == 1
        return ("", config.config_hash)
    return broken(ledger, block)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"epoch": 0}, "epoch"),
        ({"config_hash": b64url(bytes(32))}, "config_hash"),
        ({"parent_view": 1, "view": 3}, "parent_view"),
        ({"view": 0}, "view"),
    ],
)
def test_nothing_is_built_on_a_boundary_in_its_own_epoch(
    changes: dict[str, Any], field: str
) -> None:
    assert next_block()[0] == ""
    assert next_block(**changes) == ("L2", field)


def test_the_next_epoch_is_led_by_its_own_members() -> None:
    """A member of the old epoch alone does not lead, whatever view it states."""
    ledger = Ledger(make_world(FOUR))
    config = config_of(ledger.world, FOUR[:3])
    decide(ledger, config)
    declare(ledger, config, "h1", "h2")
    assert ledger.tip.is_boundary
    _applied, block = block_of(ledger, [ledger.world.access(seq=1)])
    stranger = sign_seal(ledger.world.keys["h4"].node, _seal_of(block[-1], proposer="h4"))
    assert broken(ledger, [block[0], stranger.raw])[0] == "L3.leader"


def _seal_of(raw: bytes, **changes: Any) -> Any:  # noqa: ANN401
    return msgspec.structs.replace(decode_seal(raw).seal, **changes)


def test_rules_that_this_software_does_not_know_end_it() -> None:
    """At the boundary, before any vote under them."""
    ledger = Ledger()
    config = config_of(ledger.world, ["h1"], rules_version=2)
    decide(ledger, config)
    ledger.record("ready", ready_body(config, 1, 2), by="node")
    assert ledger.tip.config == config
    assert refused(ledger, ledger.world.access(seq=1)) == "L15"
    assert broken(ledger, [b"", b""])[0] == "L15"


# --- endpoint ---


def test_an_officer_says_where_the_node_listens() -> None:
    ledger = Ledger()
    pin = b64url(bytes(32))
    for urls in (("https://10.0.0.1:8443",), ("https://a.example", "http://[::1]:80"), ()):
        ledger.record("endpoint", EndpointBody(org="h1", tls_pins=(pin,), urls=urls))
        assert ledger.value("endpoint", "h1").urls == urls


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://a.example/",
        "https://a.example:0",
        "https://wang@a.example",
        "https://a.example?x=1",
        "https://a.example\u3002cn",
        "https://-a",
    ],
)
def test_an_address_is_scheme_host_and_port(url: str) -> None:
    ledger = Ledger()
    assert refused(ledger, ledger.sign("endpoint", EndpointBody(org="h1", urls=(url,)))) == "G21"


def test_an_endpoint_is_one_s_own() -> None:
    ledger = Ledger(make_world(FOUR))
    raw = ledger.sign("endpoint", EndpointBody(org="h2"), org="h1")
    assert refused(ledger, raw) == "G20"
    pin = EndpointBody(org="h1", tls_pins=("A" * 42 + "B",))
    assert refused(ledger, ledger.sign("endpoint", pin)) == "B4"


# --- evidence ---


def word(
    ledger: Ledger, kind: Kind, block: int = 1, epoch: int = 0, signer: int = 0, view: int = 5
) -> SignedWord:
    """A word of a member, signed under the configuration of an epoch."""
    config = ledger.tip.configs[epoch]
    height, block_id = (0, bytes(32)) if kind == "nullify" else (9, bytes([block] * 32))
    node = ledger.world.keys[config.members[signer].org].node
    signature = node.sign(signed_bytes(config, kind, view, height, block_id))
    return SignedWord(
        block=b64url(block_id),
        height=height,
        kind=kind,
        signature=b64url(signature),
        signer=signer,
        view=view,
    )


def evidence(ledger: Ledger, epoch: int = 0, **changes: Any) -> EvidenceBody:
    """Two notarizations of different blocks in one view."""
    body = EvidenceBody(
        epoch=epoch,
        first=word(ledger, "notarize", 1, epoch),
        kind="notarize",
        second=word(ledger, "notarize", 2, epoch),
    )
    return msgspec.structs.replace(body, **changes)


def test_evidence_is_kept_under_the_configuration_of_its_epoch() -> None:
    ledger = Ledger()
    ledger.record("evidence", evidence(ledger), by="node")
    grown(ledger, "h2")
    ledger.record("evidence", evidence(ledger, 0), by="node", org="h2")
    ledger.record("evidence", evidence(ledger, 1), by="node")
    first, second = word(ledger, "finalize"), word(ledger, "nullify")
    body = EvidenceBody(epoch=0, first=first, kind="finalize-nullify", second=second)
    ledger.record("evidence", body, by="node")
    assert ledger.value("subject", "voter:0/0").count == 3
    body = EvidenceBody(
        epoch=0, first=first, kind="finalize-notarize", second=word(ledger, "notarize", 2)
    )
    ledger.record("evidence", body, by="node")


def test_what_proves_nothing_is_refused() -> None:
    ledger = Ledger()
    good = evidence(ledger)
    spoilt = msgspec.structs.replace(good.second, signature=good.first.signature)
    other_view = word(ledger, "notarize", 2, view=6)
    cases = {
        "R26": [{"second": good.first}, {"second": other_view}],
        "R24": [{"second": spoilt}],
        "R22": [{"second": msgspec.structs.replace(good.second, signer=1)}],
        "G22": [{"epoch": 1}, {"kind": "finalize"}, {"second": word(ledger, "nullify")}],
        "R20": [{"second": msgspec.structs.replace(good.second, view=0)}],
    }
    for rule, bodies in cases.items():
        for changes in bodies:
            body = msgspec.structs.replace(good, **changes)
            assert refused(ledger, ledger.sign("evidence", body, by="node")) == rule


def test_words_of_one_epoch_are_no_evidence_in_another() -> None:
    ledger = Ledger()
    old = evidence(ledger)
    grown(ledger, "h2")
    body = msgspec.structs.replace(old, epoch=1)
    assert refused(ledger, ledger.sign("evidence", body, by="node")) == "R24"
