"""The committee's questions: who used what, what is due, who gave and took; counted again here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.encoding import encode_time
from ledger.errors import AllianceError, NotFoundError
from ledger.records.use import AccessBody
from ledger.rulebook.near import COMPARED, LONGEST, MOST, near
from node.permission import OVERSEERS, ROUTES
from tests.ledger.lives import ANALYST, DAY_MS, Life
from tests.ledger.test_rules_imports import agreement, data
from tests.support.reports import Asked, asking


@pytest.fixture(scope="module")
def life() -> Life:
    """A permit that is used, used by somebody else, suspended, and used after its end; data that
    nobody may use; an agreement that was taken over.
    """
    life = Life()
    life.dataset()
    life.dataset("h2", "D2")
    life.permit()
    life.endorse(life.step("activate"), "h2", "officer")
    life.access()
    life.access(action="execute")
    life.access(person="somebody-else")
    life.access(permit=None, dataset="D1")
    life.access(dataset="D10@1", permit=None)
    life.put("imported-agreement", agreement(data("D1")), by="system")
    life.access(permit="NIC-1", dataset="D1", person=None)
    life.now += 3 * 365 * DAY_MS
    life.access()
    return life


@pytest.fixture(scope="module")
def asked(life: Life, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(life, tmp_path_factory.mktemp("questions") / "ledger.db") as found:
        yield found


def uses_in(life: Life, *names: str) -> list[tuple[AccessBody, tuple[str, ...]]]:
    """The uses of these datasets, as they stand in the blocks, with their findings."""
    return [
        (entry.record.body, codes)
        for block in life.applied
        for entry, codes in zip(block.entries, block.findings, strict=True)
        if isinstance(entry.record.body, AccessBody) and entry.record.body.dataset in names
    ]


def test_who_used_a_series_with_all_its_versions(life: Life, asked: Asked) -> None:
    rows = asked("uses", dataset="D1")
    uses = uses_in(life, "D1", "D1@1")
    counts = Counter((body.dataset, body.permit, body.person) for body, _codes in uses)
    assert {
        (row["dataset"], row.get("permit"), row.get("person")): row["uses"] for row in rows
    } == counts
    assert sum(row["uses"] for row in rows) == 6
    assert {(row.get("permit"), row.get("org"), row.get("study")) for row in rows} == {
        ("P-1", "h1", "S-1"), ("NIC-1", "Elsewhere", None), (None, None, None),
    }  # fmt: skip
    mine = next(row for row in rows if row.get("person") == ANALYST and "permit" in row)
    assert mine["actions"] == {"execute": 1, "read": 2}
    codes = Counter(
        code
        for body, found in uses
        if body.permit == "P-1" and body.person == ANALYST
        for code in found
    )
    assert mine["findings"] == dict(sorted(codes.items()))
    assert "EXPIRED" in codes
    assert mine["first_day"] < mine["last_day"] == encode_time(life.now)[:10]


def test_a_version_is_not_another_one_that_begins_so(asked: Asked) -> None:
    assert {row["dataset"] for row in asked("uses", dataset="D1@1")} == {"D1@1"}
    assert {row["dataset"] for row in asked("uses", dataset="D10")} == {"D10@1"}


def test_only_what_happened_in_the_window_counts(life: Life, asked: Asked) -> None:
    day = encode_time(life.now)[:10]
    assert sum(row["uses"] for row in asked("uses", dataset="D1", from_=day)) == 1
    assert sum(row["uses"] for row in asked("uses", dataset="D1", to=day)) == 5
    assert asked("uses", dataset="D1", from_=day, to=day) == []


def test_registered_and_never_used_is_an_answer(asked: Asked) -> None:
    assert asked("uses", dataset="D2") == []


def test_permits_and_what_is_due_of_them(asked: Asked) -> None:
    rows = {row["permit"]: row for row in asked("permits")}
    assert set(rows) == {"P-1", "NIC-1"}
    ours, imported = rows["P-1"], rows["NIC-1"]
    assert (ours["status"], ours["org"], ours["study"], ours["uses"]) == ("EXPIRED", "h1", "S-1", 4)
    assert "USED_AFTER_END" in ours["due"]
    assert ours["valid_from"] < ours["valid_until"] < ours["last_day"]
    assert (imported["status"], imported["org"], imported["uses"]) == ("IMPORTED", "Elsewhere", 1)
    assert imported["datasets"] == ["D1"]
    assert imported.get("due", []) == []


def test_a_permit_ends_soon_and_was_never_used(tmp_path: Path) -> None:
    life = Life()
    life.permit()
    life.step("activate")
    with asking(life, tmp_path / "ledger.db") as asked:
        (row,) = asked("permits", within="30")
        assert (row["status"], row["due"]) == ("ACTIVE", ["NEVER_USED"])
        (row,) = asked("permits", within="3650")
        assert row["due"] == ["EXPIRING", "NEVER_USED"]


def test_what_a_member_gave_and_took(asked: Asked) -> None:
    rows = asked("member", org="h1")
    sides: dict[str, dict[tuple[str, str], int]] = {"given": {}, "taken": {}}
    for row in rows:
        sides[row["side"]][row["dataset"], row["org"]] = row["uses"]
    given, taken = sides["given"], sides["taken"]
    assert given == {("D1", ""): 1, ("D1", "Elsewhere"): 1, ("D1@1", "h1"): 4}
    assert taken == {("D1@1", "h1"): 4}
    (row,) = asked("member", org="Elsewhere")
    assert (row["side"], row["dataset"], row["org"], row["uses"]) == ("taken", "D1", "h1", 1)
    assert asked("member", org="h3") == []


@pytest.mark.parametrize(
    ("name", "params", "rule"),
    [
        ("uses", {}, "Q2"),
        ("uses", {"dataset": "D1", "from": "yesterday"}, "Q2"),
        ("uses", {"dataset": "D1", "why": "1"}, "Q1"),
        ("uses", {"dataset": "unheard-of"}, "O6"),
        ("coverage", {"dataset": "unheard-of"}, "O6"),
        ("coverage", {"permit": "unheard-of"}, "O6"),
        ("egress", {"org": "nobody"}, "O6"),
        ("member", {"org": "nobody"}, "O6"),
        ("permits", {"within": "-1"}, "Q2"),
        ("everything", {}, "O6"),
    ],
)
def test_other_questions_are_refused(
    asked: Asked, name: str, params: dict[str, str], rule: str
) -> None:
    with pytest.raises(AllianceError) as caught:
        asked(name, **params)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("name", "params", "near"),
    [
        ("uses", {"dataset": "d1"}, "D1"),
        ("uses", {"dataset": "D1@2"}, "D1@1"),
        ("uses", {"dataset": "D10@2"}, "D10@1"),
        ("coverage", {"dataset": "d1"}, "D1"),
        ("coverage", {"permit": "P1"}, "P-1"),
        ("coverage", {"permit": "NIC1"}, "NIC-1"),
        ("consequences", {"of": "dataset:d2"}, "D2"),
        ("consequences", {"of": "permit:p-1"}, "P-1"),
        ("consequences", {"of": "ethics:ea1"}, "EA-1"),
        ("egress", {"org": "H1"}, "h1"),
        ("member", {"org": "elsewere"}, "Elsewhere"),
    ],
)
def test_a_name_that_nobody_knows_is_answered_with_those_that_are_spelled_nearly_so(
    asked: Asked, name: str, params: dict[str, str], near: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        asked(name, **params)
    assert caught.value.rule == "O6.near"
    assert str(caught.value.facts["near"]).split("`, `")[0] == near
    assert f"`{near}`" in caught.value.next_step("zh")
    # Names are told to nobody but those who see all records anyway.
    assert ROUTES[f"GET /api/v1/reports/{name}"].roles <= OVERSEERS


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("provenance", {"object": "d1@1"}),
        ("credit", {"object": "s-1"}),
        ("certificate", {"number": "cert-1"}),
        ("person", {"pid": ANALYST[:-1]}),
        ("consequences", {"of": f"person:{ANALYST[:-1]}"}),
    ],
)
def test_no_name_is_proposed_where_it_would_be_a_disclosure(
    asked: Asked, name: str, params: dict[str, str]
) -> None:
    with pytest.raises(NotFoundError) as caught:
        asked(name, **params)
    assert caught.value.rule == "O6"


def test_a_version_that_was_registered_and_never_used_is_known(asked: Asked) -> None:
    assert asked("uses", dataset="D2@1") == []


def test_names_are_compared_within_bounds() -> None:
    assert near("gtex", ["GTEx", "GTEX-2", "other"]) == ["GTEx", "GTEX-2"]
    assert near("x" * (LONGEST + 1), ["x" * (LONGEST + 1)]) == []
    many = [f"a{number}" for number in range(COMPARED)]
    assert near("Zebra", [*many, "zebra1"]) == ["zebra1"]
    assert len(near("a", [f"a{letter}" for letter in "bcdef"])) == MOST


def test_a_parameter_is_given_once(asked: Asked) -> None:
    with pytest.raises(AllianceError) as caught:
        asked.reports.page(asked.view, "uses", [("dataset", "D1"), ("dataset", "D2")], asked.local)
    assert caught.value.rule == "Q2"
