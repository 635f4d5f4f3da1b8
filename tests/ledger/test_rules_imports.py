"""I: what was taken over from registers of others (SPEC 5.8)."""

from typing import Any

import pytest

from ledger.encoding import b64url
from ledger.records.authorisation import Period
from ledger.records.imports import ImportedAgreementBody, ImportedData
from tests.ledger.ledgers import Ledger
from tests.ledger.test_rules_structure import access, dataset, refused


def data(name: str = "D1", **changes: Any) -> ImportedData:
    """Data that an agreement lists."""
    fields: dict[str, Any] = {
        "dataset": name,
        "frequency": "One-Off",
        "identifiability": "anonymised",
        "legal_basis": "s261",
        "opt_outs": "none",
        "sensitivity": "sensitive",
    }
    return ImportedData(**{**fields, **changes})


def agreement(*listed: ImportedData, **changes: Any) -> ImportedAgreementBody:
    """An agreement of an organisation that is no member."""
    fields: dict[str, Any] = {
        "agreement": "NIC-1",
        "datasets": listed or (data(),),
        "org": "Elsewhere",
        "org_kind": "University",
        "org_name": "Elsewhere University",
        "period": Period(from_="2021-02-01", to="2021-02-28"),
        "register": "nhsd",
        "register_digest": b64url(bytes(32)),
    }
    return ImportedAgreementBody(**{**fields, **changes})


def taken_over() -> Ledger:
    """A ledger with a dataset and an agreement."""
    ledger = Ledger()
    ledger.record("dataset", dataset("D1"))
    ledger.record("imported-agreement", agreement(), by="system")
    return ledger


def test_an_agreement_is_marked_and_its_organisation_is_no_member() -> None:
    ledger = taken_over()
    assert ledger.findings == ("IMPORTED",)
    state = ledger.value("imported", "NIC-1")
    assert (state.org, state.by, state.datasets) == ("Elsewhere", "h1", ("D1",))
    assert ledger.value("member", "Elsewhere") is None
    assert ledger.value("members", "admitted").n == 1
    assert ledger.value("subject", "party:Elsewhere").count == 1


def test_the_first_one_counts() -> None:
    ledger = taken_over()
    ledger.record("imported-agreement", agreement(data("D2"), org="Other"), by="system")
    assert ledger.findings == ("IMPORTED", "IMPORTED_BEFORE")
    assert ledger.value("imported", "NIC-1").org == "Elsewhere"


@pytest.mark.parametrize(
    ("name", "findings"),
    [("D1", {"IMPORTED"}), ("D9", {"DATASET_NOT_LISTED", "IMPORTED", "UNREGISTERED"})],
)
def test_a_use_under_it_is_marked_and_compared(name: str, findings: set[str]) -> None:
    ledger = taken_over()
    ledger.record("access", access(dataset=name, permit="NIC-1", person="p"), by="system")
    assert set(ledger.findings) == findings


def test_another_permit_is_as_unregistered_as_before() -> None:
    ledger = taken_over()
    ledger.record("access", access(dataset="D1", permit="NIC-2", person="p"), by="system")
    assert ledger.findings == ("UNREGISTERED",)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (agreement(period=Period(from_="2021-03-01", to="2021-02-28")), "I1"),
        (agreement(data(), data()), "I2"),
        (agreement(org_name="call 13812345678"), "S8"),
    ],
)
def test_refused(body: ImportedAgreementBody, rule: str) -> None:
    ledger = Ledger()
    assert refused(ledger, ledger.sign("imported-agreement", body, by="system")) == rule


def test_the_same_data_on_other_terms_is_not_the_same() -> None:
    ledger = Ledger()
    ledger.record("imported-agreement", agreement(data(), data(frequency="Ongoing")), by="system")
    assert ledger.value("imported", "NIC-1").datasets == ("D1",)
