"""Every decoder that meets strangers' bytes gives a value or an error of the house: nothing else,
whatever the bytes.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.consensus import decode_certificate
from ledger.crypto import Signer, signer_from_seed
from ledger.encoding import (
    decode_bundle,
    decode_date,
    decode_json,
    decode_statement,
    decode_time,
    decode_uuid,
    unb64,
    unb64url,
)
from ledger.errors import AllianceError
from ledger.members import decode_config
from ledger.merkle import parse_tile_path
from ledger.notes import decode_checkpoint, decode_note
from ledger.records import decode_entry
from ledger.records.payloads import decode_deposit, decode_payload, encode_deposit, make_deposit
from ledger.verify import decode_receipt
from node.apikeys import ApiKeys
from node.client import error_of
from node.httpsig import Head, Key, Request, Verifier, sign_request
from node.store import parse_query
from node.vaultkeys import decode_keys
from node.wire import Exchange, decode_exchange, encode_exchange
from tests.support.world import make_world

WORLD = make_world()
SIGNER: Signer = signer_from_seed(bytes(32))
DEPOSIT = encode_deposit(make_deposit({"a": "b"}, bytes(32), "T2", "text/1", ("h1",)))
SAMPLES = (
    WORLD.access(seq=1),
    WORLD.bundle,
    DEPOSIT,
    encode_exchange(Exchange(v=1, pin=bytes(32), entries=(WORLD.access(seq=2),))),
    b"x\n3\nAAAA\n\n\xe2\x80\x94 x AAAA\n",
)
BYTES: dict[str, Callable[[bytes], object]] = {
    "bundle": decode_bundle,
    "certificate": decode_certificate,
    "checkpoint": decode_checkpoint,
    "config": decode_config,
    "deposit": decode_deposit,
    "entry": decode_entry,
    "exchange": decode_exchange,
    "json": decode_json,
    "note": decode_note,
    "payload": decode_payload,
    "receipt": decode_receipt,
    "statement": decode_statement,
    "vault keys": decode_keys,
}
TEXTS: dict[str, Callable[[str], object]] = {
    "base64": unb64,
    "base64url": unb64url,
    "date": decode_date,
    "tile path": parse_tile_path,
    "time": decode_time,
    "uuid": decode_uuid,
}


def refusal(work: Callable[[], object]) -> AllianceError | None:
    """The error of the house that a piece of work ends in; any other one fails the test."""
    try:
        work()
    except AllianceError as error:
        return error
    return None


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """Something true with a few bytes changed, cut out or put in; or nothing true at all."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@pytest.mark.parametrize("name", BYTES)
@given(data=changed())
def test_bytes_of_strangers_are_a_value_or_an_error_of_ours(name: str, data: bytes) -> None:
    error = refusal(lambda: BYTES[name](data))
    assert error is None or error.sentence("zh")


@pytest.mark.parametrize("name", TEXTS)
@given(text=st.text(max_size=80))
def test_texts_of_strangers_are_a_value_or_an_error_of_ours(name: str, text: str) -> None:
    error = refusal(lambda: TEXTS[name](text))
    assert error is None or error.sentence("zh")


@given(items=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=6))
def test_questions_of_strangers(items: list[tuple[str, str]]) -> None:
    error = refusal(lambda: parse_query(items))
    assert error is None or error.rule[0] == "Q"


@given(
    field=st.sampled_from(["signature", "signature-input", "content-digest"]),
    text=st.text(max_size=200),
    at=st.integers(0, 250),
)
def test_header_fields_of_strangers_are_no_authors(field: str, text: str, at: int) -> None:
    request = Request("GET", "127.0.0.1", "/x", "?", "a/b", b"")
    headers = sign_request(request, SIGNER, 1_000, bytes(16))
    old = headers[field]
    headers[field] = old[:at] + text + old[at + len(text) :]
    if headers[field] == old:
        return
    with pytest.raises(AllianceError, match="H"):
        Verifier().check(
            Head(*request[:5]), headers, lambda _kid: Key(SIGNER.alg, SIGNER.public_key), 1_000
        )


@given(given_key=st.text(max_size=80))
def test_api_keys_of_strangers_are_none(
    tmp_path_factory: pytest.TempPathFactory, given_key: str
) -> None:
    keys = ApiKeys(tmp_path_factory.getbasetemp() / "none")
    with pytest.raises(AllianceError, match="P5"):
        keys.find(given_key, 0)


PROBLEM = st.dictionaries(
    st.sampled_from(["rule", "code", "facts", "detail"]),
    st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["H2", "T4", "S3.org", "O9"]),
              st.dictionaries(st.text(max_size=5), st.integers(), max_size=3)),
)  # fmt: skip


@given(problem=PROBLEM)
def test_problems_of_strangers_are_errors_with_sentences(problem: dict[str, Any]) -> None:
    """What a node says to a command may be anything, too."""
    assert error_of(problem).sentence("en")
