"""K, G, E: keys, members, policies, resolutions and co-decisions (SPEC 5.2 to 5.4)."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ledger.encoding import b64url, encode_time
from ledger.errors import AllianceError
from ledger.records.envelope import Ref
from ledger.records.governance import (
    DEFAULT_ATTRIBUTION,
    Degrees,
    EndorseBody,
    KeyBody,
    KeyDescription,
    MemberBody,
    PolicyBody,
    ResolutionBody,
    Votes,
)
from ledger.rules.governance import check_uscc
from tests.ledger.ledgers import Ledger, key_of
from tests.ledger.test_rules_structure import dataset, refused
from tests.support.world import GENESIS_MS, describe_key, make_keys, make_world, prove

MINUTE = 60_000
NOW = GENESIS_MS + MINUTE
USCC = "91350100M000100Y43"


def three() -> Ledger:
    """Three members; the policy of the test world asks for half of them."""
    return Ledger(make_world(("h1", "h2", "h3")))


def register(ledger: Ledger, role: str, capacity: str, org: str = "h1", **fields: Any) -> KeyBody:
    """The registration of one of an organisation's spare keys (its log and cosigner keys)."""
    key = key_of(ledger.world, org, role, capacity, **fields)
    kid = b64url(getattr(ledger.world.keys[org], role).kid)
    return KeyBody(action="register", key=key, kid=kid)


def endorse(ledger: Ledger, target: str, org: str, by: str = "committee", **fields: Any) -> str:
    """An endorsement of a target."""
    capacity = {"committee": "dac", "officer": "so"}.get(by, by)
    verdict = fields.pop("verdict", "approve")
    body = EndorseBody(capacity=fields.pop("capacity", capacity), target=target, verdict=verdict)
    return ledger.record("endorse", body, org=org, by=by, **fields)


def admission(ledger: Ledger, org: str = "new", **changes: Any) -> MemberBody:
    """The admission of an organisation with its first officer key."""
    officer = make_keys(org).officer
    key = describe_key(
        officer,
        capacity="so",
        chain=ledger.world.genesis.tip.chain,
        org=org,
        subject=f"{org}-officer",
        valid_from=encode_time(GENESIS_MS),
    )
    return MemberBody(
        **{"action": "admit", "keys": (key,), "kind": "hospital", "org": org, **changes}
    )


# --- keys ---


def test_officer_registers_a_system_key_at_once() -> None:
    ledger = Ledger()
    body = register(ledger, "log", "system")
    leaf = ledger.record("key", body)
    assert ledger.decision(leaf).status == "EFFECTIVE"
    assert ledger.value("key", body.kid).registered == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kid": b64url(bytes(16))}, "K1"),
        ({"key": None}, "K1"),
    ],
)
def test_key_descriptions_must_fit(change: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    body = register(ledger, "log", "system")
    fields = {"action": "register", "key": body.key, "kid": body.kid, **change}
    assert refused(ledger, ledger.sign("key", KeyBody(**fields))) == rule


@pytest.mark.parametrize("field", ["capacity", "org", "subject", "chain", "key", "block 0"])
def test_a_registration_is_what_the_key_signed(field: str) -> None:
    """K8: chain, organisation, subject, capacity and key; a proof for block 0 is none later."""
    ledger = Ledger()
    chain, signer = ledger.world.genesis.tip.chain, ledger.world.keys["h1"].log
    body = register(ledger, "log", "system")
    other = {"capacity": "self", "org": "h2", "subject": "other"}
    told = msgspec.structs.replace(body.key, **{k: v for k, v in other.items() if k == field})
    if field == "key":
        signer = ledger.world.keys["h1"].cosigner
    said = {"chain": b64url(bytes(16)), "block 0": None}.get(field, chain)
    proof = prove(told, signer, said).proof
    raw = ledger.sign(
        "key",
        msgspec.structs.replace(body, key=msgspec.structs.replace(body.key, proof=proof)),
    )
    assert refused(ledger, raw) == "K8"
    ledger.record("key", body)


def test_the_window_of_a_key_is_for_its_officer_to_say() -> None:
    ledger = Ledger()
    body = register(ledger, "log", "system")
    key = msgspec.structs.replace(body.key, valid_until=encode_time(GENESIS_MS + 86_400_000))
    ledger.record("key", msgspec.structs.replace(body, key=key))


def test_keys_of_a_joiner_are_its_own_to_give() -> None:
    """K8 for the keys of an admission."""
    ledger = Ledger()
    refs = (ledger.resolution(),)
    (officer,) = admission(ledger).keys
    taken = msgspec.structs.replace(officer, subject="somebody")
    raw = ledger.sign("member", admission(ledger, keys=(taken,)), by="committee", refs=refs)
    assert refused(ledger, raw) == "K8"


def test_small_order_keys_are_refused() -> None:
    ledger = Ledger()
    key = register(ledger, "log", "system").key
    assert key is not None
    bad = KeyDescription(
        alg="EdDSA",
        capacity="system",
        org="h1",
        proof=key.proof,
        public_key=b64url(bytes([1]) + bytes(31)),
        subject="x",
        valid_from=key.valid_from,
    )
    raw = ledger.sign("key", KeyBody(action="register", key=bad, kid=b64url(bytes(16))))
    assert refused(ledger, raw) == "C1"


def test_keys_are_registered_once_and_for_ones_own_org() -> None:
    ledger = three()
    ledger.record("key", register(ledger, "log", "system"))
    assert refused(ledger, ledger.sign("key", register(ledger, "log", "system"))) == "K2"
    foreign = register(ledger, "log", "system", org="h2")
    assert refused(ledger, ledger.sign("key", foreign)) == "K3"


def test_key_windows_are_not_empty() -> None:
    ledger = Ledger()
    body = register(ledger, "log", "system", valid_until=encode_time(GENESIS_MS))
    assert refused(ledger, ledger.sign("key", body)) == "K4"


def test_only_keys_in_force_are_revoked() -> None:
    ledger = Ledger()
    kid = b64url(ledger.world.keys["h1"].system.kid)
    unknown = KeyBody(action="revoke", kid=b64url(bytes(16)))
    assert refused(ledger, ledger.sign("key", unknown)) == "K5"
    ledger.record("key", KeyBody(action="revoke", kid=kid))
    assert refused(ledger, ledger.sign("key", KeyBody(action="revoke", kid=kid))) == "K5"


def test_registrars_and_committee_keep_to_their_keys() -> None:
    ledger = Ledger()
    ledger.record("key", register(ledger, "log", "registrar"))
    person = register(ledger, "cosigner", "self")
    system = register(ledger, "cosigner", "system")
    assert refused(ledger, ledger.sign("key", system, by="log")) == "K6.registrar"
    assert refused(ledger, ledger.sign("key", system, by="committee")) == "K6.committee"
    ledger.record("key", person, by="log")


def test_officer_key_needs_two_officers() -> None:
    """The second officer comes in by the committee, the third by two officers."""
    ledger = three()
    body = register(ledger, "log", "so")
    leaf = ledger.record("key", body)
    assert ledger.decision(leaf).status == "PENDING"
    assert ledger.value("key", body.kid) is None
    endorse(ledger, leaf, "h2")
    endorse(ledger, leaf, "h3")
    assert ledger.decision(leaf).status == "EFFECTIVE"
    third = register(ledger, "cosigner", "so")
    leaf = ledger.record("key", third)
    assert ledger.decision(leaf).status == "PENDING"
    endorse(ledger, leaf, "h1", by="log", capacity="so")
    assert ledger.decision(leaf).status == "EFFECTIVE"


def test_revoking_an_officer_needs_two_as_well() -> None:
    ledger = three()
    kid = b64url(ledger.world.keys["h1"].officer.kid)
    leaf = ledger.record("key", KeyBody(action="revoke", kid=kid))
    assert ledger.decision(leaf).status == "PENDING"
    ledger.record("dataset", dataset())


# --- members ---


def test_a_member_is_admitted_by_the_committee() -> None:
    ledger = Ledger()
    body = admission(ledger, uscc=USCC, region="CN-37")
    leaf = ledger.record("member", body, by="committee", refs=(ledger.resolution(),))
    assert ledger.decision(leaf).status == "EFFECTIVE"
    assert ledger.value("member", "new").status == "ADMITTED"
    assert ledger.value("members", "admitted").n == 2
    assert ledger.value("key", b64url(make_keys("new").officer.kid)).org == "new"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"action": "suspend", "keys": ()}, "G1"),
        ({"kind": None}, "G2"),
        ({"keys": ()}, "G2"),
        ({"uscc": "91350100M000100Y44"}, "G4"),
    ],
)
def test_admissions_must_be_complete(body: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    refs = (ledger.resolution(),)
    raw = ledger.sign("member", admission(ledger, **body), by="committee", refs=refs)
    assert refused(ledger, raw) == rule


def test_first_keys_are_the_joiners_own_and_new() -> None:
    ledger = Ledger()
    refs = (ledger.resolution(),)
    for keys in (admission(ledger, "other").keys, (key_of(ledger.world, "h1", "officer", "so"),)):
        raw = ledger.sign("member", admission(ledger, keys=keys), by="committee", refs=refs)
        assert refused(ledger, raw) == "G3"


def test_admission_needs_a_resolution() -> None:
    ledger = Ledger()
    assert refused(ledger, ledger.sign("member", admission(ledger), by="committee")) == "G6"
    other = Ref(leaf=ledger.record("dataset", dataset()), rel="resolution")
    raw = ledger.sign("member", admission(ledger), by="committee", refs=(other,))
    assert refused(ledger, raw) == "G6"


def test_one_member_for_each_code() -> None:
    ledger = Ledger()
    refs = (ledger.resolution(),)
    ledger.record("member", admission(ledger, uscc=USCC), by="committee", refs=refs)
    twin = ledger.sign("member", admission(ledger, "twin", uscc=USCC), by="committee", refs=refs)
    assert refused(ledger, twin) == "G5"


def test_suspended_members_write_evidence_only() -> None:
    ledger = three()
    refs = (_passed(ledger),)
    body = MemberBody(action="suspend", org="h3")
    leaf = ledger.record("member", body, by="committee", refs=refs)
    endorse(ledger, leaf, "h2")
    assert ledger.value("member", "h3").status == "SUSPENDED"
    assert ledger.value("members", "admitted").n == 2
    own = dataset(custodian="h3")
    assert refused(ledger, ledger.sign("dataset", own, org="h3")) == "S7"
    ledger.add(ledger.world.access(seq=1, org="h3"))
    back = MemberBody(action="restore", org="h3", keys=admission(ledger).keys)
    assert refused(ledger, ledger.sign("member", back, by="committee", refs=refs)) == "G2"


def test_exited_members_write_nothing() -> None:
    ledger = three()
    body = MemberBody(action="exit", org="h3")
    leaf = ledger.record("member", body, by="committee", refs=(_passed(ledger),))
    endorse(ledger, leaf, "h2")
    assert refused(ledger, ledger.world.access(seq=1, org="h3")) == "S7"


@pytest.mark.parametrize("code", ["", "91350100M000100Y4", "91350100M000100Y4I", "9" * 18])
def test_credit_codes_have_a_check_character(code: str) -> None:
    with pytest.raises(AllianceError) as caught:
        check_uscc(code)
    assert caught.value.rule == "G4"
    check_uscc(USCC)


# --- policies and resolutions ---


def policy(version: int = 2, **changes: Any) -> PolicyBody:
    """The next policy."""
    fields = {
        "backfill_days": 1,
        "decision_days": 10,
        "effective_from": encode_time(NOW + MINUTE),
        "min_reviewers": 2,
        "name": "default",
        "quorum": {"member": (1, 1)},
        "version": version,
    }
    return PolicyBody(**{**fields, **changes})  # type: ignore[arg-type]


def test_policies_follow_one_another_and_wait_for_their_time() -> None:
    ledger = Ledger()
    first = ledger.value("policy", "current")
    refs = (ledger.resolution(), Ref(leaf=first.leaf, rel="previous"))
    ledger.record("policy", policy(), by="committee", refs=refs)
    ledger.add(ledger.world.access(seq=1, at_ms=GENESIS_MS - 3 * 86_400_000), NOW + MINUTE - 1)
    assert "BACKFILLED" not in ledger.findings
    ledger.add(ledger.world.access(seq=2, at_ms=GENESIS_MS - 3 * 86_400_000), NOW + MINUTE)
    assert "BACKFILLED" in ledger.findings
    assert refused(ledger, ledger.sign("policy", policy(3), by="committee", refs=refs)) == "G7"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"version": 3}, "G7"),
        ({"min_reviewers": 1}, "G8"),
        ({"quorum": {"member": (3, 2)}}, "G9"),
        ({"attribution": replace(DEFAULT_ATTRIBUTION, kappa=(3, 2))}, "W5"),
        (
            {
                "attribution": replace(
                    DEFAULT_ATTRIBUTION, pools=replace(DEFAULT_ATTRIBUTION.pools, clinical=0)
                )
            },
            "W5",
        ),
        (
            {
                "attribution": replace(
                    DEFAULT_ATTRIBUTION, degrees=Degrees(equal=0, lead=0, supporting=0)
                )
            },
            "W5",
        ),
        ({"effective_from": encode_time(NOW - 1)}, "G10"),
    ],
)
def test_policies_have_bounds(change: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    refs = (ledger.resolution(), Ref(leaf=ledger.value("policy", "current").leaf, rel="previous"))
    raw = ledger.sign("policy", policy(**change), by="committee", refs=refs)
    assert refused(ledger, raw) == rule


@pytest.mark.parametrize(
    ("votes", "rule"),
    [((4, 0, 0), "G11"), ((1, 1, 1), "G12"), ((0, 0, 0), "G12")],
)
def test_resolutions_must_have_passed(votes: tuple[int, int, int], rule: str) -> None:
    ledger = Ledger()
    in_favour, against, abstain = votes
    body = ResolutionBody(
        kind="other",
        meeting_date="2026-01-01",
        no="R-2",
        present=3,
        votes=Votes(abstain=abstain, against=against, in_favour=in_favour),
    )
    assert refused(ledger, ledger.sign("resolution", body, by="committee")) == rule


def test_resolution_numbers_are_used_once() -> None:
    ledger = Ledger()
    ledger.resolution()
    with pytest.raises(AllianceError) as caught:
        ledger.resolution()
    assert caught.value.rule == "G13"


# --- co-decisions ---


def _pending(ledger: Ledger, no: str = "R-1") -> str:
    return ledger.resolution(no).leaf


def _passed(ledger: Ledger, no: str = "R-1") -> Ref:
    leaf = _pending(ledger, no)
    endorse(ledger, leaf, "h2")
    assert ledger.decision(leaf).status == "EFFECTIVE"
    return Ref(leaf=leaf, rel="resolution")


def test_quorum_counts_organisations_not_keys() -> None:
    """Half of three is two organisations; two keys of one organisation are one."""
    ledger = three()
    ledger.record("key", register(ledger, "log", "dac"))
    leaf = _pending(ledger)
    assert ledger.decision(leaf).committee == 2
    endorse(ledger, leaf, "h1", by="log", capacity="dac")
    assert ledger.decision(leaf).status == "PENDING"
    endorse(ledger, leaf, "h2")
    assert ledger.decision(leaf).status == "EFFECTIVE"
    assert ledger.decision(leaf).record is None


def test_officers_do_not_count_as_committee() -> None:
    ledger = three()
    leaf = _pending(ledger)
    endorse(ledger, leaf, "h2", by="officer")
    endorse(ledger, leaf, "h3", by="officer")
    assert ledger.decision(leaf).status == "PENDING"


def test_rejected_when_approval_is_impossible() -> None:
    ledger = three()
    leaf = _pending(ledger)
    endorse(ledger, leaf, "h2", verdict="reject")
    assert ledger.decision(leaf).status == "PENDING"
    endorse(ledger, leaf, "h3", verdict="reject")
    assert ledger.decision(leaf).status == "REJECTED"
    endorse(ledger, leaf, "h1")
    assert ledger.findings == ("NOT_PENDING",)
    assert ledger.decision(leaf).status == "REJECTED"


def test_rules_are_evaluated_again_at_the_deciding_endorsement() -> None:
    """Two pending resolutions of one number: the second to be decided is void."""
    ledger = three()
    first, second = _pending(ledger, "R-7"), _pending(ledger, "R-7")
    endorse(ledger, first, "h2")
    endorse(ledger, second, "h2")
    assert ledger.decision(first).status == "EFFECTIVE"
    assert (ledger.decision(second).status, ledger.decision(second).rule) == ("VOID", "G13")


def test_an_endorsement_counts_once_and_in_time() -> None:
    ledger = three()
    leaf = _pending(ledger)
    endorse(ledger, leaf, "h1")
    assert ledger.findings == ("ENDORSE_REPEATED",)
    late = NOW + 400 * 86_400_000
    endorse(ledger, leaf, "h2", time_ms=late)
    assert ledger.findings == ("ENDORSE_LATE",)
    assert ledger.decision(leaf).status == "PENDING"


def test_endorsements_name_their_capacity_and_a_decision() -> None:
    ledger = three()
    leaf = _pending(ledger)
    body = EndorseBody(capacity="so", target=leaf, verdict="approve")
    assert refused(ledger, ledger.sign("endorse", body, org="h2", by="committee")) == "E1"
    access = ledger.add(ledger.world.access(seq=1))
    body = EndorseBody(capacity="dac", target=access, verdict="approve")
    assert refused(ledger, ledger.sign("endorse", body, org="h2", by="committee")) == "E2"


def test_pending_decisions_outlive_not_after_as_void() -> None:
    ledger = three()
    leaf = _pending(ledger)
    endorse(ledger, leaf, "h2", time_ms=GENESIS_MS + 2 * 86_400_000)
    assert (ledger.decision(leaf).status, ledger.decision(leaf).rule) == ("VOID", "S11.late")
