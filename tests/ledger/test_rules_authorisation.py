"""J, D10 to D14, K7: studies, ethics, requests, reviews, decisions and permits, each rule by its
number (SPEC 5.8), and every step of the state machines.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger.encoding import b64url, encode_time
from ledger.errors import RefusedError
from ledger.records.authorisation import Match, Obligation, Period, Reasons, TeamMember
from ledger.records.catalogue import DatasetStatusBody, IndicatorVersionBody, Party, Term
from ledger.records.envelope import Payload
from ledger.records.governance import KeyBody
from ledger.rules.machines import ETHICS, PERMIT, REQUEST, RUN, STUDY
from ledger.rules.permits import add_months
from ledger.rules.standing import MAX_SPANS, Span, add_span, status_at
from tests.ledger.lives import ANALYST, DAY_MS, DIGEST, LEADER, STRANGER, Life, person_key
from tests.ledger.test_rules_structure import refused
from tests.support.world import GENESIS_MS

PUB, SIX = Term(code="DUO:0000019"), Term(code="DUO:0000025", params=("6",))
NOAI = Term(code="EC:NOAI")
GRU = Term(code="DUO:0000042")
NOWHERE = b64url(b"\xff" * 32)


def started() -> Life:
    """A life with data, a study and its approval."""
    life = Life()
    life.dataset()
    life.study()
    life.ethics()
    return life


def asked(**changes: Any) -> Life:
    """A life with a request that may be reviewed."""
    life = started()
    life.request(**changes)
    return life


def permitted(**changes: Any) -> Life:
    """A life with an approved permit."""
    life = Life()
    life.permit(**changes)
    assert life.decision(life.decision_leaf).status == "EFFECTIVE"
    return life


def no(life: Life, kind: str, body: Any, **fields: Any) -> str:  # noqa: ANN401
    """The rule that refuses this record now."""
    return refused(life, life.sign(kind, body, **fields), life.now)


# --- pids -----------------------------------------------------------------------------------------


def test_a_pid_is_of_one_organisation() -> None:
    life = Life()
    other = person_key("another key")
    with pytest.raises(RefusedError, match="K7"):
        life.register("h3", "self", LEADER, other)
    life.register("h1", "self", LEADER, other)
    assert life.value("person", LEADER).kid == b64url(other.kid)


# --- studies --------------------------------------------------------------------------------------


def member(org: str, person: str, role: Any = "analyst") -> TeamMember:  # noqa: ANN401
    return TeamMember(org=org, person=person, role=role)


PI: Any = "principal-investigator"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"study_no": "S-1"}, "J1"),
        ({"lead_org": "h3", "team": (member("h2", ANALYST, PI),)}, "J2"),
        ({"team": (member("h2", ANALYST),)}, "J3.team"),
        ({"team": (member("h1", LEADER, PI), member("h2", ANALYST, PI))}, "J3.team"),
        ({"team": (member("h1", LEADER, PI), member("h1", LEADER))}, "J3.team"),
        ({"team": (member("h1", LEADER, PI), member("h2", STRANGER))}, "J3.key"),
        ({"team": (member("h1", LEADER, PI), member("h3", ANALYST))}, "J3.key"),
        ({"compute_nodes": ("h1", "cloud/x")}, "J4"),
        ({"period": Period(from_="2026-02-01", to="2026-01-01")}, "J5"),
    ],
)
def test_studies_have_bounds(change: dict[str, Any], rule: str) -> None:
    life = Life()
    life.study()
    body = life.study_body(**{"study_no": "S-2", **change})
    assert no(life, "study", body) == rule


def test_the_team_needs_keys_in_force() -> None:
    life = Life()
    kid = b64url(person_key(ANALYST).kid)
    life.put("key", KeyBody(action="revoke", kid=kid), org="h2")
    assert no(life, "study", life.study_body()) == "J3.key"


def test_a_study_needs_both_applicants() -> None:
    life = Life()
    by_person = life.put("study", life.study_body(), by=person_key(LEADER))
    assert life.decision(by_person).status == "PENDING"
    assert life.endorse(by_person, "h2") == "PENDING"
    assert life.endorse(by_person, "h2", person_key(ANALYST)) == "PENDING"
    assert life.endorse(by_person, "h1") == "EFFECTIVE"
    assert life.value("study", "S-1").status == STUDY["register", None]


def test_the_principal_investigator_may_refuse() -> None:
    life = Life()
    leaf = life.put("study", life.study_body())
    assert life.endorse(leaf, "h1", person_key(LEADER), verdict="reject") == "REJECTED"
    assert life.value("study", "S-1") is None


# --- ethics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"study": NOWHERE}, "S4"),
        ({"committee_org": "h2"}, "J7"),
        ({"approval_id": "EA-1"}, "J8"),
        ({"status": "renew"}, "J8"),
        ({"valid_until": "2025-01-01"}, "J9"),
        ({"exempt_code": "low-risk"}, "J9.exempt"),
        ({"decision": "exempt"}, "J9.exempt"),
        ({"scope_datasets": ("D9",)}, "D4"),
    ],
)
def test_approvals_have_bounds(change: dict[str, Any], rule: str) -> None:
    life = started()
    body = life.ethics_body(**{"approval_id": "EA-2", **change})
    assert no(life, "ethics", body, by=life.ethics_key) == rule


def test_an_approval_is_of_a_registered_study() -> None:
    life = started()
    life.study_leaf = life.versions["D1"]
    body = life.ethics_body(approval_id="EA-2")
    assert no(life, "ethics", body, by=life.ethics_key) == "J6"


def test_only_ethics_keys_sign_approvals() -> None:
    life = started()
    assert no(life, "ethics", life.ethics_body(approval_id="EA-2")) == "S3.capacity"


@pytest.mark.parametrize("status", ["GRANTED", "SUSPENDED", "WITHDRAWN"])
@pytest.mark.parametrize("event", ["grant", "renew", "suspend", "withdraw"])
def test_every_step_of_an_approval(event: str, status: str) -> None:
    life = started()
    if status != "GRANTED":
        life.ethics(status={"SUSPENDED": "suspend", "WITHDRAWN": "withdraw"}[status])
    assert life.value("ethics", "EA-1").spans[-1].status == status
    after = ETHICS.get((event, status))
    if after is None:
        body = life.ethics_body(status=event)
        assert no(life, "ethics", body, by=life.ethics_key) == "J8"
    else:
        life.ethics(status=event, valid_until="2028-12-31")
        assert life.value("ethics", "EA-1").spans[-1].status == after


def test_a_renewal_is_longer_and_a_withdrawal_is_not() -> None:
    life = started()
    first = life.value("ethics", "EA-1")
    life.ethics(status="renew", valid_until="2030-12-31", scope_datasets=("D1",))
    renewed = life.value("ethics", "EA-1")
    assert (renewed.until_ms > first.until_ms, renewed.scope) == (True, ("D1",))
    life.ethics(status="withdraw", valid_until="2040-12-31")
    assert life.value("ethics", "EA-1").until_ms == renewed.until_ms
    assert life.value("ethics", "EA-1").scope == ("D1",)


# --- study events ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["REGISTERED", "COMPLETED", "TERMINATED"])
@pytest.mark.parametrize("event", ["amend", "annual-report", "completion", "termination"])
def test_every_step_of_a_study(event: str, status: str) -> None:
    life = Life()
    life.study()
    if status != "REGISTERED":
        life.event({"COMPLETED": "completion", "TERMINATED": "termination"}[status])
    after = STUDY.get((event, status))
    assert life.event(event) == (() if after else ("NOT_OPEN",))
    assert life.value("study", "S-1").status == (after or status)


def test_an_amendment_changes_team_and_period() -> None:
    life = Life()
    life.study()
    alone = (member("h1", LEADER, PI),)
    period = Period(from_="2026-01-01", to="2030-01-01")
    assert life.event("amend", new_team=alone, new_period=period) == ()
    body = life.value("study", "S-1").body
    assert (body.team, body.period) == (alone, period)


@pytest.mark.parametrize(
    "change",
    [
        {"new_team": (member("h1", LEADER, PI), member("h3", STRANGER))},
        {"new_team": (member("h2", ANALYST, PI),)},
        {"new_period": Period(from_="2030-01-01", to="2026-01-01")},
    ],
)
def test_an_amendment_that_breaks_a_rule_changes_nothing(change: dict[str, Any]) -> None:
    life = Life()
    life.study()
    before = life.value("study", "S-1")
    assert life.event("amend", **change) == ("TEAM_UNVERIFIED",)
    assert life.value("study", "S-1") == before


def test_events_of_others_change_nothing() -> None:
    life = asked()
    assert life.event("completion", org="h3") == ("NOT_APPLICANT",)
    assert life.event("completion", study=life.versions["D1"]) == ("UNREGISTERED",)
    assert life.event("withdraw-request", request=life.versions["D1"]) == ("UNREGISTERED",)
    assert life.event("withdraw-request") == ("UNREGISTERED",)
    assert life.value("study", "S-1").status == "REGISTERED"


# --- requests -------------------------------------------------------------------------------------


SPOILT: list[tuple[Callable[[Life], dict[str, Any]], str]] = [
    (lambda _life: {"study": NOWHERE}, "S4"),
    (lambda life: {"study": life.versions["D1"]}, "J6"),
    (lambda life: {"revises": life.study_leaf}, "J12"),
    (lambda life: {"datasets": (life.study_leaf,)}, "J13"),
    (lambda life: {"datasets": (life.versions["D1"],) * 2}, "J13"),
    (lambda life: {"ethics": (life.study_leaf,)}, "J14"),
    (lambda _life: {"match": Match(verdict="HUMAN")}, "J15"),
]


@pytest.mark.parametrize(("spoil", "rule"), SPOILT)
def test_requests_have_bounds(spoil: Callable[[Life], dict[str, Any]], rule: str) -> None:
    life = started()
    assert no(life, "access-request", life.request_body(**spoil(life))) == rule


def test_others_cannot_ask_in_a_studys_name() -> None:
    life = started()
    assert no(life, "access-request", life.request_body(), org="h2") == "J10"


def test_an_ended_study_asks_for_nothing() -> None:
    life = started()
    life.event("completion")
    assert no(life, "access-request", life.request_body()) == "J11"


def test_a_request_id_is_used_once() -> None:
    life = asked()
    assert no(life, "access-request", life.request_body()) == "J12"
    again = life.request_body(revises=life.request_leaf)
    assert no(life, "access-request", again) == "J12"


def test_withdrawn_data_cannot_be_asked_for() -> None:
    life = started()
    body = life.request_body()
    withdraw(life)
    assert no(life, "access-request", body) == "J13"


@pytest.mark.parametrize("status", ["suspend", "withdraw"])
def test_ethics_approvals_are_in_force_at_the_request(status: str) -> None:
    life = started()
    body = life.request_body()
    life.ethics(status=status)
    assert no(life, "access-request", body) == "J14"


@pytest.mark.parametrize("at_ms", [GENESIS_MS - DAY_MS, GENESIS_MS + 800 * DAY_MS])
def test_ethics_approvals_have_a_window(at_ms: int) -> None:
    life = started()
    life.now = max(at_ms, life.now)
    if at_ms < GENESIS_MS:
        life.ethics(approval_id="EA-2", valid_from="2026-02-01")
    assert no(life, "access-request", life.request_body()) == "J14"


def test_an_approval_of_another_study_does_not_count() -> None:
    life = started()
    leaf = life.put("study", life.study_body(study_no="S-2"))
    life.endorse(leaf, "h1", person_key(LEADER))
    body = life.request_body(study=leaf, match=life.match("D1"))
    assert no(life, "access-request", body) == "J14"


def test_a_denied_study_asks_with_an_override_alone() -> None:
    life = Life()
    life.dataset(terms=(GRU, NOAI))
    life.study(model_training=True)
    life.ethics()
    assert life.match("D1").verdict == "DENY"
    assert no(life, "access-request", life.request_body()) == "J16"
    life.request(override_request=True)
    assert life.value("request", "R-1").status == "SUBMITTED"


def test_the_match_is_computed_again_when_the_request_takes_effect() -> None:
    """What was true when it was signed and is not any more makes it VOID."""
    life = started()
    leaf = life.put("access-request", life.request_body())
    life.policy(vocabulary=DIGEST)
    assert life.endorse(leaf, "h1", person_key(LEADER)) == "VOID"
    assert life.decision(leaf).rule == "J15"


# --- reviews --------------------------------------------------------------------------------------


def test_the_newest_opinion_of_a_reviewer_at_a_stage_is_live() -> None:
    life = asked()
    life.review("h3", "completeness")
    life.review("h2", opinion="reject")
    life.review("h2")
    opinions = life.value("request", "R-1").opinions
    assert [(one.org, one.stage, one.opinion) for one in opinions] == [
        ("h3", "completeness", "approve"),
        ("h2", "scientific", "approve"),
    ]


def test_opinions_that_do_not_count() -> None:
    life = asked()
    life.review("h2")
    assert life.findings == ("NOT_OPEN",)
    life.review("h3", "completeness")
    assert life.findings == ()
    life.review("h3", "completeness")
    assert life.findings == ("NOT_OPEN",)
    life.review("h2", "custodian", "officer")
    assert life.findings == ("NOT_CUSTODIAN",)
    life.review("h1", "custodian", "officer")
    assert life.findings == ()
    life.review("h2", request=life.study_leaf)
    assert life.findings == ("UNREGISTERED",)


def test_people_of_the_study_review_nothing() -> None:
    life = asked()
    signer = person_key("a committee key of the analyst")
    life.register("h2", "dac", ANALYST, signer)
    life.review("h3", "completeness")
    life.review("h2", by=signer)
    assert life.findings == ("REVIEWER_ON_TEAM",)


def test_a_declared_conflict_counts_for_nothing() -> None:
    life = asked()
    life.review("h3", "completeness", coi="declared")
    assert life.value("request", "R-1").status == "SUBMITTED"
    life.review("h3", "completeness")
    reviews = (life.review("h2", coi="declared"), life.review("h3"))
    assert no_decision(life, reviews=reviews) == "J30"


# --- requests: every step -------------------------------------------------------------------------


def request_in(status: str) -> Life:
    """A request that stands so."""
    life = asked()
    if status in ("UNDER_REVIEW", "APPROVED", "REJECTED"):
        reviews = life.reviews()
        if status == "APPROVED":
            life.decide(refs=(life.agreed_resolution(),), reviews=reviews)
        if status == "REJECTED":
            life.decide(decision="reject")
    if status == "RETURNED":
        life.review("h3", "completeness", opinion="return")
    if status == "WITHDRAWN":
        life.event("withdraw-request", request=life.request_leaf)
    assert life.value("request", "R-1").status == status
    return life


def happen(life: Life, event: str) -> str:
    """Let something happen to the request, if the rules let it; how it stands then."""
    if event == "withdraw":
        life.event("withdraw-request", request=life.request_leaf)
    elif event == "complete":
        life.review("h3", "completeness")
    elif event == "return" and life.value("request", "R-1").status == "SUBMITTED":
        life.review("h3", "completeness", opinion="return")
    else:
        with contextlib.suppress(RefusedError):
            decide_so(life, event)
    return str(life.value("request", "R-1").status)


def decide_so(life: Life, event: str) -> None:
    """What is a record of rights; raises when it is refused."""
    opinions = life.value("request", "R-1").opinions
    reviews = tuple(one.leaf for one in opinions if one.stage != "completeness")
    if event == "resubmit":
        life.request(revises=life.request_leaf)
    elif event == "approve":
        life.decide(refs=(life.agreed_resolution(),), reviews=reviews)
    elif event == "amend":
        amends = life.decision_leaf or life.study_leaf
        life.decide(refs=(life.agreed_resolution(),), reviews=reviews, amends=amends)
    else:
        life.decide(decision=event)


STATUSES = ["SUBMITTED", "UNDER_REVIEW", "RETURNED", "APPROVED", "REJECTED", "WITHDRAWN"]
EVENTS = sorted({event for event, before in REQUEST if before is not None})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_step_of_a_request(event: str, status: str) -> None:
    life = request_in(status)
    assert happen(life, event) == REQUEST.get((event, status), status)


# --- decisions ------------------------------------------------------------------------------------


def reviewed(**changes: Any) -> tuple[Life, tuple[str, ...]]:
    """A request with its reviews."""
    life = asked(**changes)
    return life, life.reviews()


def no_decision(life: Life, **changes: Any) -> str:
    """The rule that refuses this decision."""
    refs = changes.pop("refs", None)
    if refs is None:
        refs = (life.agreed_resolution(),)
    body = life.decision_body(**changes)
    return no(life, "access-decision", body, by="committee", refs=refs)


SPOILT_DECISIONS: list[tuple[Callable[[Life], dict[str, Any]], str]] = [
    (lambda life: {"request": life.study_leaf}, "J20.request"),
    (lambda _life: {"permit_id": None}, "J21"),
    (lambda life: {"amends": life.study_leaf}, "J21"),
    (lambda _life: {"persons": (LEADER, STRANGER)}, "J22"),
    (lambda _life: {"persons": ()}, "J22"),
    (lambda life: {"datasets": (life.study_leaf,)}, "J23"),
    (lambda life: {"datasets": (life.versions["D1"],) * 2}, "J23"),
    (lambda life: {"datasets": (life.dataset("h2", "D2"),)}, "J23"),
    (lambda _life: {"datasets": ()}, "J23"),
    (lambda _life: {"valid_until": None}, "J27"),
    (lambda _life: {"valid_from": "2026-12-31", "valid_until": "2026-01-01"}, "J27"),
    (lambda _life: {"valid_until": "2027-01-02"}, "J27"),
    (lambda _life: {"valid_from": "2025-12-31"}, "J24"),
    (lambda _life: {"reasons": None}, "J29"),
    (lambda _life: {"decision": "reject", "reason_codes": ()}, "J29"),
    (lambda _life: {"decision": "return", "permit_id": "P-2"}, "J29"),
    (lambda life: {"reviews": life.one_review()}, "J30"),
    (lambda life: {"reviews": (life.study_leaf,)}, "J31"),
    (lambda _life: {"purposes": ("DUO:0000033",)}, "J32"),
    (lambda _life: {"purposes": ()}, "J32"),
    (lambda _life: {"compute_nodes": ("h2/tre",)}, "J33"),
    (lambda _life: {"refs": ()}, "G6"),
]


@pytest.mark.parametrize(("spoil", "rule"), SPOILT_DECISIONS)
def test_decisions_have_bounds(spoil: Callable[[Life], dict[str, Any]], rule: str) -> None:
    life, reviews = reviewed()
    assert no_decision(life, **{"reviews": reviews, **spoil(life)}) == rule


def test_reasons_are_not_given_for_a_refusal() -> None:
    life, _reviews = reviewed()
    five = Reasons(
        necessity="a", pseudonymisation="b", purpose="c", qualification="d", safeguards="e"
    )
    assert no_decision(life, decision="reject", reasons=five) == "J29"


def test_a_permit_id_is_used_once() -> None:
    life = permitted()
    leaf = life.request_leaf
    life.request(request_id="R-2")
    life.review("h3", "completeness")
    reviews = (life.review("h2"), life.review("h3"))
    assert leaf != life.request_leaf
    assert no_decision(life, reviews=reviews) == "J21"


def test_what_is_owed_stands_in_the_permit() -> None:
    life = Life()
    life.dataset(terms=(GRU, PUB, SIX))
    life.study()
    life.ethics()
    life.request()
    reviews = life.reviews()
    kept = {"reviews": reviews, "valid_until": "2026-07-01"}
    assert no_decision(life, **kept, obligations=()) == "J25"
    other = (Obligation(code=PUB.code), Obligation(code=SIX.code, params=("7",)))
    assert no_decision(life, **kept, obligations=other) == "J25"
    assert no_decision(life, **{**kept, "valid_until": "2026-07-02"}) == "J27"
    life.decide(refs=(life.agreed_resolution(),), **kept)
    assert len(life.value("permit", "P-1").terms.obligations) == 2


def test_a_permit_ends_with_the_ethics_approval() -> None:
    life = Life()
    life.dataset()
    life.study()
    life.ethics(valid_until="2026-06-30")
    life.request()
    reviews = life.reviews()
    assert no_decision(life, reviews=reviews) == "J24"
    life.decide(refs=(life.agreed_resolution(),), reviews=reviews, valid_until="2026-06-30")
    assert life.value("permit", "P-1") is not None


def test_an_approval_covers_its_scope_alone() -> None:
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    life.study()
    life.ethics(scope_datasets=("D1",))
    life.request()
    assert no_decision(life, reviews=life.reviews()) == "J24"


def test_a_denied_study_needs_a_resolution_that_decides() -> None:
    life = Life()
    life.dataset(terms=(GRU, NOAI))
    life.study(model_training=True)
    life.ethics()
    life.request(override_request=True)
    reviews = life.reviews()
    other = (life.agreed_resolution(kind="other"),)
    assert no_decision(life, reviews=reviews, refs=other) == "J26"
    life.decide(refs=(life.agreed_resolution(),), reviews=reviews)
    assert life.value("permit", "P-1") is not None


def test_a_reviewer_who_opposes_at_another_stage_does_not_approve() -> None:
    life, reviews = reviewed()
    life.review("h2", "security", opinion="reject")
    assert no_decision(life, reviews=reviews) == "J30"


def test_the_committee_and_every_custodian_decide() -> None:
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    life.study()
    life.ethics()
    life.request()
    reviews = life.reviews()
    refs = (life.agreed_resolution(),)
    body = life.decision_body(reviews=reviews)
    leaf = life.put("access-decision", body, by="committee", refs=refs)
    assert life.endorse(leaf, "h1") == "PENDING"
    assert life.endorse(leaf, "h2", "committee") == "PENDING"
    assert life.endorse(leaf, "h2") == "EFFECTIVE"
    terms = life.value("permit", "P-1").terms
    assert (terms.custodians, terms.datasets) == (("h1", "h2"), ("D1@1", "D2@1"))


def test_a_refusal_needs_no_custodian() -> None:
    life, _reviews = reviewed()
    leaf = life.put("access-decision", life.decision_body(decision="reject"), by="committee")
    assert life.endorse(leaf, "h2", "committee") == "EFFECTIVE"
    assert life.value("request", "R-1").status == "REJECTED"


def test_people_of_the_study_do_not_decide() -> None:
    """J28: the key of a person of the team counts neither for the committee nor for a custodian."""
    life, reviews = reviewed()
    member_of_team = person_key("a committee key of the analyst")
    life.register("h2", "dac", ANALYST, member_of_team)
    refs = (life.agreed_resolution(),)
    body = life.decision_body(reviews=reviews)
    leaf = life.put("access-decision", body, by="committee", refs=refs)
    life.endorse(leaf, "h1")
    assert life.endorse_as(leaf, "h2", member_of_team, "dac") == "PENDING"
    assert life.endorse(leaf, "h3", "committee") == "EFFECTIVE"


def test_what_rests_on_withdrawn_data_becomes_void() -> None:
    """The endorsement is recorded all the same."""
    life, reviews = reviewed()
    refs = (life.agreed_resolution(),)
    leaf = life.put(
        "access-decision", life.decision_body(reviews=reviews), by="committee", refs=refs
    )
    withdraw(life)
    assert life.endorse(leaf, "h1") == "VOID"
    assert life.decision(leaf).rule == "J23"


# --- permits --------------------------------------------------------------------------------------


def removal(schema: str = "permit-status/removal") -> dict[str, Any]:
    """The payload that attests the removal."""
    one = Payload(commit=DIGEST, holders=("h1",), schema=schema, size_bucket=1, tier="T2")
    return {"payloads": (one,)}


def permit_in(status: str | None) -> Life:
    """A permit that stands so."""
    life = permitted()
    if status in ("ACTIVE", "SUSPENDED", "EXPIRED", "CLOSED"):
        assert life.decision(life.step("activate")).status == "EFFECTIVE"
    if status == "SUSPENDED":
        life.step("suspend")
    if status == "REVOKED":
        life.step("revoke")
    if status == "CLOSED":
        life.endorse(life.step("close"), "h1", person_key(LEADER))
    if status == "EXPIRED":
        life.now = life.value("permit", "P-1").terms.until_ms + 1
    return life


ACTIONS = ["activate", "suspend", "resume", "extend", "revoke", "close"]


@pytest.mark.parametrize(
    "status", ["APPROVED", "ACTIVE", "SUSPENDED", "EXPIRED", "REVOKED", "CLOSED"]
)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_step_of_a_permit(action: str, status: str) -> None:
    life = permit_in(status)
    after = PERMIT.get((action, status))
    fields: dict[str, Any] = removal() if action == "close" else {}
    if action == "extend":
        amend(life)
    if after is None:
        assert no(life, "permit-status", life.step_body(action), **fields) == "J40"
        return
    leaf = life.step(action, **fields)
    if action == "close":
        life.endorse(leaf, "h1", person_key(LEADER))
    if action == "resume":
        life.endorse(leaf, "h1", "committee")
        life.endorse(leaf, "h3", "committee")
    assert life.decision(leaf).status == "EFFECTIVE"
    assert life.value("permit", "P-1").spans[-1].status == after


def amend(life: Life, **changes: Any) -> str:
    """An amended decision of the permit, in effect and not in force."""
    reviews = tuple(
        one.leaf for one in life.value("request", "R-1").opinions if one.stage != "completeness"
    )
    refs = (life.agreed_resolution(),)
    fields = {"amends": life.value("permit", "P-1").terms.decision, **changes}
    body = life.decision_body(reviews=reviews, **fields)
    leaf = life.put("access-decision", body, by="committee", refs=refs)
    life.endorse(leaf, "h2", "committee")
    assert life.endorse(leaf, "h1") == "EFFECTIVE"
    return leaf


def test_who_may_take_a_step() -> None:
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    life.permit()
    leaf = life.step("activate")
    assert life.decision(leaf).status == "PENDING"
    assert life.endorse(leaf, "h2") == "EFFECTIVE"
    suspended = life.step("suspend", org="h2")
    assert life.decision(suspended).status == "EFFECTIVE"
    leaf = life.step("resume")
    life.endorse(leaf, "h2")
    assert life.endorse(leaf, "h1", "committee") == "PENDING"
    assert life.endorse(leaf, "h3", "committee") == "EFFECTIVE"
    leaf = life.step("suspend", "committee", "h3")
    assert life.decision(leaf).status == "PENDING"
    assert life.endorse(leaf, "h2", "committee") == "EFFECTIVE"
    leaf = life.step("revoke", org="h3")
    assert life.decision(leaf).status == "PENDING"
    assert life.endorse(leaf, "h1") == "EFFECTIVE"
    leaf = life.step("close", person_key(LEADER), **removal())
    assert life.endorse(leaf, "h2") == "PENDING"
    assert life.endorse(leaf, "h1") == "EFFECTIVE"


def test_a_step_is_of_a_permit() -> None:
    life, _reviews = reviewed()
    refusal = life.decide(decision="reject")
    for leaf in (life.study_leaf, refusal):
        life.decision_leaf = leaf
        body = life.step_body("activate")
        assert no(life, "permit-status", body) == "J40.permit"


def test_a_change_begins_by_its_block() -> None:
    life = permitted()
    late = encode_time(life.now + 6 * 60_000)
    assert no(life, "permit-status", life.step_body("activate", effective_at=late)) == "J41"


def test_what_is_given_begins_with_its_block_and_what_is_taken_when_it_was_stated() -> None:
    life = permitted()
    before = encode_time(life.now - 60_000)
    life.step("activate", effective_at=before)
    active = life.value("permit", "P-1").spans[-1].from_ms
    assert active == life.now
    life.now += DAY_MS // 2
    stated = life.now - 3_600_000
    life.step("suspend", effective_at=encode_time(stated))
    assert life.value("permit", "P-1").spans[-1] == Span(from_ms=stated, status="SUSPENDED")
    # Never before the change before it: the past stays as it was.
    life.step("revoke", effective_at=before)
    assert life.value("permit", "P-1").spans[-1].from_ms == stated


@pytest.mark.parametrize("action", ["activate", "resume", "extend"])
def test_nothing_comes_into_force_without_ethics(action: str) -> None:
    life = permitted()
    if action != "activate":
        life.step("activate")
    if action == "resume":
        life.step("suspend")
    if action == "extend":
        amend(life)
    life.ethics(status="withdraw")
    assert no(life, "permit-status", life.step_body(action)) == "J42.ethics"


def test_nothing_comes_into_force_after_its_end() -> None:
    life = permitted()
    life.now = life.value("permit", "P-1").terms.until_ms + 1
    assert no(life, "permit-status", life.step_body("activate")) == "J42.over"


def test_a_permit_is_extended_by_an_amended_decision() -> None:
    life = permitted(persons=(LEADER,))
    life.step("activate")
    assert no(life, "permit-status", life.step_body("extend")) == "J42.amendment"
    amended = amend(life)
    assert life.value("permit", "P-1").terms.persons == (LEADER,)
    life.step("extend")
    permit = life.value("permit", "P-1")
    assert (permit.version, permit.pending, permit.terms.decision) == (2, None, amended)
    assert permit.terms.persons == (LEADER, ANALYST)
    assert life.value("permit-terms", "P-1/1").persons == (LEADER,)


def test_after_a_revocation_the_removal_is_attested() -> None:
    life = permit_in("REVOKED")
    body = life.step_body("close")
    assert no(life, "permit-status", body) == "J42.removal"
    assert no(life, "permit-status", body, **removal("other/1")) == "J42.removal"
    leaf = life.step("close", **removal())
    assert life.endorse(leaf, "h1", person_key(LEADER)) == "EFFECTIVE"


def test_spans_keep_the_newest_changes() -> None:
    spans: tuple[Span, ...] = ()
    for n in range(MAX_SPANS + 10):
        spans = add_span(spans, f"s{n}", n * 10)
    assert len(spans) == MAX_SPANS
    assert status_at(spans, 99) is None
    assert status_at(spans, 109) == "s10"
    assert status_at(spans, 10**9) == f"s{MAX_SPANS + 9}"


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2000-01-31", 1, "2000-02-29"),
        ("2100-01-31", 1, "2100-02-28"),
        ("2026-11-23", 2, "2027-01-23"),
        ("2026-12-31", 12, "2027-12-31"),
        ("2026-03-31", 6, "2026-09-30"),
    ],
)
def test_months_later(day: str, months: int, later: str) -> None:
    assert add_months(day, months) == later


# --- the catalogue --------------------------------------------------------------------------------


def withdraw(life: Life, org: str = "h1", version: str | None = None) -> str:
    """Withdraw D1@1."""
    body = DatasetStatusBody(
        action="withdraw", reason_code="recalled", version=version or life.versions["D1"]
    )
    return life.put("dataset-status", body, org=org)


def test_a_version_is_withdrawn_once_by_its_custodian() -> None:
    life = started()
    body = DatasetStatusBody(action="withdraw", reason_code="recalled", version=life.versions["D1"])
    assert no(life, "dataset-status", body, org="h2") == "D1"
    withdraw(life)
    assert life.value("version", "D1@1").withdrawn == life.tip.height
    assert life.value("version-leaf", life.versions["D1"]).withdrawn == life.tip.height
    assert no(life, "dataset-status", body) == "D12"


def derived(life: Life, **changes: Any) -> Any:  # noqa: ANN401
    """The next version of D1, from D2."""
    body = life.blocks_body(life.versions["D1"])
    fields = {"sources": tuple(life.versions.values())[1:], "version": "2", **changes}
    return msgspec.structs.replace(body, **fields)


def test_nothing_is_derived_from_a_withdrawn_version() -> None:
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    withdraw(life, "h2", life.versions["D2"])
    assert no(life, "dataset-version", derived(life)) == "D8"


def test_a_permit_stands_for_the_custodian_of_a_source() -> None:
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    life.permit()
    loose = life.put("dataset-version", derived(life))
    assert life.decision(loose).status == "PENDING"
    covered = derived(life, permits=(life.decision_leaf,))
    assert life.decision(life.put("dataset-version", covered)).status == "EFFECTIVE"
    weaker = derived(
        life, permits=(life.decision_leaf,), terms=(Term(code="DUO:0000004"),), version="3"
    )
    leaf = life.put("dataset-version", weaker)
    assert life.decision(leaf).status == "PENDING"
    assert life.endorse(leaf, "h2") == "EFFECTIVE"
    wrong = derived(life, permits=(life.study_leaf,), version="4")
    assert no(life, "dataset-version", wrong) == "D10"


@pytest.mark.parametrize(
    "party",
    [
        Party(org="nobody"),
        Party(org="h1", person=STRANGER),
        Party(org="h1", person=ANALYST),
        Party(org="h2", person=ANALYST, unit="icu"),
    ],
)
def test_parties_are_members_and_their_people(party: Party) -> None:
    life = Life()
    life.dataset()
    body = derived(life, sources=(), steward=party)
    assert no(life, "dataset-version", body) == "D11"
    good = derived(life, sources=(), steward=Party(org="h2", person=ANALYST),
                   curator=Party(org="h1", unit="icu"))  # fmt: skip
    life.put("dataset-version", good)


def test_data_carry_the_terms_that_follow_from_them() -> None:
    life = Life()
    life.dataset(hgr_info=True, hgr_no="2026-17", class_level="important")
    terms = life.value("version", "D1@1").terms
    assert Term(code="EC:HGR", params=("2026-17",)) in terms
    assert Term(code="EC:IMPORTANT") in terms


def indicator(**changes: Any) -> IndicatorVersionBody:
    fields: dict[str, Any] = {
        "code": "sofa",
        "definition_digest": DIGEST,
        "org": "h1",
        "version": "1",
    }
    return IndicatorVersionBody(**{**fields, **changes})


def test_indicators_go_on_from_their_newest_version() -> None:
    life = Life()
    first = life.put("indicator-version", indicator())
    assert no(life, "indicator-version", indicator()) == "D13"
    for spoilt in (
        {},
        {"predecessor": life.put("indicator-version", indicator(code="other"))},
        {"org": "h2", "predecessor": first},
    ):
        body = indicator(version="2", **spoilt)
        assert no(life, "indicator-version", body) == "D14"
    stolen = indicator(org="h2", predecessor=first, version="2")
    assert no(life, "indicator-version", stolen, org="h2") == "D14"
    life.put("indicator-version", indicator(predecessor=first, version="2"))
    assert life.value("indicator", "sofa").versions == 2


def test_every_step_of_a_run_stands_in_its_table() -> None:
    life = permitted()
    life.step("activate")
    states = ["requested", "signed-off", "started", "completed", "failed", "aborted"]
    names = {None: None, **{state: state.upper().replace("-", "_") for state in states}}
    for number, (before, state) in enumerate(
        (before, state) for before in (None, *states) for state in states
    ):
        run = f"run-{number}"
        if before is not None:
            life.run(before, run_id=run)
        legal = (state, names[before]) in RUN
        assert ("RUN_STATE" in life.run(state, run_id=run)) is not legal
        assert life.value("run", f"h1/{run}").status == names[state if legal else before]
