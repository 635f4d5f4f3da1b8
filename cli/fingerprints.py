"""Fingerprints of files and directories: what ties a record to content."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from cli.home import read_file
from cli.screen import progress
from ledger.encoding import UNREADABLE, b64url, unb64url
from ledger.errors import ConfigError

PIECE: Final = 1 << 20
Line = tuple[str, int, int, str]
"""Path, size in bytes, time of change (ns), SHA-256 (base64url)."""


class Fingerprint(NamedTuple):
    """The SHA-256 of a file, and its size in bytes."""

    file: str
    digest: bytes
    size: int


def fingerprint(path: Path, name: str | None = None) -> Fingerprint:
    """The SHA-256 of a file, read piece by piece with progress; it is called `name`, by default as
    the file. Raises `ConfigError` (X1.file).
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            with progress("fingerprinting", size) as advance:
                digest, read = _digest(file, advance)
    except OSError:
        raise ConfigError("X1.file", file=path.name) from None
    return Fingerprint(name or path.name, digest, read)


def _digest(file: BinaryIO, advance: Callable[[int], None]) -> tuple[bytes, int]:
    running, size = sha256(), 0
    while piece := file.read(PIECE):
        running.update(piece)
        size += len(piece)
        advance(len(piece))
    return running.digest(), size


class Finished:
    """Files that were read before, kept in a file of JSON lines, so that an interrupted command
    goes on with the next one. A file counts as read while path, size and time of change are the
    same. Raises `ConfigError` (X1.file); a line that is cut short, by an interruption, is no line.
    """

    def __init__(self, notes: Path | None) -> None:
        self._notes = notes
        self._known: dict[tuple[str, int, int], str] = {}
        if notes is not None and notes.exists():
            for line in read_file(notes).splitlines():
                with contextlib.suppress(*UNREADABLE):
                    path, size, changed_ns, digest = msgspec.json.decode(line, type=Line)
                    self._known[path, size, changed_ns] = digest

    def fingerprint(self, path: Path, name: str | None = None) -> Fingerprint:
        """As `fingerprint`, without reading what was read before."""
        if self._notes is None:
            return fingerprint(path, name)
        try:
            status = path.stat()
            place = str(path.resolve()), status.st_size, status.st_mtime_ns
            if place in self._known:
                return Fingerprint(name or path.name, unb64url(self._known[place]), place[1])
            found = fingerprint(path, name)
            with self._notes.open("ab") as file:
                # On a line of its own, also after one that was cut short.
                line = msgspec.json.encode((*place, b64url(found.digest)))
                file.write(b"\n" + line + b"\n")
        except OSError:
            raise ConfigError("X1.file", file=path.name) from None
        return found


def fingerprints(paths: Iterable[Path], notes: Path | None = None) -> list[Fingerprint]:
    """Of files by their names; of a directory each file in it, by its path from there, so that the
    digest of all does not change when the directory is moved. Raises `ConfigError` (X1.file), also
    for what is neither, and for a directory without files. `notes` keeps what was read.
    """
    finished = Finished(notes)
    found: list[Fingerprint] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if not one.is_dir())
            if not inside:
                raise ConfigError("X1.file", file=path.name)
            found += [
                finished.fingerprint(_plain(one), one.relative_to(path).as_posix())
                for one in inside
            ]
        else:
            found.append(finished.fingerprint(_plain(path)))
    return found


def _plain(path: Path) -> Path:
    """A regular file: a pipe would never end."""
    if not path.is_file():
        raise ConfigError("X1.file", file=path.name)
    return path


def manifest_digest(prints: Sequence[Fingerprint]) -> bytes:
    """The digest of several files: SHA-256 over the lines that `sha256sum` prints for them, by
    name.
    """
    lines = sorted(f"{item.digest.hex()}  {item.file}\n" for item in prints)
    return sha256("".join(sorted(lines, key=lambda line: line[66:])).encode()).digest()


def content_digest(prints: Sequence[Fingerprint]) -> tuple[str, str]:
    """What a version record says of these files: digest (base64url) and its scope."""
    if len(prints) == 1:
        return b64url(prints[0].digest), "files"
    return b64url(manifest_digest(prints)), "manifest"
