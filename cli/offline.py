"""The audit of an offline copy: files and the genesis, nothing else (formats.md F18; SPEC V).

Steps: 1 the trust root, 2 the signatures of the checkpoint, 3 every leaf, tile and the root, 4
every block by the same `check_block` as the nodes, 5 finality certificates, 6 growth since older
heads and receipts that the auditor holds, 7 the verdict. Worker processes check signatures ahead
of step 4, from step 3 on (`cli.ahead`).
"""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final

from cli.ahead import Ahead, Key
from cli.copies import (
    CERTIFICATES,
    EPOCHS,
    FIXED,
    JUSTIFICATIONS,
    Copy,
    read_certificates,
    read_framed,
)
from cli.screen import printable
from ledger.chain import Applied, Tip, check_block, check_genesis
from ledger.consensus.messages import decode_certificate, verify_certificate
from ledger.continuation import Seam, verify_seam
from ledger.crypto import EDDSA
from ledger.crypto import verify as verify_signature
from ledger.encoding import b64url, encode_bundle, unb64url
from ledger.errors import AllianceError, ProofError
from ledger.members import EpochConfig
from ledger.merkle import ENTRIES, TILE_WIDTH, Tile, Tree, leaf_hashes, tiles_of
from ledger.notes import Checkpoint, Note, decode_checkpoint, decode_note, encode_policy
from ledger.records import decode_entry
from ledger.records.governance import Continues, GenesisBody, KeyBody, KeyDescription, MemberBody
from ledger.rules import Located
from ledger.rules.governance import ALGORITHMS, kid_of
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
SIGNATURE: Final = 66
"""How many bytes an entry has behind its payload (SPEC 2.1)."""
KEY_MARKS: Final = tuple(b',"type":"%b","v":1}' % kind for kind in (b"genesis", b"key", b"member"))
"""How the payloads end that can register keys."""


Advance = Callable[[int], None]


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
    continues: Continues | None = None
    """What the genesis says of a chain before this one."""
    seam: Seam | None = None
    """The same, checked against that chain's copy."""
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
    before: Path | None = None
    """The last copy of the chain that this one continues."""

    @property
    def is_pinned(self) -> bool:
        """Whether the auditor knows which chain it must be."""
        return self.genesis is not None or self.pin is not None


class Audit:
    """One audit of one copy. `run` goes through the steps and stops after the first that fails."""

    def __init__(self, folder: Path, held: Held, workers: int | None = None) -> None:
        self.copy = Copy(folder)
        self.held = held
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.report = Report()
        self._where = ""
        self._ahead: Ahead | None = None

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
        with _without_collector():
            try:
                for number, (name, work) in enumerate(steps, 1):
                    if not self._passes(number, name, work):
                        break
            finally:
                if self._ahead is not None:
                    self._ahead.close()
        return self.report

    def _passes(self, number: int, name: str, work: Callable[[], None]) -> bool:
        self._where = ""
        try:
            work()
        except AllianceError as error:
            self.report.steps.append(Step(number, name, error, self._where))
            return False
        self.report.steps.append(Step(number, name))
        return True

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
        self.report.continues = self.genesis.entries[0].record.body.continues
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
        self._ahead = ahead = Ahead(self.copy.folder, size // TILE_WIDTH, self.workers)
        keys = _node_keys(self.configs)
        for bundle in takewhile(lambda tile: tile.level == ENTRIES, tiles_of(size)):
            self._where = bundle.path
            entries = self.copy.bundle(bundle)
            ahead.offer(bundle.path, [*keys, *_keys_in(entries)])
            keys = []
            self.tree.extend(leaf_hashes(entries))
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
        known = FIXED | {JUSTIFICATIONS} | ({EPOCHS} if self.boundaries else set())
        extra = sorted(self.copy.names() - {tile.path for tile in tiles_of(size)} - known)
        if extra:
            self._where = printable(extra[0])
            raise ProofError("V16", file=self._where)

    def _check_blocks(self) -> None:
        """Step 4: every block, on top of the one before, by the function that the nodes use."""
        self.seals = [self.genesis.seal.leaf]
        tip = self._replay(Past(self._entry))
        self._where = f"block {tip.height}"
        if tip.size != self.checkpoint.size or tip.tree.root() != self.checkpoint.root:
            raise ProofError("V17", height=tip.height)
        if tip.configs[: tip.own_config.epoch + 1] != self.configs:
            self._where = EPOCHS
            raise ProofError("V29", file=EPOCHS)
        self.tip = tip
        self.report.height, self.report.last_ms = tip.height, tip.time_ms
        self.report.first_ms = self.genesis.tip.time_ms

    def _replay(self, past: Past) -> Tip:
        tip, first = self.genesis.tip, True
        verify = verify_signature if self._ahead is None else self._ahead.verify
        for entries in self._blocks():
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
            block = check_block(tip, entries, past, verify)
            past.add(block)
            tip = block.tip
            self.seals.append(tip.seal_leaf)
            self._count(block)
            self._advance(len(entries))
        return tip

    def _blocks(self) -> Iterator[list[bytes]]:
        """The entries, cut behind every seal."""
        block: list[bytes] = []
        for bundle in self.bundles:
            if self._ahead is not None:
                self._ahead.take()
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
        self._check_justifications()
        self.report.final_height = last
        self._where = f"block {self.report.height}"
        if last < self.report.height:
            raise ProofError("V20", height=self.report.height, final=last)

    def _check_justifications(self) -> None:
        """What led to the final blocks verifies, under the configuration of its epoch."""
        if not os.path.lexists(self.copy.folder / JUSTIFICATIONS):
            return
        for data in read_framed(self.copy.folder, JUSTIFICATIONS):
            self._where = JUSTIFICATIONS
            certificate = decode_certificate(data)
            if certificate.epoch >= len(self.tip.configs) or certificate.kind == "finalize":
                raise ProofError("V16", file=JUSTIFICATIONS)
            verify_certificate(certificate, self.tip.configs[certificate.epoch], verify_signature)

    def _check_older(self) -> None:
        """Step 6: this copy holds everything that older heads, receipts and copies promised."""
        tip = self.genesis.tip
        if self.held.before is not None:
            self._check_seam(self.held.before)
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

    def _check_seam(self, folder: Path) -> None:
        """The chain before this one, audited by itself, ends where this genesis says."""
        self._where = folder.name
        before = Audit(folder, Held(), self.workers)
        failed = before.run().failed
        if failed is not None and failed.error is not None:
            self._where = f"{folder.name}: {failed.where}"
            raise failed.error
        self.report.seam = verify_seam(self.genesis, before.genesis, before.tip)

    def _older_head(self, note: Note) -> Checkpoint:
        """An older checkpoint, published by the epoch of its last seal. Raises `ProofError` (N4,
        N5, N9; V22 for one beyond this copy).
        """
        held, own = decode_checkpoint(note.text), self.checkpoint.size
        config = self.tip.configs[self.tip.epoch_of(min(held.size, own) - 1)]
        try:
            return verify_checkpoint(note, config, self.tip.origin)[0]
        except ProofError:
            if held.size <= own or held.origin != self.tip.origin:
                raise
            # It may be of an epoch of which this copy knows nothing.
            raise ProofError("V22", old=held.size, new=own) from None

    def _check_growth(self, old: Checkpoint) -> None:
        if old.size > self.checkpoint.size:
            raise ProofError("V22", old=old.size, new=self.checkpoint.size)
        verify_growth(old, self.checkpoint, self.tree.consistency(old.size, self.checkpoint.size))

    def _compare_copy(self, older: Copy) -> None:
        """An older copy is a beginning of this one; where it is not, the first entry is named."""
        self._where = f"{older.folder.name}/checkpoint"
        note: Note = decode_note(older.read("checkpoint"))
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


@contextmanager
def _without_collector() -> Iterator[None]:
    """An audit makes many values and no cycles; looking for some would cost a fifth of what is not
    signatures.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _node_keys(configs: Sequence[EpochConfig]) -> list[Key]:
    """The keys of the nodes of all epochs, for workers to check under."""
    return [
        (unb64url(kid), EDDSA, unb64url(member.node_pk))
        for config in configs
        for kid, member in config.node_kids.items()
    ]


def _keys_in(entries: Sequence[bytes]) -> list[Key]:
    """The keys that these entries register, for workers to check under. Whether they may be used,
    or the entries stand at all, is for the rules to say in step 4.
    """
    keys: list[Key] = []
    for raw in entries:
        if not raw.endswith(KEY_MARKS, 0, -SIGNATURE):
            continue
        try:
            keys += map(_key_of, _described(decode_entry(raw).record.body))
        except AllianceError:
            continue
    return keys


def _described(body: GenesisBody | KeyBody | MemberBody) -> Sequence[KeyDescription]:
    if isinstance(body, KeyBody):
        return () if body.key is None else (body.key,)
    return body.keys


def _key_of(key: KeyDescription) -> Key:
    return unb64url(kid_of(key)), ALGORITHMS[key.alg], unb64url(key.public_key)
