"""What the disk and SQLite say, as errors of the house (O2, O3).

Apart from the ledger's own database, and without its libraries: the vault needs no more.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import AllianceError, StorageError

_FULL: Final = frozenset({"SQLITE_FULL"})
_CORRUPT: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX"})


@contextmanager
def storage_errors(height: int = 0) -> Iterator[None]:
    """Turn what the disk and the database say into `StorageError` (O2.corrupt, O3.full,
    O3.failed).
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
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
