"""Building and signing records: pure functions, no node needed. The key stays with the signer.

Time and chance come in from the caller (`clock_ms`, `new_id` are the two doors of the command
line).
"""

import re
import secrets
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ledger.crypto import EDDSA, Signer
from ledger.encoding import (
    b64url,
    encode_protected,
    encode_statement,
    encode_time,
    encode_uuid7,
    signature_input,
)
from ledger.errors import MalformedError
from ledger.records.envelope import ENCODE, Payload, Record, Ref, Shape
from ledger.records.governance import KeyClaim, KeyDescription, claim_bytes
from ledger.rules import RIGHTS
from ledger.rules.subjects import subjects_of

DAY_MS: Final = 86_400_000
T = TypeVar("T", bound=Shape)


class Author(NamedTuple):
    """Who signs: a key, the organisation that it belongs to, and the chain that it signs for."""

    signer: Signer
    org: str
    chain: str


class Signed(NamedTuple):
    """A signed entry, ready to be posted: its id, its leaf hash and its bytes."""

    id: str
    leaf: bytes
    raw: bytes


def clock_ms() -> int:
    """Now, in POSIX milliseconds."""
    return time.time_ns() // 1_000_000


def new_id(at_ms: int) -> str:
    """A new id for a record of this time."""
    return encode_uuid7(at_ms, secrets.token_bytes(10))


def make_body(kind: type[T], fields: Mapping[str, object]) -> T:
    """A body of this type from its fields; None stands for a field left out.

    Raises `MalformedError` (X2) naming the field that its schema does not take.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise MalformedError("X2", field=_field(str(error)) or kind.__name__) from None


def _field(message: str) -> str:
    """The field that a message of msgspec's is about, as far as it says."""
    _before, at, path = message.rpartition(" - at `$.")
    missing = re.search(r"required field `([^`]{1,64})`", message)
    names = [path.rstrip("`")] if at else []
    return ".".join([*names, missing[1]] if missing else names)


def describe_key(
    signer: Signer, *, org: str, capacity: str, subject: str, chain: str | None, valid_from_ms: int
) -> KeyDescription:
    """A key's description for the chain of this short id (None: block 0), signed by the key itself.

    Raises `MalformedError` (X2) for a value that the chain would not take.
    """
    fields = {
        "alg": "EdDSA" if signer.alg == EDDSA else "ES256",
        "capacity": capacity,
        "org": org,
        "public_key": b64url(signer.public_key),
        "subject": subject,
    }
    claim = make_body(KeyClaim, {**fields, "chain": chain})
    proof = b64url(signer.sign(claim_bytes(claim)))
    return make_body(
        KeyDescription, {**fields, "proof": proof, "valid_from": encode_time(valid_from_ms)}
    )


def make_record(
    kind: str,
    body: Shape,
    *,
    chain: str,
    at_ms: int,
    record_id: str,
    refs: tuple[Ref, ...] = (),
    payloads: tuple[Payload, ...] = (),
    valid_days: int = 30,
) -> Record[Any]:
    """A record of any type; one that confers a right may be included for `valid_days`."""
    not_after = encode_time(at_ms + valid_days * DAY_MS) if kind in RIGHTS else None
    return Record(
        at=encode_time(at_ms),
        body=body,
        chain=chain,
        id=record_id,
        not_after=not_after,
        payloads=payloads,
        refs=refs,
        type=kind,
        v=1,
    )


def sign(author: Author, record: Record[Any]) -> Signed:
    """The entry of a record. Its subject is the one that the rules derive (S13)."""
    sub = subjects_of(author.org, record, {})[0]
    return sign_payload(author, sub, ENCODE(record), record.id)


def sign_payload(author: Author, sub: str, payload: bytes, record_id: str) -> Signed:
    """The entry of a payload. Raises `TooLargeError` (B7)."""
    signer = author.signer
    protected = encode_protected(signer.alg, signer.kid, author.org, sub)
    raw = encode_statement(protected, payload, signer.sign(signature_input(protected, payload)))
    return Signed(record_id, sha256(b"\x00" + raw).digest(), raw)
