"""The only bytes-to-values and values-to-bytes: statements, canonical JSON, text forms (SPEC 2;
formats.md F9, F10).

Every decoder gives the one value that its bytes stand for, or raises `MalformedError` with the rule
and the offset.
"""

import base64
import binascii
import re
import struct
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec
from msgspec import inspect

from ledger.errors import MalformedError, TooLargeError, ensure

JsonValue = None | bool | int | str | list["JsonValue"] | dict[str, "JsonValue"]

MAX_ENTRY_BYTES = 65_535
MAX_INTEGER = 2**53 - 1

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoders of msgspec raise for bytes of others: no value of the form; a string that is no
UTF-8; values inside one another without end.
"""
MAX_JSON_DEPTH = 32
"""Objects and arrays within each other. A fixed number: where Python's own stack ends differs."""

# --- JSON (RFC 8785, restricted) ---

_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_DECODE = msgspec.json.Decoder().decode
# A table that every Python carries unchanged: newer ones differ between versions, and one string
# could split a network.
_UNICODE = unicodedata.ucd_3_2_0


def canonical_json(value: object) -> bytes:
    """RFC 8785 of a value without floats.

    Structs whose declared types admit nothing else than the restricted form are encoded as they
    stand; their strings and integers are bounded where they are decoded, by schema. All other
    values are checked. Raises `MalformedError` (B2, B3) for what the restricted form cannot hold.
    """
    if isinstance(value, msgspec.Struct):
        if _is_canonical_by_type(type(value)):
            return _ENCODE(value)
        value = msgspec.to_builtins(value)
    check_json(value)
    return _ENCODE(value)


@lru_cache(maxsize=512)
def _is_canonical_by_type(kind: type[msgspec.Struct]) -> bool:
    """Whether every value of this type encodes to sorted ASCII keys without floats."""
    return _admits_no_other(inspect.type_info(kind), ())


_EXACT = (inspect.NoneType, inspect.BoolType, inspect.IntType, inspect.StrType, inspect.LiteralType)


def _admits_no_other(info: inspect.Type, above: tuple[type, ...]) -> bool:
    match info:
        case inspect.StructType(cls=kind, tag=None, array_like=False, fields=fields):
            names = [field.encode_name for field in fields]
            return names == sorted(names) and all(
                kind in above or _admits_no_other(field.type, (*above, kind)) for field in fields
            )
        case inspect.UnionType(types=types):
            return all(_admits_no_other(one, above) for one in types)
        case inspect.ListType() | inspect.VarTupleType():
            return _admits_no_other(info.item_type, above)
        case inspect.TupleType(item_types=types):
            return all(_admits_no_other(one, above) for one in types)
        case _:
            return isinstance(info, _EXACT)


def decode_json(data: bytes) -> JsonValue:
    """The value of canonical JSON. Raises `MalformedError` (B2, B3)."""
    try:
        value: JsonValue = _DECODE(data)
    except UNREADABLE:
        raise MalformedError("B2") from None
    if canonical_json(value) != data:
        raise MalformedError("B2")
    return value


def check_json(
    value: object, depth: int = 0, check_text: Callable[[str], None] | None = None
) -> None:
    """B2, B3: ASCII keys, no floats, integers within +-(2^53 - 1), well-formed strings, at most
    `MAX_JSON_DEPTH` objects and arrays within each other. `check_text` stands in for
    `check_string` outside the chain.
    """
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        (check_text or check_string)(value)
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise MalformedError("B2.integer")
    elif isinstance(value, (list, tuple, dict)):
        if depth == MAX_JSON_DEPTH:
            raise MalformedError("B2.depth", limit=MAX_JSON_DEPTH)
        if isinstance(value, dict):
            for key in value:
                _check_key(key)
        for item in value.values() if isinstance(value, dict) else value:
            check_json(item, depth + 1, check_text)
    else:
        raise MalformedError("B2.type", type=type(value).__name__)


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not key.isascii():
        raise MalformedError("B2.key")
    check_string(key)


def check_string(text: str) -> None:
    """B3: NFC and assigned in Unicode 3.2, no control characters."""
    if text.isascii():
        if not text.isprintable():
            raise MalformedError("B3")
        return
    if any(
        _UNICODE.category(c) in ("Cc", "Cn", "Cs", "Co") for c in text
    ) or not _UNICODE.is_normalized("NFC", text):
        raise MalformedError("B3")


# --- text forms ---

_URL = re.compile(r"\A[A-Za-z0-9_-]*\Z", re.ASCII)
_TO_URL = bytes.maketrans(b"+/", b"-_")


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def unb64url(text: str, length: int | None = None) -> bytes:
    """The bytes of base64url without padding. Raises `MalformedError` (B4) unless it is their one
    form.
    """
    if _URL.match(text) is None or len(text) % 4 == 1:
        raise MalformedError("B4")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url(data) != text or (length is not None and len(data) != length):
        raise MalformedError("B4")
    return data


def b64(data: bytes) -> str:
    """base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def unb64(text: str, length: int | None = None) -> bytes:
    """The bytes of base64 with padding. Raises `MalformedError` (B4) unless it is their one
    form.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise MalformedError("B4") from None
    if b64(data) != text or (length is not None and len(data) != length):
        raise MalformedError("B4")
    return data


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_MINUTE = re.compile(r"\A\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:\Z", re.ASCII)
# Every form that the end of an instant may have: looking it up is faster than reading it.
_SECONDS = {f"{second:02}.": second * 1000 for second in range(60)}
_MILLISECONDS = {f"{ms:03}Z": ms for ms in range(1000)}
_DATE_SIZE = 10
_DATE = re.compile(r"\A\d{4}-\d\d-\d\d\Z", re.ASCII)


def encode_time(ms: int) -> str:
    """POSIX milliseconds as `2026-11-23T04:52:00.123Z`."""
    return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def decode_time(text: str) -> int:
    """POSIX milliseconds of an instant with exactly three decimals, from 1970 on. Raises
    `MalformedError` (B5).
    """
    try:
        return _minute_ms(text[:17]) + _SECONDS[text[17:20]] + _MILLISECONDS[text[20:]]
    except KeyError:
        raise MalformedError("B5") from None


def decode_moment(text: str) -> int:
    """POSIX milliseconds of an instant, or of the start of a date where time is coarse. Raises
    `MalformedError` (B5).
    """
    return decode_date(text) if len(text) == _DATE_SIZE else decode_time(text)


def decode_moments(texts: Sequence[str]) -> tuple[int, ...]:
    """`decode_moment` of each, of many instants at once in half the time. Raises `MalformedError`
    (B5).
    """
    seconds, milliseconds = _SECONDS, _MILLISECONDS
    try:
        return tuple(
            [
                _minute_ms(text[:17]) + seconds[text[17:20]] + milliseconds[text[20:]]
                for text in texts
            ]
        )
    except (KeyError, MalformedError):
        # One is a date, or nothing at all.
        return tuple([decode_moment(text) for text in texts])


@lru_cache(maxsize=1024)
def _minute_ms(text: str) -> int:
    """POSIX milliseconds of `2026-11-23T04:52:`. Raises `MalformedError` (B5)."""
    if _MINUTE.match(text) is None:
        raise MalformedError("B5")
    return decode_date(text[:10]) + int(text[11:13]) * 3_600_000 + int(text[14:16]) * 60_000


@lru_cache(maxsize=1024)
def decode_date(text: str) -> int:
    """POSIX milliseconds of the start of a date, `2026-11-23`, from 1970 on. Raises
    `MalformedError` (B5).
    """
    if _DATE.match(text) is None:
        raise MalformedError("B5")
    try:
        days = date.fromisoformat(text).toordinal() - _EPOCH.toordinal()
    except ValueError:
        raise MalformedError("B5") from None
    if days < 0:
        raise MalformedError("B5")
    return days * _DAY_MS


_UUID = re.compile(
    r"\A[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", re.ASCII
)


def decode_uuid(text: str) -> bytes:
    """The 16 bytes of a lower-case UUID of version 4 or 7 (RFC 9562). Raises `MalformedError`
    (B6).
    """
    if _UUID.match(text) is None:
        raise MalformedError("B6")
    return bytes.fromhex(text.replace("-", ""))


def encode_uuid7(at_ms: int, chance: bytes) -> str:
    """The UUIDv7 (RFC 9562) of a time; `chance` gives at least ten bytes, of which 74 bits are
    used.
    """
    value = at_ms << 80 | int.from_bytes(chance[:10], "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# --- signed statements ---


class Statement(msgspec.Struct, frozen=True, gc=False):
    """A signed statement of the one allowed form, with its parts as they stand in `raw`."""

    raw: bytes
    protected: bytes
    alg: int
    kid: bytes
    iss: str
    sub: str
    payload: bytes
    signature: bytes
    to_be_signed: bytes
    """The bytes that the signature covers: `signature_input` of header and payload."""


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major | length])
    if length < 0x100:
        return bytes([major | 24, length])
    if length < 0x10000:
        return bytes([major | 25]) + length.to_bytes(2, "big")
    # No entry is as long as this; but the signed bytes are made before the entry is.
    return bytes([major | 26]) + length.to_bytes(4, "big")


_SIGNATURE1 = b"\x84\x6aSignature1"
_ALG_BYTES = {-8: b"\x27", -7: b"\x26"}
_ALGS = {0x27: -8, 0x26: -7}


def encode_protected(alg: int, kid: bytes, iss: str, sub: str) -> bytes:
    """The protected header, `{1: alg, 3: 50, 4: kid, 15: {1: iss, 2: sub}}`, in core-deterministic
    CBOR.
    """
    ensure(len(kid) == 16, "a key id has 16 bytes")
    issuer, subject = iss.encode(), sub.encode()
    return b"".join((
        b"\xa4\x01", _ALG_BYTES[alg], b"\x03\x18\x32\x04\x50", kid, b"\x0f\xa2\x01",
        _head(0x60, len(issuer)), issuer, b"\x02", _head(0x60, len(subject)), subject,
    ))  # fmt: skip


def signature_input(protected: bytes, payload: bytes) -> bytes:
    """CBOR of `["Signature1", protected, h'', payload]` (RFC 9052 section 4.4)."""
    return b"".join((
        _SIGNATURE1, _head(0x40, len(protected)), protected, b"\x40", _head(0x40,
        len(payload)), payload,
    ))  # fmt: skip


def encode_statement(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The statement of these parts. Raises `TooLargeError` (B7) beyond 65,535 bytes."""
    ensure(len(signature) == 64, "a signature has 64 bytes")
    raw = b"".join((
        b"\xd2\x84", _head(0x40, len(protected)), protected, b"\xa0", _head(0x40, len(payload)),
        payload,
        b"\x58\x40", signature,
    ))  # fmt: skip
    if len(raw) > MAX_ENTRY_BYTES:
        raise TooLargeError("B7", size=len(raw))
    return raw


def decode_statement(raw: bytes) -> Statement:
    """The statement of these bytes, if they are of the one form (SPEC 2.1).

    Raises `MalformedError` (B1, B3) with the offset of what is not as it must be, and
    `TooLargeError` (B7).
    """
    if len(raw) > MAX_ENTRY_BYTES:
        raise TooLargeError("B7", size=len(raw))
    if raw[:2] != b"\xd2\x84":
        raise MalformedError("B1.tag", offset=0)
    try:
        start, end = _string(raw, 2, 0x40, 0)
        protected = raw[start:end]
        if raw[end] != 0xA0:
            raise MalformedError("B1.unprotected", offset=end)
        body, after = _string(raw, end + 1, 0x40, 0)
    except IndexError:
        raise MalformedError("B1.truncated", offset=len(raw)) from None
    if raw[after : after + 2] != b"\x58\x40" or len(raw) != after + 66:
        raise MalformedError("B1.signature", offset=after)
    try:
        # Most statements have one of a few headers; long ones are not worth the memory.
        read = _known_protected if len(protected) <= 256 else _decode_protected
        alg, kid, iss, sub = read(protected, start)
    except IndexError:
        raise MalformedError("B1.truncated", offset=end) from None
    # Header and payload stand in what is signed as they stand here, behind the same heads.
    signed = b"".join((_SIGNATURE1, raw[2:end], b"\x40", raw[end + 1 : after]))
    return Statement(raw, protected, alg, kid, iss, sub, raw[body:after], raw[after + 2 :], signed)


def _string(data: bytes, at: int, major: int, base: int) -> tuple[int, int]:
    """Where a byte or text string of the shortest head begins and ends in `data`, which itself
    begins at `base`.
    """
    head = data[at] - major
    if 0 <= head < 24:
        start, length = at + 1, head
    elif head == 24:
        start, length = at + 2, data[at + 1]
        if length < 24:
            raise MalformedError("B1.head", offset=base + at)
    elif head == 25:
        start, length = at + 3, data[at + 1] << 8 | data[at + 2]
        if length < 256:
            raise MalformedError("B1.head", offset=base + at)
    else:
        raise MalformedError("B1.head", offset=base + at)
    end = start + length
    if end > len(data):
        raise MalformedError("B1.truncated", offset=base + len(data))
    return start, end


def _decode_protected(header: bytes, base: int) -> tuple[int, bytes, str, str]:
    alg = _ALGS.get(header[2])
    if alg is None or header[:2] != b"\xa4\x01" or header[3:8] != b"\x03\x18\x32\x04\x50":
        raise MalformedError("B1.protected", offset=base)
    if header[24:27] != b"\x0f\xa2\x01":
        raise MalformedError("B1.protected", offset=base + 24)
    start, end = _string(header, 27, 0x60, base)
    if header[end] != 0x02:
        raise MalformedError("B1.protected", offset=base + end)
    first, last = _string(header, end + 1, 0x60, base)
    if last != len(header):
        raise MalformedError("B1.protected", offset=base + last)
    issuer = _text(header[start:end], base + start)
    return alg, header[8:24], issuer, _text(header[first:last], base + first)


_known_protected = lru_cache(maxsize=4096)(_decode_protected)


def _text(data: bytes, offset: int) -> str:
    try:
        text = data.decode()
        check_string(text)
    except UnicodeDecodeError:
        raise MalformedError("B1.text", offset=offset) from None
    except MalformedError as error:
        raise MalformedError(error.rule, offset=offset) from None
    return text


# --- bundles (C2SP tlog-tiles) ---


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries in a row, each after its length as a big-endian uint16. Raises `TooLargeError`
    (B7).
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TooLargeError("B7", size=len(entry))
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `MalformedError` (B8) when it does not end with an entry."""
    entries = []
    at, end = 0, len(data)
    while at < end:
        if at + 2 > end:
            raise MalformedError("B8", offset=at)
        (length,) = struct.unpack_from(">H", data, at)
        at += 2
        if at + length > end:
            raise MalformedError("B8", offset=at)
        entries.append(data[at : at + length])
        at += length
    return entries
