"""The vault: payloads that belong beside the chain, encrypted, and erasable for good (domain.md
D12; SPEC 14).

    keys/vault  ->  key of a group (a person, a study, or one payload)  ->  key of a payload

Each key is wrapped by the one before, each payload is encrypted with its salt, so that no payload
ever touches the disk in clear; destroying a group's key destroys every payload of the group. The
database of the vault is not the ledger's: it overwrites what it deletes and keeps no journal.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple

import msgspec

from ledger.crypto import NONCE_BYTES, decrypt, encrypt
from ledger.encoding import b64url, unb64url
from ledger.errors import (
    ConfigError,
    ErasedError,
    NotFoundError,
)
from ledger.records.payloads import (
    SALT_BYTES,
    Attachment,
    Deposit,
    Tier,
    attachment_of,
    check_commitment,
    commit_of,
    payload_of,
)
from node.chunks import CHUNKS_FILE, Chunks, open_database
from node.config import Config, make_private_folder, write_private
from node.disk import storage_errors
from node.vaultkeys import VaultKeys, load_keys, make_keys

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS group_key (
  name TEXT PRIMARY KEY, kek TEXT NOT NULL, wrapped BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS payload (
  id TEXT PRIMARY KEY, tier TEXT NOT NULL, schema TEXT NOT NULL, group_name TEXT NOT NULL,
  holders TEXT NOT NULL, depositor TEXT NOT NULL, at_ms INTEGER NOT NULL, wrapped BLOB NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS payload_group ON payload (group_name);
CREATE TABLE IF NOT EXISTS named (
  id TEXT NOT NULL, tier TEXT NOT NULL, holders TEXT NOT NULL, leaf TEXT NOT NULL,
  org TEXT NOT NULL, PRIMARY KEY (id, leaf));
CREATE TABLE IF NOT EXISTS erased (
  id TEXT PRIMARY KEY, ground TEXT NOT NULL, record TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS access (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, at_ms INTEGER NOT NULL, org TEXT NOT NULL,
  role TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
  number INTEGER PRIMARY KEY, about TEXT NOT NULL, raw BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS attachment (
  id TEXT PRIMARY KEY, chunks INTEGER NOT NULL, wrapped BLOB NOT NULL, complete INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS place (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
VAULT_FILE: Final = "vault.db"
COPY_FILE: Final = "vault-payloads.db"
KEYS_FILE: Final = "vault-keys"
CHECK: Final = "check"
UNWRITTEN_BLOCKS: Final = 256
"""So many blocks that ask for nothing may be read once more after a start."""
"""A group of no payload: whether the key of the vault is the right one is tried on it."""
_ORGS: Final = msgspec.json.Decoder(tuple[str, ...])


class Holding(NamedTuple):
    """What a vault knows of a payload without opening it."""

    commit: str
    tier: Tier
    schema: str
    group: str
    holders: tuple[str, ...]
    depositor: str
    """The key id of who handed it in, or the organisation whose node brought it."""


class Attached(NamedTuple):
    """An attachment that a payload names, and the key of its pieces."""

    holding: Holding
    chunks: int
    key: bytes
    complete: bool


class Opened(NamedTuple):
    """A payload and its salt."""

    holding: Holding
    salt: bytes
    payload: bytes


class Reading(NamedTuple):
    """One reading of a T2 payload, or an attempt at it."""

    commit: str
    at_ms: int
    org: str
    role: str
    subject: str
    key: str
    outcome: str
    """`ok` or `denied`."""


class Named(NamedTuple):
    """A payload that a record on the chain names."""

    commit: str
    tier: Tier
    holders: tuple[str, ...]
    leaf: str
    """Of the record, base64url."""
    org: str
    """Whose record it is: that organisation decides on its erasure."""


class Erasure(NamedTuple):
    """A payload that was destroyed here."""

    commit: str
    ground: str
    record: str
    """The leaf hash of this organisation's `erasure` record; empty until that is on the chain."""
    at_ms: int


class Vault:
    """The payloads of one node. `open` it; every method is one transaction, from any thread."""

    def __init__(self, connection: sqlite3.Connection, keys: VaultKeys, chunks: Chunks) -> None:
        self._connection = connection
        self.chunks = chunks
        """The pieces of attachments."""
        self._keys = keys
        self._lock = RLock()
        self._height = self._written = -1

    @classmethod
    def open(cls, path: Path, keys: VaultKeys) -> "Vault":
        """Open a vault, or make it. Raises `ConfigError` (T6), `StorageError` (O2, O3)."""
        with storage_errors():
            connection = open_database(path, SCHEMA)
        with ExitStack() as undo:
            undo.callback(connection.close)
            chunks = Chunks.open(path.with_name(CHUNKS_FILE))
            undo.callback(chunks.close)
            vault = cls(connection, keys, chunks)
            with vault._transaction():
                vault._group_key(CHECK)
            vault._height = vault._written = vault._placed("height")
            # What an erasure that did not come to its end left: it has no key any more.
            chunks.keep({row[0] for row in vault._rows("SELECT id FROM attachment")})
            undo.pop_all()
        return vault

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._connection.close()
        self.chunks.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, storage_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, storage_errors():
            return self._connection.execute(statement, values).fetchall()

    # --- payloads ---------------------------------------------------------------------------------

    def put(self, deposit: Deposit, depositor: str, at_ms: int) -> str:
        """Keep a payload; gives its commitment. The same again is harmless.

        Raises `ErasedError` (T4) for one that was erased: it does not come back.
        """
        commit = commit_of(deposit)
        group = deposit.group or f"payload:{commit}"
        clear = unb64url(deposit.salt, SALT_BYTES) + payload_of(deposit)
        key = secrets.token_bytes(32)
        body = encrypt(key, secrets.token_bytes(NONCE_BYTES), clear, commit.encode())
        with self._transaction():
            self._check_not_erased(commit)
            wrapped = encrypt(
                self._group_key(group), secrets.token_bytes(NONCE_BYTES), key, commit.encode()
            )
            self._connection.execute(
                "INSERT OR IGNORE INTO payload VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    commit, deposit.tier, deposit.schema, group, _text(deposit.holders), depositor,
                    at_ms, wrapped, body,
                ),
            )  # fmt: skip
            self._expect(commit, group, attachment_of(payload_of(deposit)))
        return commit

    # --- attachments ------------------------------------------------------------------------------

    def _expect(self, commit: str, group: str, attachment: Attachment | None) -> None:
        """The key that the pieces of an attachment are to be encrypted with."""
        if attachment is None:
            return
        nonce, key = secrets.token_bytes(NONCE_BYTES), secrets.token_bytes(32)
        wrapped = encrypt(self._group_key(group), nonce, key, _bound_of(commit))
        self._connection.execute(
            "INSERT OR IGNORE INTO attachment VALUES (?, ?, ?, 0)",
            (commit, attachment.chunks, wrapped),
        )

    def attached(self, commit: str) -> Attached:
        """The attachment of a payload. Raises `NotFoundError` (T3, T15), `ErasedError` (T4), or as
        `read`.
        """
        with self._lock:
            holding = self.holding(commit)
            rows = self._rows(
                "SELECT chunks, wrapped, complete FROM attachment WHERE id = ?", commit
            )
            if not rows:
                raise NotFoundError("T15", commit=commit)
            key = decrypt(self._group_key(holding.group), rows[0][1], _bound_of(commit))
        return Attached(holding, rows[0][0], key, bool(rows[0][2]))

    def complete(self, commit: str) -> None:
        """All pieces of an attachment are here, and they are the right ones."""
        with self._transaction():
            self._connection.execute("UPDATE attachment SET complete = 1 WHERE id = ?", (commit,))

    def check_attachments(self) -> None:
        """Those of which pieces are missing, as in a copy made meanwhile, are not complete."""
        rows = self._rows("SELECT id, chunks FROM attachment WHERE complete")
        short = [(row[0],) for row in rows if self.chunks.count(row[0]) < row[1]]
        with self._transaction():
            self._connection.executemany("UPDATE attachment SET complete = 0 WHERE id = ?", short)

    def unfinished(self) -> list[str]:
        """The payloads whose attachment is not all here."""
        return [row[0] for row in self._rows("SELECT id FROM attachment WHERE NOT complete")]

    def holding(self, commit: str) -> Holding:
        """What is known of a payload. Raises `NotFoundError` (T3) or `ErasedError` (T4)."""
        self._check_not_erased(commit)
        rows = self._rows(
            "SELECT id, tier, schema, group_name, holders, depositor FROM payload WHERE id = ?",
            commit,
        )
        if not rows:
            raise NotFoundError("T3", commit=commit)
        row = rows[0]
        return Holding(row[0], row[1], row[2], row[3], _ORGS.decode(row[4]), row[5])

    def read(self, commit: str) -> Opened:
        """A payload in clear. Whoever asks was allowed to, and a reading of T2 is recorded before.

        Raises `NotFoundError` (T3), `ErasedError` (T4), `ConfigError` (T6) or `ProofError` (T2,
        T6.data).
        """
        with self._lock:
            holding = self.holding(commit)
            wrapped, body = self._rows("SELECT wrapped, body FROM payload WHERE id = ?", commit)[0]
            group_key = self._group_key(holding.group)
        key = decrypt(group_key, wrapped, commit.encode())
        clear = decrypt(key, body, commit.encode())
        salt, payload = clear[:SALT_BYTES], clear[SALT_BYTES:]
        check_commitment(commit, salt, payload)
        return Opened(holding, salt, payload)

    def _check_not_erased(self, commit: str) -> None:
        rows = self._rows("SELECT record, ground FROM erased WHERE id = ?", commit)
        if rows:
            raise ErasedError("T4", commit=commit, record=rows[0][0] or rows[0][1])

    # --- keys -------------------------------------------------------------------------------------

    def _group_key(self, group: str) -> bytes:
        """The key of a group; a new one for a new group, inside a transaction."""
        rows = self._rows("SELECT kek, wrapped FROM group_key WHERE name = ?", group)
        if rows:
            return decrypt(self._keys.find(rows[0][0]), rows[0][1], group.encode())
        name, kek = self._keys.newest
        key = secrets.token_bytes(32)
        wrapped = encrypt(kek, secrets.token_bytes(NONCE_BYTES), key, group.encode())
        self._connection.execute("INSERT INTO group_key VALUES (?, ?, ?)", (group, name, wrapped))
        return key

    def rewrap(self, keys: VaultKeys) -> int:
        """Wrap every group's key with the newest of these keys; gives how many.

        Payloads stay as they are: a rotation costs one small row for each group.
        """
        name, kek = keys.newest
        with self._transaction():
            groups = self._rows("SELECT name, kek, wrapped FROM group_key")
            for group, old, wrapped in groups:
                key = decrypt(keys.find(old), wrapped, group.encode())
                fresh = encrypt(kek, secrets.token_bytes(NONCE_BYTES), key, group.encode())
                self._connection.execute(
                    "UPDATE group_key SET kek = ?, wrapped = ? WHERE name = ?", (name, fresh, group)
                )
            self._keys = keys
        return len(groups)

    # --- readings ---------------------------------------------------------------------------------

    def record(self, reading: Reading) -> None:
        """Note a reading, durably: before what is read leaves."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO access (id, at_ms, org, role, subject, key, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                reading,
            )

    def readings(self, after: int = 0, limit: int = 1_000) -> list[tuple[int, Reading]]:
        """Readings in order, from a number on."""
        rows = self._rows(
            "SELECT number, id, at_ms, org, role, subject, key, outcome FROM access"
            " WHERE number > ? ORDER BY number LIMIT ?",
            after,
            limit,
        )
        return [(row[0], Reading(*row[1:])) for row in rows]

    def newest_readings(self, limit: int = 100) -> list[tuple[int, Reading]]:
        """The last readings, in order."""
        last = self._rows("SELECT max(number) FROM access")[0][0] or 0
        return self.readings(max(0, last - limit), limit)

    # --- readings on their way to the chain -------------------------------------------------------

    def last_reading(self) -> int:
        """The last number that was given to a reading here; 0 before."""
        rows = self._rows(
            "SELECT max(value) FROM (SELECT value FROM place WHERE name = 'reading'"
            " UNION ALL SELECT number FROM reading)"
        )
        return int(rows[0][0] or 0)

    def note_reading(self, number: int, about: str, raw: bytes) -> None:
        """Keep the record of a reading until it is on the chain: no number is without one."""
        with self._transaction():
            self._connection.execute("INSERT INTO reading VALUES (?, ?, ?)", (number, about, raw))
            self._place("reading", number)

    def waiting_readings(self, about: str | None = None) -> list[tuple[int, bytes]]:
        """The records, by number, that are not known to be on the chain; all, or of one matter."""
        return self._rows(
            "SELECT number, raw FROM reading WHERE about = coalesce(?, about) ORDER BY number",
            about,
        )

    def settle_reading(self, number: int, *, unused: bool = False) -> None:
        """A record is on the chain; or it never will be, and its number, when it is the last one,
        is free again.
        """
        with self._transaction():
            self._connection.execute("DELETE FROM reading WHERE number = ?", (number,))
            if unused and self.last_reading() == number:
                self._place("reading", number - 1)

    def _place(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO place VALUES (?, ?)", (name, value))

    # --- what the chain names ---------------------------------------------------------------------

    def name(self, named: Sequence[Named]) -> None:
        """Records name these payloads."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?, ?)",
                [
                    (item.commit, item.tier, _text(item.holders), item.leaf, item.org)
                    for item in named
                ],
            )

    def advance(self, height: int, *, asked: bool) -> None:
        """The chain was read up to this height, and what it asks for is done. Where it asked for
        nothing this is written now and then only: after a start such blocks are read once more.
        """
        if asked or height - self._written >= UNWRITTEN_BLOCKS:
            with self._transaction():
                self._place("height", height)
            self._written = height
        self._height = height

    @property
    def height(self) -> int:
        """The height up to which the chain was read; -1 before."""
        return self._height

    def _placed(self, name: str) -> int:
        rows = self._rows("SELECT value FROM place WHERE name = ?", name)
        return int(rows[0][0]) if rows else -1

    def named(self, commit: str) -> list[Named]:
        """The records that name a payload."""
        return self._named("id = ?", commit)

    def missing(self, org: str) -> list[Named]:
        """The T1 payloads that this organisation should hold and does not."""
        found = self._named("tier = 'T1' AND id NOT IN (SELECT id FROM payload)"
                            " AND id NOT IN (SELECT id FROM erased)")  # fmt: skip
        return [item for item in found if org in item.holders]

    def _named(self, where: str, *values: object) -> list[Named]:
        rows = self._rows(f"SELECT id, tier, holders, leaf, org FROM named WHERE {where}", *values)  # noqa: S608
        return [Named(row[0], row[1], _ORGS.decode(row[2]), row[3], row[4]) for row in rows]

    # --- forgetting -------------------------------------------------------------------------------

    def erase(self, commits: Sequence[str], ground: str, at_ms: int) -> list[str]:
        """Destroy payloads, their salts and keys; with the last payload of a group also the key of
        the group. Gives those that were here. They never come back (T4).
        """
        with self._transaction():
            here = []
            for commit in commits:
                rows = self._rows("SELECT group_name FROM payload WHERE id = ?", commit)
                self._connection.execute(
                    "INSERT OR IGNORE INTO erased VALUES (?, ?, '', ?)", (commit, ground, at_ms)
                )
                if rows:
                    self._connection.execute("DELETE FROM payload WHERE id = ?", (commit,))
                    self._connection.execute("DELETE FROM attachment WHERE id = ?", (commit,))
                    self._connection.execute(
                        "DELETE FROM group_key WHERE name = ? AND NOT EXISTS"
                        " (SELECT 1 FROM payload WHERE group_name = ?)",
                        (rows[0][0], rows[0][0]),
                    )
                    here.append(commit)
        # Their key is gone; should this not come to its end, the next start does it.
        self.chunks.drop(here)
        return here

    def on_record(self, commits: Sequence[str], record: str) -> None:
        """The chain holds this organisation's word that these were erased."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE erased SET record = ? WHERE id = ?", [(record, one) for one in commits]
            )

    def erasures(self) -> list[Erasure]:
        """Everything that was erased here, the newest first."""
        rows = self._rows("SELECT id, ground, record, at_ms FROM erased ORDER BY at_ms DESC, id")
        return [Erasure(*row) for row in rows]

    def group(self, name: str) -> list[str]:
        """The payloads of a group."""
        return [row[0] for row in self._rows("SELECT id FROM payload WHERE group_name = ?", name)]

    # --- copies -----------------------------------------------------------------------------------

    def back_up(self, folder: Path) -> None:
        """Copy the vault: ciphertexts into one file, the wrapped keys of the groups into another.

        The file of keys is the newest only, and is replaced first: what was erased dies in the
        copy at once, whatever ciphertext is left. Raises `ConfigError` (X1.file), `StorageError`.
        """
        self.back_up_keys(folder)
        part = folder / f"{COPY_FILE}.part"
        part.unlink(missing_ok=True)
        with self._lock, storage_errors():
            copy = sqlite3.connect(part, isolation_level=None)
            try:
                part.chmod(0o600)
                self._connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.execute("DELETE FROM group_key")
                copy.execute("VACUUM")
            finally:
                copy.close()
            part.replace(folder / COPY_FILE)
        self.chunks.copy_to(folder / CHUNKS_FILE)

    def back_up_keys(self, folder: Path) -> None:
        """Replace the copy of the groups' keys, which are wrapped with the key of the vault."""
        rows = self._rows("SELECT name, kek, wrapped FROM group_key ORDER BY name")
        lines = [f"{name} {kek} {b64url(wrapped)}\n" for name, kek, wrapped in rows]
        make_private_folder(folder)
        write_private(folder / KEYS_FILE, "".join(lines).encode())

    def counts(self) -> dict[str, int]:
        """How much is here, by tier, and how much was erased."""
        rows = self._rows("SELECT tier, count(*) FROM payload GROUP BY tier")
        found: dict[str, int] = {"T1": 0, "T2": 0, **{row[0]: row[1] for row in rows}}
        erased = self._rows("SELECT count(*) FROM erased")[0][0]
        files = self._rows("SELECT count(*) FROM attachment WHERE complete")[0][0]
        return {**found, "attachments": files, "erased": erased, "groups": self._groups()}

    def _groups(self) -> int:
        count = self._rows("SELECT count(*) FROM group_key WHERE name != ?", CHECK)[0][0]
        return int(count)


def _bound_of(commit: str) -> bytes:
    """What the key of an attachment is bound to."""
    return f"attachment/{commit}".encode()


def _text(orgs: Sequence[str]) -> str:
    return msgspec.json.encode(tuple(orgs)).decode()


def open_vault(config: Config) -> Vault:
    """The vault of a node; its key is made with a new vault, and never for one that is there.

    Raises `ConfigError` (T6, O1.mode) or `StorageError` (O2, O3).
    """
    path = config.home / VAULT_FILE
    keys = load_keys(config)
    if keys is None:
        if path.exists():
            raise ConfigError("T6")
        keys = make_keys(config.home, secrets.token_bytes(32))
    return Vault.open(path, keys)
