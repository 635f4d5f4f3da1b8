"""Copies of a vault: whether one could be restored, and the way back (SPEC 14.6).

A copy is judged by opening it: every key in it with the key of this vault, and the key of every
payload with those.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ledger.crypto import decrypt
from ledger.encoding import unb64url
from ledger.errors import AllianceError, ConfigError, ConflictError
from node.chunks import CHUNKS_FILE, PRAGMAS
from node.config import Config, copy_private, write_private
from node.disk import storage_errors
from node.vault import COPY_FILE, KEYS_FILE, VAULT_FILE, open_vault
from node.vaultkeys import VaultKeys, load_keys


class CopyState(NamedTuple):
    """What a copy would bring back."""

    payloads: int
    lacking: int
    """Payloads of the vault that are not in it."""
    at_ms: int
    """When it was made, by the clock of its disk."""


def check_copy(config: Config, folder: Path) -> CopyState:
    """Whether a copy can be restored with the key of this vault; nothing is changed.

    Raises `ConfigError` (X1.file for one that is not there or not readable, T6 for the wrong key),
    `ProofError` (T6.data) or `StorageError` (O2).
    """
    wrapped_keys = _groups(folder)
    keys = load_keys(config)
    if keys is None:
        raise ConfigError("T6")
    groups = {name: _opened(keys, name, kek, wrapped) for name, kek, wrapped in wrapped_keys}
    copy = folder / COPY_FILE
    found = set()
    with storage_errors(), closing(_look_into(copy)) as connection:
        rows = connection.execute("SELECT id, group_name, wrapped FROM payload")
        for commit, group, wrapped in rows:
            if group in groups:
                decrypt(groups[group], wrapped, commit.encode())
                found.add(commit)
    return CopyState(len(found), len(_payloads(config) - found), _made_ms(copy))


def _payloads(config: Config) -> set[str]:
    path = config.home / VAULT_FILE
    if not path.exists():
        return set()
    with storage_errors(), closing(_look_into(path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM payload")}


def _look_into(path: Path) -> sqlite3.Connection:
    """Raises `ConfigError` (X1.file)."""
    if not path.exists():
        raise ConfigError("X1.file", file=path.name)
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _made_ms(path: Path) -> int:
    try:
        return int(path.stat().st_mtime * 1000)
    except OSError:
        raise ConfigError("X1.file", file=path.name) from None


def _opened(keys: VaultKeys, name: str, kek: str, wrapped: bytes) -> bytes:
    return decrypt(keys.find(kek), wrapped, name.encode())


def _groups(folder: Path) -> list[tuple[str, str, bytes]]:
    """The wrapped keys of a copy. Raises `ConfigError` (X1.file)."""
    try:
        lines = (folder / KEYS_FILE).read_text("ascii").splitlines()
        return [(name, kek, unb64url(text)) for name, kek, text in map(str.split, lines)]
    except (OSError, ValueError, AllianceError):
        raise ConfigError("X1.file", file=f"{folder.name}/{KEYS_FILE}") from None


def restore_vault(config: Config, folder: Path) -> None:
    """Put a copy in the place of a lost vault. Payloads whose group has no key any more are
    dropped, and the chain is read again from its beginning before anything is served, so that
    whatever was erased since is erased here, too. What cannot be opened is put nowhere.

    Raises `ConflictError` (X1.exists), or as `check_copy`.
    """
    path = config.home / VAULT_FILE
    if path.exists():
        raise ConflictError("X1.exists", file=path.name)
    check_copy(config, folder)
    part = path.with_name(path.name + ".part")
    try:
        write_private(part, (folder / COPY_FILE).read_bytes())
    except OSError:
        raise ConfigError("X1.file", file=COPY_FILE) from None
    _take_keys(part, _groups(folder))
    if (folder / CHUNKS_FILE).exists():
        copy_private(folder / CHUNKS_FILE, config.home / CHUNKS_FILE)
    part.replace(path)
    vault = open_vault(config)
    try:
        vault.check_attachments()
    finally:
        vault.close()


def _take_keys(path: Path, groups: list[tuple[str, str, bytes]]) -> None:
    with storage_errors(), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.executemany("INSERT INTO group_key VALUES (?, ?, ?)", groups)
        connection.execute(
            "DELETE FROM payload WHERE group_name NOT IN (SELECT name FROM group_key)"
        )
        connection.execute("DELETE FROM attachment WHERE id NOT IN (SELECT id FROM payload)")
        connection.execute("DELETE FROM place")
