"""What nodes carry to one another: one message each way for each request (consensus.md 2.14; SPEC
11).

Everything inside is signed by its author, so that it may come from anybody; the message itself is
trusted with nothing but its size.
"""

from typing import Annotated, Final, Literal

import msgspec

from ledger.consensus import Certificate, Fact, Summary
from ledger.encoding import UNREADABLE
from ledger.errors import MalformedError
from ledger.members import MAX_BLOCK_BYTES, MAX_BLOCK_RECORDS

EXCHANGE_PATH: Final = "/api/v1/exchange"
EXCHANGE_TYPE: Final = "application/vnd.alliance.exchange"
MAX_EXCHANGE_BYTES: Final = 4 * MAX_BLOCK_BYTES
MAX_WAIT_MS: Final = 25_000
MAX_ITEMS: Final = 8_192

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Want(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What is missing: one block by id; or (`block` None) final blocks from `first` on, up to about
    `last` where that is stated; or the ends of all epochs.
    """

    block: Hash | None
    first: Natural
    last: Natural = 0
    epochs: bool = False


class CompactBlock(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A block for who has its entries already."""

    seal: bytes
    leaves: Annotated[bytes, msgspec.Meta(max_length=32 * MAX_BLOCK_RECORDS)]
    """The leaf hashes of its entries, in their order."""


class FinalBlocks(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A run of final blocks in a row, and what made the last of them final."""

    blocks: Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]
    """Entry bundles, seal last."""
    certificate: Certificate


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One node's side of an exchange."""

    v: Literal[1]
    pin: Hash
    """The leaf hash of seal 0: both are of the same chain, or nothing is read."""
    summary: Summary | None = None
    facts: Annotated[tuple[Fact, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    blocks: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """Entry bundles, seal last; each comes before the proposal or certificate that names it."""
    compact: Annotated[tuple[CompactBlock, ...], msgspec.Meta(max_length=64)] = ()
    """As `blocks`; the entries came before, from anybody."""
    entries: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    cosignatures: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """Checkpoints, each with one cosignature, as signed notes."""
    runs: Annotated[tuple[FinalBlocks, ...], msgspec.Meta(max_length=64)] = ()
    epochs: bytes = b""
    """The ends of all epochs, as they stand beside a copy (SPEC 9.3); empty: not asked for."""
    wants: Annotated[tuple[Want, ...], msgspec.Meta(max_length=64)] = ()
    wait_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_MS)] = 0
    """How long the answer may wait until there is something to say."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: a bare question for news, or an answer that there are none."""
        said = self.facts or self.blocks or self.entries or self.cosignatures or self.wants
        return self.summary is None and not (said or self.compact or self.runs or self.epochs)


_DECODER = msgspec.msgpack.Decoder(Exchange)


def encode_exchange(exchange: Exchange) -> bytes:
    """The bytes of a message."""
    return msgspec.msgpack.encode(exchange)


def decode_exchange(data: bytes) -> Exchange:
    """A message, strict in types and sizes. Raises `MalformedError` (H8)."""
    try:
        return _DECODER.decode(data)
    except UNREADABLE:
        raise MalformedError("H8") from None
