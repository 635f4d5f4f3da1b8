"""Blocks on disk: appended under a compare-and-swap on the tip, checked when the node starts, read
by anybody.

Truth is `block` and what stands beside it; `derive` and `state_rows` make the rest from it, and
`rebuild` makes it again. The history tree and the rule state live in memory; both are derived.
"""

import sqlite3
import time
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from threading import Lock as Mutex
from typing import Any, Final, NamedTuple, cast

import msgspec
from sqlalchemy import Connection

from ledger.chain import Applied, Boundary, History, Tip, check_block
from ledger.encoding import b64url, decode_bundle, decode_statement, encode_bundle, unb64url
from ledger.errors import AllianceError, InvariantError, NotFoundError, StorageError, ensure
from ledger.members import EpochConfig, Verify
from ledger.merkle import Frontier, Tree
from ledger.notes import decode_checkpoint, decode_note, verify_note
from ledger.records.envelope import Shape, type_of
from ledger.records.seal import decode_seal
from ledger.rules import Located
from ledger.rules.values import ConfigState
from ledger.state import EMPTY_STATE, State, state_key
from ledger.verify import policy_of
from node.durations import Durations
from node.store import derived, schema
from node.store.engine import Lock, database_errors, open_engine
from node.store.state_rows import decode_delta, encode_delta

FLUSH_BLOCKS: Final = 32
FLUSH_KEYS: Final = 20_000
"""After so many blocks or changed keys the rule state is written; after a crash the rest is
executed again.
"""
COMPACT_KEYS: Final = 100_000
CACHED_BLOCKS: Final = 16
IN_CHUNK: Final = 500
_FINDINGS: Final = msgspec.json.Decoder(tuple[tuple[str, ...], ...])


class StoredBlock(NamedTuple):
    """A block as it lies on disk."""

    height: int
    start: int
    size: int
    body: bytes
    """The entry bundle, seal last."""
    leaves: bytes
    findings: tuple[tuple[str, ...], ...]
    """The codes of every entry but the seal."""
    certificate: bytes | None
    checkpoint: bytes
    """The signed note of `size`; empty where this node has not cosigned it."""

    def entries(self) -> list[bytes]:
        """The entries, seal last."""
        return decode_bundle(self.body)


class Store:
    """The database of one node. `open` it, `found` or `load` it, then append under
    `transaction`.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self._lock = lock
        with database_errors():
            self._writer = open_engine(path, writer=True)
            self._readers = open_engine(path, writer=False)
            self._connection: Connection = self._writer.connect()
            # A turn is some twenty small statements: SQLAlchemy's part of each is most of it. It
            # begins and ends the transactions; what is inside goes to the connection itself.
            self._sqlite = cast("sqlite3.Connection", self._connection.connection.driver_connection)
            with self._connection.begin():
                schema.TRUTH.create_all(self._connection)
                schema.DERIVED.create_all(self._connection)
        self._cache: OrderedDict[int, StoredBlock] = OrderedDict()
        self._mutex = Mutex()
        self.fsyncs = 0
        self.durations = Durations()
        """How long transactions took to become durable."""
        self.commit_durations = Durations()
        """How long whole transactions took that brought blocks."""
        self._reset()

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Lock and open the database. Raises `ConfigError` (O2.locked), `StorageError` (O2, O3)."""
        lock = Lock(path)
        try:
            return cls(path, lock)
        except BaseException:
            lock.release()
            raise

    def _reset(self) -> None:
        self.tree = Tree()
        self.terms = derived.Terms()
        self.starts: list[int] = []
        self.last_id = b""
        self._unwritten: dict[bytes, Shape] = {}
        self._flushed = -1
        self._written = 0
        self._open: list[Applied] = []
        self._fresh: list[StoredBlock] = []
        self._packed: dict[bytes, tuple[int, bytes]] = {}
        """The bodies of candidates as they lie on disk, by block id: a block that becomes final is
        not compressed a second time.
        """
        with self._mutex:
            self._cache.clear()

    def close(self) -> None:
        """Write what is left of the rule state, let go of the file and of its lock."""
        try:
            if self._unwritten:
                with database_errors(), self._connection.begin():
                    self._write_state(len(self.starts) - 1, self._unwritten)
        except StorageError:
            # The rule state is derived: what is not written now is executed again at the next
            # start.
            self._unwritten = {}
        finally:
            self._connection.close()
            self._readers.dispose()
            self._writer.dispose()
            self._lock.release()

    # --- writing ----------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, one fsync. When it fails nothing of it is there, on disk or in memory.

        Raises `StorageError` (O3); then `recover` before the next one.
        """
        self._open.clear()
        self._fresh.clear()
        began = time.monotonic()
        with database_errors(len(self.starts)), self._connection.begin():
            yield
            changes = self._flush_state()
            written = time.monotonic()
        self.fsyncs += 1
        ended = time.monotonic()
        self.durations.observe(ended - written)
        if self._open:
            self.commit_durations.observe(ended - began)
        for block in self._open:
            self.tree.extend([*(entry.leaf for entry in block.entries), block.seal.leaf])
            self.starts.append(block.seal.seal.start)
        for stored in self._fresh:
            self._remember(stored)
        self._unwritten = changes
        self._open.clear()
        self._fresh.clear()

    def recover(self) -> bool:
        """After a failed transaction: whether memory is still what the disk holds. If not,
        `load`.
        """
        self._open.clear()
        with database_errors(len(self.starts)):
            height, leaf = self.select("SELECT height, leaf FROM tip")[0]
            self._load_terms()
            self._load_flushed()
        return bool(height == len(self.starts) - 1 and leaf == self.tree.leaf(self.tree.size - 1))

    def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._sqlite.executemany(statement, rows)

    def _add(self, insert: derived.Insert, rows: Sequence[tuple[Any, ...]]) -> None:
        for statement, values in insert.pieces(rows):
            self._many(statement, values)

    def _one(self, statement: str, *values: object) -> int:
        return self._sqlite.execute(statement, values).rowcount

    def found(self, genesis: Applied, bundle: bytes, checkpoint: bytes) -> None:
        """Put block 0 into an empty database; `checkpoint` is empty where this node is no member of
        the first epoch, and has cosigned nothing.
        """
        size, root = genesis.tip.size, genesis.tip.tree.root()
        if not checkpoint:
            size, root = 0, Tree().root()
        with self.transaction():
            self._one(
                "INSERT INTO tip (one, layout, height, leaf, derived, cosigned_size, cosigned_root)"
                " VALUES (1, ?, 0, ?, 0, ?, ?)",
                schema.LAYOUT,
                genesis.tip.seal_leaf,
                size,
                root,
            )
            self._insert(genesis, bundle, None, checkpoint)

    def append(self, block: Applied, certificate: bytes | None, checkpoint: bytes) -> None:
        """Add the next block inside a transaction. Raises `StorageError` (O3.tip) for a second
        writer.
        """
        seal = block.seal.seal
        if seal.prev is None or seal.height != len(self.starts) + len(self._open):
            raise InvariantError("blocks are added in order")
        swapped = self._one(
            "UPDATE tip SET height = ?, leaf = ?, derived = ?"
            " WHERE one = 1 AND height = ? AND leaf = ?",
            seal.height,
            block.seal.leaf,
            seal.height,
            seal.height - 1,
            unb64url(seal.prev.leaf),
        )
        if swapped != 1:
            raise StorageError("O3.tip", height=seal.height)
        body = encode_bundle([*(entry.raw for entry in block.entries), block.seal.raw])
        self._insert(block, body, certificate, checkpoint)

    def _insert(
        self, block: Applied, body: bytes, certificate: bytes | None, checkpoint: bytes
    ) -> None:
        seal = block.seal.seal
        leaves = b"".join([*(entry.leaf for entry in block.entries), block.seal.leaf])
        packed = self._packed.get(block.seal.leaf)
        self._fresh.append(
            StoredBlock(
                seal.height,
                seal.start,
                block.tip.size,
                body,
                leaves,
                block.findings,
                certificate,
                checkpoint,
            )
        )
        self._one(
            "INSERT INTO block"
            " (height, start, size, body, leaves, findings, certificate, checkpoint)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            seal.height,
            seal.start,
            block.tip.size,
            packed[1] if packed else zlib.compress(body, 1),
            leaves,
            zlib.compress(msgspec.json.encode(block.findings), 1),
            certificate,
            checkpoint,
        )
        self._index(block)

    def _index(self, block: Applied) -> None:
        """The derived rows of a block."""
        self._open.append(block)
        rows = derived.derive(block, self.terms)
        self._add(derived.INSERT_ID, rows.ids)
        self._add(derived.INSERT_LEAF, rows.leaves)
        self._add(derived.INSERT_ACCESS, rows.accesses)
        if rows.others:
            history = Overlay(self.history(), self._open)
            self._add(derived.INSERT_POSTING, derived.postings(rows.others, self.terms, history))
        self._add(derived.INSERT_TERM, self.terms.fresh)
        self._many(derived.COUNT_TERM, [(number, word) for word, number in rows.counts.items()])
        self.terms.fresh.clear()
        self.last_id = max(self.last_id, max((row[0] for row in rows.ids), default=b""))

    def _flush_state(self) -> dict[bytes, Shape]:
        """Write the changes of the last blocks when they are many; gives what is still
        unwritten.
        """
        changes = self._unwritten
        for block in self._open:
            changes = {**changes, **block.changes}
        height = len(self.starts) + len(self._open) - 1
        many = height - self._flushed >= FLUSH_BLOCKS or len(changes) >= FLUSH_KEYS
        if not (many and self._open):
            return changes
        state = self._open[-1].tip.state
        if self._written + len(changes) > 2 * state.count + COMPACT_KEYS:
            # Old values take more room than the living ones: write the whole map once.
            self._flushed = -1
            changes = dict(state.items())  # type: ignore[arg-type]  # its values are Shapes
        self._write_state(height, changes)
        return {}

    def _write_state(self, height: int, changes: Mapping[bytes, Shape]) -> None:
        """Add changes up to a height to what is written; to nothing, when that is not to
        be used.
        """
        if self._flushed < 0:
            self._one("DELETE FROM state_delta")
            self._written = 0
        self._one(
            "INSERT INTO state_delta (height, keys, body) VALUES (?, ?, ?)",
            height,
            len(changes),
            encode_delta(changes),
        )
        self._flushed = height
        self._written += len(changes)

    def advance_cosigned(self, old: tuple[int, bytes], new: tuple[int, bytes]) -> None:
        """Move the node's own last cosigned (size, root), inside the block's transaction.

        Raises `StorageError` (O3.cosigned) when the last one is another: then nothing may be
        signed.
        """
        moved = self._one(
            "UPDATE tip SET cosigned_size = ?, cosigned_root = ?"
            " WHERE one = 1 AND cosigned_size = ? AND cosigned_root = ? AND cosigned_size <= ?",
            *new,
            *old,
            new[0],
        )
        if moved != 1:
            raise StorageError("O3.cosigned", size=new[0])

    def save_journal(self, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Vote journal rows: (epoch, view, bytes); each replaces the one before."""
        self._many("INSERT OR REPLACE INTO journal (epoch, view, body) VALUES (?, ?, ?)", rows)

    def clear_journal(self, epoch: int, view: int, height: int) -> None:
        """Rows and saved bodies that a commit has made obsolete."""
        self._one("DELETE FROM journal WHERE epoch = ? AND view <= ?", epoch, view)
        self._one("DELETE FROM candidate WHERE height <= ?", height)
        self._packed = {k: held for k, held in self._packed.items() if held[0] > height}

    def save_candidate(self, block_id: bytes, height: int, body: bytes) -> None:
        """The body of a block that is voted on."""
        packed = zlib.compress(body, 1)
        self._packed[block_id] = height, packed
        self._one(
            "INSERT OR REPLACE INTO candidate (id, height, body) VALUES (?, ?, ?)",
            block_id,
            height,
            packed,
        )

    def save_accusations(self, rows: Sequence[tuple[int, int, int, bytes, bytes, bytes]]) -> None:
        """Contradictions: (epoch, view, signer, words, own entry, leaf of the one on the chain)."""
        self._many(
            "INSERT OR REPLACE INTO accusation (epoch, view, signer, words, body, leaf)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )

    def save_alarms(self, rows: Sequence[tuple[bytes, str, int, bytes]]) -> None:
        """Alarms with their proof: (digest of the proof, kind, POSIX ms, proof)."""
        self._many(
            "INSERT OR IGNORE INTO alarm (digest, kind, at_ms, facts) VALUES (?, ?, ?, ?)", rows
        )

    def doubt(self) -> None:
        """This database may be older than what its node has said."""
        with self.transaction():
            self._one("INSERT OR REPLACE INTO doubt (one) VALUES (1)")

    def clear_doubt(self) -> None:
        """The journal says from now on that this node is in quarantine."""
        self._one("DELETE FROM doubt")

    def save_waiting(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Entries that have waited long, so that a restart does not lose them: (leaf, bytes)."""
        self._many("INSERT OR IGNORE INTO waiting (leaf, body) VALUES (?, ?)", rows)

    def clear_waiting(self, leaves: Sequence[bytes]) -> None:
        """These wait no more."""
        self._many("DELETE FROM waiting WHERE leaf = ?", [(leaf,) for leaf in leaves])

    def save_justification(self, rows: Sequence[tuple[int, int, str, bytes]]) -> None:
        """Certificates that lead to a commit: (epoch, view, kind, bytes)."""
        self._many(
            "INSERT OR REPLACE INTO justification (epoch, view, kind, body) VALUES (?, ?, ?, ?)",
            rows,
        )

    def replace_certificate(self, height: int, certificate: bytes) -> None:
        """The newest final block was finalized once more, in a later view."""
        self._one("UPDATE block SET certificate = ? WHERE height = ?", certificate, height)
        with self._mutex:
            self._cache.pop(height, None)

    def replace_checkpoint(self, height: int, checkpoint: bytes) -> None:
        """The head of this block has more cosignatures now."""
        self._one("UPDATE block SET checkpoint = ? WHERE height = ?", checkpoint, height)
        with self._mutex:
            self._cache.pop(height, None)

    def seal_leaf(self, height: int) -> bytes | None:
        """The leaf hash of the seal of a block below the newest one; None for any other height."""
        below = 0 <= height < len(self.starts) - 1
        return self.tree.leaf(self.starts[height + 1] - 1) if below else None

    # --- starting ---------------------------------------------------------------------------------

    def is_new(self) -> bool:
        """Whether there is no chain in it yet."""
        return not self.select("SELECT 1 FROM tip")

    def load(self, genesis: Applied, bundle: bytes, verify: Verify) -> Tip:
        """Everything in memory again, and the tip; the whole copy is checked on the way.

        Raises `StorageError` (O2.*) for a damaged database, one of another chain or of another
        layout.
        """
        self._reset()
        with database_errors():
            self._check_file()
            frontier = self._check_blocks(bundle)
            self._load_terms()
        state = self._load_state()
        tip = self._replay(genesis, state, frontier, verify)
        self._check_checkpoint(tip)
        return tip

    def _check_file(self) -> None:
        found = self.select("PRAGMA quick_check(1)")
        if found[0][0] != "ok":
            raise StorageError("O2.corrupt", what="quick_check", height=0)
        layout = self.select("SELECT layout FROM tip")[0][0]
        if layout != schema.LAYOUT:
            raise StorageError("O2.schema", found=layout, known=schema.LAYOUT)

    def _check_blocks(self, bundle: bytes) -> Frontier:
        """Every body gives its leaf hashes, every seal names the one before, and the tip is the
        last.
        """
        previous, frontier = b"", Frontier()
        for block in self.blocks(0):
            if block.height != len(self.starts) or block.start != self.tree.size:
                raise StorageError("O2.corrupt", what="order", height=block.height)
            if block.height == 0 and block.body != bundle:
                raise StorageError("O2.genesis")
            leaves = _checked_leaves(block, previous)
            previous = leaves[-1]
            self.tree.extend(leaves)
            frontier = frontier.extend(leaves)
            self.starts.append(block.start)
        height, leaf, indexed, size, root = self.select(
            "SELECT height, leaf, derived, cosigned_size, cosigned_root FROM tip"
        )[0]
        last = len(self.starts) - 1
        if height != last or leaf != previous:
            raise StorageError("O2.corrupt", what="tip", height=last)
        if size > frontier.size or root != self.tree.root(size):
            raise StorageError("O2.corrupt", what="cosigned", height=last)
        rows = self.select("SELECT count(*) FROM entry_leaf")[0][0]
        if indexed != last or rows != frontier.size:
            raise StorageError("O2.derived", height=indexed)
        return frontier

    def _load_terms(self) -> None:
        self.terms = derived.Terms(self.select("SELECT id, kind, text, count FROM term"))
        self.last_id = (self.select("SELECT max(id) FROM entry_id")[0][0]) or b""

    def _load_state(self) -> State:
        """The stored rule state; nothing of it where a row cannot be read: it is only derived."""
        changes: dict[bytes, Shape] = {}
        self._load_flushed()
        try:
            for height, data in self.select("SELECT height, body FROM state_delta ORDER BY height"):
                changes.update(decode_delta(data, height))
        except StorageError:
            self._flushed = -1
            return EMPTY_STATE
        return EMPTY_STATE.update(changes)

    def _load_flushed(self) -> None:
        """How far the rule state is written."""
        query = "SELECT coalesce(max(height), -1), coalesce(sum(keys), 0) FROM state_delta"
        self._flushed, self._written = self.select(query)[0]

    def _replay(self, genesis: Applied, state: State, frontier: Frontier, verify: Verify) -> Tip:
        """The tip: from the stored state if its seal confirms it, else from block 0; then block by
        block.
        """
        tip = genesis.tip
        if self._flushed > 0:
            tip = self._tip_at(genesis.tip, self._flushed, state)
        if self._flushed < 0:
            self._unwritten.update(genesis.changes)
        for block in self.blocks(tip.height + 1):
            try:
                applied = check_block(tip, block.entries(), self.history(block.start), verify)
            except AllianceError as error:
                raise StorageError("O2.corrupt", what=error.rule, height=block.height) from error
            self._unwritten.update(applied.changes)
            tip = applied.tip
        ensure(tip.tree == frontier, "blocks lead to the tree that their leaves form")
        return tip

    def _tip_at(self, start: Tip, height: int, state: State) -> Tip:
        """The tip after a stored block whose seal confirms the stored state; `start` where it does
        not.
        """
        block = self.block(min(height, len(self.starts) - 1))
        seal = decode_seal(block.entries()[-1])
        if seal.seal.height != height or seal.seal.state_root != b64url(state.root):
            self._flushed = -1
            return start
        config, boundaries = self._epochs(start, state)
        closes = bool(boundaries) and boundaries[-1].height == height
        return start._replace(
            config=config,
            boundaries=boundaries,
            height=height,
            view=0 if closes else seal.seal.view,
            time_ms=seal.seal.time_ms,
            seal_index=block.size - 1,
            seal_leaf=seal.leaf,
            state=state,
            tree=Frontier().extend(self.tree.leaves(0, block.size)),
        )

    def _epochs(self, start: Tip, state: State) -> tuple[EpochConfig, tuple[Boundary, ...]]:
        """The configuration in force after this state, and the blocks that closed the epochs
        before.
        """
        config, boundaries = start.config, start.boundaries
        while True:
            following = state.get(state_key("config", str(config.epoch + 1)))
            if not isinstance(following, ConfigState):
                return config, boundaries
            block = self.block(following.height)
            leaf = decode_seal(block.entries()[-1]).leaf
            boundaries += (Boundary(config, following.height, block.size - 1, leaf),)
            config = following.config

    def _check_checkpoint(self, tip: Tip) -> None:
        """The last signed head is that of the tree on disk; it may lack others' cosignatures. A
        head that this node did not cosign has no note.
        """
        last = self.block(tip.height)
        if not last.checkpoint and self.cosigned()[0] < tip.size:
            return
        try:
            note = decode_note(last.checkpoint)
            verify_note(note, policy_of(tip.own_config, tip.origin).keys)
            checkpoint = decode_checkpoint(note.text)
        except AllianceError as error:
            raise StorageError("O2.corrupt", what=error.rule, height=tip.height) from error
        if (checkpoint.size, checkpoint.root) != (tip.size, tip.tree.root()):
            raise StorageError("O2.corrupt", what="checkpoint", height=tip.height)

    def rebuild(self, genesis: Applied, bundle: bytes, verify: Verify) -> Iterator[int]:
        """Make every derived row again from the blocks; yields each height when it is done."""
        self._reset()
        self._check_file()
        with self.transaction():
            schema.DERIVED.drop_all(self._connection)
            schema.DERIVED.create_all(self._connection)
            self._one("UPDATE tip SET derived = -1")
        tip = genesis.tip
        for block in self.blocks(0):
            if block.height == 0 and block.body != bundle:
                raise StorageError("O2.genesis")
            applied = genesis
            if block.height:
                applied = check_block(tip, block.entries(), self.history(), verify)
            tip = applied.tip
            with self.transaction():
                self._index(applied)
                self._one("UPDATE tip SET derived = ?", block.height)
            yield block.height

    # --- reading ----------------------------------------------------------------------------------

    def select(self, statement: str, *values: object) -> Sequence[Any]:
        """All rows of a query, on a connection that cannot write."""
        with database_errors(len(self.starts)), self._readers.connect() as connection:
            return connection.exec_driver_sql(statement, values).fetchall()

    def blocks(self, first: int, limit: int | None = None) -> Iterator[StoredBlock]:
        """Blocks in order, one at a time."""
        height = first
        while limit is None or height < first + limit:
            found = self._select(height)
            if found is None:
                return
            yield found
            height += 1

    def _select(self, height: int) -> StoredBlock | None:
        rows = self.select(
            "SELECT height, start, size, body, leaves, findings, certificate, checkpoint FROM block"
            " WHERE height = ?",
            height,
        )
        if not rows:
            return None
        row = rows[0]
        try:
            findings = _FINDINGS.decode(zlib.decompress(row[5]))
            body = zlib.decompress(row[3])
            return StoredBlock(row[0], row[1], row[2], body, row[4], findings, row[6], row[7])
        except (zlib.error, msgspec.DecodeError):
            raise StorageError("O2.corrupt", what="body", height=height) from None

    def block(self, height: int) -> StoredBlock:
        """One block. Raises `NotFoundError` (O6)."""
        with self._mutex:
            found = self._cache.get(height)
            if found is not None:
                self._cache.move_to_end(height)
                return found
        block = self._select(height)
        if block is None:
            raise NotFoundError("O6", what="block", name=height)
        self._remember(block)
        return block

    def _remember(self, block: StoredBlock) -> None:
        with self._mutex:
            self._cache[block.height] = block
            while len(self._cache) > CACHED_BLOCKS:
                self._cache.popitem(last=False)

    def height_of(self, index: int) -> int:
        """The height of the block that holds an entry."""
        return bisect_right(self.starts, index) - 1

    def entry(self, index: int) -> bytes:
        """The bytes of one entry. Raises `NotFoundError` (O6)."""
        if not 0 <= index < self.tree.size:
            raise NotFoundError("O6", what="entry", name=index)
        block = self.block(self.height_of(index))
        return block.entries()[index - block.start]

    def entries(self, start: int, end: int) -> list[bytes]:
        """The bytes of a range of entries."""
        found: list[bytes] = []
        while start < end:
            block = self.block(self.height_of(start))
            found += block.entries()[start - block.start : end - block.start]
            start = block.size
        return found

    def select_ids(self, ids: Sequence[bytes]) -> Sequence[tuple[bytes, int, int]]:
        """The rows (id, kid, index) of these ids."""
        marks = ",".join("?" * len(ids))
        return self.select(f"SELECT id, kid, idx FROM entry_id WHERE id IN ({marks})", *ids)

    def select_leaves(self, leaves: Sequence[bytes]) -> list[int]:
        """The indexes of entries whose leaf hashes begin like these."""
        prefixes = [int.from_bytes(leaf[:8], "big", signed=True) for leaf in leaves]
        marks = ",".join("?" * len(prefixes))
        rows = self.select(f"SELECT idx FROM entry_leaf WHERE prefix IN ({marks})", *prefixes)
        return [row[0] for row in rows]

    def is_seal(self, index: int) -> bool:
        """Whether the last entry of a block stands at this index."""
        following = bisect_right(self.starts, index)
        end = self.starts[following] if following < len(self.starts) else self.tree.size
        return index == end - 1

    def find_leaf(self, leaf: bytes) -> int | None:
        """The index of an entry by its leaf hash."""
        prefix = int.from_bytes(leaf[:8], "big", signed=True)
        rows = self.select("SELECT idx FROM entry_leaf WHERE prefix = ?", prefix)
        return next((row[0] for row in rows if self.tree.leaf(row[0]) == leaf), None)

    def find_id(self, number: bytes) -> list[int]:
        """The indexes of the entries with this id (16 bytes): one for each key that used it."""
        rows = self.select("SELECT idx FROM entry_id WHERE id = ? ORDER BY idx", number)
        return [row[0] for row in rows]

    def justifications(self, epoch: int, first: int, limit: int) -> list[bytes]:
        """What led to the commits of an epoch from a view on: certificates by view and kind."""
        rows = self.select(
            "SELECT body FROM justification WHERE epoch = ? AND view >= ?"
            " ORDER BY view, kind LIMIT ?",
            epoch,
            first,
            limit,
        )
        return [row[0] for row in rows]

    def journal(self, epoch: int) -> list[bytes]:
        """The vote journal of an epoch."""
        rows = self.select("SELECT body FROM journal WHERE epoch = ? ORDER BY view", epoch)
        return [row[0] for row in rows]

    def in_doubt(self) -> bool:
        """Whether this database may be older than what its node has said."""
        return bool(self.select("SELECT 1 FROM doubt"))

    def accusations(self) -> list[tuple[int, int, int, bytes, bytes, bytes]]:
        """What `save_accusations` has kept."""
        rows = self.select("SELECT epoch, view, signer, words, body, leaf FROM accusation")
        return [tuple(row) for row in rows]

    def alarms(self) -> list[tuple[str, int, bytes]]:
        """What `save_alarms` has kept: (kind, POSIX ms, proof), the oldest first."""
        rows = self.select("SELECT kind, at_ms, facts FROM alarm ORDER BY at_ms")
        return [(row[0], row[1], row[2]) for row in rows]

    def waiting(self) -> list[bytes]:
        """Entries that waited when the node stopped."""
        return [row[0] for row in self.select("SELECT body FROM waiting")]

    def candidates(self) -> list[bytes]:
        """The saved bodies above the final block, as they lie on disk: `unpack` them."""
        return [row[0] for row in self.select("SELECT body FROM candidate ORDER BY height")]

    def cosigned(self) -> tuple[int, bytes]:
        """The node's own last cosigned (size, root)."""
        row = self.select("SELECT cosigned_size, cosigned_root FROM tip")[0]
        return row[0], row[1]

    def history(self, size: int | None = None) -> History:
        """What stands on the chain below `size` (by default: all that is durable)."""
        return _StoredHistory(self, self.tree.size if size is None else size)


class _StoredHistory:
    """`ledger.chain.History` over the rows below a size."""

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._size = size

    def find_ids(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `ledger.chain.History`. An id above the largest known one needs no look."""
        store = self._store
        last = store.last_id
        wanted = [key for key in keys if key[16:] <= last]
        found: dict[bytes, bytes] = {}
        kids = store.terms.kind("kid")
        for at in range(0, len(wanted), IN_CHUNK):
            chunk = wanted[at : at + IN_CHUNK]
            asked = {(key[16:], kids.get(b64url(key[:16]))): key for key in chunk}
            for number, kid, index in store.select_ids([key[16:] for key in chunk]):
                key = asked.get((number, kid))
                if key is not None and index < self._size:
                    found[key] = store.tree.leaf(index)
        return found

    def find_leaves(self, leaves: Sequence[bytes]) -> Mapping[bytes, Located]:
        """See `ledger.chain.History`. Every block is read once, however many stand in it."""
        store = self._store
        places = {index: leaf for leaf, index in self._indexes(leaves).items()}
        found: dict[bytes, Located] = {}
        for height, indexes in groupby(sorted(places), store.height_of):
            block = store.block(height)
            raws = block.entries()
            for index in indexes:
                found[places[index]] = locate(index, raws[index - block.start])
        return found

    def known_leaves(self, leaves: Sequence[bytes]) -> Collection[bytes]:
        """See `ledger.chain.History`."""
        return self._indexes(leaves)

    def _indexes(self, leaves: Sequence[bytes]) -> dict[bytes, int]:
        """Where the records with these leaf hashes stand; nothing refers to seals."""
        store, wanted = self._store, set(leaves)
        found: dict[bytes, int] = {}
        for at in range(0, len(leaves), IN_CHUNK):
            for index in store.select_leaves(leaves[at : at + IN_CHUNK]):
                leaf = store.tree.leaf(index)
                if leaf in wanted and index < self._size and not store.is_seal(index):
                    found[leaf] = index
        return found


class Overlay:
    """A history with blocks on top that are not durable yet."""

    def __init__(self, below: History, blocks: Sequence[Applied]) -> None:
        self._below = below
        self._ids: dict[bytes, bytes] = {}
        self._leaves: dict[bytes, Located] = {}
        for block in blocks:
            start = block.tip.seal_index - len(block.entries)
            for index, entry in enumerate(block.entries, start):
                self._ids[entry.id_key] = entry.leaf
                statement = entry.statement
                self._leaves[entry.leaf] = Located(
                    index, entry.record.type, statement.iss, statement.sub
                )

    def find_ids(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See `ledger.chain.History`."""
        here = {key: self._ids[key] for key in keys if key in self._ids}
        return {**self._below.find_ids(keys), **here}

    def find_leaves(self, leaves: Sequence[bytes]) -> Mapping[bytes, Located]:
        """See `ledger.chain.History`."""
        here = {leaf: self._leaves[leaf] for leaf in leaves if leaf in self._leaves}
        rest = [leaf for leaf in leaves if leaf not in here]
        return {**(self._below.find_leaves(rest) if rest else {}), **here}

    def known_leaves(self, leaves: Sequence[bytes]) -> Collection[bytes]:
        """See `ledger.chain.History`."""
        here = self._leaves.keys() & set(leaves)
        rest = [leaf for leaf in leaves if leaf not in here]
        return here.union(self._below.known_leaves(rest)) if rest else here


def unpack(packed: bytes) -> bytes:
    """A body from the disk. Raises `StorageError` (O2.corrupt)."""
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise StorageError("O2.corrupt", what="body", height=0) from error


def locate(index: int, raw: bytes) -> Located:
    """What stands at the index of a record."""
    statement = decode_statement(raw)
    return Located(index, type_of(statement.payload), statement.iss, statement.sub)


def _checked_leaves(block: StoredBlock, previous: bytes) -> list[bytes]:
    """The leaf hashes of a stored block, derived from its body."""
    try:
        entries = block.entries()
        seal = decode_seal(entries[-1])
    except (AllianceError, IndexError) as error:
        raise StorageError("O2.corrupt", what="body", height=block.height) from error
    leaves = [sha256(b"\0" + raw).digest() for raw in entries]
    before = b"" if seal.seal.prev is None else unb64url(seal.seal.prev.leaf)
    wrong = (
        b"".join(leaves) != block.leaves
        or before != previous
        or block.size != block.start + len(leaves)
    )
    if wrong:
        raise StorageError("O2.corrupt", what="leaves", height=block.height)
    return leaves
