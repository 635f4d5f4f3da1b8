"""Our encoders and decoders against those of others: rfc8785, cbor2, the standard library."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import cbor2
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.encoding import (
    MAX_ENTRY_BYTES,
    MAX_INTEGER,
    JsonValue,
    Statement,
    b64,
    b64url,
    canonical_json,
    check_string,
    decode_bundle,
    decode_date,
    decode_json,
    decode_statement,
    decode_time,
    encode_bundle,
    encode_protected,
    encode_statement,
    encode_time,
    signature_input,
    unb64,
    unb64url,
)
from ledger.errors import MalformedError, TooLargeError


def is_taken(text: str) -> bool:
    """Whether a string is of the restricted form."""
    try:
        check_string(text)
    except MalformedError:
        return False
    return True


def attempt(call: Callable[..., object], *given: object) -> object:
    """What a call gives, or the error by which it refuses."""
    try:
        return call(*given)
    except MalformedError as error:
        return error


ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
chinese = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=30)
texts = st.one_of(ascii_text, chinese, st.text(max_size=10).filter(is_taken))
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(ascii_text, inner, max_size=5)
    ),
    max_leaves=20,
)
wild = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
edits = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 3), st.binary(max_size=3)),
    min_size=1,
    max_size=3,
)


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Some bytes cut out and others put in."""
    for at, gone, new in changes:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + gone :]
    return data


# --- JSON ---


@given(values)
def test_values_are_encoded_as_rfc8785_does_and_come_back(value: JsonValue) -> None:
    data = canonical_json(value)
    assert data == rfc8785.dumps(value)
    assert decode_json(data) == value


@given(wild)
def test_whatever_is_taken_equals_rfc8785(value: object) -> None:
    try:
        data = canonical_json(value)
    except MalformedError:
        return
    assert data == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(values, edits)
def test_mutated_json_is_refused_or_is_what_rfc8785_makes_of_it(
    value: JsonValue, changes: list[tuple[int, int, bytes]]
) -> None:
    data = mutated(canonical_json(value), changes)
    found = attempt(decode_json, data)
    if isinstance(found, MalformedError):
        assert found.rule[:2] in ("B2", "B3")
    else:
        assert rfc8785.dumps(found) == data  # type: ignore[arg-type]


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        found = decode_json(data)
    except MalformedError:
        return
    assert rfc8785.dumps(found) == data


# --- statements ---

statements = st.tuples(
    st.sampled_from([-8, -7]),
    st.binary(min_size=16, max_size=16),
    texts,
    texts,
    st.one_of(
        st.binary(max_size=300),
        st.integers(65_000, 66_000).map(lambda size: b"x" * size),
    ),
    st.binary(min_size=64, max_size=64),
)
Parts = tuple[int, bytes, str, str, bytes, bytes]


def by_cbor2(parts: Parts) -> bytes:
    """The statement of these parts, made by a general encoder."""
    alg, kid, iss, sub, payload, signature = parts
    header = {1: alg, 3: 50, 4: kid, 15: {1: iss, 2: sub}}
    protected = cbor2.dumps(header, canonical=True)
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]), canonical=True)


@given(statements)
def test_statements_are_those_of_a_general_encoder(parts: Parts) -> None:
    alg, kid, iss, sub, payload, signature = parts
    protected = encode_protected(alg, kid, iss, sub)
    raw = by_cbor2(parts)
    to_sign = signature_input(protected, payload)
    assert to_sign == cbor2.dumps(["Signature1", protected, b"", payload])
    if len(raw) > MAX_ENTRY_BYTES:
        for refusal in (
            attempt(encode_statement, protected, payload, signature),
            attempt(decode_statement, raw),
        ):
            assert isinstance(refusal, TooLargeError)
            assert refusal.facts["size"] == len(raw)
        return
    assert encode_statement(protected, payload, signature) == raw
    found = decode_statement(raw)
    assert (found.alg, found.kid, found.iss, found.sub, found.payload, found.signature) == parts
    assert (found.raw, found.protected, found.to_be_signed) == (raw, protected, to_sign)


def agrees_with_cbor2(raw: bytes) -> bool:
    """Decodes these bytes; if they are taken, the general decoder reads the same from them and
    encodes it to the same bytes.
    """
    found = attempt(decode_statement, raw)
    if isinstance(found, MalformedError):
        offset = found.facts["offset"]
        assert isinstance(offset, int)
        assert 0 <= offset <= len(raw)
        return False
    assert isinstance(found, Statement)
    tag = cbor2.loads(raw)
    protected, unprotected, payload, signature = tag.value
    header = cbor2.loads(protected)
    assert (tag.tag, unprotected) == (18, {})
    assert header == {1: found.alg, 3: 50, 4: found.kid, 15: {1: found.iss, 2: found.sub}}
    assert (protected, payload, signature) == (found.protected, found.payload, found.signature)
    parts = (found.alg, found.kid, found.iss, found.sub, found.payload, found.signature)
    assert by_cbor2(parts) == raw
    return True


@given(statements, edits)
def test_mutated_statements_are_refused_with_the_place_or_are_of_the_one_form(
    parts: Parts, changes: list[tuple[int, int, bytes]]
) -> None:
    assume(len(parts[4]) <= 300)
    agrees_with_cbor2(mutated(by_cbor2(parts), changes))


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_refused_with_the_place(data: bytes, begun: bool) -> None:
    agrees_with_cbor2(b"\xd2\x84" + data if begun else data)


def test_every_byte_of_a_statement_in_every_value() -> None:
    """Exhaustive over single bytes: those of the key id, texts, payload and signature are free."""
    good = by_cbor2((-8, bytes(16), "h1", "s", b"{}", bytes(64)))
    taken = 0
    for at in range(len(good)):
        for byte in range(256):
            taken += agrees_with_cbor2(good[:at] + bytes([byte]) + good[at + 1 :])
        assert not agrees_with_cbor2(good[:at])
    free = (16 + 2 + 64) * 256
    assert free <= taken <= free + 3 * 95 + (len(good) - 85) * 2


# --- text forms ---


@given(st.binary(max_size=100))
def test_base64_is_that_of_the_standard_library(data: bytes) -> None:
    assert b64(data) == base64.standard_b64encode(data).decode()
    assert b64url(data) == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert unb64(b64(data), len(data)) == data == unb64url(b64url(data), len(data))


@given(st.one_of(st.text(max_size=12), st.text("ABab01-_+/=\n ", max_size=12)))
def test_any_text_is_refused_or_the_one_base64_of_its_bytes(text: str) -> None:
    for decode, encode in ((unb64, b64), (unb64url, b64url)):
        data = attempt(decode, text)
        if isinstance(data, bytes):
            assert encode(data) == text
        else:
            assert isinstance(data, MalformedError)
            assert data.rule == "B4"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_those_of_the_standard_library(ms: int) -> None:
    text = encode_time(ms)
    moment = EPOCH + timedelta(milliseconds=ms)
    assert text == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert decode_time(text) == ms
    assert decode_date(text[:10]) == ms // 86_400_000 * 86_400_000


@given(st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z?\Z"))
def test_any_time_is_refused_or_the_one_form_of_its_moment(text: str) -> None:
    ms = attempt(decode_time, text)
    if isinstance(ms, int):
        assert encode_time(ms) == text
    else:
        assert isinstance(ms, MalformedError)
        assert ms.rule == "B5"


@given(st.lists(st.binary(max_size=40), max_size=6), edits)
def test_bundles_come_back_and_mutated_ones_have_one_form(
    entries: list[bytes], changes: list[tuple[int, int, bytes]]
) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data) == entries
    other = mutated(data, changes)
    found = attempt(decode_bundle, other)
    if isinstance(found, list):
        assert encode_bundle(found) == other
    else:
        assert isinstance(found, MalformedError)
        assert found.rule == "B8"
