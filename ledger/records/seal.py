"""The seal: the entry that ends a block and commits to all of it (definitions.md 3)."""

from hashlib import sha256
from typing import Literal

import msgspec

from ledger.encoding import Statement, decode_statement, encode_protected
from ledger.errors import MalformedError
from ledger.records.envelope import ENCODE, LEAF_PREFIX, Digest, Natural, Shape, decode_canonical


class Previous(Shape, frozen=True, kw_only=True):
    """Where the previous seal stands, and its leaf hash: the hash chain."""

    index: Natural
    leaf: Digest


class Seal(Shape, frozen=True, kw_only=True):
    """What a block commits to. Not a record: the driver supplies its time, the proposer's node key
    signs it.
    """

    chain: str
    config_hash: Digest
    entries_root: Digest
    epoch: Natural
    height: Natural
    next_config_hash: Digest | None
    parent_view: Natural
    prev: Previous | None
    proposer: str
    results_root: Digest
    rules_version: Natural
    start: Natural
    state_root: Digest
    time_ms: Natural
    type: Literal["seal"]
    v: Literal[1]
    view: Natural


class SealEntry(msgspec.Struct, frozen=True):
    """A seal with its bytes; `leaf` is the block id."""

    raw: bytes
    leaf: bytes
    statement: Statement
    seal: Seal


DECODER = msgspec.json.Decoder(Seal)


def encode_seal(seal: Seal, alg: int, kid: bytes) -> tuple[bytes, bytes]:
    """The protected header and payload of a seal, ready to be signed."""
    return encode_protected(alg, kid, seal.proposer, "chain"), ENCODE(seal)


def decode_seal(raw: bytes) -> SealEntry:
    """A seal from its bytes. Raises `MalformedError` (S1, S2, B*) for anything else."""
    statement = decode_statement(raw)
    seal = decode_canonical(statement.payload, DECODER)
    if statement.sub != "chain" or statement.iss != seal.proposer:
        raise MalformedError("L1.header")
    digest = LEAF_PREFIX.copy()
    digest.update(raw)
    return SealEntry(raw, digest.digest(), statement, seal)


def results_leaf(leaf: bytes, codes: tuple[str, ...]) -> bytes:
    """The leaf hash under `results_root` of one entry: its leaf hash and its sorted finding
    codes.
    """
    return sha256(b"\x00" + leaf + ENCODE(codes)).digest()
