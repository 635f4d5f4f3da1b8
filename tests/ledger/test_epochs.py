"""Membership on the chain: the next configuration, who is ready for it, and the block that closes
an epoch (SPEC 5.7, 7.3; definitions.md 1; consensus.md 2.17).
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.offline import Audit, Held, Report
from ledger.chain import Applied, build_block, check_block, finish_block
from ledger.consensus.messages import (
    Certificate,
    Kind,
    decode_certificate,
    encode_certificate,
    signed_bytes,
)
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, unb64url
from ledger.errors import AllianceError, ProofError
from ledger.members import EpochConfig
from ledger.notes import TlogProof, decode_proof, encode_note, encode_policy, encode_proof
from ledger.records import decode_entry
from ledger.records.envelope import Ref
from ledger.records.epochs import ConfigBody, EndpointBody, EvidenceBody, SignedWord
from ledger.records.governance import MemberBody
from ledger.records.seal import decode_seal
from ledger.verify import (
    BoundaryProof,
    Receipt,
    _joining,
    decode_receipt,
    encode_epochs,
    encode_receipt,
    policy_of,
    verify_block_receipt,
    verify_head,
    verify_receipt,
)
from tests.ledger.ledgers import Ledger
from tests.support.copies import sign_head
from tests.support.epochs import (
    Prover,
    admit,
    approve,
    chain_of,
    config_of,
    copy_of,
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


# --- receipts ---


@pytest.fixture(scope="module")
def long() -> Ledger:
    """Three epochs: one member, two, three; an access in each, signed by a node key."""
    ledger = Ledger()
    for number, org in enumerate(("h2", "h3", "")):
        ledger.add(ledger.world.access(seq=number + 1))
        if org:
            grown(ledger, org)
    return ledger


def test_a_receipt_verifies_with_the_genesis_alone_across_epochs(long: Ledger) -> None:
    genesis = long.world.genesis.tip
    kinds = set()
    for height in range(len(long.applied)):
        prover = Prover(long, height)
        for earlier in {1, height // 2, height} - {0}:
            if earlier > height:
                continue
            receipt = prover.receipt(earlier)
            assert decode_receipt(encode_receipt(receipt)) == receipt
            proven = verify_receipt(receipt, genesis, verify)
            assert proven.height == earlier
            assert len(proven.head.configs) == proven.head.seal.seal.epoch + 1
            seal, _head = verify_block_receipt(prover.block_receipt(earlier), genesis)
            assert seal.leaf == long.applied[earlier].seal.leaf
            kinds.add((proven.entry.record.type, proven.head.seal.seal.epoch))
    assert {("ready", 0), ("ready", 1), ("access", 2)} <= kinds


def rule_of(receipt: Receipt, ledger: Ledger) -> str:
    """The rule that a receipt breaks."""
    with pytest.raises(AllianceError) as caught:
        verify_receipt(receipt, ledger.world.genesis.tip, verify)
    caught.value.sentence("zh")
    return caught.value.rule


def test_every_boundary_is_proven(long: Ledger) -> None:
    prover = Prover(long)
    good = prover.receipt(1)
    first, second = good.boundaries
    other = msgspec.structs.replace
    later = prover.seal(len(long.applied) - 1)
    elsewhere = other(first, seal=other(first.seal, index=first.seal.index - 1))
    unlimited = other(first.config, limits=other(first.config.limits, block_records=9))
    cases: dict[str, list[tuple[BoundaryProof, ...]]] = {
        "V28": [
            (other(first, config=unlimited), second),
        ],
        "R21": [(other(first, certificate=second.certificate), second)],
        "R23": [(other(first, certificate=_fewer(first.certificate)), second)],
        "R36": [(other(first, config=second.config), second)],
        "V1": [(second, first), (first, first), (other(first, seal=later), second), (first,), ()],
        "M2": [(elsewhere, second)],
    }
    for rule, wrongs in cases.items():
        for wrong in wrongs:
            assert rule_of(other(good, boundaries=wrong), long) in (rule, "M1"), (rule, wrong)


def _fewer(certificate: str) -> str:
    found = decode_certificate(unb64url(certificate))
    return b64url(encode_certificate(other_signers(found)))


def other_signers(found: Certificate) -> Certificate:
    """The same certificate, said by nobody."""
    return msgspec.structs.replace(found, signers=0, signatures=())


def test_a_block_that_names_no_configuration_ends_no_epoch(long: Ledger) -> None:
    """Final as it may be: an attacker needs a quorum for the block, not for any block."""
    chain = chain_of(long)
    height = long.tip.boundaries[0].height - 1
    prover = Prover(long)
    good = prover.receipt(1)
    wrong = msgspec.structs.replace(
        good.boundaries[0],
        certificate=b64url(chain.certificates()[height - 1]),
        seal=prover.seal(height),
    )
    receipt = msgspec.structs.replace(good, boundaries=(wrong, good.boundaries[1]))
    assert rule_of(receipt, long) == "V28"
    wrong = msgspec.structs.replace(
        good.boundaries[0], certificate=b64url(chain.certificates()[height - 1])
    )
    receipt = msgspec.structs.replace(good, boundaries=(wrong, good.boundaries[1]))
    assert rule_of(receipt, long) == "V28"


def test_a_checkpoint_is_published_by_the_epoch_of_its_last_seal(long: Ledger) -> None:
    """The block that closes an epoch belongs to it; the block after it does not."""
    height = long.tip.boundaries[0].height
    at_end = Prover(long, height)
    assert at_end.boundaries == ()
    good = at_end.receipt(1)
    verify_receipt(good, long.world.genesis.tip, verify)
    after = Prover(long, height + 1)
    # The old quorum alone does not publish what follows.
    alone = sign_head(long.world, after.tree, orgs=["h1"])
    proof = decode_proof(after.receipt(1).proof.encode())
    forged = encode_proof(TlogProof(proof.index, proof.path, alone)).decode()
    assert rule_of(msgspec.structs.replace(after.receipt(1), proof=forged), long) == "N9"
    # And what closed an epoch needs no word of the next one.
    extra = msgspec.structs.replace(good, boundaries=Prover(long).boundaries[:1])
    assert rule_of(extra, long) in {"N9", "V28", "V1"}
    both = sign_head(long.world, at_end.tree, orgs=["h1", "h2"])
    boundary = msgspec.structs.replace(Prover(long).boundaries[0], seal=at_end.seal(height))
    proof = decode_proof(good.proof.encode())
    text = encode_proof(TlogProof(proof.index, proof.path, both)).decode()
    extra = msgspec.structs.replace(good, boundaries=(boundary,), proof=text)
    assert rule_of(extra, long) == "V28"


def test_a_joining_key_is_proven_by_the_state(long: Ledger) -> None:
    prover = Prover(long)
    ready = next(
        height
        for height, block in enumerate(long.applied)
        if block.entries[0].record.type == "ready"
    )
    good = prover.receipt(ready)
    assert good.key is not None
    assert good.key.key.startswith("ready/")
    for key in (None, prover.state("key", good.key.key[6:]), prover.state("ready", "x")):
        assert rule_of(msgspec.structs.replace(good, key=key), long) == "V5"


def test_a_joining_key_that_was_not_pending_is_none(long: Ledger) -> None:
    """The state proves that it holds nothing under the key's name."""
    prover = Prover(long)
    genesis = long.world.genesis.tip
    receipt = prover.receipt(len(long.applied) - 1)
    head = verify_head(prover.note, receipt.head, genesis, receipt.boundaries)
    stranger = b64url(signer_from_seed(seed("a", "stranger")).kid)
    absent = prover.state("ready", stranger)
    assert absent.value is None
    with pytest.raises(ProofError, match="V5"):
        _joining(stranger, head, absent)


# --- copies ---


def audit(folder: Path, ledger: Ledger, **held: Any) -> Report:
    """What an auditor says who holds the genesis."""
    return Audit(folder, Held(genesis=ledger.world.bundle, **held), workers=0).run()


def failure(folder: Path, ledger: Ledger, **held: Any) -> tuple[int, str]:
    """The first step that fails, and its rule."""
    failed = audit(folder, ledger, **held).failed
    if failed is None or failed.error is None:
        return 0, ""
    return failed.number, failed.error.rule


def test_a_copy_over_several_epochs_is_audited(long: Ledger, tmp_path: Path) -> None:
    receipts, since, older = [], [], []
    for height in range(1, len(long.applied)):
        prover = Prover(long, height)
        receipts.append((f"r{height}", encode_receipt(prover.receipt(height))))
        since.append((f"h{height}", encode_note(prover.note)))
        epoch = prover.tip.own_config.epoch
        older.append(copy_of(tmp_path / str(height), long, height))
        report = audit(older[-1], long)
        assert report.is_valid, (height, report.failed)
        config = prover.tip.own_config
        assert report.members == (config.n, config.q, config.offline, config.lying)
        assert report.final_height == height
        assert (older[-1] / "epochs").exists() == (epoch > 0)
    held = {"since": tuple(since), "receipts": tuple(receipts), "older": tuple(older)}
    report = audit(older[-1], long, **held)
    assert report.is_valid, report.failed
    assert len(report.compared) == 3 * len(older)


def test_a_copy_whose_epochs_are_wrong_is_found(long: Ledger, tmp_path: Path) -> None:
    folder = copy_of(tmp_path / "copy", long)
    good = {name: (folder / name).read_bytes() for name in ("epochs", "policy", "checkpoint")}
    certificates = folder / "finality/certificates"
    framed = certificates.read_bytes()
    first, second = Prover(long).boundaries
    origin = long.world.genesis.tip.origin
    forged_place = msgspec.structs.replace(
        first, seal=msgspec.structs.replace(first.seal, path=first.seal.path[:-1])
    )
    cases: list[tuple[dict[str, bytes], tuple[int, str]]] = [
        ({}, (0, "")),
        ({"policy": encode_policy(policy_of(long.world.config, origin))}, (1, "V13")),
        ({"epochs": encode_epochs([second])}, (1, "V1")),
        ({"epochs": encode_epochs([])}, (1, "V13")),
        ({"epochs": b"{}"}, (1, "S1")),
        ({"epochs": encode_epochs([forged_place, second])}, (2, "M2")),
        (
            {
                "epochs": encode_epochs([first]),
                "policy": encode_policy(policy_of(first.config, origin)),
            },
            (4, "V29"),
        ),
        (
            {
                "epochs": encode_epochs([]),
                "policy": encode_policy(policy_of(long.world.config, origin)),
            },
            (3, "V16"),
        ),
    ]
    for files, expected in cases:
        for name, data in {**good, **files}.items():
            (folder / name).write_bytes(data)
        assert failure(folder, long) == expected, files.keys()
    for name, data in good.items():
        (folder / name).write_bytes(data)
    # Without a certificate of its own a boundary is not final, whatever later ones say.
    chain = chain_of(long)
    closing = long.tip.boundaries[0].height
    items = chain.certificates()
    items[closing - 1] = b""
    certificates.write_bytes(b"".join(len(i).to_bytes(4, "big") + i for i in items))
    assert failure(folder, long) == (5, "V20")
    # Nor does the quorum of one epoch make blocks of another final.
    items = chain.certificates()
    items[closing] = items[closing - 1]
    certificates.write_bytes(b"".join(len(i).to_bytes(4, "big") + i for i in items))
    assert failure(folder, long) == (5, "R21")
    certificates.write_bytes(framed)
    assert failure(folder, long) == (0, "")


def test_an_older_head_counts_under_its_own_epoch(long: Ledger, tmp_path: Path) -> None:
    """The quorum of the first epoch alone does not vouch for what came after it."""
    folder = copy_of(tmp_path / "copy", long)
    height = long.tip.boundaries[0].height
    alone = sign_head(long.world, Prover(long, height + 1).tree, orgs=["h1"])
    assert failure(folder, long, since=(("old", encode_note(alone)),)) == (6, "N9")
