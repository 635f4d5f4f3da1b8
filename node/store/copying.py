"""A copy of the database for bad days, and the way back (consensus.md 2.12).

A copy is consistent though the node goes on. What is restored may be older than what its node has
said since: it is marked, and the node says nothing until it knows from the others how far it went.
"""

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ledger.encoding import decode_bundle
from ledger.errors import AllianceError, ConfigError, ConflictError, StorageError
from ledger.records.seal import decode_seal
from node.disk import storage_errors
from node.store import schema
from node.store.engine import Lock

PAGES: Final = 1_024
"""Copied between two reports of progress."""

Report = Callable[[int, int], None]
"""Told of pages done and of all pages."""


class Copied(NamedTuple):
    """What a copy holds."""

    height: int
    size: int
    """Entries, seals among them."""
    epoch: int
    """Of the newest block."""


def back_up(database: Path, target: Path, report: Report) -> Copied:
    """Copy the database into a new file, whether its node runs or not.

    Raises `ConflictError` (X1.exists), `ConfigError` (O1.file, X1.file) or `StorageError` (O2, O3).
    """
    if not database.exists():
        raise ConfigError("O1.file", file=database.name)
    with _aside(target) as part:
        _copy(database, part, report)
        return _check(part)


def restore(copy: Path, database: Path, bundle: bytes, report: Report) -> Copied:
    """Put a copy in the place of a database that is not there any more, and mark it.

    `bundle` is the genesis of the home directory. Raises `ConfigError` (O1.file, O2.locked,
    X1.file), `ConflictError` (X1.exists) or `StorageError` (O2, O3).
    """
    if not copy.exists():
        raise ConfigError("O1.file", file=copy.name)
    lock = Lock(database)
    try:
        for rest in ("-wal", "-journal"):
            # What is left of another database would be played into this one.
            left = database.with_name(database.name + rest)
            if left.exists():
                raise ConflictError("X1.exists", file=left.name)
        with _aside(database) as part:
            _copy(copy, part, report)
            copied = _check(part, bundle)
            _mark(part)
            return copied
    finally:
        lock.release()


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A file that takes its name when it is complete and durable, and never in place of another."""
    if target.exists():
        raise ConflictError("X1.exists", file=target.name)
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError:
        raise ConfigError("X1.file", file=str(target)) from None
    with storage_errors():
        try:
            yield part
            _sync(part)
            try:
                os.link(part, target)
            except FileExistsError:
                raise ConflictError("X1.exists", file=target.name) from None
        finally:
            part.unlink(missing_ok=True)
        _sync(target.parent)


def _copy(source: Path, target: Path, report: Report) -> None:
    """All pages of one moment: the read transaction holds that moment while others write."""
    with (
        closing(sqlite3.connect(source.absolute().as_uri() + "?mode=rw", uri=True)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(
            writing, pages=PAGES, progress=lambda _status, left, all_: report(all_ - left, all_)
        )
        # One file, without a log beside it.
        writing.execute("PRAGMA journal_mode = DELETE")


def _check(path: Path, bundle: bytes | None = None) -> Copied:
    """The copy is whole, and of this chain."""
    with closing(sqlite3.connect(path)) as reading:
        found = reading.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StorageError("O2.corrupt", what="quick_check", height=0)
        rows = reading.execute(
            "SELECT layout, tip.height, last.size, first.body, last.body FROM tip"
            " JOIN block last ON last.height = tip.height JOIN block first ON first.height = 0"
        ).fetchall()
    if not rows:
        raise StorageError("O2.corrupt", what="tip", height=0)
    layout, height, size, first, newest = rows[0]
    if layout != schema.LAYOUT:
        raise StorageError("O2.schema", found=layout, known=schema.LAYOUT)
    try:
        other = bundle is not None and zlib.decompress(first) != bundle
        epoch = decode_seal(decode_bundle(zlib.decompress(newest))[-1]).seal.epoch
    except (zlib.error, AllianceError, IndexError):
        raise StorageError("O2.corrupt", what="body", height=0) from None
    if other:
        raise StorageError("O2.genesis")
    return Copied(height, size, epoch)


def _mark(path: Path) -> None:
    """In doubt from its first start on."""
    with closing(sqlite3.connect(path)) as writing, writing:
        writing.execute("CREATE TABLE IF NOT EXISTS doubt (one INTEGER NOT NULL PRIMARY KEY)")
        writing.execute("INSERT OR REPLACE INTO doubt (one) VALUES (1)")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
