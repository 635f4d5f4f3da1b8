"""The offline copy of a chain: files that anybody can check without us (SPEC V; C2SP tlog-tiles).

    checkpoint  genesis  policy  epochs  tile/<L>/<N>[.p/W]  tile/entries/<N>[.p/W]
    finality/certificates  finality/justifications

`epochs` is there from the second epoch on (SPEC 9.3). `finality/certificates` holds, for each
height from 1 on, a big-endian uint32 length and the
certificate. The copy is complete or it does not exist: it is written aside and renamed at the end.
"""

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cli.copies import JUSTIFICATIONS
from cli.home import write_new
from cli.screen import progress
from cli.session import Session
from ledger.encoding import b64url, decode_statement, encode_bundle
from ledger.errors import ConfigError, ConflictError, ProofError
from ledger.members import EpochConfig
from ledger.merkle import ENTRIES, Tile, Tree, tiles_of
from ledger.notes import Checkpoint, decode_checkpoint, decode_note, encode_policy
from ledger.records import decode_entry
from ledger.records.envelope import type_of
from ledger.records.seal import decode_seal
from ledger.verify import (
    BoundaryProof,
    SealProof,
    encode_epochs,
    policy_of,
    verify_boundaries,
    verify_checkpoint,
    verify_epochs,
)

PAGE = 64
BUNDLE = 256


class Copied(NamedTuple):
    """What a copy holds."""

    size: int
    files: int
    root: str


def copy_chain(session: Session, folder: Path) -> Copied:
    """Copy the chain up to the newest published head into a new folder.

    Raises `ConflictError` (X1.exists), `ConfigError` (X1.file), or `ProofError` when what the node
    gives is not what its checkpoint commits to.
    """
    if folder.exists():
        raise ConflictError("X1.exists", file=folder.name)
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        copied = _copy_to(session, part)
        part.rename(folder)
        _sync(folder.parent)
    except OSError:
        raise ConfigError("X1.file", file=folder.name) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return copied


def _copy_to(session: Session, folder: Path) -> Copied:
    tip = session.genesis.tip
    note = session.client.checkpoint()
    checkpoint = decode_checkpoint(decode_note(note).text)
    epochs = _Epochs()
    certificates: list[bytes] = []
    tree = Tree()
    with progress("exporting", checkpoint.size) as advance:
        writer = _Bundles(folder)
        for raws, certificate in _blocks(session, checkpoint):
            tree.extend([sha256(b"\x00" + raw).digest() for raw in raws])
            epochs.add(raws, certificate, tree.size)
            writer.add(raws)
            certificates.append(certificate)
            advance(len(raws))
        writer.finish()
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
        raise ProofError("M2")
    boundaries = epochs.prove(tree)
    configs = verify_epochs(boundaries, tip)
    verify_checkpoint(decode_note(note), configs[-1], tip.origin)
    verify_boundaries(boundaries, checkpoint, tip, configs)
    _write_tiles(folder, tree)
    if boundaries:
        _write(folder / "epochs", encode_epochs(boundaries))
    framed = b"".join(len(item).to_bytes(4, "big") + item for item in certificates[1:])
    _write(folder / "finality" / "certificates", framed)
    led = [cert for epoch in range(len(configs)) for cert in session.client.justifications(epoch)]
    if led:
        framed = b"".join(len(item).to_bytes(4, "big") + item for item in led)
        _write(folder / JUSTIFICATIONS, framed)
    _write(folder / "genesis", session.client.genesis())
    _write(folder / "policy", encode_policy(policy_of(configs[-1], tip.origin)))
    write_new(folder / "checkpoint", note)
    files = sum(path.is_file() for path in folder.rglob("*"))
    return Copied(checkpoint.size, files, b64url(checkpoint.root))


def _blocks(session: Session, checkpoint: Checkpoint) -> Iterator[tuple[list[bytes], bytes]]:
    """The blocks below a checkpoint, in order, with their certificates."""
    height = size = 0
    while size < checkpoint.size:
        page = session.client.blocks(height, PAGE)
        if not page:
            raise ProofError("M2")
        for raws, certificate, _note in page:
            if size < checkpoint.size:
                yield raws, certificate
                size += len(raws)
                height += 1


class _Epochs:
    """Collects the blocks that close epochs, and the configurations that follow them."""

    def __init__(self) -> None:
        self._configs: dict[str, EpochConfig] = {}
        self._closing: list[tuple[bytes, bytes, int]] = []

    def add(self, raws: list[bytes], certificate: bytes, size: int) -> None:
        """Take a block, after which the tree has this size. Raises `MalformedError`."""
        for raw in raws[:-1]:
            if type_of(decode_statement(raw).payload) == "config":
                config = decode_entry(raw).record.body.config
                self._configs[b64url(config.config_hash)] = config
        if decode_seal(raws[-1]).seal.next_config_hash is not None:
            self._closing.append((raws[-1], certificate, size))

    def prove(self, tree: Tree) -> list[BoundaryProof]:
        """The ends of all epochs before that of the last block. Raises `ProofError` (V28)."""
        found: list[BoundaryProof] = []
        for raw, certificate, size in self._closing:
            seal = decode_seal(raw).seal
            config = self._configs.get(seal.next_config_hash or "")
            if size == tree.size:
                break
            if config is None:
                raise ProofError("V28", epoch=seal.epoch)
            path = tuple(map(b64url, tree.inclusion(size - 1, tree.size)))
            place = SealProof(entry=b64url(raw), index=size - 1, path=path)
            found.append(BoundaryProof(certificate=b64url(certificate), config=config, seal=place))
        return found


class _Bundles:
    """Writes entry bundles of 256, and the partial one at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: list[bytes] = []
        self.number = 0

    def add(self, raws: list[bytes]) -> None:
        """Take entries; write the bundles that are full."""
        self.waiting += raws
        while len(self.waiting) >= BUNDLE:
            self._write(BUNDLE)

    def finish(self) -> None:
        """Write the rest."""
        if self.waiting:
            self._write(len(self.waiting))

    def _write(self, width: int) -> None:
        path = Tile(ENTRIES, self.number, width).path
        _write(self.folder / path, encode_bundle(self.waiting[:width]))
        self.waiting = self.waiting[width:]
        self.number += 1


def _write_tiles(folder: Path, tree: Tree) -> None:
    for tile in tiles_of(tree.size):
        if tile.level != ENTRIES:
            _write(folder / tile.path, tree.tile(*tile))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sync(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
