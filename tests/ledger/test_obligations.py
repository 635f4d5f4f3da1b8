"""What permits owe, and what rests on a record that is gone (SPEC 12.8; domain.md D15, Q7)."""

from typing import Any

import pytest

from ledger.errors import NotFoundError
from ledger.provenance import Onward, action_on, forward
from ledger.records.authorisation import Obligation
from ledger.records.catalogue import Term
from ledger.rules.graph import nodes_of
from ledger.rules.obligations import obligations_of
from tests.ledger.lives import DAY_MS
from tests.ledger.yields import Yield

CODES = ("DUO:0000019", "DUO:0000029", "EC:CREDIT", "EC:REMOVAL", "EC:REPORT", "DUO:0000021")


def owing(*codes: str, due: str | None = "2026-03-01") -> Yield:
    """A result under a permit that owes these."""
    life = Yield()
    life.dataset()
    owed = tuple(Obligation(code=code, due=due) for code in codes)
    life.permit(obligations=owed)
    life.step("activate")
    life.access()
    life.run(generated=(), run_id="run-1")
    life.run_leaf = life.leaf
    life.result()
    return life


def standing(life: Yield, days: int = 0) -> dict[str, str]:
    """How each obligation stands so many days from now."""
    found = obligations_of(
        life.draft(), Onward(nodes_of(life.tip.state)), "P-1", life.now + days * DAY_MS
    )
    return {one.code: one.standing for one in found}


def test_obligations_are_open_then_overdue() -> None:
    life = owing(*CODES)
    assert standing(life) == {**dict.fromkeys(CODES, "OPEN"), "DUO:0000021": "BY_HAND"}
    late = standing(life, 60)
    assert late == {**dict.fromkeys(CODES, "OVERDUE"), "DUO:0000021": "BY_HAND"}
    assert set(standing(owing("EC:REPORT", due=None), 999).values()) == {"OPEN"}


def test_records_meet_obligations() -> None:
    life = owing(*CODES)
    life.publish(acknowledgement_ok=False)
    assert standing(life)["DUO:0000019"] == "MET"
    assert standing(life)["EC:CREDIT"] == "OPEN"
    life.publish(pid_value="10.1234/other")
    life.event("annual-report")
    assert standing(life)["EC:CREDIT"] == standing(life)["EC:REPORT"] == "MET"
    life.dataset("h1", "D2", sources=(life.versions["D1"],), permits=(life.decision_leaf,))
    assert standing(life)["DUO:0000029"] == "MET"
    life.step("close", by="officer")
    assert standing(life)["EC:REMOVAL"] == "OPEN"


@pytest.mark.parametrize(("day", "expected"), [("2026-06-30", "BREACHED"), ("2026-07-01", "OPEN")])
def test_a_moratorium_is_kept_or_breached(day: str, expected: str) -> None:
    life = Yield()
    life.dataset(terms=(Term(code="DUO:0000042"), Term(code="DUO:0000024", params=("2026-07-01",))))
    life.finished()
    life.released()
    life.publish(published_on=day)
    assert standing(life) == {"DUO:0000024": expected}
    if expected == "OPEN":
        assert standing(life, 250) == {"DUO:0000024": "MET"}


def test_an_unknown_permit_is_not_found() -> None:
    life = Yield()
    with pytest.raises(NotFoundError):
        obligations_of(life.draft(), Onward({}), "P-9", life.now)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("ethics_leaf", {"access-request": "review-request", "access-decision": "suspend-permit"}),
        ("run_leaf", {"result": "hold-result", "certificate": "review-certificate"}),
    ],
)
def test_what_rests_on_a_record_and_what_has_to_be_done(
    start: str, expected: dict[str, Any]
) -> None:
    life = Yield()
    life.certified()
    before = life.tip.state.root
    walk = forward(nodes_of(life.tip.state), [getattr(life, start)])
    found = {node.kind: action_on("ethics-withdrawn", node) for node in walk.nodes.values()}
    assert expected.items() <= found.items()
    people = {node.kind: action_on("person-erased", node) for node in walk.nodes.values()}
    assert people.get("certificate") == ("reissue-with-pid" if "certificate" in people else None)
    assert life.tip.state.root == before
