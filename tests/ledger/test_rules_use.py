"""D, U and the findings: catalogue and evidence of use (SPEC 5.5, 5.6, 6.2)."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from ledger.chain import build_block
from ledger.crypto import verify
from ledger.encoding import b64url, encode_time, unb64url
from ledger.records import decode_entry
from ledger.records.catalogue import Alias, Coverage, DatasetBody, DatasetVersionBody, Term
from ledger.records.envelope import Payload
from ledger.records.use import (
    AccessBatchBody,
    AccessEvent,
    BatchSummary,
    CorrectionBody,
    Source,
    SourceCloseBody,
)
from ledger.rulebook.findings import FINDINGS
from ledger.rules.use import MAX_SUMMARY
from tests.ledger.ledgers import Ledger
from tests.ledger.lives import Life
from tests.ledger.test_rules_governance import endorse
from tests.ledger.test_rules_structure import access, dataset, refused
from tests.support.world import GENESIS_MS, make_world

DIGEST = b64url(bytes(range(32)))


def version(number: str = "1", **changes: Any) -> DatasetVersionBody:
    """A version of D1."""
    fields: dict[str, Any] = {
        "class_level": "general",
        "content_digest": DIGEST,
        "digest_scope": "files",
        "gbt39725_level": 2,
        "hgr_info": False,
        "identifiability": "deid",
        "records_bucket": 1000,
        "series_id": "D1",
        "version": number,
    }
    return DatasetVersionBody(**{**fields, **changes})


def aliased(series: str, *names: str) -> DatasetBody:
    """A data resource with other names."""
    aliases = tuple(Alias(name=name, namespace="n") for name in names)
    return DatasetBody(aliases=aliases, custodian="h1", openness="closed", series_id=series)


def event(seq: int, system: str = "gateway", **changes: Any) -> AccessEvent:
    """An event of a batch."""
    fields: dict[str, Any] = {
        "action": "read",
        "activity": "VIEW",
        "at": encode_time(GENESIS_MS),
        "channel": "query",
        "dataset": "D1",
        "outcome": "ok",
        "source": Source(seq=seq, system=system),
    }
    return AccessEvent(**{**fields, **changes})


def close(ledger: Ledger, last: int, count: int, system: str = "gateway") -> tuple[str, ...]:
    """Close a source; the findings."""
    body = SourceCloseBody(count=count, day="2026-01-01", last_seq=last, system=system)
    ledger.record("source-close", body, by="system")
    return ledger.findings


# --- readings of payloads ---


def test_a_reading_of_a_payload_needs_no_permit_and_one_that_is_named_is_looked_at() -> None:
    life = Life()
    life.permit()
    name = f"payload/{DIGEST}"

    def found(**changes: Any) -> tuple[str, ...]:
        return life.access(dataset=name, **changes)

    assert found(permit=None, person="ext:key:k") == ()
    assert found(permit=None, person=None) == ("NO_PERSON",)
    assert found(permit="P-9") == ("UNREGISTERED",)
    assert found() == ("NOT_ACTIVE",)
    life.step("activate")
    assert found() == ()
    assert found(purpose="DUO:9") == ("PURPOSE_MISMATCH",)
    assert life.access(dataset="payloads", permit=None) == ("NO_PERMIT", "UNREGISTERED")


# --- catalogue ---


def test_datasets_and_versions() -> None:
    ledger = Ledger()
    alias = Alias(name="GTEx", namespace="dbgap")
    body = DatasetBody(aliases=(alias,), custodian="h1", openness="closed", series_id="D1")
    ledger.record("dataset", body)
    leaf = ledger.record(
        "dataset-version", version(coverage=Coverage(from_="2020-01-01", to="2020-12-31"))
    )
    assert ledger.value("dataset", "D1").latest == "1"
    assert ledger.value("version-leaf", leaf).name == "D1@1"
    assert ledger.value("alias", "dbgap/GTEx").by == "D1"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (dataset(custodian="h2"), "D1"),
        (dataset("D1"), "D2"),
        (dataset("payload/D9"), "D2"),
        (
            DatasetBody(
                aliases=(Alias(name="a", namespace="n"),),
                custodian="h1",
                openness="closed",
                series_id="E",
            ),
            "D3",
        ),
        (
            DatasetBody(
                aliases=(Alias(name="b", namespace="n"),) * 2,
                custodian="h1",
                openness="closed",
                series_id="E",
            ),
            "D3",
        ),
    ],
)
def test_names_of_data_are_unique(body: DatasetBody, rule: str) -> None:
    ledger = Ledger()
    ledger.record("dataset", aliased("D1", "a"))
    assert refused(ledger, ledger.sign("dataset", body)) == rule


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"series_id": "D2"}, "D4"),
        ({"version": "1"}, "D5"),
        ({"class_level": "core"}, "D6"),
        ({"identifiability": "identified"}, "G6"),
        ({"gbt39725_level": 4}, "G6"),
        ({"coverage": Coverage(from_="2021-01-02", to="2021-01-01")}, "D7"),
        ({"sources": (DIGEST,)}, "S4"),
    ],
)
def test_versions_have_bounds(change: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    ledger.record("dataset", dataset())
    ledger.record("dataset-version", version("1"))
    raw = ledger.sign("dataset-version", version("2", **change))
    assert refused(ledger, raw) == rule


def test_a_version_is_registered_by_the_custodian_of_its_series() -> None:
    ledger = Ledger(make_world(("h1", "h2")))
    ledger.record("dataset", dataset())
    raw = ledger.sign("dataset-version", version("1"), org="h2")
    assert refused(ledger, raw) == "D1"
    nowhere = ledger.sign("dataset-version", version("1", series_id="D9"))
    assert refused(ledger, nowhere) == "D4"


def test_sources_are_versions() -> None:
    ledger = Ledger()
    leaf = ledger.record("dataset", dataset())
    assert refused(ledger, ledger.sign("dataset-version", version(sources=(leaf,)))) == "D8"


def test_sensitive_versions_refer_to_a_resolution() -> None:
    ledger = Ledger()
    ledger.record("dataset", dataset())
    ledger.record("dataset-version", version(gbt39725_level=5), refs=(ledger.resolution(),))
    assert ledger.value("dataset", "D1").versions == 1


def test_weaker_terms_need_the_sources_custodian() -> None:
    ledger = Ledger(make_world(("h1", "h2")))
    ledger.record("dataset", dataset("S", "h2"), org="h2")
    strict = (Term(code="DUO:0000042"), Term(code="EC:STAY"))
    source = ledger.record("dataset-version", version(series_id="S", terms=strict), org="h2")
    ledger.record("dataset", dataset())
    same = ledger.record("dataset-version", version("1", sources=(source,), terms=strict))
    # No permit covers the source: its custodian is asked, whatever the terms.
    assert ledger.decision(same).status == "PENDING"
    endorse(ledger, same, "h2", by="officer")
    assert ledger.decision(same).status == "EFFECTIVE"
    own = ledger.record("dataset-version", version("1a", sources=(same,), terms=strict))
    assert ledger.decision(own).status == "EFFECTIVE"
    weak = ledger.record("dataset-version", version("2", sources=(same,), terms=strict[:1]))
    assert ledger.decision(weak).status == "PENDING"
    assert ledger.value("version", "D1@2") is None
    endorse(ledger, weak, "h1", by="officer")
    assert ledger.findings == ("ENDORSE_REPEATED",)
    endorse(ledger, weak, "h2", by="officer")
    assert ledger.value("version", "D1@2").custodian == "h1"
    refused_one = ledger.record("dataset-version", version("3", sources=(same,)))
    endorse(ledger, refused_one, "h2", by="officer", verdict="reject")
    assert ledger.decision(refused_one).status == "REJECTED"


# --- accesses ---


def test_findings_of_an_access() -> None:
    ledger = Ledger(make_world(("h1", "h2")))
    ledger.record("dataset", dataset())
    ledger.record("access", access(person="p1"), by="system")
    assert ledger.findings == ("NO_PERMIT",)
    two = Source(seq=2, system="gateway")
    ledger.record("access", access(person="p1", permit="P-1", source=two), by="system")
    assert ledger.findings == ("UNREGISTERED",)
    ledger.record("access", access(person="p1", source=two), by="system", org="h2")
    assert ledger.findings == ("NO_PERMIT", "OBSERVED_BY_OTHER")
    leaf = ledger.record("access", access(dataset="D1@1", source=two), by="system")
    assert ledger.findings == ("NO_PERMIT", "NO_PERSON", "SEQ_REUSED", "UNREGISTERED")
    assert ledger.value("finding", leaf).codes == ledger.findings


def test_numbers_are_each_organisations_own() -> None:
    ledger = Ledger(make_world(("h1", "h2")))
    for org in ("h1", "h2"):
        ledger.record("access", access(), by="system", org=org)
        assert "SEQ_REUSED" not in ledger.findings


def test_late_records_are_kept_with_a_finding() -> None:
    ledger = Ledger(make_world(backfill_days=1))
    edge = GENESIS_MS + 60_000 - 86_400_000
    ledger.record("access", access(), by="system", at_ms=edge)
    assert "BACKFILLED" not in ledger.findings
    two = Source(seq=2, system="gateway")
    ledger.record("access", access(source=two), by="system", at_ms=edge - 1)
    assert "BACKFILLED" in ledger.findings


def test_coarse_time_is_a_date() -> None:
    ledger = Ledger()
    ledger.record("access", access(), by="system", at="2026-01-01")


@pytest.mark.parametrize("seconds", [-1, 3 * 86_400])
def test_a_use_ends_after_it_began_and_before_it_is_recorded(seconds: int) -> None:
    ledger = Ledger()
    ended = encode_time(GENESIS_MS + seconds * 1_000)
    single = ledger.sign("access", access(ended=ended), by="system", at_ms=GENESIS_MS)
    assert refused(ledger, single) == "U7"
    events = AccessBatchBody(events=(event(1), event(2, ended=ended)))
    assert refused(ledger, ledger.sign("access-batch", events, by="system")) == "U7"
    right = AccessBatchBody(events=(event(1), event(2, ended=encode_time(GENESIS_MS))))
    ledger.record("access-batch", right, by="system")


# --- batches ---


def batch(ledger: Ledger, *events: AccessEvent, **fields: Any) -> tuple[str, ...]:
    """Record a batch; its findings."""
    ledger.record("access-batch", AccessBatchBody(events=events), by="system", **fields)
    return ledger.findings


def test_a_batch_has_the_findings_of_its_events() -> None:
    ledger = Ledger(make_world(backfill_days=1))
    ledger.record("dataset", dataset())
    assert batch(ledger, event(1, person="a"), event(2)) == ("NO_PERMIT", "NO_PERSON")
    assert batch(ledger, event(3), event(4, person="a")) == ("NO_PERMIT", "NO_PERSON")
    assert "SEQ_REUSED" in batch(ledger, event(2))
    assert "SEQ_REUSED" in batch(ledger, event(5), event(5))
    old = encode_time(GENESIS_MS - 10 * 86_400_000)
    assert "BACKFILLED" in batch(ledger, event(6), event(7, at=old))
    assert ledger.value("source", "h1/gateway").count == 7


def test_events_of_the_future_refuse_the_batch() -> None:
    ledger = Ledger()
    body = AccessBatchBody(events=(event(1, at=encode_time(GENESIS_MS + 86_400_000)),))
    assert refused(ledger, ledger.sign("access-batch", body, by="system")) == "S5"


def summary(**changes: Any) -> AccessBatchBody:
    """The summary of events 1 to 3000."""
    fields = {"count": 3000, "first_seq": 1, "last_seq": 3000, "root": DIGEST, "system": "gateway"}
    return AccessBatchBody(summary=BatchSummary(**{**fields, **changes}))  # type: ignore[arg-type]


T2 = (Payload(commit=DIGEST, holders=("h1",), schema="events/1", size_bucket=1, tier="T2"),)


def test_a_summary_uses_its_numbers() -> None:
    ledger = Ledger()
    ledger.record("access-batch", summary(), by="system", payloads=T2)
    assert close(ledger, 3000, 3000) == ()
    assert "SEQ_REUSED" in batch(ledger, event(1500))


@pytest.mark.parametrize(
    ("body", "payloads", "rule"),
    [
        (AccessBatchBody(), T2, "U1"),
        (AccessBatchBody(events=(event(1),), summary=summary().summary), T2, "U1"),
        (summary(count=5), T2, "U2"),
        (summary(count=MAX_SUMMARY + 1, last_seq=MAX_SUMMARY + 1), T2, "U3"),
        (summary(), (), "U4"),
    ],
)
def test_batches_are_well_formed(body: AccessBatchBody, payloads: Any, rule: str) -> None:  # noqa: ANN401
    ledger = Ledger()
    assert (
        refused(ledger, ledger.sign("access-batch", body, by="system", payloads=payloads)) == rule
    )


# --- closing a source ---


def test_a_close_finds_holes() -> None:
    ledger = Ledger()
    batch(ledger, *(event(seq) for seq in (1, 2, 3, 5)))
    assert close(ledger, 5, 5) == ("SEQ_GAP",)
    batch(ledger, event(4))
    assert close(ledger, 5, 0) == ()
    assert ledger.value("source", "h1/gateway").complete == 5


def test_a_close_is_complete_across_chunks() -> None:
    ledger = Ledger()
    ledger.record("access-batch", summary(count=1023, last_seq=1023), by="system", payloads=T2)
    assert close(ledger, 1023, 1023) == ()
    ledger.record(
        "access-batch", summary(count=1024, first_seq=1024, last_seq=2047), by="system", payloads=T2
    )
    assert close(ledger, 2048, 1025) == ("SEQ_GAP",)
    batch(ledger, event(2048))
    assert close(ledger, 2048, 0) == ()


def test_a_close_states_count_and_end() -> None:
    ledger = Ledger()
    batch(ledger, event(1), event(2), event(3))
    assert close(ledger, 2, 2) == ("SEQ_BEYOND_CLOSE",)
    assert close(ledger, 3, 2) == ("COUNT_MISMATCH",)
    assert close(ledger, 4, 1) == ("SEQ_GAP",)


def test_refused_records_leave_no_trace_in_the_state() -> None:
    """A builder that set a record aside comes to the same state as a checker without it."""
    ledger = Ledger()
    own = {"by": "system", "id": "00000000-0000-7000-8000-000000000000"}
    far, more = Source(seq=5_000, system="gateway"), Source(seq=9_000, system="more")
    other = Source(seq=99_999, system="other")
    good = ledger.sign("access", access(), by="system")
    bad = ledger.sign("access", access(source=other), by="officer")
    seen = ledger.sign("access", access(source=far), **own)
    twin = ledger.sign("access", access(source=more), **own)

    def root(raws: list[bytes]) -> str:
        built = build_block(
            ledger.tip,
            [decode_entry(raw) for raw in raws],
            view=1,
            proposer="h1",
            time_ms=GENESIS_MS + 60_000,
            history=ledger.blocks,
            verify=verify,
        )
        return built.seal.state_root

    assert root([good, bad, seen, twin]) == root([good, seen])


# --- corrections and subject logs ---


def test_corrections_are_by_the_authors_organisation() -> None:
    ledger = Ledger(make_world(("h1", "h2")))
    target = ledger.record("access", access(), by="system")
    body = CorrectionBody(
        field_path="body.dataset", new_value="D2", reason_code="typo", target=target
    )
    assert refused(ledger, ledger.sign("correction", body, org="h2")) == "U5"
    empty = CorrectionBody(field_path="body.dataset", reason_code="typo", target=target)
    assert refused(ledger, ledger.sign("correction", empty)) == "U6"
    before = ledger.value("subject", "dataset:D1").count
    ledger.record("correction", body)
    assert ledger.value("subject", "dataset:D1").count == before + 1
    assert ledger.value("subject", f"record:{target}").count == 1
    hidden = CorrectionBody(
        commit="+" * 43, field_path="body.dataset", reason_code="typo", target=target
    )
    assert refused(ledger, ledger.sign("correction", hidden)) == "B4"
    ledger.record("correction", msgspec.structs.replace(hidden, commit=DIGEST))
    assert ledger.value("subject", f"record:{target}").count == 2


def test_subject_logs_chain_all_records_of_a_subject() -> None:
    ledger = Ledger()
    head = bytes(32)
    for seq in range(1, 4):
        leaf = ledger.record(
            "access", access(source=Source(seq=seq, system="gateway")), by="system"
        )
        head = sha256(b"\x04" + head + unb64url(leaf, 32)).digest()
    log = ledger.value("subject", "dataset:D1")
    assert (log.count, log.head) == (3, b64url(head))
    assert ledger.value("subject", "org:h1").count == 5


def test_every_finding_has_its_sentences() -> None:
    assert all(text.en and text.zh for text in FINDINGS.values())
