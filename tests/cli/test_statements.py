"""Building and signing records without a node."""

import uuid

import pytest

from cli.statements import Author, clock_ms, make_body, make_record, new_id, sign
from ledger.crypto import signer_from_p256_scalar, signer_from_seed, verify
from ledger.encoding import decode_time, decode_uuid, encode_uuid7
from ledger.errors import MalformedError
from ledger.records import decode_entry
from ledger.records.catalogue import DatasetBody
from ledger.records.use import AccessBody

ACCESS = {
    "action": "read",
    "activity": "FILE_READ",
    "channel": "file",
    "dataset": "GTEx",
    "outcome": "ok",
    "source": {"seq": 1, "system": "gateway"},
}
CHAIN = "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize("signer", [signer_from_seed(b"s" * 32), signer_from_p256_scalar(7)])
def test_a_signed_record_is_an_entry(signer: object) -> None:
    author = Author(signer, "h1", CHAIN)  # type: ignore[arg-type]
    body = make_body(AccessBody, ACCESS)
    record = make_record("access", body, chain=CHAIN, at_ms=5, record_id=new_id(5))
    signed = sign(author, record)
    entry = decode_entry(signed.raw)
    assert entry.record == record
    assert (entry.leaf, entry.record.id) == (signed.leaf, signed.id)
    assert (entry.statement.iss, entry.statement.sub) == ("h1", "dataset:GTEx")
    assert entry.record.not_after is None
    statement = entry.statement
    message = statement.to_be_signed
    assert verify(statement.alg, author.signer.public_key, statement.signature, message)


def test_a_right_says_until_when_it_may_be_included() -> None:
    body = make_body(DatasetBody, {"custodian": "h1", "openness": "closed", "series_id": "GTEx"})
    record = make_record(
        "dataset", body, chain=CHAIN, at_ms=1000, record_id=new_id(1000), valid_days=2
    )
    assert record.not_after is not None
    assert decode_time(record.not_after) == 1000 + 2 * 86_400_000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action": "destroy"}, "action"),
        ({"source": {"seq": 0, "system": "gateway"}}, "source.seq"),
        ({"outcome": None}, "outcome"),
        ({"source": {"seq": 1}}, "source.system"),
        ({"dataset": ""}, "dataset"),
        ({"dataset": 7}, "dataset"),
    ],
)
def test_a_value_that_the_schema_does_not_take_is_named(
    change: dict[str, object], field: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        make_body(AccessBody, {**ACCESS, **change})
    assert (caught.value.rule, caught.value.facts["field"]) == ("X2", field)


def test_ids_are_uuid7() -> None:
    now = clock_ms()
    made = {new_id(now) for _ in range(100)}
    assert len(made) == 100
    for text in made:
        decode_uuid(text)
        assert uuid.UUID(text).variant == uuid.RFC_4122
    assert encode_uuid7(0, bytes(10)) == "00000000-0000-7000-8000-000000000000"
    assert encode_uuid7(2**48 - 1, b"\xff" * 32) == "ffffffff-ffff-7fff-bfff-ffffffffffff"
