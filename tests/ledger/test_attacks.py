"""Attacks on the core by a member who holds valid keys: what a rule must withstand, one test for
each.
"""

import time
from typing import Any

import msgspec
import pytest

from ledger.chain import chain_id_of, check_block, check_genesis, found
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, encode_bundle, encode_time
from ledger.errors import AllianceError, ProofError
from ledger.members import Limits, check_config
from ledger.merkle import Tree
from ledger.notes import decode_note, encode_note
from ledger.records import DECODERS, decode_entry
from ledger.records.catalogue import Alias, DatasetBody, Term
from ledger.records.envelope import ENCODE, Record, Ref, decode_canonical
from ledger.records.governance import (
    EndorseBody,
    FounderAcceptanceBody,
    GenesisBody,
    KeyBody,
    MemberBody,
    PolicyBody,
    ResolutionBody,
    Votes,
)
from ledger.records.use import CorrectionBody, Source
from ledger.rules.decisions import MAX_VOTES
from ledger.rules.guard import PATTERNS
from ledger.rules.use import MAX_SUMMARY
from ledger.state import verify_state
from ledger.verify import (
    SealProof,
    StateProof,
    verify_head,
    verify_state_proof,
    verify_subject_log,
)
from tests.ledger.ledgers import LATER, Ledger
from tests.ledger.lives import ANALYST, Life, person_key
from tests.ledger.test_rules_governance import admission, endorse, register, three
from tests.ledger.test_rules_structure import access, dataset, refused
from tests.ledger.test_rules_use import T2, aliased, close, summary, version
from tests.support.copies import sign_head
from tests.support.world import (
    GENESIS_MS,
    Blocks,
    World,
    make_world,
    seed,
    sign_payload,
    sign_record,
)

NOW = GENESIS_MS + 60_000
DAY_MS = 86_400_000


def seq(number: int, system: str = "gateway") -> Source:
    """A number of a source."""
    return Source(seq=number, system=system)


# --- keys of the map ---


def test_two_organisations_never_share_a_source() -> None:
    """`h1` with the system `a/b` would be `h1/a` with the system `b`."""
    ledger = Ledger(make_world(("h1", "h2")))
    for body in (admission(ledger, "h1/a"), admission(ledger, "h1/a:b")):
        raw = ledger.sign("member", body, by="committee", refs=(ledger.resolution(body.org),))
        assert refused(ledger, raw) == "S1"
    with pytest.raises(AllianceError) as caught:
        make_world(("h1", "h1/a"))
    assert caught.value.rule == "L9"


def test_two_aliases_never_share_a_name() -> None:
    """The name `b/c` in the namespace `a` would be `c` in the namespace `a/b`."""
    ledger = Ledger()

    def named(series: str, namespace: str, name: str) -> bytes:
        alias = Alias(name=name, namespace=namespace)
        body = DatasetBody(aliases=(alias,), custodian="h1", openness="closed", series_id=series)
        return ledger.sign("dataset", body)

    ledger.add(named("D1", "a", "b/c"))
    assert refused(ledger, named("D2", "a/b", "c")) == "S1"


# --- one form of bytes ---


@pytest.mark.parametrize("character", ["\x7f", "\\u007f", "\\u0085", "\u0085"])
def test_no_control_character_is_recorded(character: str) -> None:
    ledger = Ledger()
    raw = ledger.sign("access", access(person="pXq"), by="system")
    entry = decode_entry(raw)
    payload = entry.statement.payload.replace(b"pXq", f"p{character}q".encode())
    with pytest.raises(AllianceError) as caught:
        decode_canonical(payload, DECODERS["access"])
    assert caught.value.rule in ("B3", "S2")


# --- personal data ---


def test_the_guard_reads_every_open_string() -> None:
    """A mobile number is refused wherever a person or a system may write it."""
    number = "13800138000"
    ledger = Ledger()
    target = ledger.record("access", access(), by="system")
    bodies: list[tuple[str, Any, str, dict[str, Any]]] = [
        ("access", access(request=seq(1, number)), "system", {}),
        ("access", access(source=seq(1, number)), "system", {}),
        ("access-batch", summary(system=number), "system", {"payloads": T2}),
        (
            "correction",
            CorrectionBody(field_path="x", new_value=number, reason_code="x", target=target),
            "officer",
            {},
        ),
        ("dataset", dataset(number), "officer", {}),
        ("dataset", aliased("D2", number), "officer", {}),
        ("key", register(ledger, "log", "self", valid_until=LATER), "officer", {}),
    ]
    key = msgspec.structs.replace(bodies[-1][1].key, subject=number)
    bodies[-1] = ("key", msgspec.structs.replace(bodies[-1][1], key=key), "officer", {})
    for kind, body, by, fields in bodies:
        assert refused(ledger, ledger.sign(kind, body, by=by, **fields)) == "S8", body
    with pytest.raises(AllianceError):
        close(ledger, 1, 1, system=number)


def test_what_may_be_registered_may_be_accessed() -> None:
    """A name that the guard refuses in an access would hide every use of the dataset."""
    ledger = Ledger()
    ledger.record("dataset", dataset("D1"))
    registered = []
    for number in ("2024.beta", "1.2.3.4", "v1.final", "1.2.3", "1.2.3-4", "2024.11.27.1"):
        name = f"D1@{number}"
        raw = ledger.sign("dataset-version", version(number))
        evidence = ledger.sign("access", access(dataset=name), by="system")
        try:
            ledger.add(raw)
        except AllianceError as error:
            assert error.rule == "S8"  # noqa: PT017
            continue
        ledger.add(evidence)
        assert "UNREGISTERED" not in ledger.findings
        registered.append(number)
    assert registered == ["1.2.3", "1.2.3-4", "2024.11.27.1"]


def test_the_guard_takes_linear_time() -> None:
    """The square of this length would take minutes."""
    for text in ("a" * 300_000, "a@" * 100_000, "1." * 100_000, "a." * 100_000, "1" * 300_000):
        start = time.perf_counter()
        for _name, pattern in PATTERNS:
            assert pattern.search(text) is None
        assert time.perf_counter() - start < 2
    assert dict(PATTERNS)["e-mail"].search("x: a.b@c.example") is not None
    assert dict(PATTERNS)["e-mail"].search("@a@c.example") is not None


# --- work ---


def test_a_summary_changes_no_more_than_a_block_of_its_size_may() -> None:
    """Few bytes must not change a thousand keys of the map on every node."""
    ledger = Ledger()
    body = summary(count=MAX_SUMMARY, last_seq=MAX_SUMMARY)
    ledger.record("access-batch", body, by="system", payloads=T2)
    assert len(ledger.last.changes) < 80


def test_closing_again_and_again_walks_no_chunk_twice() -> None:
    """A close that does not advance must not walk over all numbers of its source."""
    ledger = Ledger()
    for part in range(20):
        first = 1 + part * MAX_SUMMARY
        body = summary(count=MAX_SUMMARY, first_seq=first, last_seq=first + MAX_SUMMARY - 1)
        ledger.record("access-batch", body, by="system", payloads=T2)
    reads = 0
    before = ledger.tip.state.get

    class Counting:
        """The state, counting what is read of it."""

        root = ledger.tip.state.root
        update = ledger.tip.state.update

        def get(self, key: bytes) -> object:
            """One read."""
            nonlocal reads
            reads += key.startswith(b"source-chunk")
            return before(key)

    ledger.tip = ledger.tip._replace(state=Counting())  # type: ignore[arg-type]
    assert close(ledger, 0, 0) == ("SEQ_BEYOND_CLOSE",)
    assert reads <= 2


def test_every_entry_fits_into_a_block() -> None:
    """An entry that no block may hold would wait for ever, and all others behind it."""
    world = make_world()
    limits = Limits(block_bytes=65_534, block_records=1, min_interval_ms=0)
    config = msgspec.structs.replace(world.config, limits=limits)
    with pytest.raises(AllianceError) as caught:
        check_config(config)
    assert caught.value.rule == "R35"


# --- records that poison what comes after them ---


def policy_of(ledger: Ledger, **changes: Any) -> PolicyBody:
    """The next policy."""
    current = ledger.value("policy", "next") or ledger.value("policy", "current")
    body: PolicyBody = current.body
    fields = {"effective_from": encode_time(NOW + 60_000), "version": body.version + 1, **changes}
    return msgspec.structs.replace(body, **fields)


def previous(ledger: Ledger) -> Ref:
    """The newest policy, to be referred to."""
    current = ledger.value("policy", "next") or ledger.value("policy", "current")
    return Ref(leaf=current.leaf, rel="previous")


@pytest.mark.parametrize("field", ["decision_days", "backfill_days"])
def test_no_policy_makes_deadlines_beyond_all_integers(field: str) -> None:
    """A deadline that is no integer of the format would stand in the state of every later block."""
    ledger = Ledger()
    refs = (ledger.resolution(), previous(ledger))
    body = policy_of(ledger, **{field: 2**53 - 1})
    assert refused(ledger, ledger.sign("policy", body, by="committee", refs=refs)) == "S1"


def test_a_pending_revocation_with_a_bad_time_blocks_no_endorsement() -> None:
    """The deciding endorsement is evidence: nothing in its target may refuse it."""
    ledger = three()
    kid = b64url(ledger.world.keys["h1"].officer.kid)
    body = KeyBody(action="revoke", kid=kid, suspect_from="9999-99-99T99:99:99.999Z")
    assert refused(ledger, ledger.sign("key", body)) == "B5"


def test_a_pending_record_of_an_organisation_that_left_confers_nothing() -> None:
    """The rules are evaluated again when a decision comes: S7 is one of them."""
    ledger = three()
    body = register(ledger, "log", "so", org="h3")
    leaf = ledger.record("key", body, org="h3")
    ref = ledger.resolution()
    for org in ("h2", "h3"):
        endorse(ledger, ref.leaf, org)
    out = ledger.record("member", MemberBody(action="exit", org="h3"), by="committee", refs=(ref,))
    endorse(ledger, out, "h2")
    assert ledger.value("member", "h3").status == "EXITED"
    endorse(ledger, leaf, "h1")
    endorse(ledger, leaf, "h2")
    decision = ledger.decision(leaf)
    assert (decision.status, decision.rule) == ("VOID", "S7")
    assert ledger.value("key", body.kid) is None


def test_a_stolen_and_revoked_key_decides_nothing() -> None:
    ledger = three()
    stolen = register(ledger, "log", "dac", org="h2")
    ledger.record("key", stolen, org="h2")
    leaf = ledger.record("key", register(ledger, "cosigner", "so"))
    endorse(ledger, leaf, "h2", by="log", capacity="dac")
    ledger.record("key", KeyBody(action="revoke", kid=stolen.kid), org="h2")
    endorse(ledger, leaf, "h3")
    assert ledger.decision(leaf).status == "PENDING"
    endorse(ledger, leaf, "h2")
    assert ledger.decision(leaf).status == "EFFECTIVE"


def test_nobody_swells_a_decision_with_votes() -> None:
    """Every member registers keys without end; each vote kept would be read again by every node at
    each further one, and written with the decision.
    """
    life = Life()
    votes = Votes(abstain=0, against=0, in_favour=3)
    meeting = ResolutionBody(
        kind="other", meeting_date="2026-01-01", no="R-1", present=3, votes=votes
    )
    leaf = life.put("resolution", meeting, by="committee")
    for number in range(MAX_VOTES + 2):
        signer = signer_from_seed(seed("dac", str(number)))
        life.register("h2", "dac", f"c{number}", signer)
        body = EndorseBody(capacity="dac", target=leaf, verdict="reject")
        life.put("endorse", body, by=signer, org="h2")
    life.endorse(leaf, "h3", "officer")
    life.endorse(leaf, "h2", person_key(ANALYST))
    assert len(life.decision(leaf).votes) == 1 + MAX_VOTES
    assert life.endorse(leaf, "h3", "committee") == "EFFECTIVE"


def test_the_last_of_several_policies_in_one_block_replaces_the_others() -> None:
    """A policy that is replaced before its time never comes into force; the one before stays."""
    ledger = Ledger()
    ref = ledger.resolution()
    first = ledger.sign(
        "policy", policy_of(ledger, decision_days=1), by="committee", refs=(ref, previous(ledger))
    )
    body = policy_of(ledger, decision_days=2, version=3, effective_from="9999-12-31T23:59:59.999Z")
    leaf = b64url(decode_entry(first).leaf)
    second = ledger.sign("policy", body, by="committee", refs=(ref, Ref(leaf=leaf, rel="previous")))
    ledger.last = ledger.world.extend(ledger.tip, [first, second], ledger.blocks, NOW)
    ledger.blocks.add(ledger.last)
    ledger.tip = ledger.last.tip
    assert ledger.value("policy", "next").body.decision_days == 2
    assert ledger.value("policy", "current").body.decision_days == 30
    made = ledger.record("dataset", dataset(), time_ms=NOW + DAY_MS // 2)
    assert ledger.decision(made).deadline_ms == NOW + DAY_MS // 2 + 30 * DAY_MS


def test_a_version_in_between_loosens_no_terms() -> None:
    """A custodian's terms go on through versions of one's own, until its officer gives them up."""
    ledger = three()
    strict = (Term(code="DUO:0000042"), Term(code="EC:STAY"))
    for org, series in (("h2", "S"), ("h1", "D1"), ("h3", "T")):
        ledger.record("dataset", dataset(series, org), org=org)

    def derive(org: str, series: str, number: str, source: str, *terms: Term) -> str:
        body = version(number, series_id=series, sources=(source,), terms=terms)
        return ledger.record("dataset-version", body, org=org)

    root = version(series_id="S", terms=strict)
    source = ledger.record("dataset-version", root, org="h2")
    same = derive("h1", "D1", "1", source, *strict)
    endorse(ledger, same, "h2", by="officer")
    assert ledger.decision(same).status == "EFFECTIVE"
    loose = derive("h1", "D1", "2", same)
    assert ledger.decision(loose).status == "PENDING"
    third = derive("h3", "T", "1", same, *strict)
    # Of h2's terms nothing is given up; h1, whose data these are, named no permit for them.
    endorse(ledger, third, "h1", by="officer")
    assert ledger.decision(third).status == "EFFECTIVE"
    # Of what h1 passed on, h3 needs both: h1 and h2.
    weak = derive("h3", "T", "2", third)
    endorse(ledger, weak, "h1", by="officer")
    assert ledger.decision(weak).status == "PENDING"
    endorse(ledger, weak, "h2", by="officer")
    assert ledger.decision(weak).status == "EFFECTIVE"
    endorse(ledger, loose, "h2", by="officer")
    assert ledger.decision(loose).status == "EFFECTIVE"
    # What its officer gave up, h2 asks for no more.
    assert ledger.decision(derive("h1", "D1", "3", loose)).status == "EFFECTIVE"
    many = version("9", terms=tuple(Term(code=f"T{n}") for n in range(65)))
    assert refused(ledger, ledger.sign("dataset-version", many)) == "S1"


# --- keys ---


def test_a_first_key_is_listed_once() -> None:
    """The same key again, as something else, would take the officer away that G2 asks for."""
    ledger = Ledger()
    (officer,) = admission(ledger).keys
    again = msgspec.structs.replace(officer, capacity="self", subject="x")
    raw = ledger.sign(
        "member",
        admission(ledger, keys=(officer, again)),
        by="committee",
        refs=(ledger.resolution(),),
    )
    assert refused(ledger, raw) == "G3"


def test_a_key_is_registered_once_whoever_asks() -> None:
    ledger = three()
    body = register(ledger, "log", "self")
    ledger.record("key", body)
    ledger.record("key", KeyBody(action="revoke", kid=body.kid))
    assert refused(ledger, ledger.sign("key", body)) == "K2"
    other = msgspec.structs.replace(body, key=msgspec.structs.replace(body.key, org="h2"))
    assert refused(ledger, ledger.sign("key", other, org="h2")) == "K2"


def test_nobody_registers_the_key_of_somebody_else() -> None:
    """A member that sees a key in a pending record cannot register it first: its proof is for
    somebody else (K8). The other is decided undisturbed.
    """
    ledger = three()
    body = register(ledger, "log", "so")
    leaf = ledger.record("key", body)
    squatted = msgspec.structs.replace(body.key, capacity="self", org="h3", subject="x")
    raw = ledger.sign("key", msgspec.structs.replace(body, key=squatted), org="h3")
    assert refused(ledger, raw) == "K8"
    endorse(ledger, leaf, "h1", by="committee")
    endorse(ledger, leaf, "h2")
    assert ledger.decision(leaf).status == "EFFECTIVE"


def test_revocation_and_use_in_one_block() -> None:
    """A revocation acts from the next height, whatever stands before or after it in its block."""
    ledger = Ledger()
    kid = b64url(ledger.world.keys["h1"].system.kid)
    revoke = ledger.sign("key", KeyBody(action="revoke", kid=kid))
    raws = [revoke, ledger.sign("access", access(), by="system")]
    applied = ledger.world.extend(ledger.tip, raws, ledger.blocks)
    assert check_block(ledger.tip, [*raws, applied.seal.raw], ledger.blocks, verify)
    ledger.blocks.add(applied)
    ledger.tip = applied.tip
    late = ledger.sign("access", access(source=seq(2)), by="system")
    assert refused(ledger, late, NOW + 1) == "S3.revoked"


def test_a_node_of_an_organisation_that_left_writes_nothing() -> None:
    ledger = three()
    ref = ledger.resolution()
    endorse(ledger, ref.leaf, "h2")
    endorse(ledger, ref.leaf, "h3")
    out = ledger.record("member", MemberBody(action="exit", org="h3"), by="committee", refs=(ref,))
    endorse(ledger, out, "h2")
    raw = ledger.sign("access", access(), by="node", org="h3")
    assert refused(ledger, raw) == "S7"
    ledger.record("access", access(), by="node", org="h2")


def test_one_id_twice_in_one_block() -> None:
    ledger = Ledger()
    own = {"by": "system", "id": "00000000-0000-7000-8000-000000000000"}
    raws = [ledger.sign("access", access(source=seq(n)), **own) for n in (1, 2)]
    with pytest.raises(AllianceError) as caught:
        ledger.world.extend(ledger.tip, raws, ledger.blocks)
    assert caught.value.rule == "S6"
    ledger.add(raws[0])
    assert refused(ledger, raws[1]) == "S6"
    assert refused(ledger, raws[0]) == "S6"


def test_a_name_is_registered_once_in_a_block() -> None:
    ledger = Ledger()
    for pair, rule in (
        ((aliased("D1"), aliased("D1")), "D2"),
        ((aliased("D1", "a"), aliased("D2", "a")), "D3"),
    ):
        raws = [ledger.sign("dataset", body) for body in pair]
        with pytest.raises(AllianceError) as caught:
            ledger.world.extend(ledger.tip, raws, ledger.blocks)
        assert caught.value.rule == rule


def test_corrections_of_corrections() -> None:
    ledger = Ledger()
    target = ledger.record("access", access(), by="system")
    for _ in range(3):
        body = CorrectionBody(field_path="x", reason_code="x", target=target, new_value="y")
        target = ledger.record("correction", body)
    itself = CorrectionBody(
        field_path="x", reason_code="x", target=b64url(bytes(32)), new_value="y"
    )
    assert refused(ledger, ledger.sign("correction", itself)) == "S4"


# --- genesis files ---


def refounded(world: World, **changes: Any) -> list[bytes]:
    """The founding records of a world with another genesis body, honestly signed."""
    first = decode_entry_of(world)
    body = msgspec.structs.replace(first.body, **changes)
    genesis = msgspec.structs.replace(first, body=body)
    own = world.keys[world.org].officer
    raws = [sign_record(own, world.org, "alliance", genesis)]
    chain_id = chain_id_of(ENCODE(genesis))
    for founder in body.founders:
        acceptance = Record(
            at=first.at,
            body=FounderAcceptanceBody(chain_id=b64url(chain_id)),
            chain=b64url(chain_id[:16]),
            id=first.id[:-1] + "9",
            type="founder-acceptance",
            v=1,
        )
        signer = world.keys[founder.org].officer
        raws.append(sign_record(signer, founder.org, "alliance", acceptance))
    return raws


def decode_entry_of(world: World) -> Record[GenesisBody]:
    """The genesis record of a world."""
    return world.genesis.entries[0].record


def founding_rule(world: World, **changes: Any) -> str:
    """The rule that refuses this genesis, or nothing."""
    try:
        found(refounded(world, **changes), verify)
    except AllianceError as error:
        return error.rule
    return ""


def test_odd_founders() -> None:
    world = make_world(("h1", "h2"))
    body = decode_entry_of(world).body
    one, two = body.founders
    assert founding_rule(world) == ""
    assert founding_rule(world, founders=(one, one)) == "L14"
    assert founding_rule(world, founders=(one,)) == "L14"
    code = "91350100M000100Y43"
    both = [msgspec.structs.replace(founder, uscc=code) for founder in (one, two)]
    assert founding_rule(world, founders=(both[0], two)) == ""
    assert founding_rule(world, founders=tuple(both)) == "G5"
    wrong = msgspec.structs.replace(one, uscc="91350100M000100Y44")
    assert founding_rule(world, founders=(wrong, two)) == "G4"


def test_odd_keys_and_names_of_a_genesis() -> None:
    world = make_world(("h1", "h2"))
    body = decode_entry_of(world).body
    twice = msgspec.structs.replace(body.keys[0], capacity="self", subject="again")
    assert founding_rule(world, keys=(*body.keys, twice)) == "L14"
    named = body.config.with_chain(bytes(32))
    assert founding_rule(world, config=named) == "L14"
    for origin in ("chain example", "a+b", "a\u3000b"):
        assert founding_rule(world, origin=origin) == "N2"


# --- proofs ---


def proven(ledger: Ledger) -> tuple[Any, Any]:
    """The published head of a ledger's last block."""
    leaves = [entry.leaf for entry in ledger.world.genesis.entries]
    leaves.append(ledger.world.genesis.seal.leaf)
    leaves += [*(entry.leaf for entry in ledger.last.entries), ledger.last.seal.leaf]
    tree = Tree(leaves)
    note = decode_note(encode_note(sign_head(ledger.world, tree)))
    index = tree.size - 1
    path = tuple(b64url(node) for node in tree.inclusion(index, tree.size))
    proof = SealProof(entry=b64url(ledger.last.seal.raw), index=index, path=path)
    return verify_head(note, proof, ledger.world.genesis.tip), ledger.tip.state


def test_no_other_value_stands_for_an_empty_subject() -> None:
    """A proof of another key must not say that nothing is recorded of a subject."""
    ledger = Ledger()
    ledger.record("access", access(person="p1"), by="system")
    head, state = proven(ledger)
    for key in ("member/h1", "member/h9", "policy/current"):
        namespace, _, name = key.partition("/")
        raw = f"{namespace}\0{name}".encode()
        value = state.get(raw)
        text = None if value is None else ENCODE(value).decode()
        proof = StateProof(key=key, proof=b64url(state.prove(raw)), value=text)
        assert verify_state_proof(proof, head) == value
        with pytest.raises(ProofError) as caught:
            verify_subject_log([], proof, head)
        assert caught.value.rule == "V8"
    raw = b"subject\0person:p2"
    absent = StateProof(key="subject/person:p2", proof=b64url(state.prove(raw)))
    verify_subject_log([], absent, head)


def test_absence_is_not_proven_by_crafted_buckets() -> None:
    """Every cut, widening and swap of a true proof of presence fails."""
    ledger = Ledger()
    for number in range(40):
        ledger.record("access", access(person=f"p{number}", source=seq(number + 1)), by="system")
    state = ledger.tip.state
    key = b"subject\0person:p7"
    good = state.prove(key)
    assert verify_state(state.root, key, good) is not None
    depth = int.from_bytes(good[:2], "big")
    start = 2 + 32 * depth
    crafted = [
        good[:start],
        good[:2] + good[2:start] + good[start + 64 :],
        (depth - 1).to_bytes(2, "big") + good[2 : start - 32],
        (depth + 1).to_bytes(2, "big") + good[2:start] + bytes(32),
        (depth + 1).to_bytes(2, "big") + good[2:start] + bytes(32) + good[start:],
        bytes(2),
        (257).to_bytes(2, "big") + bytes(32 * 257),
        (65_535).to_bytes(2, "big"),
        b"",
        b"\0",
        good + bytes(64),
        good + good[start:],
    ]
    for proof in crafted:
        with pytest.raises(ProofError):
            verify_state(state.root, key, proof)


# --- blocks that are no blocks ---


def test_check_block_fails_with_an_error_of_the_house() -> None:
    """Whatever a member seals, nothing but an `AllianceError` comes out."""
    world = make_world()
    parent, history = world.genesis.tip, Blocks(world.genesis)
    good = world.accesses(2)
    seal = world.extend(parent, good, history).seal.raw
    entry = decode_entry(good[0])
    deep = b'{"at":' + b"[" * 30_000 + b',"type":"access","v":1}'
    bad_payloads = [
        b"",
        b"{}",
        deep,
        b'{"type":"access","v":1}',
        b'{"at":"\\ud800","type":"access","v":1}',
        b'{"at":"\xff","type":"access","v":1}',
        entry.statement.payload.replace(b'"seq":1', b'"seq":' + b"9" * 4_000),
        entry.statement.payload.replace(b'"seq":1', b'"seq":1e400'),
        entry.statement.payload.replace(b'"seq":1', b'"seq":-0'),
        entry.statement.payload.replace(b'"seq":1', b'"seq":NaN'),
        entry.statement.payload.replace(b'"type":"access"', b'"type":"seal"'),
        entry.statement.payload.replace(b'"v":1', b'"v":1,"view":1'),
    ]
    for payload in bad_payloads:
        raw = sign_payload(world.keys["h1"].system, "h1", "dataset:GTEx", payload)
        for block in ([raw, seal], [good[0], raw, seal], [good[0], raw], [raw]):
            with pytest.raises(AllianceError):
                check_block(parent, block, history, verify)
    for cut in range(len(good[0])):
        with pytest.raises(AllianceError):
            check_block(parent, [good[0][:cut], good[1], seal], history, verify)
    for cut in range(len(seal)):
        with pytest.raises(AllianceError):
            check_block(parent, [*good, seal[:cut]], history, verify)


def test_cut_genesis_files_fail_with_an_error_of_the_house() -> None:
    world = make_world()
    for cut in range(len(world.bundle)):
        with pytest.raises(AllianceError):
            check_genesis(world.bundle[:cut], verify)
    with pytest.raises(AllianceError):
        check_genesis(encode_bundle([b"", b"", b""]), verify)
