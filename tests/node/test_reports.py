"""The twelve questions on a whole life of a data use, each against a count of the blocks that
shares no code with the answer; and what stays as it was when something that others rest on is gone.
"""

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.encoding import b64url, decode_json, encode_time, unb64url
from ledger.errors import AllianceError
from ledger.records.authorisation import Obligation
from ledger.records.catalogue import Term
from ledger.records.governance import EndorseBody, KeyBody
from ledger.records.outputs import PublicationBody, ResultBody
from ledger.records.use import AccessBody, ComputeRunBody, Used
from node.cosigning import View
from node.merging import USE_KEY, merged
from node.reports import QUESTIONS
from node.reports.local import Around, Disclosure, Kept
from tests.ledger.lives import ANALYST, DAY_MS, LEADER, Life
from tests.ledger.yields import FILES, OUTPUT, Yield
from tests.support.reports import Asked, asking, leaves_of

OWED = (
    Obligation(code="DUO:0000019", due="2026-03-01"),
    Obligation(code="EC:REPORT", due="2026-01-02"),
)


def entries_of(life: Life) -> Iterator[tuple[int, Any, tuple[str, ...]]]:
    """Every record of a chain: its index, its entry, its findings."""
    index = 0
    for block in life.applied:
        for entry, codes in zip(block.entries, block.findings, strict=True):
            yield index, entry, codes
            index += 1
        index += 1  # the seal


@pytest.fixture(scope="module")
def life() -> Yield:
    """A certified and published result; uses with and without a permit; a second run that nobody
    saw the access of; a publication without a release.
    """
    life = Yield()
    life.dataset()
    life.dataset("h2", "D2")
    life.versions = {"D1": life.versions["D1"]}
    life.permit(obligations=OWED)
    life.step("activate")
    life.access()
    life.access(action="execute")
    life.access(permit=None, person="ext:ward:9")
    life.access(person="somebody-else")
    life.run(generated=(OUTPUT, *FILES))
    life.run_leaf = life.leaf
    life.result()
    life.publish(pid_value="10.1234/early")
    life.released()
    life.publish()
    life.confirm(life.claim())
    life.run(run_id="run-2", person=LEADER, used=(Used(kind="dataset", name="D2@1"),))
    life.notice()
    life.certify()
    return life


@pytest.fixture(scope="module")
def asked(life: Yield, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    path: Path = tmp_path_factory.mktemp("reports") / "ledger.db"
    with asking(life, path) as found:
        yield found


PARAMETERS: dict[str, dict[str, str]] = {
    "uses": {"dataset": "D1"},
    "provenance": {"object": "RES-1"},
    "credit": {"object": "RES-1"},
    "consequences": {"of": "permit:P-1"},
    "member": {"org": "h1"},
    "person": {"pid": LEADER},
    "certificate": {"number": "CERT-1"},
}


def name_of(life: Yield, kind: str) -> str:
    """The name of the only object of this kind that has one."""
    graph = [v for _k, v in life.tip.state.items() if getattr(v, "kind", None) == kind]
    names = {one.name for one in graph}
    (name,) = names
    return str(name)


@pytest.fixture(scope="module")
def parameters(life: Yield) -> dict[str, dict[str, str]]:
    result, certificate = name_of(life, "result"), name_of(life, "certificate")
    return {
        **PARAMETERS,
        "provenance": {"object": result},
        "credit": {"object": result},
        "certificate": {"number": certificate},
    }


def test_every_answer_names_its_head_its_records_and_what_it_cannot_know(
    life: Yield, asked: Asked, parameters: dict[str, dict[str, str]]
) -> None:
    known = leaves_of(life)
    for name, question in QUESTIONS.items():
        answer = asked.answer(name, **parameters.get(name, {}))
        assert answer["head"]["size"] == life.tip.size
        assert answer["head"]["checkpoint"].startswith(life.world.genesis.tip.origin)
        assert answer["policy"]["version"] == 1
        assert answer["notes"], name
        assert all(note["en"] != note["zh"] for note in answer["notes"])
        assert question.number == answer["question"]
        assert answer["rows"], name
        for row in answer["rows"]:
            assert set(row.get("records", ())) <= known, (name, row)
        if name not in ("copies", "person", "certificate"):
            assert all(row["records"] for row in answer["rows"]), name


@pytest.mark.parametrize("name", sorted(set(QUESTIONS) - {"uses"}))
def test_pages_are_the_answer_cut(
    asked: Asked, parameters: dict[str, dict[str, str]], name: str
) -> None:
    given = parameters.get(name, {})
    whole = asked(name, **given)
    assert asked(name, **given, limit="1") == whole
    first = asked.page(name, **given, limit="1")
    assert first["rows"] == whole[:1]
    assert (first["next"] is None) == (len(whole) == 1)


def test_pages_of_uses_add_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked("uses", dataset="D1")
    module = importlib.import_module("node.reports.uses")
    monkeypatch.setattr(module, "FIRST_PAGE", 1)
    monkeypatch.setattr(module, "NEXT_PAGES", 1)
    first = asked.page("uses", dataset="D1")
    assert first["next"] is not None
    paged = asked("uses", dataset="D1")
    for one, other in zip(paged, whole, strict=True):
        assert {**one, "records": sorted(one["records"])} | {"records": None} == {
            **other, "records": None,
        }  # fmt: skip
        assert set(other["records"]) <= set(one["records"])


def test_a_cursor_goes_on_at_its_own_head_or_not_at_all(
    asked: Asked,
) -> None:
    first = asked.page("coverage", limit="1")
    assert first["next"] is not None
    with pytest.raises(AllianceError, match="Q5"):
        asked.page("coverage", after=first["next"], dataset="D1")
    with pytest.raises(AllianceError, match="Q5"):
        asked.page("coverage", after="AAAA")
    mark, size, *place = decode_json(unb64url(first["next"]))
    older = b64url(msgspec.json.encode([mark, size - 1, *place]))
    with pytest.raises(AllianceError, match="Q6"):
        asked.page("coverage", after=older)


def test_q1_has_what_came_out(life: Yield, asked: Asked) -> None:
    used = Counter(
        (entry.record.body.dataset, entry.record.body.permit, entry.record.body.person)
        for _index, entry, _codes in entries_of(life)
        if isinstance(entry.record.body, AccessBody)
    )
    rows = asked("uses", dataset="D1")
    assert {
        (row["dataset"], row.get("permit"), row.get("person")): row["uses"] for row in rows
    } == used
    mine = next(row for row in rows if row.get("person") == ANALYST)
    results = {
        entry.record.body.result_id
        for _index, entry, _codes in entries_of(life)
        if isinstance(entry.record.body, ResultBody)
    }
    papers = {
        entry.record.body.pid_value
        for _index, entry, _codes in entries_of(life)
        if isinstance(entry.record.body, PublicationBody)
    }
    assert (mine["runs"], set(mine["results"]), set(mine["publications"])) == (
        ["h1/run-1"], results, papers,
    )  # fmt: skip
    assert {life.run_leaf, life.result_leaf, life.decision_leaf} <= set(mine["records"])


def test_q1_shows_a_run_that_no_access_bears_out(asked: Asked) -> None:
    (row,) = asked("uses", dataset="D2")
    assert (row["uses"], row["runs"], row["person"]) == (0, ["h1/run-2"], LEADER)
    assert "first_day" not in row


def test_q2_reaches_everything_the_result_rests_on(life: Yield, asked: Asked) -> None:
    answer = asked.answer("provenance", object=life.result_leaf)
    edges = {
        value.leaf: [edge.leaf for edge in value.edges]
        for _key, value in life.tip.state.items()
        if hasattr(value, "edges")
    }
    reached, waiting = set(), [life.result_leaf]
    while waiting:
        leaf = waiting.pop()
        if leaf not in reached:
            reached.add(leaf)
            waiting += edges[leaf]
    assert {row["records"][0] for row in answer["rows"]} == reached
    assert answer["facts"]["missing"] == []
    assert {(one["from"], one["to"]) for one in answer["facts"]["graph"]} == {
        (leaf, other) for leaf in reached for other in edges[leaf]
    }


def test_q3_counts_every_access_once_in_every_dimension(life: Yield, asked: Asked) -> None:
    answer = asked.answer("coverage")
    codes = [found for _i, entry, found in entries_of(life)
             if isinstance(entry.record.body, AccessBody)]  # fmt: skip
    assert answer["facts"]["accesses"] == len(codes) == 4
    rows = [row for row in answer["rows"] if row["of"] == "access"]
    for dimension in ("permit", "person", "dataset", "purpose", "ethics", "time"):
        assert sum(row["count"] for row in rows if row["dimension"] == dimension) == 4
    exceptions = {row["finding"]: row["count"] for row in rows if row["verdict"] == "exception"}
    assert exceptions == {
        code: number
        for code, number in Counter(code for found in codes for code in found).items()
        if code in ("NO_PERMIT", "PERSON_NOT_LISTED")
    }
    runs = [row for row in answer["rows"] if row["of"] == "run"]
    assert ("dataset", "DATASET_NOT_LISTED") in {
        (row["dimension"], row.get("finding")) for row in runs
    }


def test_q4_says_what_was_met(life: Yield, asked: Asked) -> None:
    (row,) = asked("permits")
    owed = {one["code"]: one["standing"] for one in row["obligations"]}
    assert owed == {"DUO:0000019": "MET", "EC:REPORT": "OVERDUE"}
    assert row["due"] == ["OVERDUE:EC:REPORT"]
    met = next(one["by"] for one in row["obligations"] if one["code"] == "DUO:0000019")
    assert met in row["records"]
    assert life.node(met).kind == "publication"


def test_q5_is_the_calculation_of_every_node(life: Yield, asked: Asked) -> None:
    rows = asked("credit", object=life.result_leaf)
    assert {r["party"]: r["basis_points"] for r in rows if r["basis_points"]} == {
        party: points for party, points in life.credit().items() if points
    }
    assert sum(row["basis_points"] for row in rows) == 10_000


def test_q6_names_what_left_and_what_was_published_without(asked: Asked) -> None:
    rows = {row["status"]: row for row in asked("egress")}
    assert set(rows) == {"RELEASED", "PUBLISHED_WITHOUT_RELEASE"}
    released = rows["RELEASED"]
    assert released["files"] == released["released"] == 2
    assert {one.partition("/")[0] for one in released["reviewers"]} == {"h2", "h3"}
    assert rows["PUBLISHED_WITHOUT_RELEASE"]["publications"] == ["10.1234/early"]
    assert asked("egress", org="h3") == []


def test_q8_counts_what_an_organisation_did(life: Yield, asked: Asked) -> None:
    facts = asked.answer("member", org="h2")["facts"]
    endorsed = sum(
        isinstance(entry.record.body, EndorseBody) and entry.statement.iss == "h2"
        for _index, entry, _codes in entries_of(life)
    )
    reviews = sum(
        entry.record.type == "review" and entry.statement.iss == "h2"
        for _index, entry, _codes in entries_of(life)
    )
    assert facts["response_hours"]["count"] == endorsed + reviews
    assert (facts["datasets"], facts["versions"], facts["contributions"]) == (1, 1, 1)
    ours = asked.answer("member", org="h1")["facts"]
    assert (ours["results"], ours["publications"], ours["certificates"]) == (1, 2, 1)
    assert ours["runs"] == 2


def test_q9_measures_from_the_request_to_the_deciding_signature(life: Yield, asked: Asked) -> None:
    (row,) = asked("committee")
    times = {
        entry.record.type: block.tip.time_ms
        for block in life.applied
        for entry in block.entries
        if entry.record.type in ("access-request",)
    }
    deciding = max(
        block.tip.time_ms
        for block in life.applied
        for entry in block.entries
        if isinstance(entry.record.body, EndorseBody)
        and entry.record.body.target == life.decision_leaf
    )
    tenths = round((deciding - times["access-request"]) / 360_000)
    assert row["hours"] == f"{tenths // 10}.{tenths % 10}"
    assert (row["status"], row["verdict"], row.get("overridden")) == ("APPROVED", "ALLOW", None)
    assert (row["reviews"], row["conflicts"]) == (3, 0)
    assert row["members"] == 3


def test_q10_says_who_cosigned_and_who_contradicts(life: Yield, asked: Asked) -> None:
    rows = {(row["of"], row["name"]): row for row in asked("copies")}
    assert {
        name: row["status"] for (of, name), row in rows.items() if of == "member"
    } == dict.fromkeys(("h1", "h2", "h3"), "cosigned")
    assert rows["member", "h2"]["size"] == life.tip.size
    source = rows["source", "h1/gateway"]
    assert (source["status"], source["numbers"], source["last"]) == ("open", 4, 4)
    asked.around = Around({"h2": 5}, {"h3": 2}, contradicting=("h2",), missing_payloads=7)
    try:
        answer = asked.answer("copies")
    finally:
        asked.around = Around({}, {})
    found = {row["name"]: row for row in answer["rows"] if row["of"] == "member"}
    assert (found["h2"]["status"], found["h2"]["heard_ms"]) == ("contradicts", 5)
    assert found["h3"]["contradictions"] == 2
    assert answer["facts"]["missing_payloads"] == 7


def test_q11_is_for_the_institution_of_the_person(life: Yield, asked: Asked) -> None:
    asked.kept = [Kept("c" * 43, "person/name", "T2")]
    asked.read = [Disclosure("2026-01-02T00:00:00.000Z", "c" * 43, "h1", "officer", "ok")]
    rows = asked("person", pid=LEADER)
    mine = [
        index
        for index, entry, _codes in entries_of(life)
        if f'"{LEADER}"' in entry.statement.payload.decode() and entry.record.type != "key"
    ]
    assert [row["entry"] for row in rows if row["of"] == "record"] == mine
    study = next(row for row in rows if row["what"] == "study")
    assert study["role"] == "principal-investigator"
    assert [row["outcome"] for row in rows if row["of"] == "payload"] == ["kept-while-active"]
    assert [row["what"] for row in rows if row["of"] == "disclosure"] == ["officer"]
    with pytest.raises(AllianceError, match="P4"):
        asked("person", pid=ANALYST)


def test_q12_works_the_certificate_out_again(life: Yield, asked: Asked) -> None:
    answer = asked.answer("certificate", number=name_of(life, "certificate"))
    outcomes = {row["check"]: row["outcome"] for row in answer["rows"]}
    assert outcomes == {
        "record": "ok", "decision": "ok", "calculation": "ok", "status": "ISSUED",
        "disputes": "none",
    }  # fmt: skip
    assert answer["facts"]["valid"] is True


@pytest.mark.parametrize(
    ("name", "given", "rule"),
    [
        ("provenance", {"object": "nothing"}, "O6"),
        ("credit", {}, "Q2"),
        ("consequences", {"of": "weather:rain"}, "Q2"),
        ("consequences", {"of": "ethics:none"}, "O6"),
        ("consequences", {"of": "key:none"}, "O6"),
        ("consequences", {"of": "permit:none"}, "O6"),
        ("consequences", {"of": "dataset:none"}, "O6"),
        ("consequences", {"of": "person:none"}, "O6"),
        ("certificate", {"number": "none"}, "O6"),
        ("person", {"pid": "none"}, "O6"),
        ("permits", {"limit": "0"}, "Q4"),
        ("permits", {"limit": "1001"}, "Q4"),
        ("uses", {"dataset": "D1", "limit": "5"}, "Q1"),
        ("uses", {"dataset": "D1", "descendants": "perhaps"}, "Q2"),
    ],
)
def test_bad_questions(asked: Asked, name: str, given: dict[str, str], rule: str) -> None:
    with pytest.raises(AllianceError) as caught:
        asked(name, **given)
    assert caught.value.rule == rule


def test_rows_that_add_up() -> None:
    one = {"dataset": "D", "uses": 1, "actions": {"read": 1}, "first_day": "2", "last_day": "2",
           "runs": ["b"], "records": ["z", "y"]}  # fmt: skip
    other = {"dataset": "D", "uses": 2, "actions": {"export": 2}, "first_day": "1",
             "last_day": "3", "runs": ["a", "b"], "records": ["y", "x"], "org": "h1"}  # fmt: skip
    (row,) = merged([one, other], USE_KEY)
    assert row == {
        "dataset": "D", "uses": 3, "actions": {"export": 2, "read": 1}, "first_day": "1",
        "last_day": "3", "runs": ["a", "b"], "records": ["z", "y", "x"], "org": "h1",
    }  # fmt: skip


# --- Q7: each cause, and what stays as it was ---


def later(life: Yield, tmp_path: Path, of: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts and rows of Q7 at the newest head."""
    with asking(life, tmp_path / "ledger.db") as asked:
        answer = asked.answer("consequences", of=of)
    return answer["facts"], answer["rows"]


def actions(rows: list[dict[str, Any]]) -> dict[str, str | None]:
    return {row["kind"]: row.get("action") for row in rows}


def released_life() -> Yield:
    life = Yield()
    life.finished()
    life.released()
    return life


def unchanged(life: Yield, before: list[bytes]) -> None:
    """What was recorded stands where it stood, byte for byte."""
    raws = [entry.raw for _index, entry, _codes in entries_of(life)]
    assert raws[: len(before)] == before


def raws_of(life: Yield) -> list[bytes]:
    return [entry.raw for _index, entry, _codes in entries_of(life)]


def test_an_approval_that_is_withdrawn(tmp_path: Path) -> None:
    life = released_life()
    before = raws_of(life)
    life.ethics(status="withdraw")
    life.now += DAY_MS
    assert "ETHICS_INVALID" in life.access()
    facts, rows = later(life, tmp_path, "ethics:EA-1")
    assert facts["status"] == "WITHDRAWN"
    found = actions(rows)
    assert found["access-decision"] == "suspend-permit"
    assert (found["result"], found["egress-decision"]) == ("hold-result", "consider-recall")
    (use,) = [row for row in rows if row["kind"] == "use"]
    assert (use["uses"], use["action"]) == (1, "resolve-findings")
    assert "ETHICS_INVALID" in use["findings"]
    unchanged(life, before)


def test_a_permit_that_is_revoked(tmp_path: Path) -> None:
    life = released_life()
    before = raws_of(life)
    life.step("revoke")
    life.now += DAY_MS
    life.access()
    facts, rows = later(life, tmp_path, "permit:P-1")
    assert (facts["status"], facts["cause"]) == ("REVOKED", "permit-ended")
    found = actions(rows)
    assert (found["access-decision"], found["compute-run"]) == ("attest-removal", "check-run")
    assert found.get("result") is None
    assert [row["findings"] for row in rows if row["kind"] == "use"] == [["REVOKED"]]
    unchanged(life, before)


def test_a_permit_whose_time_is_over(tmp_path: Path) -> None:
    life = released_life()
    life.now += 2 * 365 * DAY_MS
    life.access()
    facts, rows = later(life, tmp_path, "permit:P-1")
    assert facts["status"] == "EXPIRED"
    (use,) = [row for row in rows if row["kind"] == "use"]
    assert "EXPIRED" in use["findings"]
    assert {row["status"] for row in rows if row["kind"] == "access-decision"} == {"EXPIRED"}


def test_a_key_that_is_compromised(tmp_path: Path) -> None:
    life = released_life()
    before = raws_of(life)
    kid = b64url(life.world.keys["h1"].system.kid)
    signed = [index for index, entry, _codes in entries_of(life)
              if b64url(entry.statement.kid) == kid]  # fmt: skip
    assert signed
    body = KeyBody(action="revoke", kid=kid, suspect_from=encode_time(life.now - 365 * DAY_MS),
                   reason_code="compromised")  # fmt: skip
    leaf = life.put("key", body)
    if life.decision(leaf).status == "PENDING":
        life.endorse(leaf, "h1", "committee")
    facts, rows = later(life, tmp_path, f"key:{kid}")
    assert facts["status"] in ("SUSPECTED", "ACTIVE")
    direct = [row for row in rows if row.get("action") == "check-record"]
    assert len(direct) == len(signed)
    runs = [
        entry for _i, entry, _c in entries_of(life) if isinstance(entry.record.body, ComputeRunBody)
    ]
    if any(b64url(one.statement.kid) == kid for one in runs):
        assert actions(rows)["result"] == "hold-result"
    unchanged(life, before)


def test_a_dataset_that_is_withdrawn(tmp_path: Path) -> None:
    life = released_life()
    life.dataset("h1", "D3", sources=(life.versions["D1"],), permits=(life.decision_leaf,),
                 terms=(Term(code="DUO:0000042"),))  # fmt: skip
    _facts, rows = later(life, tmp_path, "dataset:D1")
    derived = [row for row in rows if row["kind"] == "dataset-version" and row["name"] == "D3@1"]
    assert [row["action"] for row in derived] == ["rebuild-dataset"]
    assert actions(rows)["access-request"] == "review-request"
    with asking(life, tmp_path / "again.db") as asked:
        assert asked("uses", dataset="D1") == asked("uses", dataset="D1", descendants="0")
        life_names = {row["dataset"] for row in asked("uses", dataset="D1", descendants="1")}
    assert life_names == {"D1@1"}


def test_a_person_who_is_erased(tmp_path: Path) -> None:
    life = Yield()
    life.certified()
    before = raws_of(life)
    _facts, rows = later(life, tmp_path, f"person:{ANALYST}")
    found = actions(rows)
    assert found["certificate"] == "reissue-with-pid"
    assert found["study"] == "replace-person"
    unchanged(life, before)


def test_the_register_joins_what_was_intended_observed_and_yielded(
    life: Yield, asked: Asked
) -> None:
    (row,) = asked("register")
    body = life.blocks_body(life.decision_leaf)
    study = life.blocks_body(life.study_leaf)
    assert (row["agreement"], row["study"], row["org"]) == ("P-1", study.study_no, study.lead_org)
    assert (row["valid_from"], row["valid_until"]) == (body.valid_from, body.valid_until)
    assert tuple(row["people"]) == body.persons
    assert [one["dataset"] for one in row["datasets"]] == ["D1@1"]
    seen = [
        entry.record.body
        for _index, entry, _codes in entries_of(life)
        if isinstance(entry.record.body, AccessBody) and entry.record.body.permit == "P-1"
    ]
    assert [(one["dataset"], one["uses"]) for one in row["releases"]] == [("D1@1", len(seen))]
    assert row["outputs"] == ["10.1234/abcd", "10.1234/early"]
    assert (row["commercial"], row["version"]) == (False, 1)


def test_a_page_of_uses_is_bounded_whatever_the_window_leaves(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("node.reports.uses"), "FIRST_PAGE", 2)
    first = asked.page("uses", dataset="D1", from_="2031-01-01")
    assert [row for row in first["rows"] if row["uses"]] == []
    assert first["next"] is not None
    assert asked("uses", dataset="D1", from_="2031-01-01") == []


def test_nothing_above_the_head_is_counted(life: Yield, asked: Asked) -> None:
    """The index may be ahead of what is published."""
    heights = [
        height
        for height, block in enumerate(life.applied)
        for entry in block.entries
        if isinstance(entry.record.body, AccessBody)
    ]
    block = life.applied[heights[1]]
    early = Asked(asked.store, View(block.tip, block.seal, b"head"))
    assert sum(row["uses"] for row in early("uses", dataset="D1")) == 2
    assert early.answer("coverage")["facts"]["accesses"] == 2
    assert sum(row["uses"] for row in early("permits")) == 2
