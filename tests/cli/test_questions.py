"""`alliance report`: the forms of an answer, and what stands beside it."""

import csv
import io
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Chain, make_chain


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
    ],
)
def test_bad_questions(used: Chain, words: tuple[str, ...], code: int) -> None:
    result = used("report", *words)
    assert result.code == code
    assert "Traceback" not in result.err
