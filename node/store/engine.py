"""How the database is opened: one writer, readers that cannot write (O2, O3)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ledger.errors import ConfigError
from node.disk import storage_errors, translate
from node.store.schema import PRAGMAS


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
def database_errors(height: int = 0) -> Iterator[None]:
    """As `storage_errors`, for what an engine does, which wraps what the database says."""
    with storage_errors(height):
        try:
            yield
        except DBAPIError as error:
            raise translate(error.orig, height) from error


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
