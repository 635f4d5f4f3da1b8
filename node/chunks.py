"""The pieces of attachments in a vault: each encrypted by itself, in a database of their own (SPEC
14.7).

A piece is bound to its payload, to its number and to whether it is the last: none can be exchanged,
moved, left out at the end or put behind it. What is deleted is overwritten, and there is no
journal that keeps it.
"""

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from threading import RLock
from typing import Final

from node.disk import storage_errors

PRAGMAS: Final = (
    "PRAGMA journal_mode = DELETE",
    "PRAGMA secure_delete = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
)
CHUNKS_FILE: Final = "vault-attachments.db"
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chunk (
  id TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, number));
"""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a database of the vault, or make it, for its owner alone. Raises `sqlite3.Error` and
    `OSError`: callers are inside `storage_errors`.
    """
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


class Chunks:
    """The pieces as they lie there, encrypted. From any thread; one piece in memory at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def open(cls, path: Path) -> "Chunks":
        """Open the pieces of a vault. Raises `StorageError` (O2, O3)."""
        with storage_errors():
            return cls(path, open_database(path, SCHEMA))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def add(self, commit: str, number: int, body: bytes) -> bool:
        """Keep a piece, durably; says whether it is the next one. No piece is replaced."""
        with self._lock, storage_errors():
            done = self._connection.execute(
                "INSERT OR IGNORE INTO chunk SELECT ?1, ?2, ?3"
                " WHERE ?2 = (SELECT count(*) FROM chunk WHERE id = ?1)",
                (commit, number, body),
            )
            return done.rowcount == 1

    def get(self, commit: str, number: int) -> bytes | None:
        """A piece, or None."""
        with self._lock, storage_errors():
            row = self._connection.execute(
                "SELECT body FROM chunk WHERE id = ? AND number = ?", (commit, number)
            ).fetchone()
        return None if row is None else row[0]

    def count(self, commit: str) -> int:
        """How many pieces of an attachment are here: the first ones."""
        with self._lock, storage_errors():
            row = self._connection.execute(
                "SELECT count(*) FROM chunk WHERE id = ?", (commit,)
            ).fetchone()
        return int(row[0])

    def drop(self, commits: Iterable[str]) -> None:
        """Destroy all pieces of these."""
        with self._lock, storage_errors():
            self._connection.executemany(
                "DELETE FROM chunk WHERE id = ?", [(commit,) for commit in commits]
            )

    def keep(self, commits: Collection[str]) -> None:
        """Destroy all pieces of all others."""
        with self._lock, storage_errors():
            rows = self._connection.execute("SELECT DISTINCT id FROM chunk").fetchall()
        self.drop(row[0] for row in rows if row[0] not in commits)

    def copy_to(self, path: Path) -> None:
        """Make a copy of all pieces equal to this: what is new is added, what is gone destroyed."""
        with storage_errors():
            copy = open_database(path, SCHEMA)
            try:
                copy.execute("ATTACH ? AS vault", (f"{self._path}",))
                copy.execute(
                    "DELETE FROM chunk WHERE id NOT IN (SELECT DISTINCT id FROM vault.chunk)"
                )
                copy.execute("INSERT OR IGNORE INTO chunk SELECT * FROM vault.chunk")
            finally:
                copy.close()
