"""One whole life of a data use by the commands of every role, and what a refusal explains."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.clauses import clause_of
from ledger.rulebook import RULES
from ledger.rulebook.reasons import REASONS
from tests.cli.conftest import Chain, call, make_chain
from tests.ledger.test_terms import CASES

LEADER, ANALYST = "1" * 32, "2" * 32
UNTIL = "2030-12-31"


def register(chain: Chain, name: str, capacity: str, subject: str) -> None:
    """A new key of h1, known to the chain."""
    assert chain("keys", "new", name).code == 0
    path = chain.home / f"{name}.description"
    words = ("--org", "h1", "--capacity", capacity, "--subject", subject)
    path.write_text(chain("keys", "public", name, *words).out)
    assert chain("key", "register", path).code == 0


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A chain with a dataset, and keys of an ethics office and of two people."""
    with make_chain(tmp_path_factory.mktemp("life")) as chain:
        register(chain, "ethics", "ethics", "irb")
        register(chain, "lead", "self", LEADER)
        register(chain, "analyst", "self", ANALYST)
        chain.json("dataset", "register", "SEPSIS", "--openness", "conditional")
        data = chain.home / "sepsis.csv"
        data.write_text("id,sofa\n1,7\n")
        terms = ("--term", "DUO:0000007=icd10:A41", "--term", "DUO:0000019", "--term", "EC:NOAI")
        chain.json("version", "register", "SEPSIS", "1", data, *terms)
        words = ("--kind", "decide", "--date", "2026-01-05", "--present", "5", "--for", "5")
        chain.json("resolution", "R-1", *words)
        yield chain


def study(chain: Chain, number: str, *more: str) -> None:
    design = chain.home / "design.txt"
    design.write_text("a cohort")
    words = ("--pi", f"h1={LEADER}", "--member", f"analyst:h1={ANALYST}", "--from", "2026-01-01")
    places = (
        "--until",
        UNTIL,
        "--purpose",
        "disease",
        "--disease",
        "icd10:A41.9",
        "--compute-node",
        "h1",
    )
    title = ("--title", "脓毒症队列", "--design", design, "--compute-node", "h1")
    written = chain.json("study", "register", number, *words, *places, *title, *more)
    assert written["decision"] == "PENDING"
    chain.json("endorse", written["leaf"], "--key", "lead")
    granted = ("--study", number, "--from", "2026-01-01", "--until", UNTIL, "--number", "2026-17")
    assert chain.json("ethics", "grant", f"EA-{number}", *granted)["decision"] == "EFFECTIVE"


def request(chain: Chain, name: str, number: str, *more: str) -> str:
    words = ("--study", number, "--dataset", "SEPSIS@1", "--ethics", f"EA-{number}")
    written = chain.json("request", "submit", name, *words, "--variables", "age, sofa", *more)
    chain.json("endorse", written["leaf"], "--key", "lead")
    return str(written["leaf"])


def review(chain: Chain, name: str) -> None:
    chain.json("review", name, "--stage", "completeness")
    for key in ("officer", "committee"):
        chain.json("review", name, "--stage", "scientific", "--key", key, "--comment", "good")


def test_a_whole_life(life: Chain) -> None:
    study(life, "S-1")
    title = life.json("state", "study", "S-1")
    assert title["value"]["status"] == "REGISTERED"
    asked = ("request", "match", "--study", "S-1", "--dataset", "SEPSIS@1")
    found = life.json(*asked)
    assert (found["verdict"], found["obligations"]) == ("ALLOW", [{"code": "DUO:0000019"}])
    assert "使用条款允许" in life(*asked, "--lang", "zh").out
    request(life, "Q-1", "S-1")
    review(life, "Q-1")
    shown = life("request", "show", "Q-1").out
    assert "UNDER_REVIEW" in shown
    assert "approve" in shown
    resolved = ("--resolution", "R-1", "--permit", "P-1", "--until", "2026-12-31", "--from")
    decided = life.json("decide", "approve", "Q-1", *resolved, "2026-01-01")
    assert decided["decision"] == "PENDING"
    life.json("endorse", decided["leaf"], "--key", "officer")
    assert life.json("permit", "show", "P-1")["status"] == "APPROVED"
    assert life.json("permit", "activate", "P-1")["decision"] == "EFFECTIVE"
    shown = life("permit", "show", "P-1").out
    assert "ACTIVE" in shown
    assert ANALYST in shown
    # Whoever uses data under a permit stays known; the refusal says under which one.
    who = life.home / "who.json"
    who.write_text("Zhang San")
    life.json("vault", "attach", who, "--person", ANALYST, "--schema", "person/1")
    refused = life("erase", "--person", ANALYST, "--json")
    assert (refused.code, '"T9"' in refused.err, "P-1" in refused.err) == (12, True, True)
    use = ("access", "record", "--dataset", "SEPSIS@1", "--activity", "READ", "--permit", "P-1")
    assert life.json(*use, "--person", ANALYST)["findings"] == []
    ran = ("run", "record", "RUN-1", "--on", "h1", "--permit", "P-1", "--person", ANALYST)
    done = life.json(*ran, "--state", "completed", "--dataset", "SEPSIS@1", "--generated", "A" * 43)
    assert done["findings"] == []
    assert life.json("permit", "suspend", "P-1", "--reason", "audit")["decision"] == "EFFECTIVE"
    assert life.json(*use, "--person", ANALYST)["findings"] == ["SUSPENDED"]
    resumed = life.json("permit", "resume", "P-1")
    life.json("endorse", resumed["leaf"], "--key", "committee")
    words = ("--class", "misuse", "--severity", "high", "--affected", decided["leaf"])
    life.json("incident", "report", "I-1", *words, "--detail", "somebody looked")
    assert life.json("permit", "revoke", "P-1")["decision"] == "EFFECTIVE"
    closed = life.json("permit", "close", "P-1", "--removal", "disk shredded")
    life.json("endorse", closed["leaf"], "--key", "lead")
    assert life.json("permit", "show", "P-1")["status"] == "CLOSED"
    assert len(life.json("erase", "--person", ANALYST)["erased"]) == 1
    life.json("study", "complete", "S-1", "--report", "done")
    assert life.json("state", "study", "S-1")["value"]["status"] == "COMPLETED"
    check_reports(life)


def check_reports(life: Chain) -> None:
    """What this life looks like in a register, to a person's institution, and if a permit ends."""
    rows = csv.DictReader(io.StringIO(life("register", "data-uses").out))
    (row,) = [one for one in rows if one["Project ID"] == "S-1"]
    assert (row["Project title*"], row["Dataset(s) name*"]) == ("脓毒症队列", "SEPSIS@1")
    assert (row["Access type*"], row["Applicant name(s)"]) == ("TRE", f"{LEADER}; {ANALYST}")
    agreements = json.loads(life("register", "agreements").out)
    (ours,) = [one for one in agreements if one["reference"] == "P-1"]
    (version,) = ours["versions"]
    assert (version["title"], version["files_released"]) == ("脓毒症队列", 2)
    mine = life.json("report", "person", ANALYST)
    assert mine["facts"]["active_permits"] == []
    assert {row["what"] for row in mine["rows"]} >= {"study", "access-decision", "access"}
    ended = life.json("report", "consequences", "permit:P-1")
    assert ended["facts"]["status"] == "CLOSED"
    (late,) = [row for row in ended["rows"] if row["kind"] == "use"]
    assert (late["uses"], late["findings"]) == (1, ["SUSPENDED"])


def test_a_denied_study_says_why_and_what_to_do(life: Chain) -> None:
    study(life, "S-2", "--training")
    words = ("--study", "S-2", "--dataset", "SEPSIS@1")
    shown = life("request", "match", *words, "--lang", "en").out
    assert "no training of models" in shown
    refused = life("request", "submit", "Q-2", *words, "--ethics", "EA-S-2", "--explain",
                   "--lang", "en")  # fmt: skip
    assert refused.code == 12
    for said in ("J16", "Clause 5.8: J16 a DENY", "--override"):
        assert said in refused.err
    told = life("request", "submit", "Q-2", *words, "--ethics", "EA-S-2", "--explain", "--json")
    assert '"number": "5.8"' in told.err
    assert request(life, "Q-2", "S-2", "--override")


def test_a_request_is_returned_revised_and_taken_back(life: Chain) -> None:
    study(life, "S-3")
    request(life, "Q-3", "S-3")
    life.json("review", "Q-3", "--stage", "completeness", "--opinion", "return")
    request(life, "Q-3", "S-3")
    life.json("review", "Q-3", "--stage", "completeness")
    life.json("decide", "return", "Q-3", "--reason", "unclear")
    assert life.json("request", "show", "Q-3")["status"] == "RETURNED"
    assert life.json("request", "withdraw", "Q-3")["findings"] == []
    assert life.json("request", "show", "Q-3")["status"] == "WITHDRAWN"


def test_a_permit_is_amended(life: Chain) -> None:
    study(life, "S-4")
    request(life, "Q-4", "S-4")
    review(life, "Q-4")
    words = ("--resolution", "R-1", "--permit", "P-4")
    first = life.json("decide", "approve", "Q-4", *words, "--person", LEADER)
    life.json("endorse", first["leaf"], "--key", "officer")
    life.json("permit", "activate", "P-4")
    second = life.json("decide", "approve", "Q-4", *words, "--amend")
    life.json("endorse", second["leaf"], "--key", "officer")
    assert life.json("permit", "extend", "P-4")["decision"] == "EFFECTIVE"
    assert life.json("permit", "show", "P-4")["terms"]["persons"] == [LEADER, ANALYST]


def test_studies_are_amended_and_reported(life: Chain) -> None:
    study(life, "S-5")
    life.json("study", "amend", "S-5", "--pi", f"h1={LEADER}")
    assert len(life.json("state", "study", "S-5")["value"]["body"]["team"]) == 1
    life.json("study", "amend", "S-5", "--from", "2026-01-01", "--until", "2031-01-01")
    life.json("study", "report", "S-5", "--report", "on the way")
    assert life("study", "amend", "S-5", "--from", "2026-01-01").code == 10
    life.json("study", "terminate", "S-5")
    for step in ("suspend", "withdraw"):
        life.json("ethics", step, "EA-S-5")
    assert life("ethics", "renew", "EA-S-5", "--until", UNTIL).code == 12


def test_ethics_is_renewed_or_exempt(life: Chain) -> None:
    study(life, "S-6")
    life.json("ethics", "renew", "EA-S-6", "--until", "2032-01-01", "--scope", "SEPSIS")
    assert life.json("state", "ethics", "EA-S-6")["value"]["scope"] == ["SEPSIS"]
    words = ("--study", "S-6", "--from", "2026-01-01", "--until", UNTIL, "--exempt", "low-risk")
    assert life.json("ethics", "grant", "EX-6", *words)["decision"] == "EFFECTIVE"


def test_a_vocabulary_is_loaded_in_parts_and_named_by_a_policy(life: Chain, tmp_path: Path) -> None:
    table = tmp_path / "closure.tsv"
    rows = [f"D:{n}\t{' '.join(f'D:{m}' for m in range(n))}" for n in range(3)]
    rows += [f"E:{n}\tD:0" for n in range(200)]
    table.write_text("# a comment\n" + "\n".join(rows) + "\n")
    root = call("vocabulary", "root", table, "--json").json
    assert (root["parts"], root["rows"]) == (2, 203)
    assert life.json("vocabulary", "load", table)["loaded"] == 2
    assert life.json("vocabulary", "load", table)["loaded"] == 0
    policy = ("policy", "second", "--resolution", "R-1", "--vocabulary", root["root"])
    assert life.json(*policy)["decision"] == "EFFECTIVE"
    assert life.json("state", "disease", f"{root['root']}/D:2")["value"]["ancestors"] == [
        "D:0",
        "D:1",
    ]
    for spoilt in ("D:1\tD 2\tx!", "", "D:1\tD:0\nD:1\tD:0"):
        table.write_text(spoilt)
        assert call("vocabulary", "root", table).code == 10


def test_indicators_and_withdrawn_versions(life: Chain) -> None:
    definition = life.home / "sofa.txt"
    for version in ("1", "2"):
        definition.write_text(f"SOFA {version}")
        written = life.json("indicator", "register", "sofa", version, definition)
        assert written["decision"] == "EFFECTIVE"
    life.json("dataset", "register", "OLD", "--openness", "closed")
    life.json("version", "register", "OLD", "1", "--digest", "A" * 43)
    assert life.json("version", "withdraw", "OLD@1", "--reason", "recalled")["decision"]
    use = ("access", "record", "--dataset", "OLD@1", "--activity", "READ")
    assert "DATASET_WITHDRAWN" in life.json(*use)["findings"]


@pytest.mark.parametrize(
    "words",
    [
        ("request", "show", "NONE"),
        ("permit", "show", "NONE"),
        ("study", "complete", "NONE"),
        ("ethics", "suspend", "NONE"),
        ("version", "withdraw", "NONE@1", "--reason", "x"),
    ],
)
def test_what_is_not_there_is_not_found(life: Chain, words: tuple[str, ...]) -> None:
    assert life(*words).code == 14


@pytest.mark.parametrize("rule", sorted(rule for rule in RULES if rule[0] in "SKGDUEJ"))
def test_every_rule_of_the_domain_has_a_clause_to_show(rule: str) -> None:
    clause = clause_of(rule)
    assert clause is not None
    assert rule.partition(".")[0] in clause.text
    assert len(clause.text) > len(rule) + 5


def test_no_clause_speaks_of_what_is_no_rule() -> None:
    assert clause_of("Y9") is None


def test_every_reason_has_its_words() -> None:
    assert {case[4] for case in CASES} - {""} <= set(REASONS)
    assert all(text.en != text.zh for text in REASONS.values())


def test_schemas_are_printed_without_a_node() -> None:
    assert "permit-status" in call("schema").out
    assert call("schema", "permit-status", "--json").json["title"] == "permit-status"
    assert '"title": "permit-status"' in call("schema", "permit-status").out
    assert call("schema", "unheard").code == 14
