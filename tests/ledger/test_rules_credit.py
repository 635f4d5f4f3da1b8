"""W30 to W46: contributions, notices, certificates (SPEC 12.5)."""

from typing import Any

import msgspec
import pytest

from ledger.encoding import encode_time
from ledger.errors import MalformedError
from ledger.records.catalogue import Party
from ledger.records.rights import ContributionConfirmBody, Right
from ledger.rules.credit import MAX_PARTS, held_parties
from ledger.rules.graph import walk_from
from ledger.state import state_key
from tests.ledger.lives import ANALYST, DAY_MS, LEADER, STRANGER, person_key
from tests.ledger.yields import OUTPUT, Yield, refused


@pytest.fixture
def life() -> Yield:
    """A registered result."""
    made = Yield()
    made.finished()
    return made


@pytest.fixture
def credited() -> Yield:
    """A result with two confirmed analysts."""
    made = Yield()
    made.credited()
    return made


def test_a_confirmed_claim_becomes_a_part_and_carries_a_share(life: Yield) -> None:
    claim = life.claim()
    assert life.node(life.result_leaf).parts == ()
    assert life.credit()[f"pid:{ANALYST}"] == 0
    life.confirm(claim)
    part = life.node(life.result_leaf).parts[0]
    assert (part.party, part.degree, part.leaf) == (f"pid:{ANALYST}", "lead", claim)
    assert life.credit()[f"pid:{ANALYST}"] > 0
    assert life.value("contribution", claim).status == "CONFIRMED"


def test_claims_are_on_versions_and_results_alone_and_for_members(life: Yield) -> None:
    refused("W30", lambda: life.claim(life.study_leaf))
    refused("W30", lambda: life.claim(life.run_leaf))
    refused("D11", lambda: life.claim(party=Party(org="h2", person=STRANGER)))
    refused("D11", lambda: life.claim(party=Party(org="h9")))


def test_the_degree_that_counts_is_the_confirmed_one(life: Yield) -> None:
    claim = life.claim()
    refused("W34", lambda: life.confirm(claim, degree="equal"))
    refused("W34", lambda: life.confirm(claim, decision="amend"))
    life.confirm(claim, decision="amend", degree="supporting")
    assert life.node(life.result_leaf).parts[0].degree == "supporting"


def test_a_claim_is_decided_once(life: Yield) -> None:
    refused("W31", lambda: life.confirm(life.run_leaf))
    claim = life.claim()
    life.confirm(claim, decision="reject", reason_code="not-done")
    assert life.node(life.result_leaf).parts == ()
    refused("W32", lambda: life.confirm(claim))


def test_nobody_confirms_for_themselves_and_no_stranger_does(life: Yield) -> None:
    mine = life.claim(by=person_key(LEADER), org="h1", party=Party(org="h1", person=LEADER))
    refused("W33", lambda: life.confirm(mine, by=person_key(LEADER)))
    officers = life.claim(by="officer", org="h1", party=Party(org="h1", unit="icu"))
    refused("W33", lambda: life.confirm(officers))
    theirs = life.claim()
    refused("W33", lambda: life.confirm(theirs, by="officer", org="h2"))
    refused("W33", lambda: life.confirm(theirs, by=person_key(ANALYST), org="h2"))
    life.confirm(theirs, by=person_key(LEADER))
    life.confirm(officers, by=person_key(LEADER))
    assert {part.party for part in life.node(life.result_leaf).parts} == {
        f"pid:{ANALYST}",
        "dept:h1/icu",
    }


def test_officers_of_two_organisations_may_have_one_name(life: Yield) -> None:
    """Else whoever names an officer as another organisation does stops that one from answering."""
    claim = life.claim(by="officer", org="h2", party=Party(org="h2", unit="icu"))
    named = msgspec.structs.replace(life.value("contribution", claim), by="h1-officer")
    state = life.tip.state.update({state_key("contribution", claim): named})
    life.tip = life.tip._replace(state=state)
    life.confirm(claim)
    assert life.value("contribution", claim).status == "CONFIRMED"


def test_claims_on_data_and_indicators_are_confirmed_by_their_holders(life: Yield) -> None:
    indicator = life.indicator()
    on_data = life.claim(life.versions["D1"], credit_role="data-curation")
    on_indicator = life.claim(indicator, credit_role="methodology")
    refused("W33", lambda: life.confirm(on_data, org="h2"))
    refused("W33", lambda: life.confirm(on_data, by=person_key(LEADER)))
    refused("W33", lambda: life.confirm(on_indicator))
    life.confirm(on_data)
    life.confirm(on_indicator, org="h3")
    assert life.node(life.versions["D1"]).parts[-1].role == "contributor"
    assert life.node(indicator).parts[-1].role == "author"


def test_the_parts_of_an_object_are_bounded(life: Yield) -> None:
    claim = life.claim()
    node = life.node(life.result_leaf)
    confirmed = life.confirm(life.claim(degree="supporting"))
    part = life.node(life.result_leaf).parts[0]
    full = msgspec.structs.replace(node, parts=(part,) * MAX_PARTS)
    state = life.tip.state.update({state_key("node", life.result_leaf): full})
    life.tip = life.tip._replace(state=state)
    assert confirmed
    refused("W35", lambda: life.confirm(claim))
    life.confirm(claim, decision="reject")


# --- notices ---


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("W37", {"closes": 14}),
        ("W37", {"as_of": "2026-01-02"}),
        ("W38", {"draft_hash": OUTPUT}),
        ("W38", {"policy": "result"}),
    ],
)
def test_a_notice_that_says_less_than_it_must_is_refused(
    credited: Yield, rule: str, changes: dict[str, Any]
) -> None:
    if "closes" in changes:
        changes = {"closes": encode_time(credited.now + changes["closes"] * DAY_MS)}
    if "policy" in changes:
        changes = {"policy": credited.result_leaf}
    refused(rule, lambda: credited.notice(**changes))


def test_time_that_has_passed_before_a_notice_does_not_count(credited: Yield) -> None:
    opens = encode_time(credited.now - 20 * DAY_MS)
    closes = encode_time(credited.now + 5 * DAY_MS)
    refused("W37", lambda: credited.notice(opens=opens, closes=closes))


def test_a_notice_has_its_own_id_and_an_object_that_can_be_certified(credited: Yield) -> None:
    wrong = msgspec.structs.replace(credited.notice_body(), object=credited.study_leaf)
    refused("W30", lambda: credited.put("notice", wrong, by="committee"))
    credited.notice()
    refused("W36", lambda: credited.later_notice("N-1"))


# --- certificates ---


def test_a_certificate_takes_the_committee_and_the_custodians(credited: Yield) -> None:
    credited.notice()
    later = encode_time(credited.now + DAY_MS)
    leaf = credited.put("certificate", credited.certificate_body(), by="committee", not_after=later)
    assert credited.endorse(leaf, "h2", "committee") == "PENDING"
    assert credited.value("certificate", "CERT-1") is None
    assert credited.endorse(leaf, "h1", "officer") == "EFFECTIVE"
    state = credited.value("certificate", "CERT-1")
    assert (state.status, state.leaf) == ("ISSUED", leaf)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("W42", {"calc_digest": OUTPUT}),
        ("W42", {"ack_root": OUTPUT}),
        ("W42", {"share_root": OUTPUT}),
        ("W45", {"valid_until": "2029-12-31"}),
        ("W45", {"valid_until": "2026-01-01"}),
        ("W45", {"as_of": "2026-01-01", "valid_until": "2026-01-05"}),
        ("W45", {"as_of": "2099-01-01", "valid_until": "2099-12-31"}),
        ("W46", {"supersedes": "result"}),
        ("W40", {"notice": "result"}),
    ],
)
def test_a_certificate_that_says_more_than_the_chain_is_refused(
    credited: Yield, rule: str, changes: dict[str, Any]
) -> None:
    credited.notice()
    named = {"result": credited.result_leaf}
    given = {key: named.get(value, value) for key, value in changes.items()}
    refused(rule, lambda: credited.certify(**given))


@pytest.mark.parametrize(
    "changes",
    [
        {"as_of": "not-a-date"},
        {"as_of": "2026-02-30"},
        {"rights": "for ever!!"},
    ],
)
def test_days_of_a_certificate_are_days(credited: Yield, changes: dict[str, Any]) -> None:
    """Of a text where a month is looked for no node may fall over: it would, on every node."""
    credited.notice()
    if "rights" in changes:
        until = changes["rights"]
        basis, holder = credited.decision_leaf, Party(org="h1")
        right = Right(basis=basis, holder=holder, right="use", scope="research", until=until)
        changes = {"rights": (right,)}
    with pytest.raises(MalformedError) as found:
        credited.certify(**changes)
    assert found.value.rule == "B5"


def test_a_certificate_waits_for_the_end_of_its_notice(credited: Yield) -> None:
    credited.notice()
    credited.now -= 2 * DAY_MS
    refused("W41", credited.certify)
    credited.now += 2 * DAY_MS
    credited.certify()
    refused("W39", credited.certify)


def test_what_changed_since_the_notice_is_not_certified(credited: Yield) -> None:
    credited.notice()
    leader = Party(org="h1", unit="stats")
    claim = credited.claim(party=leader)
    later = encode_time(credited.now + DAY_MS)
    confirm = ContributionConfirmBody(contribution=claim, decision="confirm")
    credited.put("contribution-confirm", confirm, by="officer", not_after=later)
    refused("W42", credited.certify)


@pytest.mark.parametrize("basis", ["claim", "pending"])
def test_a_right_rests_on_a_record_in_effect(credited: Yield, basis: str) -> None:
    credited.notice()
    leaf = credited.claim()
    if basis == "pending":
        later = encode_time(credited.now + DAY_MS)
        leaf = credited.resolution("R-7", time_ms=credited.now, not_after=later).leaf
    right = Right(basis=leaf, holder=Party(org="h1"), right="use", scope="research")
    refused("W44", lambda: credited.certify(rights=(right,)))


def test_a_holder_of_a_right_is_a_member(credited: Yield) -> None:
    credited.notice()
    right = Right(
        basis=credited.decision_leaf, holder=Party(org="h9"), right="use", scope="research"
    )
    refused("D11", lambda: credited.certify(rights=(right,)))


def test_nothing_in_dispute_is_certified(credited: Yield) -> None:
    claim = credited.node(credited.result_leaf).parts[0].leaf
    credited.notice()
    credited.object_to(claim)
    refused("W43", credited.certify)


@pytest.mark.parametrize("target", ["result_leaf", "run_leaf", "notice_leaf", "decision_leaf"])
def test_a_dispute_on_anything_below_stops_a_certificate(credited: Yield, target: str) -> None:
    credited.notice()
    credited.object_to(getattr(credited, target))
    refused("W43", credited.certify)


def test_a_new_certificate_names_the_one_that_it_replaces(credited: Yield) -> None:
    credited.notice()
    first = credited.certify()
    credited.later_notice("N-2")
    refused("W46", lambda: credited.certify(cert_no="CERT-2"))
    second = credited.certify(cert_no="CERT-2", supersedes=first)
    assert credited.value("certificate", "CERT-1").status == "SUPERSEDED"
    assert credited.value("certificate", "CERT-2").leaf == second
    assert credited.value("certified", credited.result_leaf).by == "CERT-2"


def test_a_later_policy_changes_no_certificate_in_the_making(credited: Yield) -> None:
    """The parameters are those of the notice; a certificate never changes afterwards."""
    credited.notice()
    before = credited.certificate_body()
    credited.new_policy()
    assert credited.certificate_body().calc_digest != before.calc_digest
    digests = {
        "ack_root": before.ack_root,
        "calc_digest": before.calc_digest,
        "share_root": before.share_root,
    }
    credited.certify(**digests)
    assert credited.value("certificate", "CERT-1").calc_digest == before.calc_digest


def test_shares_in_dispute_are_held(credited: Yield) -> None:
    claim = credited.node(credited.result_leaf).parts[0].leaf
    credited.object_to(claim, by="officer", org="h3", claimant=Party(org="h3"))
    held = held_parties(credited.draft(), walk_from(credited.draft(), credited.result_leaf))
    assert held == {f"pid:{ANALYST}", "org:h3"}
    credited.object_to(
        credited.versions["D1"],
        by="officer",
        org="h3",
        claimant=Party(org="h3"),
        dispute_id="DIS-2",
    )
    held = held_parties(credited.draft(), walk_from(credited.draft(), credited.result_leaf))
    assert held == {f"pid:{ANALYST}", "org:h3", "org:h1"}


def test_the_same_life_gives_the_same_certificate_and_state() -> None:
    one, two = Yield(), Yield()
    assert one.certified() == two.certified()
    assert one.tip.state.root == two.tip.state.root
