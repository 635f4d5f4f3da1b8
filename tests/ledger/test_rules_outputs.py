"""W10 to W22: results, what leaves, publications (SPEC 12.4)."""

from typing import Any

import pytest

from ledger.errors import MalformedError
from ledger.records.catalogue import Term
from ledger.records.outputs import FileVote, ResultFile
from ledger.records.use import Used
from ledger.rules.graph import Graph
from tests.ledger.lives import ANALYST, DIGEST, LEADER, STRANGER, person_key
from tests.ledger.yields import FILES, OUTPUT, Yield, checker_key, refused


@pytest.fixture
def life() -> Yield:
    """A registered result."""
    made = Yield()
    made.finished()
    return made


def test_a_result_of_a_sound_run_has_no_finding_and_a_place_in_the_graph(life: Yield) -> None:
    assert life.findings == ()
    node = life.node(life.result_leaf)
    assert {(edge.rel, edge.leaf) for edge in node.edges} == {
        ("for_study", life.study_leaf),
        ("generated_by", life.run_leaf),
    }
    assert life.value("result", "RES-1").permits == ("P-1",)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("W10", {}),
        ("W11", {"result_id": "RES-2", "study": OUTPUT}),
        (
            "W12",
            {
                "result_id": "RES-2",
                "files": (ResultFile(digest=DIGEST, media="a/b", size_bucket="0"),) * 2,
            },
        ),
    ],
)
def test_a_result_that_cannot_be_placed_is_refused(
    life: Yield, rule: str, changes: dict[str, Any]
) -> None:
    if "study" in changes:
        changes = {**changes, "study": life.run_leaf}
    refused(rule, lambda: life.result(**changes))


def test_the_indicators_of_a_result_are_registered_ones(life: Yield) -> None:
    refused("W11", lambda: life.result(result_id="RES-2", indicators=(life.study_leaf,)))
    named = life.result(result_id="RES-2", indicators=(life.indicator(),))
    assert [edge.rel for edge in life.node(named).edges].count("uses_indicator") == 1


def test_what_is_wrong_with_the_runs_of_a_result_is_a_finding(life: Yield) -> None:
    life.result(result_id="RES-2", generated_by=())
    assert life.findings == ("NO_RUN", "OUTPUT_NOT_IN_RUN")
    life.run(run_id="run-2", permit=None, compute_node="abroad")
    flagged = life.leaf
    life.result(result_id="RES-3", generated_by=(flagged,))
    assert life.findings == ("OUTPUT_NOT_IN_RUN", "RUN_FLAGGED")
    life.study(study_no="S-2")
    life.result(result_id="RES-4", study=life.study_leaf)
    assert life.findings == ("STUDY_MISMATCH",)


def test_a_result_that_is_replaced_is_corrected(life: Yield) -> None:
    life.result(result_id="RES-2", supersedes=life.result_leaf)
    assert life.value("result", "RES-1").status == "CORRECTED"


def test_nobody_replaces_the_result_of_another_study(life: Yield) -> None:
    """A corrected result is never released or published again: a rival would only have to say that
    its own result supersedes it.
    """
    mine = life.result_leaf
    body = life.result_body(result_id="RES-2", supersedes=mine)
    life.put("result", body, by="officer", org="h3", at_ms=life.now)
    assert life.findings == ("NOT_APPLICANT",)
    life.study(study_no="S-2")
    life.result(result_id="RES-3", supersedes=mine, generated_by=())
    assert life.findings == ("NOT_APPLICANT", "NO_RUN", "OUTPUT_NOT_IN_RUN")
    assert life.value("result", "RES-1").status == "REGISTERED"


def test_who_speaks_for_a_study_registers_its_results(life: Yield) -> None:
    """Its leading organisation, those of its people, and those that compute for it."""
    for number, (org, by) in enumerate([("h2", person_key(ANALYST)), ("h1", "officer")]):
        body = life.result_body(result_id=f"RES-1{number}")
        life.put("result", body, by=by, org=org, at_ms=life.now)
        assert life.findings == ()
    life.put("result", life.result_body(result_id="RES-20"), by="officer", org="h3", at_ms=life.now)
    assert life.findings == ("NOT_APPLICANT",)


def test_hashes_are_hashes(life: Yield) -> None:
    """A field for a hash is no place for a text: the guard reads none of them."""
    text = "a note of 43 characters, on a person ......"
    life.egress()
    with pytest.raises(MalformedError):
        life.check("c2", checklist_hash=text)
    with pytest.raises(MalformedError):
        life.check("c2", file_votes=(FileVote(digest=text, vote="approve"),))
    with pytest.raises(MalformedError):
        life.publish(ack_root=text)
    with pytest.raises(MalformedError):
        life.run(run_id="run-2", used=(Used(digest=text, kind="dataset", name="D1@1"),))
    with pytest.raises(MalformedError):
        life.policy(vocabulary=text)


def test_two_reviewers_release_what_leaves(life: Yield) -> None:
    life.egress()
    assert life.value("egress", "E-1").status == "REQUESTED"
    assert life.check("c2") == ()
    assert life.value("egress", "E-1").status == "ONE_REVIEW"
    assert life.check("c3") == ()
    assert life.value("egress", "E-1").status == "TWO_REVIEWS"
    life.release()
    assert life.value("egress", "E-1").status == "RELEASED"
    assert life.value("result", "RES-1").status == "CLEARED"
    assert life.publish() == ()
    assert life.value("result", "RES-1").status == "PUBLISHED"


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("W11", {"result": "run"}),
        ("W15", {"files": (OUTPUT,)}),
        ("W15", {"files": (FILES[0], FILES[0])}),
        ("W16", {"author": STRANGER}),
        ("W16", {"author": LEADER}),
        ("W16", {"by": person_key(LEADER), "org": "h1"}),
        ("W17", {"permit": "P-9"}),
        ("W13", {"revises": "result"}),
    ],
)
def test_a_request_that_may_not_be_made_is_refused(
    life: Yield, rule: str, changes: dict[str, Any]
) -> None:
    named = {"run": life.run_leaf, "result": life.result_leaf}
    given = {
        key: named.get(value, value) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    refused(rule, lambda: life.egress(**given))


def test_somebody_outside_the_team_asks_for_nothing(life: Yield) -> None:
    life.register("h3", "self", STRANGER, person_key(STRANGER))
    life.register("h2", "self", "9" * 32, person_key("9" * 32))
    refused("W16", lambda: life.egress(by=person_key("9" * 32)))
    stranger = {"author": STRANGER, "by": person_key(STRANGER), "org": "h3"}
    refused("W16", lambda: life.egress(**stranger))


def test_files_leave_for_a_while_after_the_permit_and_not_for_ever(life: Yield) -> None:
    life.step("suspend")
    refused("W17", life.egress)
    life.step("revoke")
    refused("W17", life.egress)
    other = Yield()
    other.finished()
    until = other.value("permit", "P-1").terms.until_ms
    later = "2027-12-31T00:00:00.000Z"
    other.now = until + 31 * 86_400_000
    refused("W17", lambda: other.egress_late(later))
    other.now = until + 29 * 86_400_000
    other.egress_late(later)
    assert other.value("egress", "E-1").status == "REQUESTED"


def test_a_review_that_does_not_count_says_why(life: Yield) -> None:
    life.egress()
    assert life.check("c2", "approve") == ("VOTES_INCOMPLETE",)
    insider = checker_key("insider")
    life.register("h2", "checker", ANALYST, insider)
    assert life.check("c2", by=insider, org="h2") == ("REVIEWER_ON_TEAM",)
    assert life.value("egress", "E-1").reviews == ()
    assert life.check("c2", request=life.result_leaf) == ("UNREGISTERED",)
    life.check("c2")
    life.check("c2", "changes", "changes")
    assert life.value("egress", "E-1").status == "ONE_REVIEW"
    assert [one.votes[0].vote for one in life.value("egress", "E-1").reviews] == ["changes"]
    life.check("c3")
    life.release("reject")
    assert life.check("c1") == ("NOT_OPEN",)


def test_one_reviewer_or_two_of_the_own_house_release_nothing(life: Yield) -> None:
    life.egress()
    life.check("c2")
    refused("W18", life.release)
    life.register("h1", "checker", "c4", checker_key("c4"))
    own = Yield()
    own.finished()
    own.register("h1", "checker", "c4", checker_key("c4"))
    own.egress()
    own.check("c1")
    own.check("c4", org="h1")
    refused("W19", own.release)
    own.check("c2")
    own.release()
    assert own.value("egress", "E-1").status == "RELEASED"


@pytest.mark.parametrize("votes", [("approve", "reject"), ("changes", "approve")])
def test_a_file_that_a_reviewer_opposes_is_not_released(
    life: Yield, votes: tuple[str, ...]
) -> None:
    life.egress()
    life.check("c2")
    life.check("c3", *votes)
    refused("W19", life.release)


def test_a_rejection_stands_against_any_number_of_approvals(life: Yield) -> None:
    life.egress()
    life.check("c1")
    life.check("c2")
    life.check("c3", "approve", "reject")
    refused("W19", life.release)
    assert life.release(released=(FILES[0],))


def test_a_failed_disclosure_check_needs_an_exception(life: Yield) -> None:
    life.egress(sdc="fail")
    life.check("c2")
    life.check("c3")
    refused("W20", life.release)
    life.release(exception_code="principles-based")
    assert life.value("egress", "E-1").status == "RELEASED"


@pytest.mark.parametrize("released", [(), (OUTPUT,), (FILES[0], FILES[0])])
def test_what_is_released_was_reviewed(life: Yield, released: tuple[str, ...]) -> None:
    life.egress()
    life.check("c2")
    life.check("c3")
    refused("W21", lambda: life.release(released=released))
    refused("W21", lambda: life.release("reject", released=FILES))


def test_a_returned_request_is_reviewed_anew(life: Yield) -> None:
    first = life.egress()
    life.check("c2")
    life.release("return")
    assert life.value("egress", "E-1").status == "RETURNED"
    refused("W13", life.egress)
    life.egress(revises=first, files=(FILES[0],))
    state = life.value("egress", "E-1")
    assert (state.status, state.reviews) == ("REQUESTED", ())
    life.egress_leaf, second = first, life.egress_leaf
    assert life.check("c2") == ("NOT_OPEN",)
    refused("W18.request", life.release)
    life.egress_leaf = second
    assert life.check("c2", "approve") == ()


def test_no_insider_decides_and_only_the_author_withdraws(life: Yield) -> None:
    life.egress()
    life.check("c2")
    life.check("c3")
    insider = checker_key("insider")
    life.register("h2", "checker", ANALYST, insider)
    refused("W22", lambda: life.release(by=insider, org="h2"))
    refused("W22", lambda: life.release(by=person_key(ANALYST), org="h2"))
    refused("W22", lambda: life.release("withdraw"))
    refused("W22", lambda: life.release("withdraw", by=person_key(LEADER), org="h1"))
    life.release("return")
    life.release("withdraw", by=person_key(ANALYST), org="h2")
    assert life.value("egress", "E-1").status == "WITHDRAWN"


def test_a_custodian_whose_terms_ask_for_it_signs_the_release() -> None:
    life = Yield()
    terms = (Term(code="DUO:0000042"), Term(code="EC:EGRESS2"))
    life.dataset(terms=terms)
    life.finished()
    life.egress()
    life.check("c2")
    life.check("c3")
    leaf = life.release()
    assert life.decision(leaf).status == "PENDING"
    assert life.value("egress", "E-1").status == "TWO_REVIEWS"
    assert life.endorse(leaf, "h1", "officer") == "EFFECTIVE"
    assert life.value("egress", "E-1").status == "RELEASED"


def test_a_recall_takes_back_the_release(life: Yield) -> None:
    life.released()
    life.publish()
    life.release("recall")
    assert life.value("egress", "E-1").status == "RECALLED"
    state = life.value("result", "RES-1")
    assert (state.status, state.released) == ("RETRACTED", ())


def test_a_publication_shows_what_was_wrong_with_it(life: Yield) -> None:
    assert life.publish() == ("NOT_RELEASED",)
    assert life.value("result", "RES-1").status == "REGISTERED"
    life.released()
    assert life.publish(acknowledgement_ok=False) == ("CREDIT_MISSING",)
    assert life.publish(ack_root=OUTPUT) == ("CREDIT_MISSING",)
    assert life.publish(ack_root=life.certificate_body().ack_root) == ()


def test_a_publication_before_the_moratorium_ends_is_flagged() -> None:
    life = Yield()
    life.dataset(terms=(Term(code="DUO:0000042"), Term(code="DUO:0000024", params=("2026-07-01",))))
    life.finished()
    life.released()
    assert life.publish(published_on="2026-06-30") == ("EMBARGOED",)
    assert life.publish(published_on="2026-07-01") == ()


def test_a_use_counts_only_with_permit_and_access() -> None:
    """domain.md D9, anti-gaming: two-sided evidence."""
    life = Yield()
    life.dataset()
    life.dataset("h2", "D2")
    life.active()
    life.run(generated=(OUTPUT, *FILES))
    life.run_leaf = life.leaf
    assert life.used(life.run_leaf) == {"D1@1": False}
    life.result()
    assert life.credit() == {"org:h1": 10_000, f"pid:{ANALYST}": 0, f"pid:{LEADER}": 0}
    before = life.certificate_body().calc_digest
    life.access(at_ms=life.now - 3 * 86_400_000)
    assert life.used(life.run_leaf) == {"D1@1": False}
    life.access("h2")
    assert life.used(life.run_leaf) == {"D1@1": False}
    life.access()
    assert life.used(life.run_leaf) == {"D1@1": True}
    assert life.certificate_body().calc_digest != before
    life.run(run_id="run-2", permit=None)
    assert life.used(life.leaf) == {"D1@1": False}
    life.run(run_id="run-3", permit="P-9")
    assert life.used(life.leaf) == {"D1@1": False}


def test_a_use_at_no_known_time_has_no_weight() -> None:
    life = Yield()
    life.active()
    life.access()
    life.run("requested", started=None, ended=None)
    assert life.used(life.leaf) == {"D1@1": False}
    assert Graph(life.draft()).find(OUTPUT) is None


def test_a_dataset_outside_the_permit_has_no_weight() -> None:
    life = Yield()
    life.dataset()
    life.dataset("h1", "D2")
    life.permit(datasets=(life.versions["D1"],))
    life.step("activate")
    for name in ("D1@1", "D2@1"):
        life.access(dataset=name)
    used = tuple(Used(kind="dataset", name=name) for name in ("D1@1", "D2@1"))
    life.run(used=used)
    assert life.used(life.leaf) == {"D1@1": True, "D2@1": False}
