"""Fingerprints of files and directories: what ties a record to content."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from cli.screen import progress
from ledger.encoding import b64url
from ledger.errors import ConfigError

PIECE: Final = 1 << 20


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


def fingerprints(paths: Iterable[Path]) -> list[Fingerprint]:
    """Of files by their names; of a directory each file in it, by its path from there, so that the
    digest of all does not change when the directory is moved. Raises `ConfigError` (X1.file), also
    for what is neither, and for a directory without files.
    """
    found: list[Fingerprint] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if not one.is_dir())
            if not inside:
                raise ConfigError("X1.file", file=path.name)
            found += [fingerprint(_plain(one), one.relative_to(path).as_posix()) for one in inside]
        else:
            found.append(fingerprint(_plain(path)))
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
