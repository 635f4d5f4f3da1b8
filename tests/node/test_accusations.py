"""What a node does with a member's contradictions: kept at first sight, told, recorded once, also
over restarts; and a fork that was seen is never forgotten (consensus.md 2.19, R10).
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ledger.chain import Tip
from ledger.consensus import Alarm, Certificate, Vote, signed_bytes
from ledger.consensus.messages import NO_BLOCK, Kind, make_certificate
from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import StorageError
from ledger.records import decode_entry
from node.accusations import AGAIN_MS, MAX_KEPT, TURN_MS, Accusations, from_rows, to_rows
from node.config import Config
from node.driver import Driver, Nobody
from node.main import open_driver
from node.wire import Exchange
from tests.support.node import database_at, make_config, make_home, peer_of, running
from tests.support.world import World, make_world

FOUR = ("h1", "h2", "h3", "h4")


def index_of(world: World, org: str) -> int:
    return [member.org for member in world.config.members].index(org)


def vote(world: World, org: str, kind: Kind = "notarize", block: int = 1, view: int = 1) -> Vote:
    """A word of a member, signed."""
    height, name = (0, NO_BLOCK) if kind == "nullify" else (1, bytes([block] * 32))
    message = signed_bytes(world.config, kind, view, height, name)
    signature = world.keys[org].node.sign(message)
    return Vote(kind, 0, view, height, name, index_of(world, org), signature)


def lie(world: World, org: str, view: int = 1) -> tuple[Vote, Vote]:
    """Two notarizations of different blocks in one view."""
    return vote(world, org, view=view), vote(world, org, block=2, view=view)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


@pytest.fixture
def config(tmp_path: Path, world: World) -> Config:
    return make_config(make_home(world, tmp_path / "home"))


class Recorder(Nobody):
    """A way to the others that only remembers."""

    def __init__(self) -> None:
        self.sent: list[Exchange] = []

    def send(self, _to: str | None, *items: Exchange) -> None:
        self.sent += items

    def others(self) -> list[str]:
        return ["h2"]

    def update(self, _roster: object, _signer: object) -> None:
        """It hears whatever it is given."""

    def heard(self) -> dict[str, int]:
        return {}

    def entries(self) -> list[bytes]:
        return [raw for item in self.sent for raw in item.entries]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def deliver(driver: Driver, world: World, *facts: Vote | Certificate) -> None:
    """As if h3 had brought them."""
    pin = world.genesis.seal.leaf
    driver.deliver(peer_of("h3"), Exchange(v=1, pin=pin, facts=facts))


def watched(config: Config) -> tuple[Driver, Recorder]:
    driver, recorder = open_driver(config), Recorder()
    driver.connect(recorder)
    driver.start()
    return driver, recorder


# --- the table of accusations ---


def test_one_member_after_the_other_records_and_each_sends_the_same_again(world: World) -> None:
    accused = index_of(world, "h2")
    tables = {}
    for org in ("h1", "h3", "h4"):
        table = Accusations(())
        assert table.learn(*lie(world, "h2"))
        assert not table.learn(*lie(world, "h2"))
        table.sign(world.keys[org].node, org, world.genesis.tip, 1_000)
        tables[index_of(world, org)] = table
    first = {index: table.due(index, 4, 1_000) for index, table in tables.items()}
    assert [index for index, raws in first.items() if raws] == [(accused + 1) % 4]
    for turn, distance in enumerate((1, 2, 3)):
        table = tables[(accused + distance) % 4]
        if turn:
            assert table.next_ms() == 1_000 + turn * TURN_MS
            raws = table.due((accused + distance) % 4, 4, 1_000 + turn * TURN_MS)
            assert len(raws) == 1
    table = tables[(accused + 1) % 4]
    again = table.due((accused + 1) % 4, 4, 1_000 + AGAIN_MS)
    assert again == first[(accused + 1) % 4]
    for other in tables.values():
        other.recorded(decode_entry(again[0]))
        assert other.next_ms() is None
        assert other.due(0, 4, 10**9) == []
        assert other.listed[0].leaf == decode_entry(again[0]).leaf


def test_what_others_recorded_is_known_here_and_rows_come_back(world: World) -> None:
    table = Accusations(())
    table.learn(*lie(world, "h2"))
    table.sign(world.keys["h1"].node, "h1", world.genesis.tip, 1_000)
    raw = table.listed[0].raw
    other = Accusations(())
    other.recorded(decode_entry(raw))
    (item,) = other.listed
    assert (item.raw, item.kind, item.signer) == (b"", "notarize", index_of(world, "h2"))
    for known in (table.listed, other.listed):
        assert tuple(from_rows(to_rows(known))) == known
    with pytest.raises(StorageError):
        from_rows([(0, 1, 2, b"[", b"", b"")])


def test_a_member_that_lies_in_every_view_fills_neither_disk_nor_chain(world: World) -> None:
    table = Accusations(())
    for view in range(1, MAX_KEPT + 10):
        table.learn(*lie(world, "h2", view))
    table.learn(*lie(world, "h3"))
    assert len(table.listed) == MAX_KEPT + 1


# --- a node ---


def test_evidence_is_kept_told_and_handed_in_again_after_a_restart(
    config: Config, world: World
) -> None:
    first, second = lie(world, "h2")
    driver, recorder = watched(config)
    try:
        deliver(driver, world, first)
        deliver(driver, world, second)
        wait_for(lambda: bool(recorder.entries()))
        told = [item.facts for item in recorder.sent if first in item.facts]
        assert (first, second) in told
        raws = recorder.entries()
    finally:
        driver.stop()
    entry = decode_entry(raws[0])
    assert (entry.record.type, entry.statement.iss) == ("evidence", "h1")
    body = entry.record.body
    assert {body.first.block, body.second.block} == {b64url(first.block), b64url(second.block)}
    again, recorder = watched(config)
    try:
        wait_for(lambda: bool(recorder.entries()))
        assert set(recorder.entries()) == {raws[0]}
        (item,) = again.accusations
        assert (item.first, item.second, item.raw) == (first, second, raws[0])
        assert again.alarms["evidence"] == 0
    finally:
        again.stop()


def test_what_is_legal_accuses_nobody(config: Config, world: World) -> None:
    """notarize and nullify; the same word twice; words of different views."""
    driver, recorder = watched(config)
    try:
        deliver(driver, world, vote(world, "h2"), vote(world, "h2", "nullify"))
        deliver(driver, world, vote(world, "h2"), vote(world, "h2", view=2, block=2))
        deliver(driver, world, *lie(world, "h4"))
        wait_for(lambda: bool(driver.accusations))
        assert [item.signer for item in driver.accusations] == [index_of(world, "h4")]
        assert driver.status == "ok"
    finally:
        driver.stop()
    assert len({decode_entry(raw).record.body.first.signer for raw in recorder.entries()}) <= 1


# --- a fork ---


def final(world: World, block: int) -> Certificate:
    votes = [vote(world, org, "finalize", block) for org in ("h2", "h3", "h4")]
    return make_certificate(world.config, votes)


def test_a_fork_that_was_seen_silences_the_node_for_good(config: Config, world: World) -> None:
    one, other = final(world, 1), final(world, 2)
    with running(config) as driver:
        deliver(driver, world, one)
        deliver(driver, world, other)
        wait_for(lambda: driver.alarms["safety"] > 0)
        wait_for(lambda: bool(driver.store.alarms()))
        assert driver.status == "silent"
    with running(config) as driver:
        assert (driver.status, driver.alarms["safety"]) == ("silent", 1)
        (kind, _at_ms, facts) = driver.store.alarms()[0]
    assert kind == "safety"
    proof = msgspec.json.decode(facts, type=list[Certificate])
    assert {cert.block for cert in proof} == {one.block, other.block}


def test_other_alarms_do_not_outlive_the_process(config: Config, world: World) -> None:
    """Software that found a block invalid may be replaced by better software."""
    driver = open_driver(config)
    driver._durable.alarm(Alarm("invalid-final", (final(world, 1),)))
    driver._durable.save()
    driver.stop()
    with running(config) as again:
        assert again.status == "ok"
        assert [kind for kind, _at_ms, _facts in again.store.alarms()] == ["invalid-final"]


def test_a_database_without_the_tables_gets_them(config: Config) -> None:
    with running(config):
        pass
    with database_at(config.database_file) as database:
        database.execute("DROP TABLE accusation")
        database.execute("DROP TABLE alarm")
    with running(config) as driver:
        assert (driver.accusations, driver.store.alarms()) == ((), [])


def test_the_records_hold_before_the_rules(world: World) -> None:
    """What a node makes is what every member admits."""
    table, tip = Accusations(()), world.genesis.tip
    table.learn(*lie(world, "h2"))
    table.learn(vote(world, "h3", "finalize"), vote(world, "h3", "nullify"))
    table.learn(vote(world, "h4", "notarize"), vote(world, "h4", "finalize", 2))
    table.sign(world.keys["h1"].node, "h1", tip, tip.time_ms + 1)
    raws = [item.raw for item in table.listed]
    block = world.extend(tip, raws, _nothing(tip))
    assert len(block.entries) == 3
    for entry in block.entries:
        message = entry.statement.to_be_signed
        node = world.keys["h1"].node
        assert verify(node.alg, node.public_key, entry.statement.signature, message)


def _nothing(_tip: Tip):  # noqa: ANN202
    from tests.support.world import Blocks

    return Blocks()
