"""The loop: one block and one fsync for what waits, one outcome for each entry, and no harm from
disk or clock.
"""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ledger.encoding import b64url, encode_time
from ledger.errors import AllianceError, BusyError, StorageError
from ledger.members import Limits
from ledger.merkle import verify_consistency
from ledger.notes import decode_checkpoint, decode_note
from ledger.records import decode_entry
from ledger.records.envelope import ENCODE, Record
from ledger.records.use import AccessBody
from ledger.rules.values import SourceState
from ledger.state import state_key
from node.driver import Driver, Outcome, Published, loop, mempool
from node.main import open_driver
from tests.support.node import FakeTime, database_at, make_config, make_home, running
from tests.support.world import GENESIS_MS, World, make_world, sign_payload, uuid7


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    return make_home(world, tmp_path / "home")


def post(driver: Driver, raws: list[bytes]) -> list[Outcome]:
    return driver.submit(raws).result(20)


def rules_of(outcomes: list[Outcome]) -> list[str]:
    return [o.rule if isinstance(o, AllianceError) else "" for o in outcomes]


def indexes_of(outcomes: list[Outcome]) -> list[int]:
    return [o.index if isinstance(o, Published) else -1 for o in outcomes]


def test_entries_of_one_request_share_a_block_and_an_fsync(home: Path, world: World) -> None:
    with running(make_config(home)) as driver:
        before = driver.store.fsyncs
        outcomes = post(driver, world.accesses(300))
        assert indexes_of(outcomes) == list(range(3, 303))
        assert driver.view.tip.height == 1
        assert driver.store.fsyncs - before == 1


def test_what_waits_together_goes_into_one_block(home: Path, world: World) -> None:
    with running(make_config(home)) as driver:
        hold, held = threading.Event(), threading.Event()
        original = driver._batch

        def slow(taken: object) -> None:
            held.set()
            hold.wait(10)
            original(taken)  # type: ignore[arg-type]

        driver._batch = slow  # type: ignore[method-assign]
        raws = world.accesses(20)
        first = driver.submit(raws[:1])
        assert held.wait(10)
        futures = [driver.submit([raw]) for raw in raws[1:]]
        while len(driver._intake.submissions) < 19:
            pass
        hold.set()
        for future in [first, *futures]:
            assert isinstance(future.result(10)[0], Published)
        assert driver.view.tip.height == 2
        assert driver.store.fsyncs == 3


def test_the_same_entry_again_is_harmless(home: Path, world: World) -> None:
    raws = world.accesses(3)
    with running(make_config(home)) as driver:
        first = post(driver, [raws[0], raws[0], raws[1]])
        assert indexes_of(first) == [3, 3, 4]
        again = post(driver, [raws[1], raws[2], raws[0]])
        assert indexes_of(again) == [4, 6, 3]
        assert [o.known for o in again if isinstance(o, Published)] == [True, False, True]
        size = driver.view.tip.size
    with running(make_config(home)) as driver:
        assert indexes_of(post(driver, raws)) == [3, 4, 6]
        assert driver.view.tip.size == size


def test_one_id_says_one_thing(home: Path, world: World) -> None:
    one = uuid7(GENESIS_MS, 77)
    raws = [world.access(seq=1, id=one), world.access(seq=2, id=one)]
    with running(make_config(home)) as driver:
        assert rules_of(post(driver, raws)) == ["", "S6"]
        assert rules_of(post(driver, raws[::-1])) == ["S6", ""]
    with running(make_config(home)) as driver:
        assert rules_of(post(driver, raws)) == ["", "S6"]


def test_another_key_may_use_the_same_id(tmp_path: Path) -> None:
    """Nobody can burn another's id: uniqueness is of key and id together."""
    world = make_world(("h1",))
    home = make_home(world, tmp_path / "home")
    one = uuid7(GENESIS_MS, 78)
    by_node = world.record("access", world_access_body(world, 9), by="node", id=one)
    with running(make_config(home)) as driver:
        outcomes = post(driver, [world.access(seq=1, id=one), by_node])
        assert rules_of(outcomes) == ["", ""]


def world_access_body(world: World, seq: int) -> AccessBody:
    body: AccessBody = decode_entry(world.access(seq=seq)).record.body
    return body


def _tampered(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def _bad_entries(world: World) -> dict[str, tuple[bytes, str]]:
    stranger = make_world(("h9",), at_ms=GENESIS_MS + 1)
    late = encode_time(GENESIS_MS + 10**12)
    system = world.keys["h1"].system
    payload = world.access(seq=50)
    record: Record[AccessBody] = decode_entry(payload).record
    canonical = ENCODE(record)
    unknown = canonical.replace(b'"body":{', b'"aside":1,"body":{')
    spaced = canonical.replace(b'"at":', b'"at": ')
    return {
        "wrong signature": (_tampered(world.access(seq=51)), "S3.signature"),
        "unknown key": (stranger.access(seq=1, chain=world.genesis.tip.chain), "S3.unknown"),
        "another chain": (world.access(seq=52, chain=b64url(bytes(16))), "S12"),
        "future": (world.access(seq=53, at=late), "S5"),
        "not this capacity": (world.record("access", record.body, by="officer"), "S3.capacity"),
        "unknown field": (sign_payload(system, "h1", "dataset:GTEx", unknown), "S1"),
        "not canonical": (sign_payload(system, "h1", "dataset:GTEx", spaced), "S2"),
        "another subject": (sign_payload(system, "h1", "dataset:other", canonical), "S13"),
        "bad id": (world.access(seq=54, id="019b76da-0000-1000-8000-000000000000"), "B6"),
        "bad reference": (world.access(seq=55, request="+" * 43), "B4"),
        "unknown reference": (world.access(seq=56, request=b64url(bytes(32))), "S4"),
        "a seal": (world.genesis.seal.raw, "S1.type"),
        "garbage": (b"garbage", "B1.tag"),
        "empty": (b"", "B1.tag"),
    }


@pytest.mark.parametrize("name", list(_bad_entries(make_world())))
def test_a_bad_entry_is_refused_and_harms_no_other(home: Path, world: World, name: str) -> None:
    raw, rule = _bad_entries(world)[name]
    good = world.accesses(2)
    with running(make_config(home)) as driver:
        outcomes = post(driver, [good[0], raw, good[1]])
        assert rules_of(outcomes) == ["", rule, ""]
        assert indexes_of(outcomes) == [3, -1, 4]
        assert driver.view.tip.height == 1
        assert driver.pending == 0


def test_nothing_but_bad_entries_makes_no_block(home: Path, world: World) -> None:
    raw = world.access(seq=1, chain=b64url(bytes(16)))
    with running(make_config(home)) as driver:
        assert rules_of(post(driver, [raw])) == ["S12"]
        assert driver.view.tip.height == 0
        assert rules_of(post(driver, world.accesses(1, first_seq=2))) == [""]
        assert driver.view.tip.height == 1


def test_more_than_a_block_holds_becomes_several(tmp_path: Path) -> None:
    limits = Limits(block_bytes=1 << 20, block_records=10, min_interval_ms=0)
    world = make_world(limits=limits)
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        before = driver.store.fsyncs
        outcomes = post(driver, world.accesses(35))
        assert all(isinstance(outcome, Published) for outcome in outcomes)
        assert driver.view.tip.height == 4
        assert driver.store.fsyncs - before == 4


def test_blocks_keep_their_distance(tmp_path: Path) -> None:
    """The epoch's shortest time between two blocks holds; what waits is not forgotten."""
    limits = Limits(block_bytes=1 << 20, block_records=10, min_interval_ms=300)
    world = make_world(limits=limits)
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        times = []
        for raw in world.accesses(3):
            post(driver, [raw])
            times.append(driver.view.tip.time_ms)
        assert times[1] - times[0] >= 300
        assert times[2] - times[1] >= 300


# --- storage failures -----------------------------------------------------------------------------


def _shrink(driver: Driver, pages: int) -> None:
    """Make the database as full as a disk without room."""
    with driver.store.transaction():
        read = driver.store._connection.exec_driver_sql
        count = read("PRAGMA page_count").scalar() or 0
        read(f"PRAGMA max_page_count = {count + pages}")


@pytest.fixture
def full(home: Path, world: World) -> Iterator[tuple[Driver, list[bytes]]]:
    driver = open_driver(make_config(home))
    _shrink(driver, 0)
    driver.start()
    yield driver, world.accesses(400)
    driver.stop()


def test_a_full_disk_loses_nothing_and_the_node_goes_on(
    full: tuple[Driver, list[bytes]],
) -> None:
    driver, raws = full
    outcomes = post(driver, raws)
    assert set(rules_of(outcomes)) == {"O3.full"}
    assert all(isinstance(outcome, StorageError) for outcome in outcomes)
    assert driver.failing
    assert driver.view.tip.height == 0
    assert set(rules_of(post(driver, raws[:300]))) == {"O3.full"}
    with driver.store.transaction():
        driver.store._connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert indexes_of(post(driver, raws)) == list(range(3, 403))
    assert not driver.failing
    assert driver.counters["storage_failures"] == 2


def test_after_a_full_disk_a_restart_finds_what_was_answered(home: Path, world: World) -> None:
    raws = world.accesses(2_000)
    driver = open_driver(make_config(home))
    _shrink(driver, 30)
    driver.start()
    answered = []
    for at in range(0, 2_000, 100):
        answered += [o for o in post(driver, raws[at : at + 100]) if isinstance(o, Published)]
    assert 100 <= len(answered) < 2_000
    driver.stop()
    with running(make_config(home)) as driver:
        assert driver.view.tip.seal_index == 2 + len(answered) + driver.view.tip.height
        for outcome in answered:
            assert driver.store.entry(outcome.index) == outcome.entry.raw
        outcomes = post(driver, raws)
        assert all(isinstance(outcome, Published) for outcome in outcomes)
        source = driver.view.tip.state.get(state_key("source", "h1/gateway"))
        assert source == SourceState(closed=0, complete=0, count=2_000, last=2_000)


def test_a_second_writer_stops_this_one(home: Path, world: World) -> None:
    """Somebody else moved the tip: this node answers with a failure, and never signs beside it."""
    raws = world.accesses(2)
    with running(make_config(home)) as driver:
        post(driver, raws[:1])
        with database_at(home / "ledger.db") as other:
            other.execute("UPDATE tip SET leaf = zeroblob(32)")
        other.close()
        note = driver.view.checkpoint
        assert rules_of(post(driver, raws[1:])) == ["O3.tip"]
        assert driver.view.checkpoint == note
        assert rules_of(post(driver, raws[1:])) == ["O2.corrupt"]


# --- clock ----------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_does_no_harm(home: Path, world: World) -> None:
    time = FakeTime(GENESIS_MS + 3_600_000)
    raws = world.accesses(6)
    with running(make_config(home), time.clock()) as driver:
        post(driver, raws[:1])
        first = driver.view.tip.time_ms
        time.wall_ms -= 7_200_000
        assert rules_of(post(driver, raws[1:3])) == ["", ""]
        assert first < driver.view.tip.time_ms < first + 1_000
        assert driver.clock.ahead_ms() > 7_000_000
        last = driver.view.tip.time_ms
    # A restart while the wall is still behind: time goes on from the last block.
    with running(make_config(home), time.clock(last + 1)) as driver:
        assert rules_of(post(driver, raws[3:])) == ["", "", ""]
        assert last < driver.view.tip.time_ms < last + 1_000


def test_a_node_starts_under_a_wall_before_its_last_block(home: Path, world: World) -> None:
    raws = world.accesses(2)
    ahead = FakeTime(4_000_000_000_000)
    with running(make_config(home), ahead.clock()) as driver:
        post(driver, raws[:1])
        last = driver.view.tip.time_ms
    with running(make_config(home)) as driver:
        assert rules_of(post(driver, raws[1:])) == [""]
        assert driver.view.tip.time_ms > last


# --- limits, stopping, heads ----------------------------------------------------------------------


def test_the_queue_is_bounded(home: Path, world: World) -> None:
    raws = world.accesses(30)
    driver = open_driver(make_config(home, max_pending_entries=20))
    future = driver.submit(raws[:20])
    with pytest.raises(BusyError) as error:
        driver.submit(raws[20:])
    assert error.value.rule == "O4.queue"
    driver.start()
    future.result(10)
    assert driver.pending == 0
    post(driver, raws[20:])
    driver.stop()


def test_stopping_finishes_what_was_taken(home: Path, world: World) -> None:
    raws = world.accesses(500)
    driver = open_driver(make_config(home))
    driver.start()
    futures = [driver.submit(raws[at : at + 50]) for at in range(0, 500, 50)]
    driver.stop()
    for future in futures:
        assert all(isinstance(outcome, Published) for outcome in future.result(0))
    with pytest.raises(BusyError) as error:
        driver.submit(raws[:1])
    assert error.value.rule == "O4.stopping"
    with running(make_config(home)) as driver:
        start = driver.store.starts[1]
        recorded = driver.store.entries(start, driver.view.tip.size)
        assert set(raws) <= set(recorded)


def test_every_head_grows_out_of_the_one_before(home: Path, world: World) -> None:
    with running(make_config(home)) as driver:
        notes = [driver.view.checkpoint]
        for at in range(5):
            post(driver, world.accesses(at + 1, first_seq=100 * at + 1))
            notes.append(driver.view.checkpoint)
        heads = [decode_checkpoint(decode_note(note).text) for note in notes]
        for old, new in pairwise(heads):
            path = driver.store.tree.consistency(old.size, new.size)
            verify_consistency(old.size, new.size, old.root, new.root, path)
        assert driver.store.cosigned() == (heads[-1].size, heads[-1].root)
        assert [driver.store.block(h).checkpoint for h in range(6)] == notes


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_leaves_nobody_waiting(home: Path, world: World) -> None:
    raws = world.accesses(3)
    driver = open_driver(make_config(home))
    broken = threading.Event()
    driver.on_broken = broken.set
    driver._step = lambda *_events: 1 // 0  # type: ignore[method-assign,return-value,assignment]
    driver.start()
    future = driver.submit(raws[:2])
    assert set(rules_of(future.result(10))) == {"O9"}
    assert broken.wait(10)
    assert driver.status == "broken"
    with pytest.raises(BusyError) as error:
        driver.submit(raws[2:])
    assert error.value.rule == "O4.stopping"
    driver.stop()
    with running(make_config(home)) as driver:
        assert len(post(driver, raws)) == 3


def test_what_was_promised_waits_on_after_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that is kept on disk was answered 202: a failure later does not drop it."""
    world = make_world(("h1", "h2", "h3", "h4"))
    monkeypatch.setattr(mempool, "LATE_MS", 0)
    with running(make_config(make_home(world, tmp_path / "home"))) as driver:
        kept, lost = (decode_entry(raw) for raw in world.accesses(2))
        driver.submit([kept.raw])
        wait_for(lambda: kept.leaf in driver._mempool.kept)
        monkeypatch.setattr(driver.store, "save_waiting", _disk_full)
        failed = driver.submit([lost.raw]).result(10)[0]
        assert isinstance(failed, StorageError)
        monkeypatch.undo()
        wait_for(lambda: not driver.failing)
        assert list(driver._mempool.waiting) == [kept.id_key]


def _disk_full(_rows: object) -> None:
    raise StorageError("O3.full")


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_node_without_a_quorum_stops_soon_and_keeps_what_it_took_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callers are told to come back; it does not sit out its time."""
    monkeypatch.setattr(loop, "HAND_OVER_MS", 50)
    world = make_world(("h1", "h2"))
    config = make_config(make_home(world, tmp_path, "h1"), stop_ms=3_600_000)
    driver = open_driver(config)
    driver.start()
    raw = world.access(seq=1)
    future = driver.submit([raw])
    driver.stop()
    (outcome,) = future.result(0)
    assert isinstance(outcome, BusyError)
    assert outcome.rule == "O4.stopping"
    again = open_driver(config)
    assert list(again.store.waiting()) == [raw]
    assert again.waiting == 1
    again.store.close()
