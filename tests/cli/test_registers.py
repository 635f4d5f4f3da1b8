"""Registers made from the chain: 31 columns, agreements, and what was taken over given back."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

from cli.register import code_of
from cli.registers import COLUMNS, agreements_of
from tests.cli.conftest import Chain
from tests.cli.test_register import row, workbook

NATIVE = {
    "agreement": "P-1", "status": "ACTIVE", "org": "h1", "org_kind": "hospital", "org_id": "123",
    "study": "S-1", "commercial": False, "for_profit": False, "funders": ["nsfc", "nih"],
    "people": ["a" * 32], "ethics": ["EA-1"], "valid_from": "2026-01-01",
    "valid_until": "2026-12-31", "decided_day": "2026-01-02", "frequency": "ongoing",
    "legal_basis": ["art6-1e", "art9-2j"], "version": 2, "controllers": ["h1", "h2"],
    "datasets": [{"dataset": "D1@1", "identifiability": "deid", "deid_method": "k10"}],
    "releases": [{"dataset": "D1@1", "uses": 3, "first_day": "2026-02-03",
                  "last_day": "2026-03-04"}],
    "outputs": ["10.1234/abcd"], "texts": {}, "records": ["x"],
}  # fmt: skip
WORDS = {"title": "Sepsis", "lay-summary": "We look", "public-benefit": "=1+1"}


def column(name: str) -> str:
    return COLUMNS[name](NATIVE, WORDS)


def test_the_register_has_its_31_columns_from_where_the_design_says() -> None:
    assert len(COLUMNS) == 31
    mandatory = [name for name in COLUMNS if name.endswith("*")]
    assert len(mandatory) == 7
    assert column("Project ID") == "S-1"
    assert column("Funders/ Sponsors") == "nsfc; nih"
    assert column("Legal basis for provision of data under Article 6") == "art6-1e"
    assert column("Lawful conditions for provision of data under Article 9") == "art9-2j"
    assert column("National data opt-out applied?") == "Not applicable"
    assert column("Release/Access date") == "2026-02-03"
    assert column("Access type*") == "TRE"
    assert column("Sub-licence arrangements (if any)?") == "No"
    assert column("Link to research outputs") == "10.1234/abcd"
    assert [column(name) for name in mandatory] == [
        "h1", "Sepsis", "We look", "=1+1", "2026-01-02", "D1@1", "TRE",
    ]  # fmt: skip


def test_an_agreement_holds_what_was_intended_and_what_was_observed() -> None:
    imported = {
        "agreement": "NIC-7-v2.10", "register": "r", "status": "IMPORTED", "org": "Some_Trust",
        "org_name": "Some Trust", "datasets": [{"dataset": "Births", "opt_outs": "No"}],
        "releases": [{"dataset": "Births", "uses": 2, "first_day": "2021-02-28",
                      "last_day": "2021-02-28"}],
    }  # fmt: skip
    earlier = {**imported, "agreement": "NIC-7-v2.9"}
    rows = [imported, NATIVE, earlier]
    words = {"P-1": WORDS, "NIC-7-v2.10": {}, "NIC-7-v2.9": {}}
    first, ours = agreements_of(rows, words)
    assert first["reference"] == "NIC-7"
    assert [one["version"] for one in first["versions"]] == ["2.9", "2.10"]
    assert first["versions"][0]["releases"] == [
        {"dataset": "Births", "files": 2, "first_month": "2021-02", "last_month": "2021-02",
         "opt_outs_applied": "No"},
    ]  # fmt: skip
    (version,) = ours["versions"]
    assert (version["version"], version["title"], version["sublicensing"]) == ("2", "Sepsis", False)
    assert version["yielded_benefits"] == ["10.1234/abcd"]
    assert version["controllers"] == ["h1", "h2"]


def test_a_register_comes_out_as_it_went_in(chain: Chain, tmp_path: Path) -> None:
    path = workbook(
        tmp_path, row(), row(row="FILE0002", data="Deaths (all)"), row(row="FILE0003"),
    )  # fmt: skip
    chain.json("import", "register", path, "--as", "small")
    out = tmp_path / "uses.csv"
    result = chain("register", "data-uses", "--bom", "--out", out)
    assert (result.code, result.out) == (0, "")
    text = out.read_bytes().decode()
    assert text.startswith("\ufeff")
    (found,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert list(found) == list(COLUMNS)
    assert found["Organisation name*"] == "Some Trust"
    assert found["Dataset(s) name*"] == f"Births; {code_of('Deaths (all)')}"
    assert found["Access type*"] == "Release"
    assert found["Project start date"] == ""  # the register states the period that it covers
    assert found["Release/Access date"] == "2021-02-28"
    folder = tmp_path / "agreements"
    assert chain("register", "agreements", "--out", folder).code == 0
    (file,) = folder.iterdir()
    one = json.loads(file.read_text())
    assert (file.name, one["reference"]) == ("NIC-1.json", "NIC-1")
    (version,) = one["versions"]
    assert (version["version"], version["files_released"]) == ("1.0", 3)
    assert Counter({r["dataset"]: r["files"] for r in version["releases"]}) == {
        "Births": 2, code_of("Deaths (all)"): 1,
    }  # fmt: skip
    proven = chain.json("proof", version["records"][0])
    assert proven["type"] == "imported-agreement"
    assert json.loads(chain("register", "agreements").out) == [one]


def test_a_file_that_cannot_be_written_is_said(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = chain("register", "data-uses", "--out", tmp_path / "file" / "x")
    assert result.code == 18
    assert "X1.file" in result.err
