"""The audit of an offline copy: files and the genesis, nothing else (formats.md F18; SPEC V).

Steps: 1 the trust root, 2 the signatures of the checkpoint, 3 every leaf, tile and the root, 4
every
block by the same `check_block` as the nodes, 5 finality certificates, 6 growth since older heads
and
receipts that the auditor holds, 7 the verdict. Worker processes check signatures ahead.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, Final

from cli.screen import printable
from ledger.chain import Applied, Tip, check_block, check_genesis
from ledger.consensus.messages import decode_certificate, verify_certificate
from ledger.crypto import EDDSA
from ledger.crypto import verify as verify_signature
from ledger.encoding import b64url, decode_bundle, decode_statement, encode_bundle, unb64url
from ledger.errors import AllianceError, MalformedError, NotFoundError, ProofError
from ledger.members import EpochConfig
from ledger.merkle import ENTRIES, TILE_WIDTH, Tile, Tree, leaf_hashes, tiles_of
from ledger.notes import Checkpoint, Note, decode_checkpoint, decode_note, encode_policy
from ledger.records import decode_entry
from ledger.rules import Located
from ledger.rules.values import KeyState
from ledger.verify import (
    decode_epochs,
    decode_receipt,
    policy_of,
    verify_boundaries,
    verify_checkpoint,
    verify_epochs,
    verify_growth,
    verify_receipt,
)

SEAL_MARK: Final = b',"type":"seal","v":1,"view":'
SEAL_TAIL: Final = 128
MAX_FILE: Final = TILE_WIDTH * (65_535 + 2)
MAX_CERTIFICATE: Final = 1 << 16
AHEAD: Final = 3
"""Bundles that each worker may be ahead of the block being checked."""
FEW: Final = 4
"""With fewer bundles, starting processes costs more than it saves."""


Advance = Callable[[int], None]
KeyRing = dict[bytes, tuple[int, bytes]]


# --- the files ---


class Copy:
    """A directory in the layout of C2SP tlog-tiles, with genesis, policy and certificates beside
    it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises `NotFoundError` (V10) or `MalformedError` (V11, V27)."""
        with open_plain(self.folder, name) as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise MalformedError("V11", file=name)
        return data

    def bundle(self, tile: Tile) -> list[bytes]:
        """The entries of a bundle. Raises `MalformedError` (V11) unless it holds as many as it
        says.
        """
        entries = decode_bundle(self.read(tile.path))
        if len(entries) != tile.width:
            raise MalformedError("V11", file=tile.path)
        return entries

    def names(self) -> set[str]:
        """All that is no folder, relative to this one: files, links, pipes."""
        found = (path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())
        return {path.relative_to(self.folder).as_posix() for path in found}


def open_plain(folder: Path, name: str) -> BinaryIO:
    """A file of a copy, opened. Raises `NotFoundError` (V10), or `MalformedError` (V27) for what
    is no plain file: a pipe would wait for ever, and a link may lead elsewhere tomorrow.
    """
    path = folder / name
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError("V10", file=name) from None
    except OSError as error:
        raise MalformedError("V27", file=name) from error
    raise MalformedError("V27", file=name)


CERTIFICATES: Final = "finality/certificates"
"""For each height from 1 on, a big-endian uint32 length and the certificate; empty where a later
one covers it.
"""


EPOCHS: Final = "epochs"
"""How one epoch followed the other; a copy of the first epoch has no such file."""

FIXED: Final = frozenset({"checkpoint", "genesis", "policy", CERTIFICATES})


def read_certificates(folder: Path) -> Iterator[bytes]:
    """The finality certificates of a copy, by height from 1 on. Raises as `Copy.read` does."""
    with open_plain(folder, CERTIFICATES) as file:
        while head := file.read(4):
            length = int.from_bytes(head, "big")
            data = file.read(length) if length <= MAX_CERTIFICATE else b""
            if len(head) < 4 or len(data) != length:
                raise MalformedError("V11", file=CERTIFICATES)
            yield data


# --- signatures ahead ---


def check_signatures(folder: str, name: str, keys: KeyRing) -> set[bytes]:
    """In a worker: which entries of a bundle verify under the key that their id names."""
    right: set[bytes] = set()
    for raw in decode_bundle(Copy(Path(folder)).read(name)):
        try:
            statement = decode_statement(raw)
        except MalformedError:
            continue
        alg, key = keys.get(statement.kid, (0, b""))
        message = statement.to_be_signed()
        if key and verify_signature(alg, key, statement.signature, message):
            right.add(checked(alg, key, statement.signature, message))
    return right


def checked(alg: int, key: bytes, signature: bytes, message: bytes) -> bytes:
    """What stands for one signature that was found right: all four, hashed."""
    return sha256(bytes([alg & 0xFF]) + key + signature + message).digest()


class Ahead:
    """Signatures, checked by other processes before they are asked for; what they lack is checked
    here.
    """

    def __init__(self, folder: Path, bundles: Sequence[Tile], workers: int) -> None:
        self._folder = folder
        self._bundles = bundles
        self._right: set[bytes] = set()
        self._running: dict[int, Future[set[bytes]]] = {}
        self._next = 0
        self._depth = workers * AHEAD
        self._pool: ProcessPoolExecutor | None = None
        if workers and len(bundles) >= FEW:
            self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))

    def start(self, number: int, keys: KeyRing) -> None:
        """Let bundles beyond this one be checked under the keys known now; take in this one's."""
        if self._pool is None:
            return
        while self._next < min(number + self._depth, len(self._bundles)):
            name = self._bundles[self._next].path
            task = self._pool.submit(check_signatures, str(self._folder), name, keys)
            self._running[self._next] = task
            self._next += 1
        if number in self._running:
            self._right |= self._running.pop(number).result()

    def verify(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """`ledger.crypto.verify`, answered from what a worker found where it did."""
        if self._right:
            mark = checked(alg, key, signature, message)
            if mark in self._right:
                self._right.discard(mark)
                return True
        return verify_signature(alg, key, signature, message)

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class Past:
    """The auditor's history, in memory: which ids and leaves came before (see
    `ledger.chain.History`).
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.ids: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, int] = {}
        self._read = read

    def add(self, block: Applied) -> None:
        """Take in an accepted block."""
        index = block.tip.seal_index - len(block.entries)
        for offset, entry in enumerate(block.entries):
            self.ids[entry.id_key] = entry.leaf
            self.leaves[entry.leaf] = index + offset

    def find_ids(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `History`."""
        return {key: self.ids[key] for key in keys if key in self.ids}

    def find_leaves(self, leaves: Sequence[bytes]) -> Mapping[bytes, Located]:
        """See `History`."""
        return {leaf: self._locate(leaf) for leaf in leaves if leaf in self.leaves}

    def known_leaves(self, leaves: Sequence[bytes]) -> set[bytes]:
        """See `History`."""
        return self.leaves.keys() & set(leaves)

    def _locate(self, leaf: bytes) -> Located:
        index = self.leaves[leaf]
        entry = decode_entry(self._read(index))
        if entry.leaf != leaf:
            # The copy changed since this entry was checked.
            raise ProofError("V15")
        return Located(index, entry.record.type, entry.statement.iss, entry.statement.sub)


# --- the audit ---


@dataclass
class Step:
    """One step and how it went; `error` says what broke, `where` names the file, block or entry."""

    number: int
    name: str
    error: AllianceError | None = None
    where: str = ""


@dataclass
class Report:
    """What an audit found."""

    steps: list[Step] = field(default_factory=list)
    pin: str = ""
    origin: str = ""
    size: int = 0
    root: str = ""
    height: int = 0
    final_height: int = 0
    first_ms: int = 0
    last_ms: int = 0
    entries: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    cosigners: list[tuple[str, int]] = field(default_factory=list)
    members: tuple[int, int, int, int] = (0, 0, 0, 0)
    """n, q, c (may be absent), b (may lie), of the last epoch."""
    compared: list[str] = field(default_factory=list)
    """Older heads and receipts that this copy was compared with."""

    @property
    def is_valid(self) -> bool:
        """Whether every step passed."""
        return all(step.error is None for step in self.steps)

    @property
    def failed(self) -> Step | None:
        """The first step that did not pass."""
        return next((step for step in self.steps if step.error is not None), None)


@dataclass(frozen=True)
class Held:
    """What the auditor brings along: the trust root, older heads, receipts, older copies."""

    genesis: bytes | None = None
    pin: str | None = None
    since: tuple[tuple[str, bytes], ...] = ()
    receipts: tuple[tuple[str, bytes], ...] = ()
    older: tuple[Path, ...] = ()


class Audit:
    """One audit of one copy. `run` goes through the steps and stops after the first that fails."""

    def __init__(self, folder: Path, held: Held, workers: int | None = None) -> None:
        self.copy = Copy(folder)
        self.held = held
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.report = Report()
        self._where = ""

    def run(self, advance: Advance = lambda _done: None) -> Report:
        """The report; `advance` is told of every entry read (step 3) and checked (step 4)."""
        self._advance = advance
        steps = (
            ("trust", self._trust),
            ("head", self._head),
            ("tree", self._check_tree),
            ("blocks", self._check_blocks),
            ("finality", self._check_finality),
            ("older", self._check_older),
        )
        for number, (name, work) in enumerate(steps, 1):
            self._where = ""
            try:
                work()
            except AllianceError as error:
                self.report.steps.append(Step(number, name, error, self._where))
                break
            self.report.steps.append(Step(number, name))
        return self.report

    def entries(self) -> int:
        """How many entries the copy says it has; 0 when even that cannot be read."""
        try:
            return decode_checkpoint(decode_note(self.copy.read("checkpoint")).text).size
        except AllianceError:
            return 0

    def _trust(self) -> None:
        """Step 1: the genesis is the one that the auditor pinned; the epochs and the policy file
        follow from it.
        """
        self._where = "genesis"
        bundle = self.copy.read("genesis")
        if self.held.genesis is not None and bundle != self.held.genesis:
            raise ProofError("V12")
        self.genesis = check_genesis(bundle, verify_signature)
        self.report.pin = b64url(self.genesis.seal.leaf)
        if self.held.pin is not None and self.held.pin != self.report.pin:
            raise ProofError("V12")
        tip = self.genesis.tip
        self.report.origin = tip.origin
        self._where = EPOCHS
        self.boundaries = decode_epochs(self.copy.read(EPOCHS)) if self._has_epochs() else ()
        self.configs = verify_epochs(self.boundaries, tip)
        config = self.configs[-1]
        self.report.members = (config.n, config.q, config.offline, config.lying)
        self._where = "policy"
        if self.copy.read("policy") != encode_policy(policy_of(config, tip.origin)):
            raise ProofError("V13")

    def _has_epochs(self) -> bool:
        return os.path.lexists(self.copy.folder / EPOCHS)

    def _head(self) -> None:
        """Step 2: the checkpoint is signed by the log and cosigned by a quorum of the last
        epoch.
        """
        self._where = "checkpoint"
        note = decode_note(self.copy.read("checkpoint"))
        tip = self.genesis.tip
        self.checkpoint, cosigners = verify_checkpoint(note, self.configs[-1], tip.origin)
        self._where = EPOCHS if self.boundaries else "checkpoint"
        verify_boundaries(self.boundaries, self.checkpoint, tip, self.configs)
        self.report.size, self.report.root = self.checkpoint.size, b64url(self.checkpoint.root)
        self.report.cosigners = list(cosigners)

    def _check_tree(self) -> None:
        """Step 3: every leaf hash, every tile byte for byte, the root; no file is missing or
        extra.
        """
        # A head may state any size: no list is made of more than the files that are there.
        size = self.checkpoint.size
        self.bundles: list[Tile] = []
        self.tree = Tree()
        for bundle in takewhile(lambda tile: tile.level == ENTRIES, tiles_of(size)):
            self._where = bundle.path
            self.tree.extend(leaf_hashes(self.copy.bundle(bundle)))
            self.bundles.append(bundle)
            self._advance(bundle.width)
        for tile in tiles_of(size):
            self._where = tile.path
            if tile.level != ENTRIES:
                expected = self.tree.tile(tile.level, tile.number, tile.width)
                if self.copy.read(tile.path) != expected:
                    raise ProofError("V14", file=tile.path)
        self._where = "checkpoint"
        if self.tree.root() != self.checkpoint.root:
            raise ProofError("V15")
        known = FIXED | {EPOCHS} if self.boundaries else FIXED
        extra = sorted(self.copy.names() - {tile.path for tile in tiles_of(size)} - known)
        if extra:
            self._where = printable(extra[0])
            raise ProofError("V16", file=self._where)

    def _check_blocks(self) -> None:
        """Step 4: every block, on top of the one before, by the function that the nodes use."""
        ahead = Ahead(self.copy.folder, self.bundles, self.workers)
        past = Past(self._entry)
        self.keys = _first_keys(self.genesis, self.configs)
        self.seals = [self.genesis.seal.leaf]
        try:
            tip = self._replay(ahead, past)
        finally:
            ahead.close()
        self._where = f"block {tip.height}"
        if tip.size != self.checkpoint.size or tip.tree.root() != self.checkpoint.root:
            raise ProofError("V17", height=tip.height)
        if tip.configs[: tip.own_config.epoch + 1] != self.configs:
            self._where = EPOCHS
            raise ProofError("V29", file=EPOCHS)
        self.tip = tip
        self.report.height, self.report.last_ms = tip.height, tip.time_ms
        self.report.first_ms = self.genesis.tip.time_ms

    def _replay(self, ahead: Ahead, past: Past) -> Tip:
        tip, first = self.genesis.tip, True
        for entries in self._blocks(ahead):
            if first:
                # Block 0 was checked by its own rules; here it must be the same bytes.
                self._where = "block 0"
                if encode_bundle(entries) != self.copy.read("genesis"):
                    raise ProofError("V12")
                past.add(self.genesis)
                self._count(self.genesis)
                first = False
                continue
            self._where = f"block {tip.height + 1}"
            block = check_block(tip, entries, past, ahead.verify)
            past.add(block)
            tip = block.tip
            self.seals.append(tip.seal_leaf)
            self.keys.update(_new_keys(block))
            self._count(block)
            self._advance(len(entries))
        return tip

    def _blocks(self, ahead: Ahead) -> Iterator[list[bytes]]:
        """The entries, cut behind every seal."""
        block: list[bytes] = []
        for number, bundle in enumerate(self.bundles):
            ahead.start(number, dict(self.keys))
            for raw in self.copy.bundle(bundle):
                block.append(raw)
                if SEAL_MARK in raw[-SEAL_TAIL:]:
                    yield block
                    block = []
        if block:
            self._where = self.bundles[-1].path
            raise ProofError("V18", count=len(block))

    def _entry(self, index: int) -> bytes:
        bundle = self.bundles[index // TILE_WIDTH]
        return self.copy.bundle(bundle)[index % TILE_WIDTH]

    def _count(self, block: Applied) -> None:
        report = self.report
        report.entries["seal"] += 1
        for entry, codes in zip(block.entries, block.findings, strict=True):
            report.entries[entry.record.type] += 1
            report.findings.update(codes)

    def _check_finality(self) -> None:
        """Step 5: each block, or one above it in its epoch, has a certificate of a quorum of
        votes of that epoch.
        """
        closing = {boundary.height for boundary in self.tip.boundaries}
        epoch = 0
        self._where = CERTIFICATES
        height = last = 0
        for height, data in enumerate(read_certificates(self.copy.folder), 1):
            if height >= len(self.seals):
                self._where = CERTIFICATES
                raise ProofError("V16", file=CERTIFICATES)
            self._where = f"block {height}"
            if not data:
                if height in closing:
                    raise ProofError("V20", height=height, final=last)
                continue
            certificate = decode_certificate(data)
            verify_certificate(certificate, self.tip.configs[epoch], verify_signature)
            named = (certificate.kind, certificate.height, certificate.block)
            if named != ("finalize", height, self.seals[height]):
                raise ProofError("V19", height=height)
            last = height
            epoch += height in closing
        self.report.final_height = last
        self._where = f"block {self.report.height}"
        if last < self.report.height:
            raise ProofError("V20", height=self.report.height, final=last)

    def _check_older(self) -> None:
        """Step 6: this copy holds everything that older heads, receipts and copies promised."""
        tip = self.genesis.tip
        for name, data in self.held.since:
            self._where = name
            old = self._older_head(decode_note(data))
            self._check_growth(old)
            self.report.compared.append(f"{name} ({old.size})")
        for folder in self.held.older:
            self._compare_copy(Copy(folder))
        for name, data in self.held.receipts:
            self._where = name
            receipt = verify_receipt(decode_receipt(data), tip, verify_signature)
            self._check_growth(receipt.head.checkpoint)
            if self.tree.leaf(receipt.index) != receipt.entry.leaf:
                raise ProofError("V21", index=receipt.index)
            self.report.compared.append(name)

    def _older_head(self, note: Note) -> Checkpoint:
        """An older checkpoint, published by the epoch of its last seal. Raises `ProofError` (N4,
        N5, N9).
        """
        size = min(decode_checkpoint(note.text).size, self.checkpoint.size)
        config = self.tip.configs[self.tip.epoch_of(size - 1)]
        return verify_checkpoint(note, config, self.tip.origin)[0]

    def _check_growth(self, old: Checkpoint) -> None:
        if old.size > self.checkpoint.size:
            raise ProofError("V22", old=old.size, new=self.checkpoint.size)
        verify_growth(old, self.checkpoint, self.tree.consistency(old.size, self.checkpoint.size))

    def _compare_copy(self, older: Copy) -> None:
        """An older copy is a beginning of this one; where it is not, the first entry is named."""
        note: Note = decode_note(older.read("checkpoint"))
        self._where = "checkpoint"
        old = self._older_head(note)
        try:
            self._check_growth(old)
        except ProofError:
            for tile in tiles_of(min(old.size, self.checkpoint.size)):
                if tile.level == ENTRIES:
                    self._compare_bundle(older, tile, old.size)
            raise
        self.report.compared.append(f"{older.folder} ({old.size})")

    def _compare_bundle(self, older: Copy, tile: Tile, size: int) -> None:
        start = tile.number * TILE_WIDTH
        width = min(TILE_WIDTH, size - start)
        theirs = older.bundle(Tile(ENTRIES, tile.number, width))
        for offset, leaf in enumerate(leaf_hashes(theirs)[: tile.width]):
            if self.tree.leaf(start + offset) != leaf:
                self._where = f"entry {start + offset}"
                raise ProofError("V23", index=start + offset)


def _first_keys(genesis: Applied, configs: Sequence[EpochConfig]) -> KeyRing:
    """The keys of block 0 and of the nodes of all epochs, for workers to check under."""
    ring = {
        unb64url(kid): (EDDSA, unb64url(member.node_pk))
        for config in configs
        for kid, member in config.node_kids.items()
    }
    return {**ring, **_new_keys(genesis)}


def _new_keys(block: Applied) -> KeyRing:
    """The keys that a block registered or revoked; whether they may be used is for the rules to
    say.
    """
    return {
        unb64url(key[4:].decode()): (value.alg, unb64url(value.public_key))
        for key, value in block.changes.items()
        if isinstance(value, KeyState)
    }
