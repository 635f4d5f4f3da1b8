"""The offline copy of a chain: files that anybody can check without us (SPEC V; C2SP tlog-tiles).

    checkpoint  genesis  policy  tile/<L>/<N>[.p/W]  tile/entries/<N>[.p/W]  finality/certificates

`finality/certificates` holds, for each height from 1 on, a big-endian uint32 length and the
certificate. The copy is complete or it does not exist: it is written aside and renamed at the end.
"""

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cli.home import write_new
from cli.screen import progress
from cli.session import Session
from ledger.encoding import b64url, encode_bundle
from ledger.errors import ConfigError, ConflictError, ProofError
from ledger.merkle import ENTRIES, Tile, Tree, tiles_of
from ledger.notes import Checkpoint, decode_note, encode_policy
from ledger.verify import policy_of, verify_checkpoint

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
    checkpoint, _cosigners = verify_checkpoint(decode_note(note), tip.config, tip.origin)
    certificates: list[bytes] = []
    tree = Tree()
    with progress("exporting", checkpoint.size) as advance:
        writer = _Bundles(folder)
        for raws, certificate in _blocks(session, checkpoint):
            tree.extend([sha256(b"\x00" + raw).digest() for raw in raws])
            writer.add(raws)
            certificates.append(certificate)
            advance(len(raws))
        writer.finish()
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
        raise ProofError("M2")
    _write_tiles(folder, tree)
    framed = b"".join(len(item).to_bytes(4, "big") + item for item in certificates[1:])
    _write(folder / "finality" / "certificates", framed)
    _write(folder / "genesis", session.client.genesis())
    _write(folder / "policy", encode_policy(policy_of(tip.config, tip.origin)))
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
