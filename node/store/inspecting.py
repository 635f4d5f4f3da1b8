"""What a database says when it is only looked at, while its node runs or not: nothing is written,
nothing is locked, nothing is mended.
"""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ledger.consensus import decode_journal
from ledger.consensus.journal import LAST_VIEW
from ledger.encoding import decode_bundle
from ledger.errors import AllianceError, ConfigError, StorageError
from ledger.records.seal import decode_seal
from node.disk import storage_errors
from node.store import schema


class Seen(NamedTuple):
    """What stands in a database."""

    height: int
    size: int
    """Entries, seals among them."""
    epoch: int
    """The epoch of the newest block."""
    journal_rows: int
    journal_damaged: bool
    in_doubt: bool
    """Whether it was restored and its node has not been started since."""
    quarantined: bool
    """Whether the vote journal says that its node is in quarantine."""
    alarms: tuple[tuple[str, int], ...]
    """Kinds and times (POSIX ms) of the alarms whose proof is kept."""
    accused: int
    """Contradictions of members that are kept."""


def inspect(path: Path, bundle: bytes) -> Seen:
    """Look at the database of a node whose genesis file is `bundle`.

    Raises `ConfigError` (O1.file) where there is none, `StorageError` (O2.corrupt, O2.genesis,
    O2.schema, O3.failed, O11.log).
    """
    if not path.exists():
        raise ConfigError("O1.file", file=path.name)
    beside = {end: path.with_name(path.name + end).exists() for end in ("-wal", "-shm")}
    if beside["-wal"] and not beside["-shm"]:
        # To read the log, SQLite would make an index of it, and leave it there.
        raise StorageError("O11.log", file=path.name)
    # Without a log nobody has it open: SQLite need not even look for one.
    how = "mode=ro" if beside["-wal"] else "mode=ro&immutable=1"
    with storage_errors(), closing(_open(path, how)) as reading:
        return _look(reading, bundle)


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5)


def _look(reading: sqlite3.Connection, bundle: bytes) -> Seen:
    found = reading.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StorageError("O2.corrupt", what="quick_check", height=0)
    tables = {row[0] for row in reading.execute("SELECT name FROM sqlite_master")}
    if not {"tip", "block", "journal"} <= tables:
        raise StorageError("O2.corrupt", what="tables", height=0)
    reading.execute("BEGIN")
    rows = reading.execute(
        "SELECT layout, tip.height, tip.leaf, last.size, last.leaves, first.body, last.body"
        " FROM tip JOIN block last ON last.height = tip.height JOIN block first ON first.height = 0"
    ).fetchall()
    if not rows:
        raise StorageError("O2.corrupt", what="tip", height=0)
    layout, height, leaf, size, leaves, first, newest = rows[0]
    if layout != schema.LAYOUT:
        raise StorageError("O2.schema", found=layout, known=schema.LAYOUT)
    if leaves[-32:] != leaf or _count(reading, "block") != height + 1:
        raise StorageError("O2.corrupt", what="tip", height=height)
    if _unpacked(first) != bundle:
        raise StorageError("O2.genesis")
    try:
        epoch = decode_seal(decode_bundle(_unpacked(newest))[-1]).seal.epoch
    except (AllianceError, IndexError):
        raise StorageError("O2.corrupt", what="body", height=height) from None
    journal = [_row(row[0]) for row in reading.execute("SELECT body FROM journal")]
    alarms: list[tuple[str, int]] = []
    if "alarm" in tables:
        alarms = reading.execute("SELECT kind, at_ms FROM alarm ORDER BY at_ms").fetchall()
    return Seen(
        height=height,
        size=size,
        epoch=epoch,
        journal_rows=len(journal),
        journal_damaged=None in journal,
        in_doubt="doubt" in tables and _count(reading, "doubt") > 0,
        quarantined=LAST_VIEW in journal,
        alarms=tuple(alarms),
        accused=_count(reading, "accusation") if "accusation" in tables else 0,
    )


def _count(reading: sqlite3.Connection, table: str) -> int:
    return int(reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        raise StorageError("O2.corrupt", what="body", height=0) from None


def _row(body: bytes) -> int | None:
    """The floor of a row of the vote journal (0: it has none); None where it cannot be read."""
    try:
        return decode_journal(body).floor
    except AllianceError:
        return None
