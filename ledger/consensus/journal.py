"""The vote journal: what a node must remember of each view before it says a word (consensus.md
2.7, 2.11).
"""

from hashlib import sha256
from typing import Final

import msgspec

from ledger.consensus.messages import Certificate, Number, Vote
from ledger.encoding import UNREADABLE
from ledger.errors import MalformedError

LAST_VIEW: Final = 2**53 - 1
"""No view is ever this high. As a floor: no word at all."""

UNSIGNED: Final = bytes(64)
"""Stands for a signature that was decided on but is not there yet."""


class Row(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Everything durable about one view, with the fields in sorted order: the canonical form.

    The row of `LAST_VIEW` holds `floor` alone: after a quarantine, no word below that view
    (consensus.md 2.12). No commit reaches that high, so none removes that row.
    """

    epoch: Number
    finalization: Certificate | None = None
    finalized: Vote | None = None
    floor: Number = 0
    notarization: Certificate | None = None
    notarized: Vote | None = None
    nullification: Certificate | None = None
    nullified: Vote | None = None
    proposed: Vote | None = None
    view: Number


_DECODER = msgspec.json.Decoder(Row)


def encode_journal(row: Row) -> bytes:
    """A row as its SHA-256 and its canonical JSON, opaque to the store, which keys it by (`epoch`,
    `view`). No disk protects a word by itself: one flipped bit would make another word of it.
    """
    body = msgspec.json.encode(row, order="sorted")
    return sha256(body).digest() + body


def decode_journal(data: bytes) -> Row:
    """A row from the bytes of `encode_journal`. Raises `MalformedError` (R40): then start in
    doubt.
    """
    try:
        row = _DECODER.decode(data[32:])
    except UNREADABLE as error:
        raise MalformedError("R40") from error
    if encode_journal(row) != data:
        raise MalformedError("R40")
    return row
