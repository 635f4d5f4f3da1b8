"""The database: what is appended is there again, and nothing else is ever believed."""

import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from ledger.chain import Applied
from ledger.crypto import verify
from ledger.encoding import b64url, encode_bundle
from ledger.errors import ConfigError, StorageError
from ledger.notes import Checkpoint, Note, cosign, encode_checkpoint, encode_note, sign_note
from ledger.records.use import CorrectionBody
from node.store import Store
from node.store import database as database_module
from node.store.derived import TOGETHER, Insert
from node.store.engine import Lock
from tests.support.node import database_at
from tests.support.world import Blocks, World, make_world


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def blocks(world: World) -> list[Applied]:
    """Five blocks: accesses, a batch, accesses, and a correction of an earlier entry."""
    history = Blocks(world.genesis)
    chain = [world.genesis]
    for number in range(1, 6):
        raws = world.accesses(7, first_seq=100 * number)
        if number == 3:
            raws.append(world.batch(20, first_seq=1_000))
        if number == 5:
            target = chain[2].entries[0].leaf
            body = CorrectionBody(
                field_path="person", new_value=1, reason_code="typo", target=b64url(target)
            )
            resolved = history.find_leaves([target])
            raws.append(world.record("correction", body, resolved=resolved))
        block = world.extend(chain[-1].tip, raws, history)
        history.add(block)
        chain.append(block)
    return chain


def note_of(world: World, block: Applied) -> bytes:
    tip = block.tip
    text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))
    keys = world.keys["h1"]
    name = f"h1.cosigner.{tip.origin.partition('/')[0]}"
    lines = (sign_note(text, tip.origin, keys.log), cosign(text, name, keys.cosigner, 1))
    return encode_note(Note(text, lines))


def put(store: Store, world: World, parent: Applied, block: Applied) -> None:
    with store.transaction():
        old = (parent.tip.size, parent.tip.tree.root())
        store.advance_cosigned(old, (block.tip.size, block.tip.tree.root()))
        store.append(block, b"certificate", note_of(world, block))


def fill(path: Path, world: World, blocks: list[Applied], count: int = 6) -> None:
    store = Store.open(path)
    store.found(blocks[0], world.bundle, note_of(world, blocks[0]))
    for parent, block in pairwise(blocks[:count]):
        put(store, world, parent, block)
    store.close()


@pytest.fixture
def path(tmp_path: Path, world: World, blocks: list[Applied]) -> Path:
    fill(tmp_path / "ledger.db", world, blocks)
    return tmp_path / "ledger.db"


def load(path: Path, world: World) -> tuple[Store, Applied]:
    store = Store.open(path)
    try:
        tip = store.load(world.genesis, world.bundle, verify)
    except BaseException:
        store.close()
        raise
    return store, world.genesis._replace(tip=tip)


def dump(path: Path, *tables: str) -> dict[str, list[tuple[object, ...]]]:
    with database_at(path) as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608


def test_what_was_appended_is_there_again(path: Path, world: World, blocks: list[Applied]) -> None:
    store, loaded = load(path, world)
    expected = blocks[-1].tip
    assert loaded.tip._replace(state=expected.state) == expected
    assert loaded.tip.state.root == expected.state.root
    raws = [
        raw for block in blocks for raw in [*(entry.raw for entry in block.entries), block.seal.raw]
    ]
    assert store.entries(0, store.tree.size) == raws
    assert [store.entry(index) for index in range(store.tree.size)] == raws
    for block in blocks:
        for entry in block.entries:
            index = store.find_leaf(entry.leaf)
            assert index is not None
            assert store.tree.leaf(index) == entry.leaf
            assert store.find_id(entry.id_key[16:]) == [index]
    assert store.block(3).findings == blocks[3].findings
    store.close()


def test_history_ends_at_its_size(path: Path, world: World, blocks: list[Applied]) -> None:
    store, _ = load(path, world)
    entry = blocks[3].entries[0]
    whole, earlier = store.history(), store.history(blocks[2].tip.size)
    assert whole.find_ids([entry.id_key]) == {entry.id_key: entry.leaf}
    assert whole.find_leaves([entry.leaf])[entry.leaf].type == "access"
    assert earlier.find_ids([entry.id_key]) == {}
    assert earlier.find_leaves([entry.leaf]) == {}
    assert whole.find_leaves([blocks[3].seal.leaf]) == {}
    store.close()


def test_a_second_process_is_refused(path: Path, world: World) -> None:
    store, _ = load(path, world)
    with pytest.raises(ConfigError) as error:
        Store.open(path)
    assert error.value.rule == "O2.locked"
    store.close()
    Store.open(path).close()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE tip SET height = height + 1", "O3.tip"),
        ("UPDATE tip SET leaf = zeroblob(32)", "O3.tip"),
        ("UPDATE tip SET cosigned_size = cosigned_size + 1", "O3.cosigned"),
        ("UPDATE tip SET cosigned_root = zeroblob(32)", "O3.cosigned"),
    ],
)
def test_two_writers_never_both_append(
    tmp_path: Path, world: World, blocks: list[Applied], statement: str, rule: str
) -> None:
    """Somebody who ignores the lock changes the tip: the next block is not added, the head not
    signed.
    """
    path = tmp_path / "ledger.db"
    fill(path, world, blocks, 3)
    store, _ = load(path, world)
    with database_at(path) as other:
        other.execute(statement)
    other.close()
    with pytest.raises(StorageError) as error:
        put(store, world, blocks[2], blocks[3])
    assert error.value.rule == rule
    assert len(dump(path, "block")["block"]) == 3
    store.close()


def _change(table: str, column: str, where: str = "1") -> Callable[[Path], None]:
    """Flip a bit in the middle of a value."""

    def damage(path: Path) -> None:
        with database_at(path) as connection:
            key = f"SELECT rowid, {column} FROM {table} WHERE {where}"  # noqa: S608
            row, value = connection.execute(key).fetchone()
            middle = len(value) // 2
            changed = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608
                (changed, row),
            )
        connection.close()

    return damage


def _sql(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with database_at(path) as connection:
            connection.execute(statement)
        connection.close()

    return damage


def _body(path: Path) -> None:
    """A body that is well compressed and says something else."""
    with database_at(path) as connection:
        (body,) = connection.execute("SELECT body FROM block WHERE height = 2").fetchone()
        raw = bytearray(zlib.decompress(body))
        raw[300] ^= 1
        connection.execute("UPDATE block SET body = ? WHERE height = 2", (zlib.compress(raw),))
    connection.close()


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _garbage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"not a database at all " * 20 + data[440:])


def _page(path: Path) -> None:
    """One page of the file overwritten, as a bad disk does it."""
    data = bytearray(path.read_bytes())
    data[8192 * 3 : 8192 * 4] = bytes(8192)
    path.write_bytes(bytes(data))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "body": (_body, "O2.corrupt"),
    "compressed body": (_change("block", "body", "height = 2"), "O2.corrupt"),
    "leaf hashes": (_change("block", "leaves", "height = 1"), "O2.corrupt"),
    "checkpoint": (_change("block", "checkpoint", "height = 5"), "O2.corrupt"),
    "findings": (_change("block", "findings", "height = 1"), "O2.corrupt"),
    "block missing": (_sql("DELETE FROM block WHERE height = 2"), "O2.corrupt"),
    "last block missing": (_sql("DELETE FROM block WHERE height = 5"), "O2.corrupt"),
    "blocks exchanged": (
        _sql("UPDATE block SET height = CASE height WHEN 1 THEN -2 ELSE height END"),
        "O2.corrupt",
    ),
    "tip": (_change("tip", "leaf"), "O2.corrupt"),
    "cosigned": (_change("tip", "cosigned_root"), "O2.corrupt"),
    "layout": (_sql("UPDATE tip SET layout = 99"), "O2.schema"),
    "index of leaves": (_sql("DELETE FROM entry_leaf WHERE idx = 5"), "O2.derived"),
    "half rebuilt": (_sql("UPDATE tip SET derived = 2"), "O2.derived"),
    "truncated file": (_truncate, "O2.corrupt"),
    "garbage": (_garbage, "O2.corrupt"),
    "zeroed page": (_page, "O2.corrupt"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_database_is_found_at_start(path: Path, world: World, name: str) -> None:
    damage, rule = DAMAGE[name]
    load(path, world)[0].close()
    damage(path)
    with pytest.raises(StorageError) as error:
        load(path, world)
    assert error.value.rule == rule
    # Refusing it has let go of the lock.
    assert not _is_locked(path)


def _is_locked(path: Path) -> bool:
    try:
        Lock(path).release()
    except ConfigError:
        return True
    return False


def test_another_chain_is_refused(path: Path) -> None:
    with pytest.raises(StorageError) as error:
        load(path, make_world(origin="other.example.org/x"))
    assert error.value.rule == "O2.genesis"


@pytest.mark.parametrize(
    "damage",
    [_sql("DELETE FROM state_delta"), _change("state_delta", "body")],
    ids=["lost", "damaged"],
)
def test_the_rule_state_is_derived(
    path: Path, world: World, blocks: list[Applied], damage: Callable[[Path], None]
) -> None:
    """Without its rows, or with wrong ones, the blocks give the same state again."""
    damage(path)
    store, loaded = load(path, world)
    assert loaded.tip.state.root == blocks[-1].tip.state.root
    store.close()
    store, loaded = load(path, world)
    assert loaded.tip.state.root == blocks[-1].tip.state.root
    store.close()


DERIVED = ("term", "entry_id", "entry_leaf", "access", "posting")


def test_rebuild_makes_the_same_rows(path: Path, world: World) -> None:
    before = dump(path, *DERIVED)
    assert len(before["access"]) == 55
    _sql("DELETE FROM access")(path)
    _sql("UPDATE term SET count = 0")(path)
    _sql("UPDATE tip SET derived = 1")(path)
    store = Store.open(path)
    assert list(store.rebuild(world.genesis, world.bundle, verify)) == list(range(6))
    store.close()
    assert dump(path, *DERIVED) == before
    load(path, world)[0].close()


@pytest.mark.parametrize("count", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER + 5])
def test_every_row_comes_into_its_table(count: int) -> None:
    """However many there are: most of them in statements of several rows."""
    rows = [(number, 2 * number) for number in range(count)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE pair (one INTEGER PRIMARY KEY, two INTEGER)")
        for statement, values in Insert("pair", "one", "two").pieces(rows):
            connection.executemany(statement, values)
        assert connection.execute("SELECT one, two FROM pair ORDER BY one").fetchall() == rows


def test_a_row_that_is_there_already_undoes_its_whole_block(
    tmp_path: Path, world: World, blocks: list[Applied]
) -> None:
    """Rows of the same statement that came before it, too."""
    path = tmp_path / "ledger.db"
    fill(path, world, blocks, 1)
    block = world.extend(blocks[0].tip, world.accesses(3 * TOGETHER), Blocks(blocks[0]))
    prefix = int.from_bytes(block.entries[TOGETHER + 7].leaf[:8], "big", signed=True)
    taken = (prefix, block.tip.seal_index - len(block.entries) + TOGETHER + 7)
    store, _ = load(path, world)
    _sql(f"INSERT INTO entry_leaf (prefix, idx) VALUES {taken}")(path)  # noqa: S608
    before = dump(path, "block", "tip", "state_delta", *DERIVED)
    with pytest.raises(StorageError, match=r"O3\.failed"):
        put(store, world, blocks[0], block)
    assert dump(path, "block", "tip", "state_delta", *DERIVED) == before
    store.close()


class _Fault:
    """Lets so many statements pass, then the disk fails."""

    def __init__(self, store: Store, after: int) -> None:
        self.left = after
        self.store = store
        self.one, self.many = store._one, store._many
        store._one = self._one  # type: ignore[method-assign]
        store._many = self._many  # type: ignore[method-assign,assignment]

    def _check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise sqlite3.OperationalError("disk I/O error")

    def _one(self, statement: str, *values: object) -> int:
        self._check()
        return self.one(statement, *values)

    def _many(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        self._check()
        self.many(statement, rows)

    def heal(self) -> None:
        self.store._one, self.store._many = self.one, self.many  # type: ignore[method-assign]


def test_a_failure_before_any_write_leaves_nothing(
    tmp_path: Path, world: World, blocks: list[Applied], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail before the first, the second, ... statement of a block: disk and memory stay as they
    were.
    """
    monkeypatch.setattr(database_module, "FLUSH_BLOCKS", 1)
    path = tmp_path / "ledger.db"
    fill(path, world, blocks, 5)
    store, _ = load(path, world)
    before = dump(path, "block", "tip", "state_delta", *DERIVED)
    statements = 0
    while True:
        fault = _Fault(store, statements)
        try:
            put(store, world, blocks[4], blocks[5])
        except StorageError as error:
            rule = error.rule
        else:
            break
        finally:
            fault.heal()
        assert rule == "O3.failed"
        assert dump(path, "block", "tip", "state_delta", *DERIVED) == before
        assert store.recover()
        assert store.tree.size == blocks[4].tip.size
        statements += 1
    assert statements > 8
    store.close()
    store, loaded = load(path, world)
    assert loaded.tip.seal_leaf == blocks[5].tip.seal_leaf
    store.close()
    fill(tmp_path / "clean.db", world, blocks)
    assert dump(path, *DERIVED) == dump(tmp_path / "clean.db", *DERIVED)


def test_old_state_rows_are_merged(
    tmp_path: Path, world: World, blocks: list[Applied], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "FLUSH_BLOCKS", 1)
    monkeypatch.setattr(database_module, "COMPACT_KEYS", -100)
    path = tmp_path / "ledger.db"
    fill(path, world, blocks)
    rows = dump(path, "state_delta")["state_delta"]
    assert sum(int(str(row[1])) for row in rows) < 2 * blocks[-1].tip.state.count
    store, loaded = load(path, world)
    assert loaded.tip.state.root == blocks[-1].tip.state.root
    store.close()


def test_the_file_is_set_up_for_durability(path: Path, world: World) -> None:
    store, _ = load(path, world)
    with store.transaction():
        read = store._connection.exec_driver_sql
        assert read("PRAGMA synchronous").scalar() == 2
        assert read("PRAGMA journal_mode").scalar() == "wal"
        assert read("PRAGMA page_size").scalar() == 8192
    with pytest.raises(StorageError) as error:
        store.select("DELETE FROM block")
    assert error.value.rule == "O3.failed"
    store.close()
    assert not list(path.parent.glob("*-wal"))


def test_the_body_of_a_candidate_is_compressed_once(
    tmp_path: Path, world: World, blocks: list[Applied], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was voted on lies on the disk before it is final: as the block that it becomes."""
    store = Store.open(tmp_path / "ledger.db")
    store.found(blocks[0], world.bundle, note_of(world, blocks[0]))
    block, bundle = (
        blocks[1],
        encode_bundle([*(e.raw for e in blocks[1].entries), blocks[1].seal.raw]),
    )
    packed: list[bytes] = []
    compress = zlib.compress
    monkeypatch.setattr(
        database_module.zlib,
        "compress",
        lambda data, level: packed.append(data) or compress(data, level),
    )
    with store.transaction():
        store.save_candidate(block.seal.leaf, 1, bundle)
        store.save_candidate(blocks[2].seal.leaf, 2, b"of another block")
    first, second = store.candidates()
    assert [database_module.unpack(first), database_module.unpack(second)] == [
        bundle,
        b"of another block",
    ]
    with pytest.raises(StorageError, match=r"O2\.corrupt"):
        database_module.unpack(first[:-1])
    with store.transaction():
        store.advance_cosigned(store.cosigned(), (block.tip.size, block.tip.tree.root()))
        store.append(block, b"certificate", note_of(world, block))
        store.clear_journal(0, 1, 1)
    assert packed.count(bundle) == 1
    assert store.select("SELECT body FROM block WHERE height = 1")[0][0] == first
    assert store.candidates() == [second]
    assert list(store._packed) == [blocks[2].seal.leaf], "what is final is not kept"
    store.close()
