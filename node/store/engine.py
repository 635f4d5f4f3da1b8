"""How the database is opened: one writer, readers that cannot write, and what its errors mean (O2,
O3).
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ledger.errors import AllianceError, ConfigError, StorageError
from node.store.schema import PRAGMAS

_FULL: Final = frozenset({"SQLITE_FULL"})
_CORRUPT: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX"})


def open_engine(path: Path, *, writer: bool) -> Engine:
    """An engine on this file. Readers get `query_only`; transactions are begun by us, not the
    driver.
    """
    engine = create_engine(
        f"sqlite:///{path}", pool_size=1 if writer else 8, max_overflow=0 if writer else 8
    )

    # Both connections are of SQLite's and SQLAlchemy's own types.
    def connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None
        for pragma in (
            PRAGMAS if writer else ("PRAGMA query_only = ON", "PRAGMA cache_size = -16384")
        ):
            connection.execute(pragma)

    def begin(connection: Any) -> None:  # noqa: ANN401
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)
    return engine


@contextmanager
def storage_errors(height: int = 0) -> Iterator[None]:
    """Turn what the disk and the database say into `StorageError` (O2.corrupt, O3.full,
    O3.failed).
    """
    try:
        yield
    except DBAPIError as error:
        raise translate(error.orig, height) from error
    except sqlite3.Error as error:
        raise translate(error, height) from error
    except OSError as error:
        raise translate(error, height) from error


def translate(error: BaseException | None, height: int) -> AllianceError:
    """The error of the house for an error of the disk."""
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return StorageError("O3.full")
        return StorageError("O3.failed", kind=errno.errorcode.get(error.errno or 0, "EIO"))
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if name in _FULL:
        return StorageError("O3.full")
    if name in _CORRUPT:
        return StorageError("O2.corrupt", what=name, height=height)
    return StorageError("O3.failed", kind=name)


class Lock:
    """An exclusive lock beside the database: a second process is refused, not queued."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise ConfigError("O2.locked", file=database.name) from None

    def release(self) -> None:
        """Let another process open the database."""
        os.close(self._fd)
