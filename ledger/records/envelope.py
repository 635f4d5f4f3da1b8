"""The envelope that every record shares, and the one way from bytes to a value (definitions.md 3;
SPEC R).
"""

import re
from hashlib import sha256
from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from ledger.encoding import UNREADABLE, Statement, check_string
from ledger.errors import MalformedError

B = TypeVar("B")

# Open strings are short: the ledger holds codes and names, never prose (S8 guards what they say).
Code = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:/-]*\Z")
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Pid = Annotated[str, msgspec.Meta(min_length=32, max_length=32, pattern=r"\A[0-9a-f]{32}\Z")]
"""A person in one study: 128 random bits in hex, never derived from anything (domain.md D12)."""
Digest = Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
"""A SHA-256 value, base64url without padding."""
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Integer = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
Instant = Annotated[str, msgspec.Meta(min_length=24, max_length=24)]
"""UTC with three decimals, `2026-11-23T04:52:00.123Z`."""


class Shape(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    """A closed JSON object. Subclasses declare their fields in sorted order, so that encoding is
    canonical.

    Frozen values hold no cycles: the collector need not look at them.
    """


class Ref(Shape, frozen=True, kw_only=True):
    """A reference to an earlier entry by its leaf hash; `rel` says what it is to this record."""

    leaf: Digest
    rel: Literal["resolution", "previous", "source", "basis"]


class Payload(Shape, frozen=True, kw_only=True):
    """A commitment to a payload that lives outside the chain (domain.md D12)."""

    commit: Digest
    holders: tuple[Code, ...]
    schema: Code
    size_bucket: Natural
    tier: Literal["T1", "T2"]


class Record(Shape, Generic[B], frozen=True, kw_only=True):
    """What is signed. `chain` is absent in the genesis alone; `not_after` stands on rights-
    conferring records.
    """

    at: str
    body: B
    chain: str | None = None
    id: str
    not_after: Instant | None = None
    payloads: tuple[Payload, ...] = ()
    refs: tuple[Ref, ...] = ()
    type: str
    v: Literal[1]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One leaf of the tree: the bytes as received, their leaf hash, and what they say."""

    raw: bytes
    leaf: bytes
    statement: Statement
    record: Record  # type: ignore[type-arg]  # the body's type is known from `record.type`
    id_key: bytes
    """`kid || id`, unique on a chain (S6): nobody can burn another's id."""
    targets: tuple[bytes, ...]
    """The earlier entries whose type and subject the rules ask for."""
    named: tuple[bytes, ...]
    """All earlier entries that the record names, in order."""


TAIL = re.compile(rb',"type":"([a-z-]{1,32})","v":1(?:,"view":[0-9]{1,16})?\}\Z')
"""Canonical records end in their type and version; a seal's `view` sorts after them."""

BACKSLASH, DELETE = b"\\\x7f"

LEAF_PREFIX = sha256(b"\x00")


def type_of(payload: bytes) -> str:
    """The type that a payload claims, read from its tail without parsing the rest.

    Raises `MalformedError` (S1.tail) where the tail is not that of a canonical record of version 1.
    """
    found = TAIL.search(payload, max(0, len(payload) - 96))
    if found is None:
        raise MalformedError("S1.tail")
    return found.group(1).decode()


ENCODE = msgspec.json.Encoder(order="deterministic").encode


def decode_canonical(payload: bytes, decoder: "msgspec.json.Decoder[B]") -> B:
    """`decode_shape` of what goes on the chain: its texts are well-formed, too (B3)."""
    value = decode_shape(payload, decoder)
    # JSON escapes every control character but one, which ASCII has as well. Both are given as
    # numbers, which Python looks for in a third of the time that strings of one byte take.
    if not payload.isascii() or BACKSLASH in payload or DELETE in payload:
        _check_text(payload)
    return value


def decode_shape(payload: bytes, decoder: "msgspec.json.Decoder[B]") -> B:
    """The one value of these canonical bytes, by schema. The re-encoding must give the same bytes
    (S2).
    """
    try:
        value = decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise MalformedError("S1", field=_field(error)) from None
    except UNREADABLE:
        raise MalformedError("S2.json") from None
    if ENCODE(value) != payload:
        raise MalformedError("S2")
    return value


def _check_text(payload: bytes) -> None:
    """Strings are NFC of a pinned Unicode version and hold no control character (SPEC B3)."""
    for text in _strings(msgspec.json.decode(payload)):
        check_string(text)


def _strings(value: object) -> "list[str]":
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    return []


def _field(error: msgspec.ValidationError) -> str:
    """The path that msgspec names, `$.body.dataset`; unknown fields are named at the end of its
    message.
    """
    message = str(error)
    path = message.rpartition(" - at `")[2].rstrip("`") if " - at `" in message else "$"
    unknown = re.search(r"unknown field `([!-_a-~]{1,64})`", message)
    return f"{path}.{unknown.group(1)}" if unknown else path
