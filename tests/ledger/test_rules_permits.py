"""The findings of uses and runs under a permit (SPEC 5.6): evidence is never refused for them."""

import os
import subprocess
import sys
from typing import Any

import pytest

from ledger.encoding import encode_time
from ledger.records.catalogue import Term
from ledger.records.use import AccessBatchBody, AccessEvent, IncidentBody, Source, Used
from ledger.rules.runs import MAX_RUN_DAYS
from tests.ledger.lives import ANALYST, DAY_MS, DIGEST, LEADER, NOW, STRANGER, Life, person_key
from tests.ledger.test_rules_authorisation import amend, no, permitted, withdraw

HOUR = 3_600_000


def active(**changes: Any) -> Life:
    """A life with an active permit."""
    life = permitted(**changes)
    life.step("activate")
    return life


# --- accesses -------------------------------------------------------------------------------------


def test_an_access_under_a_permit_shows_nothing() -> None:
    life = active()
    assert life.access() == ()
    assert life.access(purpose="DUO:0000037", person=LEADER) == ()
    assert life.access(dataset="D1") == ()


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"permit": None}, ("NO_PERMIT",)),
        ({"permit": "P-9"}, ("UNREGISTERED",)),
        ({"person": None}, ("NO_PERSON",)),
        ({"person": STRANGER}, ("PERSON_NOT_LISTED",)),
        ({"person": "ext:his:1"}, ("PERSON_NOT_LISTED",)),
        ({"purpose": "DUO:0000033"}, ("PURPOSE_MISMATCH",)),
        ({"org": "h2"}, ("OBSERVED_BY_OTHER",)),
        ({"dataset": "D9"}, ("DATASET_NOT_LISTED", "UNREGISTERED")),
    ],
)
def test_what_an_access_shows(change: dict[str, Any], codes: tuple[str, ...]) -> None:
    life = active()
    assert life.access(**change) == codes


def test_data_that_the_permit_does_not_list() -> None:
    life = active()
    life.dataset("h1", "D3")
    assert life.access(dataset="D3@1") == ("DATASET_NOT_LISTED",)
    assert life.access(dataset="D3") == ("DATASET_NOT_LISTED",)


def test_a_permit_that_was_not_activated_allows_nothing() -> None:
    life = permitted()
    assert life.access() == ("NOT_ACTIVE",)


def test_a_permit_does_not_allow_before_its_first_day() -> None:
    life = active(valid_from="2026-01-03")
    assert life.access() == ("NOT_ACTIVE",)
    life.now += 2 * DAY_MS
    assert life.access() == ()


@pytest.mark.parametrize(
    ("action", "code"), [("suspend", "SUSPENDED"), ("revoke", "REVOKED"), ("close", "CLOSED")]
)
def test_a_use_is_judged_by_how_the_permit_stood_then(action: str, code: str) -> None:
    life = active()
    life.now += HOUR
    before = life.now
    life.now += HOUR
    leaf = life.step(action)
    if action == "close":
        life.endorse(leaf, "h1", person_key(LEADER))
    life.now += HOUR
    assert life.access() == (code,)
    assert life.access(at_ms=before) == ()


def test_a_permit_expires_with_its_last_day() -> None:
    life = active()
    end = life.value("permit", "P-1").terms.until_ms
    life.now = end + HOUR
    assert life.access(at_ms=end) == ()
    assert life.access(at_ms=end + 1) == ("EXPIRED",)


def test_resumed_is_active_again() -> None:
    life = active()
    life.step("suspend")
    life.now += HOUR
    leaf = life.step("resume")
    for org in ("h2", "h3"):
        life.endorse(leaf, org, "committee")
    assert life.access() == ()


@pytest.mark.parametrize("status", ["suspend", "withdraw"])
def test_without_ethics_a_use_shows_it_and_the_past_stays(status: str) -> None:
    life = active()
    life.now += HOUR
    life.ethics(status=status)
    life.now += HOUR
    assert life.access() == ("ETHICS_INVALID",)
    assert life.access(at_ms=life.now - 2 * HOUR) == ()


def test_ethics_approvals_end() -> None:
    life = Life()
    life.dataset()
    life.study()
    life.ethics(valid_until="2026-12-31")
    life.request()
    life.decide(refs=(life.agreed_resolution(),), reviews=life.reviews())
    life.step("activate")
    terms = life.value("permit", "P-1").terms
    assert life.value("ethics", "EA-1").until_ms == terms.until_ms
    life.now = terms.until_ms + 1
    assert life.access() == ("ETHICS_INVALID", "EXPIRED")


def test_an_approval_covers_its_scope_in_use() -> None:
    life = active()
    life.dataset("h1", "D3")
    life.ethics(status="renew", scope_datasets=("D3",))
    assert life.access() == ("ETHICS_INVALID",)


def test_withdrawn_data_are_flagged() -> None:
    life = active()
    withdraw(life)
    assert life.access() == ("DATASET_WITHDRAWN",)
    assert life.run() == ("DATASET_WITHDRAWN",)


def test_an_amendment_allows_nothing_before_it() -> None:
    life = active(persons=(LEADER,))
    life.now += HOUR
    before = life.now
    assert life.access() == ("PERSON_NOT_LISTED",)
    life.now += HOUR
    amend(life)
    assert life.access() == ("PERSON_NOT_LISTED",)
    life.step("extend")
    assert life.access() == ()
    assert life.access(at_ms=before) == ("PERSON_NOT_LISTED",)


def test_a_use_that_ends_after_the_permit_shows_it() -> None:
    life = active()
    end = life.value("permit", "P-1").terms.until_ms
    life.now = end + HOUR
    assert life.access(at_ms=end - HOUR, ended=encode_time(end)) == ()
    assert life.access(at_ms=end - HOUR, ended=encode_time(end + 1)) == ("EXPIRED",)


def event(seq: int, at_ms: int, **changes: Any) -> AccessEvent:
    fields: dict[str, Any] = {
        "action": "read",
        "activity": "VIEW",
        "at": encode_time(at_ms),
        "channel": "query",
        "dataset": "D1@1",
        "outcome": "ok",
        "permit": "P-1",
        "person": ANALYST,
        "source": Source(seq=seq, system="gateway"),
    }
    return AccessEvent(**{**fields, **changes})


def batch(life: Life, *events: AccessEvent) -> tuple[str, ...]:
    life.put("access-batch", AccessBatchBody(events=events), by="system", at_ms=life.now)
    return life.findings


def test_every_event_of_a_batch_is_judged_by_its_own_time() -> None:
    life = active()
    life.now += HOUR
    good = event(1, life.now)
    life.now += HOUR
    life.step("suspend")
    life.now += HOUR
    assert batch(life, good, event(2, good.source.seq + NOW + HOUR)) == ()
    assert batch(life, event(3, life.now - 2 * HOUR), event(4, life.now)) == ("SUSPENDED",)
    assert batch(life, event(5, life.now - 2 * HOUR, person=STRANGER)) == ("PERSON_NOT_LISTED",)


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_whose_data_were_handed_out_shows_nothing() -> None:
    life = active()
    assert life.run() == ("NO_MATCHING_ACCESS",)
    life.access()
    assert life.run(run_id="run-2") == ()
    assert life.value("run", "h1/run-2").status == "COMPLETED"


@pytest.mark.parametrize(
    "spoil",
    [
        {"org": "h2"},
        {"outcome": "denied"},
        {"permit": None},
        {"dataset": "D1"},
    ],
)
def test_only_the_custodians_own_records_match(spoil: dict[str, Any]) -> None:
    life = active()
    life.access(**spoil)
    assert "NO_MATCHING_ACCESS" in life.run()


def test_accesses_match_on_the_days_of_the_run() -> None:
    life = active()
    batch(life, event(1, life.now))
    start = life.now
    life.now += 3 * DAY_MS
    assert "NO_MATCHING_ACCESS" in life.run(started=encode_time(start + DAY_MS))
    assert "NO_MATCHING_ACCESS" not in life.run(run_id="run-2", started=encode_time(start))
    life.access()
    assert "NO_MATCHING_ACCESS" not in life.run(run_id="run-3")


def test_of_an_endless_run_the_last_days_are_looked_at() -> None:
    life = active()
    life.access()
    long_ago = "1970-01-01T00:00:00.000Z"
    assert "NO_MATCHING_ACCESS" not in life.run(started=long_ago)
    life.now += (MAX_RUN_DAYS + 1) * DAY_MS
    assert "NO_MATCHING_ACCESS" in life.run(run_id="run-2", started=long_ago)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"permit": None}, ("NO_PERMIT",)),
        ({"permit": "P-9"}, ("UNREGISTERED",)),
        ({"person": None}, ("NO_PERSON",)),
        ({"person": STRANGER}, ("PERSON_NOT_LISTED",)),
        ({"purpose": "DUO:0000033"}, ("PURPOSE_MISMATCH",)),
        ({"compute_node": "cloud/x"}, ("NODE_NOT_LISTED", "NODE_NOT_MEMBER")),
        ({"compute_node": "h2/tre"}, ("NODE_NOT_LISTED",)),
        ({"used": (Used(kind="file", digest=DIGEST),)}, ("UNREGISTERED_INPUT",)),
        ({"used": (Used(kind="result", name="X"),)}, ("UNREGISTERED_INPUT",)),
        ({"used": (Used(kind="dataset", name="D9@1"),)}, ("UNREGISTERED_INPUT",)),
        ({"state": "failed"}, ()),
        ({"state": "aborted"}, ()),
    ],
)
def test_what_a_run_shows(change: dict[str, Any], codes: tuple[str, ...]) -> None:
    life = active()
    life.access()
    assert life.run(**change) == codes


def test_a_job_that_is_only_asked_for_uses_nothing() -> None:
    life = active()
    assert life.run("requested", permit=None, person=None) == ()


def test_data_of_a_run_that_the_permit_does_not_list() -> None:
    life = active()
    life.dataset("h1", "D3")
    found = life.run(used=(Used(kind="dataset", name="D3@1"),))
    assert found == ("DATASET_NOT_LISTED", "NO_MATCHING_ACCESS")
    life.ethics(status="withdraw")
    assert "ETHICS_INVALID" in life.run(run_id="run-2")
    life.step("suspend")
    assert "SUSPENDED" in life.run(run_id="run-3")


def test_later_records_of_a_run_complete_it() -> None:
    life = active()
    life.run("started", ended=None)
    life.run("completed", used=(), generated=(DIGEST,), started=None)
    run = life.value("run", "h1/run-1")
    assert (run.status, run.generated, len(run.used)) == ("COMPLETED", (DIGEST,), 1)
    assert run.started_ms is not None
    assert life.run("failed") == ("NO_MATCHING_ACCESS", "RUN_STATE")
    assert life.value("run", "h1/run-1") == run


def test_a_run_of_another_operator_is_another_run() -> None:
    life = active()
    life.run()
    assert "RUN_STATE" not in life.run(org="h2", compute_node="h2/tre")


def run_body(life: Life, **changes: Any) -> Any:  # noqa: ANN401
    life.run()
    body = life.applied[-1].entries[0].record.body
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return type(body)(**{**fields, **changes})


def test_runs_are_well_formed() -> None:
    life = active()
    early = encode_time(life.now - HOUR)
    late = encode_time(life.now + HOUR)
    for change, rule in (
        ({"ended": early}, "U8"),
        ({"ended": late}, "S5"),
        ({"used": (Used(kind="dataset"),)}, "U9"),
        ({"used": (Used(kind="file", name="x"),)}, "U9"),
        ({"generated": ("x" * 43,)}, "B4"),
    ):
        body = run_body(life, run_id="run-9", **change)
        assert no(life, "compute-run", body, by="system") == rule, change


def test_a_late_run_is_kept_with_a_finding() -> None:
    life = active()
    life.policy(backfill_days=1)
    life.now += 10 * DAY_MS
    body = run_body(life, run_id="run-2")
    life.put("compute-run", body, by="system", at_ms=life.now - 2 * DAY_MS)
    assert "BACKFILLED" in life.findings


# --- incidents ------------------------------------------------------------------------------------


def incident(life: Life, **changes: Any) -> IncidentBody:
    fields: dict[str, Any] = {
        "affected": (life.decision_leaf,),
        "authority_notified": False,
        "class_": "misuse",
        "detected_at": encode_time(life.now),
        "incident_id": "I-1",
        "severity": "high",
    }
    return IncidentBody(**{**fields, **changes})


def test_an_incident_joins_the_logs_of_what_it_concerns() -> None:
    life = active()
    before = life.value("subject", "permit:P-1").count
    life.put("incident", incident(life))
    assert life.value("subject", "permit:P-1").count == before + 1
    assert life.value("subject", "incident:I-1").count == 1
    early = encode_time(life.now - 1)
    assert no(life, "incident", incident(life, contained_at=early)) == "U10"


# --- subject logs ---------------------------------------------------------------------------------


def test_a_life_stands_in_the_logs_of_all_whom_it_concerns() -> None:
    life = active()
    life.access()
    life.run()
    logs = {
        name: life.value("subject", name).count
        for name in (
            "dataset:D1@1", "dataset:D1", "study:S-1", "ethics:EA-1", "request:R-1", "permit:P-1",
            f"person:{LEADER}", f"person:{ANALYST}", "run:run-1", "org:h2",
        )
    }  # fmt: skip
    # The version: itself, request, decision, access, run. The study: itself, its endorsement, its
    # approval, its request. The permit: decision, two endorsements, activation, access, run.
    assert logs == {
        "dataset:D1": 6,
        "dataset:D1@1": 5,
        "study:S-1": 4,
        "ethics:EA-1": 1,
        "request:R-1": 6,
        "permit:P-1": 6,
        f"person:{LEADER}": 2,
        f"person:{ANALYST}": 4,
        "run:run-1": 1,
        "org:h2": logs["org:h2"],
    }


# --- the same everywhere --------------------------------------------------------------------------

STORY = """
from tests.ledger.lives import Life, LEADER, person_key
from tests.ledger.test_rules_authorisation import amend
from ledger.encoding import b64url
life = Life()
life.dataset(); life.dataset("h2", "D2"); life.permit()
leaf = life.step("activate"); life.endorse(leaf, "h2")
found = [life.access(), life.run(), life.access(person=None, dataset="D2@1"), life.run("failed")]
life.step("suspend"); found.append(life.access())
life.ethics(status="withdraw"); found.append(life.access(purpose="x"))
print(b64url(life.tip.state.root), found)
"""


def test_the_same_life_gives_the_same_state_under_any_hash_seed() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", STORY],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(told) == 1
    assert "SUSPENDED" in told.pop()


def test_where_a_member_is_decides_a_term_of_place() -> None:
    """The genesis of this world does not say where anybody is: people look at it."""
    life = Life()
    life.dataset(terms=(Term(code="DUO:0000042"), Term(code="DUO:0000022", params=("CN",))))
    life.study()
    found = life.match("D1")
    assert (found.verdict, found.reasons) == ("HUMAN", ("DUO:0000022/region-unknown",))
