"""Payloads beside the chain: their one form, and the commitments by which records name them
(domain.md D12; SPEC 14.1).

A payload is a JSON object in canonical form; whoever holds it and its salt can show that a record
meant exactly this, and whoever holds neither learns nothing from the commitment.
"""

from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from ledger.encoding import UNREADABLE, b64url, check_json, unb64url
from ledger.errors import MalformedError, ProofError, TooLargeError
from ledger.members import Label
from ledger.records.envelope import ENCODE, Code, Digest, Payload, Shape, decode_shape

TAG: Final = b"ec-commit/1"
SUITE: Final = b"sha256-ed25519/1"
SALT_BYTES: Final = 32
MAX_PAYLOAD_BYTES: Final = 1 << 20
"""Larger things are attachments, which a payload names by digest."""
CHUNK_BYTES: Final = 1 << 20
"""Attachments travel, and lie in a vault, in pieces of so many bytes; the last may be shorter."""
MAX_ATTACHMENT_BYTES: Final = 1 << 34
ATTACHED: Final = "attachment"
MAX_DEPOSIT_BYTES: Final = MAX_PAYLOAD_BYTES + 8_192

Tier = Literal["T1", "T2"]
Holders = Annotated[tuple[Label, ...], msgspec.Meta(min_length=1, max_length=31)]
Group = Annotated[
    str,
    msgspec.Meta(
        min_length=3, max_length=128, pattern=r"\A(?:person|study):[A-Za-z0-9][A-Za-z0-9._:/-]*\Z"
    ),
]
"""Whose key protects a payload: `person:<pid>` or `study:<number>`; with that key all payloads of
the group are destroyed.
"""
Value = dict[str, object]
"""A JSON object: strings of any script, integers, booleans, null, arrays, objects."""


class Attachment(Shape, frozen=True, kw_only=True):
    """What a payload says, under `attachment`, of a large thing that goes with it: the commitment
    to the payload binds every byte of it.
    """

    bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_ATTACHMENT_BYTES)]
    media: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    sha256: Digest

    @property
    def chunks(self) -> int:
        """How many pieces it has; all but the last are whole."""
        return -(-self.bytes // CHUNK_BYTES)

    def length(self, number: int) -> int:
        """How long a piece is; 0 for one that it does not have."""
        return max(0, min(CHUNK_BYTES, self.bytes - number * CHUNK_BYTES))


class Deposit(Shape, frozen=True, kw_only=True):
    """A payload on its way into a vault, with all that its holders need to know of it."""

    group: Group | None = None
    holders: Holders
    payload: dict[str, msgspec.Raw]
    salt: Digest
    schema: Code
    tier: Tier


_ATTACHMENTS = msgspec.json.Decoder(Attachment)
_DEPOSITS = msgspec.json.Decoder(Deposit)


def encode_payload(value: Value) -> bytes:
    """The one form of a payload. Raises `MalformedError` (B2) or `TooLargeError` (T1.large)."""
    check_json(value, check_text=_any_text)
    data = ENCODE(value)
    if len(data) > MAX_PAYLOAD_BYTES:
        raise TooLargeError("T1.large", limit=MAX_PAYLOAD_BYTES)
    return data


def _any_text(_text: str) -> None:
    """Names and titles may hold characters that no entry may."""


def decode_payload(data: bytes) -> Value:
    """A payload from its one form. Raises `MalformedError` (T1, B2) or `TooLargeError`
    (T1.large).
    """
    try:
        value = msgspec.json.decode(data, type=dict[str, object])
    except UNREADABLE:
        raise MalformedError("T1") from None
    if encode_payload(value) != data:
        raise MalformedError("T1")
    return value


def commitment(salt: bytes, payload: bytes) -> str:
    """H("ec-commit/1" || suite || salt || payload), base64url."""
    return b64url(sha256(TAG + SUITE + salt + payload).digest())


def check_commitment(commit: str, salt: bytes, payload: bytes) -> None:
    """The payload is the one that a record commits to. Raises `ProofError` (T2)."""
    if len(salt) != SALT_BYTES or commitment(salt, payload) != commit:
        raise ProofError("T2", commit=commit)


def make_deposit(
    value: Value, salt: bytes, tier: Tier, schema: str, holders: tuple[str, ...], group: str = ""
) -> Deposit:
    """A payload ready to be handed in; `salt` is 32 fresh random bytes, `group` whose key protects
    it (empty: a key of its own). Raises `MalformedError` (B2, S1) or `TooLargeError` (T1.large).
    """
    fields: dict[str, object] = {
        "holders": tuple(sorted(set(holders))),
        "payload": {name: msgspec.Raw(ENCODE(item)) for name, item in value.items()},
        "salt": b64url(salt),
        "schema": schema,
        "tier": tier,
    }
    attachment_of(encode_payload(value))
    try:
        return msgspec.convert({**fields, **({"group": group} if group else {})}, Deposit)
    except msgspec.ValidationError as error:
        raise MalformedError("S1", field=str(error).rpartition("`$.")[2].rstrip("`")) from None


def reference(deposit: Deposit) -> Payload:
    """How a record names this payload, in its `payloads`."""
    data = payload_of(deposit)
    return Payload(
        commit=commit_of(deposit),
        holders=deposit.holders,
        schema=deposit.schema,
        size_bucket=size_bucket(len(data)),
        tier=deposit.tier,
    )


def payload_of(deposit: Deposit) -> bytes:
    """The canonical bytes of what is deposited."""
    return ENCODE(deposit.payload)


def commit_of(deposit: Deposit) -> str:
    """The commitment to a deposit."""
    return commitment(unb64url(deposit.salt, SALT_BYTES), payload_of(deposit))


def check_deposited(deposit: Deposit, commit: str) -> None:
    """A deposit is what a record commits to. Raises `ProofError` (T2)."""
    check_commitment(commit, unb64url(deposit.salt, SALT_BYTES), payload_of(deposit))


def attachment_of(payload: bytes) -> Attachment | None:
    """What a payload says of its attachment; None for one that has none.

    Raises `MalformedError` (S1) for what is no such description.
    """
    value = msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).get(ATTACHED)
    if value is None:
        return None
    found = decode_shape(bytes(value), _ATTACHMENTS)
    unb64url(found.sha256, 32)
    return found


def size_bucket(size: int) -> int:
    """The least power of two that is no smaller, from 256 on: a size tells what is said."""
    return max(256, 1 << (size - 1).bit_length())


def encode_deposit(deposit: Deposit) -> bytes:
    """The bytes of a deposit."""
    return ENCODE(deposit)


def decode_deposit(data: bytes) -> Deposit:
    """A deposit, strictly. Raises `MalformedError` (S1, S2, T1, B2) or `TooLargeError`
    (T1.large).
    """
    if len(data) > MAX_DEPOSIT_BYTES:
        raise TooLargeError("T1.large", limit=MAX_PAYLOAD_BYTES)
    deposit = decode_shape(data, _DEPOSITS)
    unb64url(deposit.salt, SALT_BYTES)
    decode_payload(payload_of(deposit))
    attachment_of(payload_of(deposit))
    return deposit
