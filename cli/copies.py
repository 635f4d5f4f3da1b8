"""The files of an offline copy: the layout of C2SP tlog-tiles, with genesis, policy, epochs and
certificates beside it (SPEC 9.3). Reading decides nothing; nothing here needs more than the ledger.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger.encoding import decode_bundle
from ledger.errors import MalformedError, NotFoundError
from ledger.merkle import TILE_WIDTH, Tile

MAX_FILE: Final = TILE_WIDTH * (65_535 + 2)
PIECE_BYTES: Final = 1 << 20
MAX_CERTIFICATE: Final = 1 << 16
CERTIFICATES: Final = "finality/certificates"
"""For each height from 1 on, a big-endian uint32 length and the certificate; empty where a later
one covers it.
"""
JUSTIFICATIONS: Final = "finality/justifications"
"""The notarizations and nullifications that led to the final blocks, in any order, each behind a
big-endian uint32 length; absent where the member held none.
"""

EPOCHS: Final = "epochs"
"""How one epoch followed the other; a copy of the first epoch has no such file."""

FIXED: Final = frozenset({"checkpoint", "genesis", "policy", CERTIFICATES})


def read_at_most(file: BinaryIO, limit: int) -> bytes:
    """What is left of a file, up to one byte beyond `limit`: whoever asks sees that there is more.

    Piece by piece: what is asked for at once has its room at once, however little comes.
    """
    pieces: list[bytes] = []
    left = limit + 1
    while left and (piece := file.read(min(PIECE_BYTES, left))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class Copy:
    """A directory in this layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises `NotFoundError` (V10) or `MalformedError` (V11, V27)."""
        with open_plain(self.folder, name) as file:
            data = read_at_most(file, MAX_FILE)
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
        """All that is no folder, relative to this one: files, links, pipes. Raises `MalformedError`
        (V27) for a folder that cannot be looked into: what is in there, nobody knows.
        """
        found: set[str] = set()
        folders = [""]
        while folders:
            inside = folders.pop()
            try:
                with os.scandir(self.folder / inside) as things:
                    for thing in things:
                        if thing.is_dir(follow_symlinks=False):
                            folders.append(f"{inside}{thing.name}/")
                        else:
                            found.add(f"{inside}{thing.name}")
            except OSError as error:
                raise MalformedError("V27", file=_shown(inside)) from error
        return found


def _shown(name: str) -> str:
    """A name that somebody chose, short, and without the bytes in it that are no text."""
    return os.fsencode(name[:128]).decode(errors="backslashreplace")


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


def read_certificates(folder: Path) -> Iterator[bytes]:
    """The finality certificates of a copy, by height from 1 on. Raises as `Copy.read` does."""
    return read_framed(folder, CERTIFICATES)


def read_framed(folder: Path, name: str) -> Iterator[bytes]:
    """The parts of a file of certificates, each behind its length. Raises as `Copy.read` does."""
    with open_plain(folder, name) as file:
        while head := file.read(4):
            length = int.from_bytes(head, "big")
            data = file.read(length) if length <= MAX_CERTIFICATE else b""
            if len(head) < 4 or len(data) != length:
                raise MalformedError("V11", file=name)
            yield data
