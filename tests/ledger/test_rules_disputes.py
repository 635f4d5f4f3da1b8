"""W50 to W59: disputes, rulings, findings resolved, assessments, erasures, anchors (SPEC 12.7)."""

from typing import Any

import pytest

from ledger.encoding import encode_time
from ledger.records.authorisation import Period
from ledger.records.catalogue import Party
from ledger.records.envelope import Payload
from ledger.records.rights import (
    AssessmentBody,
    Erased,
    ErasureBody,
    FindingResolutionBody,
    Order,
    TimeAnchorBody,
)
from ledger.rules.disputes import MAX_OPEN
from tests.ledger.yields import OUTPUT, Yield, refused


@pytest.fixture
def life() -> Yield:
    """A registered result with two confirmed analysts."""
    made = Yield()
    made.credited()
    return made


@pytest.fixture
def certified() -> Yield:
    """All of it, up to a certificate."""
    made = Yield()
    made.certified()
    return made


def test_a_dispute_stands_until_it_is_ruled_on(life: Yield) -> None:
    dispute = life.object_to(life.result_leaf)
    assert life.value("disputed", life.result_leaf).by == ("DIS-1",)
    refused("W50", lambda: life.object_to(life.result_leaf))
    ruling = life.rule(dispute)
    assert life.decision(ruling).status == "EFFECTIVE"
    assert life.value("dispute", "DIS-1").status == "REJECTED"
    assert life.value("disputed", life.result_leaf).by == ()
    refused("W52", lambda: life.rule(dispute, no="R-10"))


def test_open_disputes_on_a_record_are_bounded(life: Yield) -> None:
    for number in range(MAX_OPEN):
        life.object_to(life.result_leaf, dispute_id=f"D-{number}")
    refused("W51", lambda: life.object_to(life.result_leaf))
    third = {"by": "officer", "org": "h3", "claimant": Party(org="h3"), "dispute_id": "D-h3"}
    life.object_to(life.result_leaf, **third)
    assert len(life.value("disputed", life.result_leaf).by) == MAX_OPEN + 1


def test_a_claimant_is_known(life: Yield) -> None:
    stranger = Party(org="h2", person="f" * 32)
    refused("D11", lambda: life.object_to(life.result_leaf, claimant=stranger))


def test_nobody_objects_in_the_name_of_another_organisation(life: Yield) -> None:
    """It would bar that organisation from ruling, and hold its shares: two members that name each
    other member in turn would rule on everything alone.
    """
    refused("W50.claimant", lambda: life.object_to(life.versions["D1"], claimant=Party(org="h3")))


def test_parties_do_not_rule(life: Yield) -> None:
    """h2 claims and h1 made the result: h3 is the one that is left."""
    dispute = life.object_to(life.result_leaf)
    assert life.value("dispute", "DIS-1").parties == ("h1", "h2")
    refused("W54", lambda: life.rule(dispute, org="h1"))
    refused("W54", lambda: life.rule(dispute, org="h2", no="R-10"))
    assert life.decision(life.rule(dispute, no="R-11")).status == "EFFECTIVE"


def test_the_votes_of_parties_do_not_count() -> None:
    life = Yield()
    life.credited()
    dispute = life.object_to(life.versions["D1"], dispute_id="DIS-7")
    assert life.value("dispute", "DIS-7").parties == ("h1", "h2")
    life.raise_quorum()
    ruling = life.rule(dispute, org="h3")
    assert life.decision(ruling).status == "EFFECTIVE"


def test_a_ruling_rests_on_a_resolution_to_decide(life: Yield) -> None:
    dispute = life.object_to(life.result_leaf)
    refused("W53", lambda: life.rule(dispute, kind="assess"))
    refused("W52", lambda: life.rule(life.result_leaf, no="R-10"))


def test_a_ruling_revokes_a_certificate(certified: Yield) -> None:
    leaf = certified.value("certificate", "CERT-1").leaf
    dispute = certified.object_to(leaf)
    certified.rule(dispute, "upheld", orders=(Order(action="revoke", ref=leaf),))
    assert certified.value("certificate", "CERT-1").status == "REVOKED"
    assert certified.value("dispute", "DIS-1").status == "UPHELD"


def test_a_ruling_withdraws_a_contribution(life: Yield) -> None:
    part = life.node(life.result_leaf).parts[0]
    dispute = life.object_to(part.leaf)
    ruling = life.rule(dispute, "partly", orders=(Order(action="withdraw", ref=part.leaf),))
    assert life.decision(ruling).status == "PENDING"
    assert life.endorse(ruling, "h1", "committee") == "EFFECTIVE"
    assert part not in life.node(life.result_leaf).parts
    assert life.value("contribution", part.leaf).status == "WITHDRAWN"
    assert life.value("dispute", "DIS-1").status == "PARTLY"


@pytest.mark.parametrize(
    ("outcome", "action"), [("upheld", "revoke"), ("upheld", "withdraw"), ("rejected", "withdraw")]
)
def test_what_cannot_be_ordered_is_refused(life: Yield, outcome: str, action: Any) -> None:  # noqa: ANN401
    dispute = life.object_to(life.result_leaf)
    ref = life.node(life.result_leaf).parts[0].leaf
    if outcome == "upheld":
        ref = life.result_leaf
    refused("W55", lambda: life.rule(dispute, outcome, orders=(Order(action=action, ref=ref),)))


# --- findings ---


def resolve(
    life: Yield, record: str, code: str, by: str, org: str, dataset: str | None = "D1@1"
) -> str:
    """One finding of a record is resolved."""
    body = FindingResolutionBody(code=code, dataset=dataset, outcome="justified", record=record)
    return life.put("finding-resolution", body, by=by, org=org)


def test_a_custodian_or_the_committee_resolves_a_finding(life: Yield) -> None:
    life.access("h2", permit=None)
    record = life.leaf
    assert life.findings == ("NO_PERMIT", "OBSERVED_BY_OTHER")
    refused("W56", lambda: resolve(life, record, "SEQ_GAP", "officer", "h1"))
    refused("W56", lambda: resolve(life, life.result_leaf, "NO_PERMIT", "officer", "h3", None))
    refused("W57", lambda: resolve(life, record, "NO_PERMIT", "officer", "h2"))
    refused("W57.data", lambda: resolve(life, record, "NO_PERMIT", "officer", "h1", "D2@1"))
    waiting = resolve(life, record, "NO_PERMIT", "officer", "h1", None)
    assert life.decision(waiting).status == "PENDING"
    leaf = resolve(life, record, "NO_PERMIT", "officer", "h1")
    assert life.decision(leaf).status == "EFFECTIVE"
    assert life.value("finding", record).codes == ("OBSERVED_BY_OTHER",)
    other = resolve(life, record, "OBSERVED_BY_OTHER", "committee", "h1")
    assert life.decision(other).status == "PENDING"
    assert life.endorse(other, "h3", "committee") == "EFFECTIVE"
    assert life.value("finding", record).codes == ()


def test_an_officer_without_part_in_the_data_resolves_nothing(life: Yield) -> None:
    life.access("h2", permit=None)
    leaf = resolve(life, life.leaf, "NO_PERMIT", "officer", "h3")
    assert life.decision(leaf).status == "PENDING"


def test_the_custodian_of_what_a_run_used_resolves_its_findings(life: Yield) -> None:
    life.run(run_id="run-7", org="h2", permit=None)
    leaf = resolve(life, life.leaf, "NO_PERMIT", "officer", "h1")
    assert life.decision(leaf).status == "EFFECTIVE"


# --- assessments, erasures, anchors ---


def test_an_assessment_is_of_a_period_and_rests_on_a_resolution(life: Yield) -> None:
    def assess(kind: str, last: str, number: str) -> str:
        ref = life.resolved(kind, number)
        life.endorse(ref.leaf, "h2", "committee")
        body = AssessmentBody(metrics={"datasets": 1}, period=Period(from_="2026-01-01", to=last))
        return life.put("assessment", body, by="committee", refs=(ref,))

    refused("W58", lambda: assess("assess", "2025-12-31", "R-20"))
    refused("W58", lambda: assess("decide", "2026-06-30", "R-21"))
    leaf = assess("assess", "2026-06-30", "R-22")
    assert life.endorse(leaf, "h2", "committee") == "EFFECTIVE"


def test_a_holder_says_once_what_it_erased(life: Yield) -> None:
    payload = Payload(
        commit=OUTPUT, holders=("h1", "h2"), schema="result/title", size_bucket=1, tier="T1"
    )
    record = life.put(
        "result",
        life.result_body(result_id="RES-2"),
        by="officer",
        payloads=(payload,),
        at_ms=life.now,
    )
    held = life.value("payload", f"{record}/{OUTPUT}")
    assert (held.holders, held.erased) == (("h1", "h2"), ())

    def erase(org: str, holder: str | None = None, times: int = 1, commit: str = OUTPUT) -> str:
        body = ErasureBody(
            executed_at=encode_time(life.now),
            ground_code="request",
            holder=holder or org,
            key_destroyed=True,
            targets=(Erased(commit=commit, record=record),) * times,
        )
        return life.put("erasure", body, by="officer", org=org)

    refused("W59", lambda: erase("h3"))
    refused("W59", lambda: erase("h1", holder="h2"))
    refused("W59", lambda: erase("h1", times=2))
    refused("W59", lambda: erase("h1", commit=record))
    erase("h1")
    assert life.value("payload", f"{record}/{OUTPUT}").erased == ("h1",)
    refused("W59", lambda: erase("h1"))
    erase("h2")
    assert life.value("payload", f"{record}/{OUTPUT}").erased == ("h1", "h2")


def test_a_time_anchor_is_taken_as_it_is(life: Yield) -> None:
    body = TimeAnchorBody(root=OUTPUT, size=1)
    life.put("time-anchor", body, by="node", org="h1", at_ms=life.now)
    assert life.findings == ()
