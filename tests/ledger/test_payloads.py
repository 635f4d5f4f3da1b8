"""Payloads beside the chain: one form, and commitments that say nothing and bind everything."""

import pytest

from ledger.encoding import b64url
from ledger.errors import AllianceError, MalformedError, ProofError, TooLargeError
from ledger.records.payloads import (
    MAX_PAYLOAD_BYTES,
    check_commitment,
    check_deposited,
    commit_of,
    commitment,
    decode_deposit,
    decode_payload,
    encode_deposit,
    encode_payload,
    make_deposit,
    payload_of,
    reference,
    size_bucket,
)

SALT = bytes(range(32))
VALUE = {"zh": "脓毒症标准数据集", "en": "Sepsis standard dataset", "n": 7, "x": [True, None]}


def test_a_payload_has_one_form() -> None:
    data = encode_payload(VALUE)
    assert decode_payload(data) == VALUE
    for wrong in (
        b"[]", b"", b"{", b'{"b":1,"a":2}', b'{"a":1 }', b'{"a":1,"a":1}', b'{"a":1.5}',
        b'{"a":9007199254740992}', '{"é":1}'.encode(), b"\xff", b"[" * 5_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            decode_payload(wrong)
    with pytest.raises(TooLargeError, match="T1"):
        encode_payload({"a": "x" * MAX_PAYLOAD_BYTES})


def test_names_of_people_may_hold_rare_characters() -> None:
    assert decode_payload(encode_payload({"name": "𫠆"})) == {"name": "𫠆"}


def test_a_commitment_binds_payload_and_salt() -> None:
    data = encode_payload(VALUE)
    commit = commitment(SALT, data)
    assert commit == "6k3-tDCBL_SksVYt-_xYmv6d7K6JV5xzy_1U9xxGb6g"
    check_commitment(commit, SALT, data)
    for salt, payload in ((SALT[::-1], data), (SALT, data + b" "), (SALT[:-1], data)):
        with pytest.raises(ProofError, match="T2"):
            check_commitment(commit, salt, payload)


def test_a_deposit_is_read_in_one_form_only() -> None:
    deposit = make_deposit(VALUE, SALT, "T2", "person/1", ("h2", "h1", "h2"), "person:p1")
    assert deposit.holders == ("h1", "h2")
    data = encode_deposit(deposit)
    assert decode_deposit(data) == deposit
    assert payload_of(deposit) == encode_payload(VALUE)
    named = reference(deposit)
    assert (named.commit, named.tier) == (commit_of(deposit), "T2")
    assert named.size_bucket == 256
    check_deposited(deposit, named.commit)
    with pytest.raises(ProofError, match="T2"):
        check_deposited(deposit, b64url(bytes(32)))
    for wrong in (
        data[:-1],
        data + b" ",
        data.replace(b'"T2"', b'"T3"'),
        data.replace(b"person:p1", b"someone:1"),
        data.replace(b'"h1",', b'"h1", '),
        data.replace(b'"n":7', b'"n":7.5'),
        b"x" * (MAX_PAYLOAD_BYTES + 10_000),
    ):
        with pytest.raises(AllianceError):
            decode_deposit(wrong)


@pytest.mark.parametrize("group", ["person:", "p1", "payload:x", "person:a b", "x" * 200])
def test_a_group_is_a_person_or_a_study(group: str) -> None:
    with pytest.raises(MalformedError, match="S1"):
        make_deposit(VALUE, SALT, "T2", "person/1", ("h1",), group)


@pytest.mark.parametrize(("size", "bucket"), [(1, 256), (256, 256), (257, 512), (1025, 2048)])
def test_a_size_is_told_coarsely(size: int, bucket: int) -> None:
    assert size_bucket(size) == bucket
