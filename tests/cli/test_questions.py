"""`alliance report`: the forms of an answer, and what stands beside it."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.questions import COLUMNS
from tests.cli.conftest import Chain, call, make_chain


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with make_chain(tmp_path_factory.mktemp("questions") / "home") as chain:
        chain.json("dataset", "register", "GTEx", "--openness", "conditional")
        for person in ("ext:a:1", "ext:a:2", "ext:a:1"):
            chain.json(
                "access", "record", "--dataset", "GTEx", "--activity", "Q", "--person", person
            )
        yield chain


def test_json_says_where_it_was_counted(used: Chain) -> None:
    report = used.json("report", "uses", "GTEx")
    assert [(row["person"], row["uses"]) for row in report["rows"]] == [
        ("ext:a:1", 2),
        ("ext:a:2", 1),
    ]
    assert report["records"] == 4
    assert report["head"]["height"] == used.json("node", "status")["height"]
    for row in report["rows"]:
        proven = used.json("proof", str(row["first_entry"]))
        assert proven["type"] == "access"


def test_csv_is_for_spreadsheets(used: Chain) -> None:
    result = used("report", "uses", "GTEx", "--format", "csv", "--bom")
    assert result.out.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(result.out.removeprefix("\ufeff"))))
    assert [(row["person"], row["uses"], row["findings"]) for row in rows] == [
        ("ext:a:1", "2", "NO_PERMIT:2"), ("ext:a:2", "1", "NO_PERMIT:1"),
    ]  # fmt: skip


@pytest.mark.parametrize(("lang", "words"), [("en", "proven complete"), ("zh", "已证明完整")])
def test_a_table_says_what_is_proven(used: Chain, lang: str, words: str) -> None:
    out = used("report", "uses", "GTEx", "--lang", lang).out
    assert words in out
    assert "ext:a:1" in out


def test_codes_are_explained_to_who_reads_chinese(used: Chain) -> None:
    words = ("report", "coverage", "--lang", "zh")
    table = used(*words).out
    assert "例外（exception）" in table
    assert "许可（permit）" in table
    assert "例外" not in used(*words[:2], "--lang", "en").out
    assert "<td>例外 exception</td>" in used(*words, "--format", "page").out
    # Programs read the code alone.
    assert "例外" not in used(*words, "--format", "csv").out


def test_words_of_strangers_are_neither_pictures_nor_markup(used: Chain) -> None:
    person = "ext:red_heart:[bold]1[/bold]"
    words = ("--dataset", "Other", "--activity", ":a:", "--person", person)
    used.json("access", "record", *words)
    for command in (("accesses", "--dataset", "Other"), ("report", "uses", "Other")):
        assert person in used(*command).out
    assert ":a:" in used("accesses", "--dataset", "Other").out


def test_members_and_permits(used: Chain) -> None:
    assert used.json("report", "permits")["rows"] == []
    (row,) = used.json("report", "member", "h1")["rows"]
    assert (row["side"], row["dataset"], row["uses"]) == ("given", "GTEx", 3)
    assert used("report", "member", "h1").code == 0
    assert used("report", "permits", "--lang", "zh").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("uses", "Nothing"), 14),
        (("member", "nobody"), 14),
        (("uses", "GTEx", "--from", "soon"), 10),
        (("uses", "GTEx", "--format", "pdf"), 10),
        (("uses", "GTEx", "--format", "prov"), 10),
        (("provenance", "GTEx", "--format", "prov"), 14),
        (("provenance", "GTEx", "--format", "prov", "--first"), 10),
    ],
)
def test_bad_questions(used: Chain, words: tuple[str, ...], code: int) -> None:
    result = used("report", *words)
    assert result.code == code
    assert "Traceback" not in result.err


WORDS = {
    "uses": ("GTEx",),
    "provenance": ("Nothing",),
    "credit": ("Nothing",),
    "consequences": ("dataset:GTEx",),
    "member": ("h1",),
    "person": ("0" * 32,),
    "certificate": ("C-1",),
}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_every_question_has_a_command_that_answers_or_says_why_not(used: Chain, name: str) -> None:
    result = used("report", name, *WORDS.get(name, ()), "--lang", "zh")
    absent = name in ("provenance", "credit", "person", "certificate")
    assert result.code == (14 if absent else 0), result.err
    if not absent:
        assert "仅涵盖已记录的内容" in result.out


def test_the_records_of_an_answer_are_proven_offline(used: Chain, tmp_path: Path) -> None:
    folder = tmp_path / "proofs"
    report = used.json("report", "uses", "GTEx", "--proofs", folder)
    named = {leaf for row in report["rows"] for leaf in row["records"]}
    kept = json.loads((folder / "answer.json").read_text())
    assert {leaf for row in kept["rows"] for leaf in row["records"]} == named
    files = sorted((folder / "receipts").glob("*.json"))
    assert len(files) == len(named) == 3
    for file in files:
        audited = call("audit", "receipt", file, "--genesis", used.home / "genesis")
        assert audited.code == 0
    damaged = files[0].read_text().replace('"codes":["NO_PERMIT"]', '"codes":[]')
    assert damaged != files[0].read_text()
    files[0].write_text(damaged)
    assert call("audit", "receipt", files[0], "--genesis", used.home / "genesis").code > 20


def test_where_something_came_from_in_prov_json_and_its_proofs(used: Chain, tmp_path: Path) -> None:
    data, file, folder = tmp_path / "data.csv", tmp_path / "prov.json", tmp_path / "proofs"
    data.write_text("a,b\n1,2\n")
    used.json("dataset", "register", "PICU", "--openness", "conditional")
    used.json("version", "register", "PICU", "v1", data)
    words = ("report", "provenance", "PICU@v1", "--format", "prov", "--proofs", folder)
    result = used(*words, "--out", file, "--lang", "zh")
    assert (result.code, result.out) == (0, "")
    document = json.loads(file.read_text())
    assert (
        document == json.loads(used(*words).out) == json.loads((folder / "answer.json").read_text())
    )
    (version,) = (one for one in document["entity"].values() if "alliance:entry" in one)
    (receipt,) = (folder / "receipts").glob("*.json")
    audited = call("audit", "receipt", receipt, "--genesis", used.home / "genesis", "--json")
    assert audited.code == 0
    assert version["alliance:leaf"] in audited.out
    assert list(document["agent"]) == ["chain:org/h1"]


def test_a_page_is_in_both_languages_and_loads_nothing(used: Chain, tmp_path: Path) -> None:
    person = "<script src=//x.example>"
    used.json("access", "record", "--dataset", "Odd", "--activity", "Q", "--person", person)
    file = tmp_path / "page.html"
    result = used("report", "uses", "Odd", "--format", "page", "--out", file)
    assert (result.code, result.out) == (0, "")
    page = file.read_text()
    assert "谁使用了数据集" in page
    assert "Who used a dataset" in page
    assert "本答案无法知晓的事项" in page
    assert html.escape(person) in page
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["']?https?:|url\(|@import""", page)


def test_a_slip_of_the_pen_is_told_what_was_meant(used: Chain) -> None:
    """The node proposes; the command tells it in its language."""
    for words in (("uses", "gtex"), ("coverage", "--dataset", "GTExx")):
        said = used("report", *words, "--lang", "zh")
        assert said.code == 14
        assert f"此处没有数据集 {words[-1]}。" in said.err
        assert "您是否要用 `GTEx`？" in said.err
    problem = json.loads(used("report", "member", "H1", "--json").err)
    assert (problem["rule"], problem["next"].split("?")[0]) == ("O6.near", "Did you mean `h1`")


def test_one_page_and_the_next(used: Chain) -> None:
    first = used.json("report", "coverage", "--first")
    assert first["next"] is None
    result = used("report", "coverage", "--after", "AAAA")
    assert (result.code, "Q5" in result.err) == (10, True)


def test_words_of_strangers_are_no_formulas_in_a_spreadsheet(used: Chain) -> None:
    used.json("access", "record", "--dataset", "=1+1", "--activity", "Q", "--person", "ext:a:1")
    words = ("report", "uses", "=1+1", "--format", "csv")
    assert "\r\n'=1+1," in used(*words, "--bom").out
    assert "\r\n=1+1," in used(*words).out
