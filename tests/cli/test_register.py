"""A national register of data releases: taken over as it stands, or named with the reason."""

import csv
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
import openpyxl
import pytest

import cli.register
from cli.register import PURPOSES, RELEASES, code_of, read_register
from ledger.errors import AllianceError
from ledger.rules.values import ImportedState
from tests.cli.conftest import Chain, call, make_chain

REAL = (
    Path(__file__).parents[2] / ".." / "shared" / "data" / "nhs-release-register"
    / "releaseregister_20210201_20210228.xlsx"
)  # fmt: skip
HEAD = [
    "RowID", "Organisation Name", "Type of Data Provided",
    "Data provided to customer:\nIdentifiable, Anonymised", "Sensitive or Non-Sensitive",
    "Legal Basis for Provision of Data (Dissemination)", "Purpose", "Frequency", "NIC Number",
    "MR Number (where relevant)", "Patient Opt-Outs applied", "Common law duty of confidentiality",
]  # fmt: skip
GOOD = ["FILE0001", "Some Trust", "Births", "Anonymised", "Sensitive", "s261", None, "One-Off",
        "NIC-1-v1.0", None, "No", None]  # fmt: skip


def row(**changes: Any) -> list[Any]:
    """A row of the register; names stand for columns by their first letters."""
    places = {"row": 0, "org": 1, "data": 2, "sensitive": 4, "legal": 5, "agreement": 8}
    cells = list(GOOD)
    for name, value in changes.items():
        cells[places[name]] = value
    return cells


def workbook(folder: Path, *rows: list[Any], kinds: dict[str, str] | None = None) -> Path:
    """A register in the form of the published ones."""
    book = openpyxl.Workbook()
    releases, purposes = book.create_sheet(RELEASES), book.create_sheet(PURPOSES)
    for cells in (HEAD, *rows):
        releases.append(cells)
    purposes.append(["Reference Number", "Organisation", "Objective", "Organisation Type"])
    for reference, kind in (kinds or {"NIC-1-v1.0": "NHS Trust"}).items():
        purposes.append([reference, "Some Trust", "Because", kind])
    path = folder / "releaseregister_20210201_20210228.xlsx"
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("bad", "column", "reason"),
    [
        (row(row="no number"), "RowID", "form"),
        (row(row="FILE0000"), "RowID", "form"),
        (row(), "RowID", "twice"),
        (row(row="FILE0002", agreement="not a reference!"), "NIC Number", "form"),
        (row(row="FILE0002", legal=None), "Legal Basis for Provision of Data (Dissemination)",
         "empty"),
        (row(row="FILE0002", sensitive="Maybe"), "Sensitive or Non-Sensitive", "unknown"),
        (row(row="FILE0002", org="x" * 200), "Organisation Name", "long"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_taken_over_is_named(
    tmp_path: Path, bad: list[Any], column: str, reason: str
) -> None:
    register = read_register(workbook(tmp_path, row(), bad), "r")
    assert [one.number for one in register.releases] == [1]
    (problem,) = register.problems
    assert (problem.sheet, problem.row) == (RELEASES, 3)
    assert (problem.column, problem.reason) == (column, reason)


def test_space_around_a_reference_is_removed_and_said(tmp_path: Path) -> None:
    register = read_register(workbook(tmp_path, row(agreement="NIC-1-v1.0 ")), "r")
    assert [one.agreement for one in register.releases] == ["NIC-1-v1.0"]
    assert [one.reason for one in register.problems] == ["space-removed"]


def test_an_agreement_without_a_statement_is_left_out_with_its_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path, row(), row(row="FILE0002", agreement="NIC-2"))
    register = read_register(path, "r")
    assert [one.reference for one in register.agreements] == ["NIC-1-v1.0"]
    assert [one.agreement for one in register.releases] == ["NIC-1-v1.0"]
    assert [(one.column, one.reason) for one in register.problems] == [("NIC-2", "no-statement")]


def test_different_names_have_different_codes() -> None:
    names = ["A B", "A-B", "A_B", "A.B", "a b", "A  B", "x" * 65, "x" * 66, "A/B", "心电", "脑电"]
    codes = [code_of(name) for name in names]
    assert len(set(codes)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", code) for code in codes)
    assert code_of("Hospital Episode Statistics") == "Hospital_Episode_Statistics"


def damaged(folder: Path, how: str) -> Path:
    """Files that are no register of this form."""
    path = workbook(folder, row())
    if how == "X11.file":
        path.write_bytes(path.read_bytes()[:500])
    elif how == "X11.period":
        return path.rename(folder / "register.xlsx")
    else:
        book = openpyxl.load_workbook(path)
        if how == "X11.sheet":
            del book[PURPOSES]
        else:
            book[RELEASES]["B1"] = "Who"
        book.save(path)
    return path


@pytest.mark.parametrize("rule", ["X11.file", "X11.period", "X11.sheet", "X11.column"])
def test_other_files_are_refused(tmp_path: Path, rule: str) -> None:
    with pytest.raises(AllianceError) as caught:
        read_register(damaged(tmp_path, rule), "r")
    assert caught.value.rule == rule
    assert caught.value.sentence("zh") != caught.value.sentence("en")


def test_a_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path, row())
    monkeypatch.setattr(cli.register, "MAX_UNPACKED", 1_000)
    with pytest.raises(AllianceError) as caught:
        read_register(path, "r")
    assert caught.value.rule == "X11.large"


def test_a_file_whose_text_multiplies_itself_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path, row())
    with zipfile.ZipFile(path) as book:
        parts = {part.filename: book.read(part) for part in book.infolist()}
    bomb = b'<!DOCTYPE sst [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    declaration, begin, rest = parts["xl/workbook.xml"].partition(b"<workbook")
    parts["xl/workbook.xml"] = declaration + bomb + begin + rest
    with zipfile.ZipFile(path, "w") as book:
        for name, data in parts.items():
            book.writestr(name, data)
    with pytest.raises(AllianceError) as caught:
        read_register(path, "r")
    assert caught.value.rule == "X11.file"


def test_a_bad_file_leaves_nothing_behind(chain: Chain, tmp_path: Path) -> None:
    before = chain.json("node", "status")["size"]
    assert chain("import", "register", damaged(tmp_path, "X11.sheet")).code == 10
    assert chain("import", "register", tmp_path / "absent_20210201_20210228.xlsx").code == 18
    assert chain.json("node", "status")["size"] == before


def test_again_makes_no_duplicates(chain: Chain, tmp_path: Path) -> None:
    path = workbook(tmp_path, row(), row(row="FILE0002", data="Deaths (all)"))
    first = chain.json("import", "register", path, "--as", "small")
    again = chain.json("import", "register", path, "--as", "small")
    assert (first["new"], again["new"], again["known"]) == (3, 0, 3)
    assert first["findings"]["IMPORTED"] == 3
    text = chain("import", "register", path, "--as", "small", "--lang", "zh").out
    assert "本链无人见证" in text


# --- the real one -----------------------------------------------------------------------------


def cells_of(sheet: str) -> list[list[str]]:
    """The cells of a sheet of the real file, read without the library that the import uses."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(REAL) as book:
        shared = [
            "".join(part.text or "" for part in item.iter(f"{space}t"))
            for item in defusedxml.ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        names = [
            item.get("name")
            for item in defusedxml.ElementTree.fromstring(book.read("xl/workbook.xml")).iter(
                f"{space}sheet"
            )
        ]
        root = defusedxml.ElementTree.fromstring(
            book.read(f"xl/worksheets/sheet{names.index(sheet) + 1}.xml")
        )
    rows = []
    for line in root.iter(f"{space}row"):
        cells = {}
        for cell in line:
            value = cell.find(f"{space}v")
            text = "" if value is None else value.text or ""
            column = re.sub(r"\d", "", cell.get("r", ""))
            cells[column] = shared[int(text)] if cell.get("t") == "s" else text
        rows.append([cells.get(column, "") for column in "ABCDEFGHIJKL"])
    return rows


@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data/nhs-release-register is not here")
def test_the_real_register_is_taken_over_whole(tmp_path: Path) -> None:
    releases, purposes = cells_of(RELEASES)[1:], cells_of(PURPOSES)[1:]
    with make_chain(tmp_path / "home") as chain:
        done = chain.json("import", "register", REAL, "--as", "nhsd")
        counts = [done[name] for name in ("organisations", "agreements", "releases", "datasets")]
        assert counts == [
            len({cells[1] for cells in releases}),
            len(purposes),
            len(releases),
            len({cells[2] for cells in releases}),
        ]
        assert counts == [340, 585, 5_079, 79]
        rows = chain.json("accesses", "--all", "--limit", "1000")["rows"]
        used = Counter(
            (row["dataset"], row["permit"], f"{row['system']}/{row['seq']}") for row in rows
        )
        expected = Counter(
            (
                code_of(cells[2]),
                cells[8].strip(),
                re.sub(r"(\D+)(\d+)", lambda m: f"nhsd:{m[1]}/{int(m[2])}", cells[0]),
            )
            for cells in releases
        )
        assert used == expected
        check_agreements(chain, releases)
        check_questions(chain, releases)
        check_registers(chain, releases)
        for wanted in ("Births", "Hospital Episode Statistics Critical Care"):
            found = chain.json("accesses", "--dataset", code_of(wanted), "--all")["rows"]
            assert len(found) == sum(cells[2] == wanted for cells in releases)


def check_agreements(chain: Chain, releases: list[list[str]]) -> None:
    """Of every fiftieth agreement: whose it is, and which data it lists, proven."""
    listed: dict[str, set[str]] = {}
    owner: dict[str, str] = {}
    for cells in releases:
        listed.setdefault(cells[8].strip(), set()).add(code_of(cells[2]))
        owner[cells[8].strip()] = code_of(cells[1])
    for reference in sorted(listed)[::50]:
        value = chain.json("state", "imported", reference)["value"]
        state = ImportedState(**{**value, "datasets": tuple(value["datasets"])})
        assert set(state.datasets) == listed[reference]
        assert (state.org, state.by) == (owner[reference], "h1")
        subject = chain.json("subject", f"permit:{reference}")
        assert subject["count"] == 1 + sum(cells[8].strip() == reference for cells in releases)


def check_questions(chain: Chain, releases: list[list[str]]) -> None:
    """Q1 for every kind of data, Q4, and Q8 for every twentieth organisation and for the source."""
    used: dict[str, Counter[tuple[str, str]]] = {}
    by_agreement: Counter[str] = Counter()
    taken: dict[str, Counter[str]] = {}
    for cells in releases:
        org, name, reference = code_of(cells[1]), code_of(cells[2]), cells[8].strip()
        used.setdefault(name, Counter())[org, reference] += 1
        by_agreement[reference] += 1
        taken.setdefault(org, Counter())[name] += 1
    for name, expected in used.items():
        rows = chain.json("report", "uses", name)["rows"]
        assert {(row["org"], row["permit"]): row["uses"] for row in rows} == expected
    permits = chain.json("report", "permits")["rows"]
    assert {row["permit"]: row["uses"] for row in permits} == by_agreement
    for org in sorted(taken)[::20]:
        rows = chain.json("report", "member", org)["rows"]
        assert {row["dataset"]: row["uses"] for row in rows} == taken[org]
    given: Counter[tuple[str, str]] = Counter()
    for row in chain.json("report", "member", "h1")["rows"]:
        given[row["dataset"], row["org"]] += row["uses"]
    assert given == {(name, org): n for org, of in taken.items() for name, n in of.items()}


def check_registers(chain: Chain, releases: list[list[str]]) -> None:
    """The registers made from the chain give back every agreement and release that went in."""
    found = json.loads(chain("register", "agreements").out)
    versions = {version["reference"]: version for one in found for version in one["versions"]}
    given = Counter((cells[8].strip(), code_of(cells[2])) for cells in releases)
    assert given == {
        (reference, release["dataset"]): release["files"]
        for reference, version in versions.items()
        for release in version["releases"]
    }
    owners = {cells[8].strip(): cells[1] for cells in releases}
    assert {name: version["organisation"] for name, version in versions.items()} == owners
    rows = list(csv.DictReader(io.StringIO(chain("register", "data-uses").out)))
    assert Counter(row["Organisation name*"] for row in rows) == Counter(owners.values())


def test_help_says_what_it_takes() -> None:
    assert "workbook" in call("import", "register", "--help").out
