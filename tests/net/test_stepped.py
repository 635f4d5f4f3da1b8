"""Real nodes on a clock of the test: what takes minutes, or one certain moment, takes neither here
(consensus.md 2.9 to 2.12, 3.5).
"""

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from ledger.consensus import Consensus, Proposal, Received, Vote, Work
from ledger.encoding import decode_bundle, encode_bundle
from node.driver import Outcome
from node.driver.blocks import COMPACT_BYTES
from node.driver.mempool import TRIED
from node.wire import CompactBlock, Exchange
from tests.sim.replay import replay
from tests.support.node import peer_of
from tests.support.stepped import Post, PowerCut, Stepped, published
from tests.support.world import GENESIS_MS, World, make_world, uuid7

FOUR = ("h1", "h2", "h3", "h4")
Make = Callable[..., Stepped]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


@pytest.fixture
def stepped(tmp_path: Path, world: World) -> Iterator[Make]:
    made: list[Stepped] = []

    def make(**settings: int) -> Stepped:
        made.append(Stepped(tmp_path / str(len(made)), world, **settings))
        return made[-1]

    yield make
    for net in made:
        net.close()


def leader_of(net: Stepped, view: int) -> str:
    config = net.world.config
    return config.members[config.leader(view)].org


def spoiled(bundle: bytes) -> bytes:
    """The same seal over other entries."""
    raws = decode_bundle(bundle)
    return encode_bundle([raws[0][:-1] + bytes((raws[0][-1] ^ 1,)), *raws[1:]])


def test_a_body_that_somebody_spoiled_on_the_way_harms_nobody(stepped: Make) -> None:
    """A seal does not protect what travels beside it: a member may hand on other entries with it.
    Whoever took them for the block would refuse what is final, and stop for ever (R11).
    """
    net = stepped()
    victim = next(org for org in FOUR if org != leader_of(net, 1))

    def spoil_first(_sender: str, to: str, item: Exchange) -> bool:
        if to == victim and item.blocks:
            peer = next(org for org in FOUR if org not in (victim, leader_of(net, 1)))
            spoiled_item = Exchange(v=1, pin=item.pin, blocks=tuple(map(spoiled, item.blocks)))
            net.drivers[victim].deliver(peer_of(peer), spoiled_item)
        return True

    net.allow = spoil_first
    future = net.submit("h1", net.world.access(seq=1))
    net.run(10_000)
    published(future)
    assert net.check() == 1
    driver = net.drivers[victim]
    assert (driver.status, dict(driver.alarms)) == ("ok", {})
    assert driver.counters["rejected"] > 0


def test_records_that_the_rules_refuse_burn_no_views(stepped: Make) -> None:
    """One member says to all others what is no work: nobody takes the leader for late, waits longer
    for the next one, or says a word (2.9).
    """
    net = stepped()
    net.run(2_000)
    before, seqs, pin = net.views(), itertools.count(1), net.drivers["h1"].genesis.seal.leaf
    for _second in range(8):
        at_ms = net.now_ms + 86_400_000
        raws = tuple(net.world.access(seq=next(seqs), at_ms=at_ms) for _ in range(TRIED + 1))
        for victim in FOUR[:3]:
            net.post("h4", victim, Exchange(v=1, pin=pin, entries=raws))
        net.run(1_000)
    assert net.views() == before
    for driver in net.drivers.values():
        assert {name for name in driver.counters if "votes/" in name} == {"votes/status"}
    assert all(net.drivers[org].counters["refused/S5"] for org in FOUR[:3])
    # Beside them stands one that is work, and nobody who leads is there: then the view ends.
    raws = (*raws, net.world.access(seq=next(seqs)))
    leader = leader_of(net, before["h1"])
    sender, *victims = (org for org in FOUR if org != leader)
    for victim in victims:
        net.post(sender, victim, Exchange(v=1, pin=pin, entries=raws))
    net.cut(leader)
    net.run(4_000)
    assert net.check() == 1


def many(net: Stepped) -> list[bytes]:
    """Entries of more than a compact proposal is for."""
    return net.world.accesses(COMPACT_BYTES // 400 + 100)


def test_a_large_block_is_proposed_by_the_hashes_of_entries_that_all_have(stepped: Make) -> None:
    net = stepped()
    future = net.submit("h1", *many(net))
    net.run(2_000)
    published(future)
    assert net.check() == 1
    proposals = [item for _sender, _to, item in net.sent if item.compact]
    assert len(proposals) >= 3
    assert not any(item.blocks for _sender, _to, item in net.sent)
    assert sum(len(part.leaves) for part in proposals[0].compact) < COMPACT_BYTES // 8


def test_who_lacks_entries_of_a_large_block_asks_its_proposer_for_all_of_it(stepped: Make) -> None:
    """Nobody waits for a timer: the view in which it is proposed is the one that makes it final."""
    net = stepped()
    victim = next(org for org in FOUR if org not in ("h1", leader_of(net, 1)))
    net.allow = lambda _sender, to, item: not (to == victim and item.entries)
    # Whom consensus would ask next is chance: here it asks nobody.
    net.drivers[victim]._gossip._next_peer = list  # type: ignore[method-assign]
    future = net.submit("h1", *many(net))
    net.run(300)
    published(future)
    assert net.check() == 1
    pulled = [(sender, to) for sender, to, item in net.sent if item.wants]
    whole = [(sender, to) for sender, to, item in net.sent if item.blocks]
    assert (pulled, whole) == ([(victim, leader_of(net, 1))], [(leader_of(net, 1), victim)])
    assert net.drivers[victim].counters["nullified_views"] == 0


def test_entries_that_a_proposer_names_and_never_shows_are_asked_of_others(stepped: Make) -> None:
    net = stepped()
    leader = leader_of(net, 1)
    org = next(org for org in FOUR if org != leader)
    net.allow = lambda sender, to, item: (
        not ((item.entries and to != leader) or (item.blocks and sender == leader))
    )
    future = net.submit(org, *many(net))
    net.run(10_000)
    published(future)
    assert net.check() == 1
    assert {to for sender, to, item in net.sent if item.blocks and sender == org} == {
        other for other in FOUR if other not in (org, leader)
    }


def test_other_entries_than_the_seal_commits_to_are_no_block(stepped: Make) -> None:
    net = stepped()
    victim = next(org for org in FOUR if org not in ("h1", leader_of(net, 1)))
    turned: list[Exchange] = []

    def turn_first(_sender: str, to: str, item: Exchange) -> bool:
        if to == victim and item.compact and not turned:
            block = item.compact[0]
            leaves = block.leaves[32:] + block.leaves[:32]
            turned.append(Exchange(v=1, pin=item.pin, compact=(CompactBlock(block.seal, leaves),)))
            net.drivers[victim].deliver(peer_of(leader_of(net, 1)), turned[0])
        return True

    net.allow = turn_first
    future = net.submit("h1", *many(net))
    net.run(2_000)
    published(future)
    assert turned
    assert net.check() == 1
    driver = net.drivers[victim]
    assert (driver.status, dict(driver.alarms)) == ("ok", {})
    assert driver.counters["rejected"] == 1


def test_who_was_away_for_a_few_blocks_is_given_each_of_them_once(stepped: Make) -> None:
    net = stepped()
    late = next(org for org in FOUR if org not in ("h1", leader_of(net, 1)))
    net.cut(late)
    for seq in (1, 2, 3):
        future = net.submit("h1", net.world.access(seq=seq))
        net.run(5_000)
        published(future)
    net.sent.clear()
    net.start(late)
    net.run(5_000)
    assert net.check() >= 3
    wants = [want for sender, _to, item in net.sent if sender == late for want in item.wants]
    assert wants
    assert all(want.block is None for want in wants)


def test_who_starts_in_an_idle_network_is_told_at_once_that_it_lacks_nothing(stepped: Make) -> None:
    net = stepped()
    future = net.submit("h1", net.world.access(seq=1))
    net.run(60_000)
    published(future)
    net.cut("h3")
    net.start("h3")
    assert net.drivers["h3"].behind is None
    net.run(100)
    assert net.drivers["h3"].behind == 0


def test_what_a_node_recorded_replays_in_the_pure_machine(stepped: Make) -> None:
    net = stepped()
    net.settings = dict.fromkeys(FOUR, 'record = "record.jsonl"\n')
    for org in FOUR:
        net.cut(org)
        net.start(org)
    for seq in range(1, 6):
        net.submit(FOUR[seq % 4], net.world.access(seq=seq))
        net.run(300)
    net.cut("h2")
    net.submit("h1", net.world.access(seq=9))
    net.run(5_000)
    net.start("h2")
    net.run(20_000)
    assert net.check() >= 6
    for org in FOUR:
        found = replay(net.homes[org] / "record.jsonl")
        assert found.lives == (2 if org == "h2" else 1)
        assert found.commits >= 6
        assert found.said > 10


# --- power, at every transaction of real databases (3.6 rows 5, 6) --------------------------------


def cut_once(net: Stepped, moment: int) -> bool:
    """Two records, and the power fails for all at this moment; they come back, three or four of
    them. False when nothing was left to happen then.
    """
    net.cut_at = moment
    futures = []
    try:
        for seq, org in ((1, "h1"), (2, "h2")):
            futures.append(net.submit(org, net.world.access(seq=seq)))
        net.run(1_000)
    except PowerCut:
        net.black_out()
    else:
        return False
    answered = [item.entry.raw for future in futures if future.done() for item in published(future)]
    net.now_ms += 1_000
    back = [org for org in FOUR if moment % 3 == 0 or org != FOUR[moment % 4]]
    for org in back:
        net.start(org)
    later = net.submit(back[0], net.world.access(seq=1_000))
    net.run(20_000)
    published(later)
    net.check()
    driver = net.drivers[back[0]]
    size = driver.store.tree.size
    held = set(driver.store.entries(0, size))
    assert held.issuperset(answered), "what was answered is missing"
    for org in back:
        assert (net.drivers[org].status, dict(net.drivers[org].alarms)) == ("ok", {})
    return True


@pytest.mark.parametrize(
    "step",
    [7, pytest.param(1, marks=pytest.mark.night)],
)
def test_power_fails_at_every_transaction(stepped: Make, step: int) -> None:
    """Every seventh in everyday runs, every single one at night."""
    moment = step
    while cut_once(stepped(), moment):
        moment += step
    assert moment > 30, "too few transactions to be cut at"


# --- idle, waking up, silence (2.9, 2.10, 3.5) ----------------------------------------------------


def kinds_of(net: Stepped) -> set[str]:
    """What has been said, by kind."""
    found = {type(fact).__name__ for _from, _to, item in net.sent for fact in item.facts}
    return found | {
        name
        for _from, _to, item in net.sent
        for name in ("blocks", "entries", "wants")
        if getattr(item, name)
    }


def wait_for(net: Stepped, org: str, raw: bytes) -> int:
    """Milliseconds until an entry is published."""
    start = net.now_ms
    future = net.submit(org, raw)
    while not future.done():
        assert net.now_ms < start + 60_000
        net.run(10)
    published(future)
    return net.now_ms - start


def test_five_minutes_of_idle_time_are_heartbeats_and_nothing_else(stepped: Make) -> None:
    net = stepped(delay_ms=20)
    wait_for(net, "h1", net.world.access(seq=1))
    net.run(20_000)
    net.sent.clear()
    views, fsyncs = net.views(), [driver.store.fsyncs for driver in net.drivers.values()]
    net.run(300_000)
    assert net.views() == views
    assert [driver.store.fsyncs for driver in net.drivers.values()] == fsyncs
    assert kinds_of(net) == {"Status"}
    # Heartbeats and summaries, each every 15 s.
    assert len(net.sent) <= 4 * 3 * (2 * 300 // 15 + 4)
    assert wait_for(net, "h3", net.world.access(seq=2)) < 2_000


def test_a_silent_member_costs_one_second_once(stepped: Make) -> None:
    net = stepped(delay_ms=20)
    wait_for(net, "h1", net.world.access(seq=1))
    net.run(20_000)
    silent = leader_of(net, net.drivers["h1"].consensus_view)
    net.cut(silent)
    others = [org for org in FOUR if org != silent]
    waits = [wait_for(net, others[i % 3], net.world.access(seq=2 + i)) for i in range(12)]
    assert waits[0] < 1_000 + 300
    assert max(waits[1:]) < 500, waits
    # And after an idle time, in which nobody has forgotten.
    net.run(120_000)
    assert wait_for(net, others[0], net.world.access(seq=50)) < 500


# --- clocks (2.18, 3.6 row 15) --------------------------------------------------------------------


def test_a_turn_says_all_it_has_to_say_to_a_member_in_one_request(
    stepped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.14: what a leader has to say of a new record (the record, its block, its vote) does not
    cost the others three requests.
    """
    net = stepped()
    net.run(2_000)
    requests: list[tuple[str | None, tuple[Exchange, ...]]] = []
    send = Post.send

    def noted(post: Post, to: str | None, *items: Exchange) -> None:
        requests.append((to, items))
        send(post, to, *items)

    monkeypatch.setattr(Post, "send", noted)
    leader = leader_of(net, net.views()["h1"])
    future = net.submit(leader, net.world.access(seq=1))
    ((to, items),) = requests
    assert to is None
    assert any(item.entries for item in items)
    words = [fact for item in items for fact in item.facts]
    assert [type(word) for word in words] == [Proposal, Vote]
    net.run(500)
    published(future)


def test_words_of_others_are_not_taken_for_new_work(
    stepped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.9: work is told to consensus when it changes; a turn that brings votes costs one step for
    each of them.
    """
    net = stepped()
    wait_for(net, "h1", net.world.access(seq=1))
    events: list[object] = []
    step = Consensus.step
    machine = net.drivers["h2"]._state.machine
    monkeypatch.setattr(
        machine, "step", lambda event: (events.append(event), step(machine, event))[1]
    )
    wait_for(net, "h1", net.world.access(seq=2))
    net.run(60_000)
    told = [event.pending for event in events if isinstance(event, Work)]
    # The record has come; it stands in a block; the block is final.
    assert told in ([1, 0], [1, 0, 0]), told
    assert sum(isinstance(event, Received) for event in events) > 10


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000, 4_000])
def test_a_clock_that_jumps_and_jumps_back_harms_nobody(stepped: Make, jump_ms: int) -> None:
    net = stepped(delay_ms=20)
    seq = 0

    def record(times: int) -> None:
        nonlocal seq
        for _ in range(times):
            seq += 1
            assert wait_for(net, FOUR[seq % 4], net.world.access(seq=seq)) < 6_000
            net.run(700)

    record(2)
    net.skew_ms["h4"] = jump_ms
    record(6)
    net.skew_ms["h4"] = 0
    record(6)
    net.cut("h4")
    net.start("h4")
    record(4)
    net.run(20_000)
    net.check()
    last = net.drivers["h1"].final.tip.time_ms
    assert last <= net.now_ms + 2_000, "one clock moved the chain's time"
    assert all(driver.status == "ok" for driver in net.drivers.values())
    assert not any(driver.alarms["own-key"] for driver in net.drivers.values())


# --- duplicates (3.6 row 16), a record that only one holds (row 18) -------------------------------


def test_one_record_at_four_nodes_is_recorded_once(stepped: Make) -> None:
    net = stepped(delay_ms=20)
    one = uuid7(GENESIS_MS, 77)
    raw, altered = net.world.access(seq=1, id=one), net.world.access(seq=2, id=one)
    futures = [net.submit(org, raw) for org in FOUR]
    net.run(5_000)
    assert len({item.index for future in futures for item in published(future)}) == 1
    for org in FOUR:
        assert published(net.submit(org, raw))[0].known
        (refused,) = net.submit(org, altered).result(0)
        assert getattr(refused, "rule", "") == "S6"
    # Two that contradict each other, at the same moment: one of them is recorded, everywhere.
    two = uuid7(GENESIS_MS, 78)
    pair = [net.world.access(seq=3, id=two), net.world.access(seq=4, id=two)]
    first, second = net.submit("h1", pair[0]), net.submit("h2", pair[1])
    net.run(10_000)
    outcomes = [future.result(0)[0] for future in (first, second)]
    assert sorted(getattr(item, "rule", "") for item in outcomes) == ["", "S6"]
    net.check()


def test_a_caller_who_is_told_to_come_back_finds_its_record(stepped: Make) -> None:
    """2.11: 202 means that the record is on a disk, however short the wait was."""
    net = stepped()
    net.allow = lambda _from, _to, _item: False
    submitted = net.drivers["h1"].submit([net.world.access(seq=1)])
    early = net.drivers["h1"].keep(submitted)
    net.turn("h1")
    assert early.result(0), "a promise for what was never taken in"
    net.cut("h1")
    net.allow = lambda _from, _to, _item: True
    net.start("h1")
    net.run(10_000)
    assert net.check() == 1
    # What the writer has not seen is promised to nobody.
    unseen: Future[list[Outcome]] = Future()
    late = net.drivers["h1"].keep(unseen)
    net.turn("h1")
    assert not late.result(0)


def test_what_one_member_alone_has_taken_in_survives_it(stepped: Make) -> None:
    """A caller that was told to wait, and a member that dies before anybody else has heard."""
    net = stepped()
    net.allow = lambda sender, _to, _item: sender != "h1"
    raw = net.world.access(seq=1)
    future = net.submit("h1", raw)
    net.run(5_000)
    assert not future.done()
    net.cut("h1")
    net.allow = lambda _from, _to, _item: True
    net.start("h1")
    net.run(10_000)
    assert published(net.submit("h4", raw))[0].known
    net.check()


# --- disks (3.3) ----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["journal", "candidate"])
def test_a_damaged_row_is_noticed_and_accuses_nobody(stepped: Make, table: str) -> None:
    net = stepped(delay_ms=20)
    wait_for(net, "h1", net.world.access(seq=1))
    # Notarized, and not final: words and bodies are on the disk.
    net.allow = lambda _from, _to, item: (
        not any(isinstance(fact, Vote) and fact.kind == "finalize" for fact in item.facts)
    )
    net.submit("h1", net.world.access(seq=2))
    net.run(300)
    net.cut("h4")
    database = net.homes["h4"] / "ledger.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        bodies = [body for (body,) in connection.execute(f"SELECT body FROM {table}")]  # noqa: S608
        assert bodies
        for body in bodies:
            middle = len(body) // 2
            flipped = body[:middle] + bytes((body[middle] ^ 1,)) + body[middle + 1 :]
            update = f"UPDATE {table} SET body = ? WHERE body = ?"  # noqa: S608
            connection.execute(update, (flipped, body))
    net.start("h4")
    assert net.drivers["h4"].status == ("silent" if table == "journal" else "ok")
    net.allow = lambda _from, _to, _item: True
    net.run(40_000)
    assert wait_for(net, "h4", net.world.access(seq=3)) < 6_000
    net.run(1_000)
    net.check()
    assert net.drivers["h4"].status == "ok"
    assert not any(driver.alarms["evidence"] for driver in net.drivers.values())


def test_a_member_that_falls_silent_costs_one_second_once(stepped: Make) -> None:
    """Whoever waited for it in vain knows it is silent, and waits no more (2.10)."""
    net = stepped()
    seqs = iter(range(1, 1_000))

    def one_record_ms(org: str) -> int:
        future, since_ms = net.submit(org, net.world.access(seq=next(seqs))), net.now_ms
        while not future.done():
            net.run(5)
            assert net.now_ms < since_ms + 10_000
        published(future)
        took_ms = net.now_ms - since_ms
        net.run(2_000)
        return took_ms

    awake = [one_record_ms(org) for org in FOUR * 2]
    net.cut("h4")
    waits = [one_record_ms(org) for org in ("h1", "h2", "h3") * 5]
    # Its turns come every fourth view; they cost one word more, but for the first.
    usual = max(awake) + 4 * net.delay_ms
    slow = [wait for wait in waits if wait > usual]
    assert len(slow) == 1
    assert slow[0] <= usual + 1_000


def test_a_node_that_stops_still_hears_what_makes_final_what_it_took_in(stepped: Make) -> None:
    net = stepped()
    future = net.submit("h1", net.world.access(seq=1))
    driver = net.drivers["h1"]
    driver._intake.stop()
    net.run(1_500)
    published(future)
    # Nothing is left: however much the others say, it ends.
    driver.deliver(peer_of("h2"), Exchange(v=1, pin=net.world.genesis.seal.leaf))
    assert driver._intake.take(lambda: 1.0) is None


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("view", [1, 2])
def test_idle_nodes_with_two_histories_all_stop(tmp_path: Path, view: int, more: int) -> None:
    """One of three members put an old disk back by hand, and signed both. Of the same height, and
    of the same view where that one led, neither node lacks anything that the other one has; and
    one that is ahead knows no more what was final below by its consensus alone.
    """
    net = Stepped(tmp_path / "net", make_world(("h1", "h2", "h3")))
    both = leader_of(net, view)
    one, other = sorted({"h1", "h2", "h3"} - {both})
    old = shutil.copytree(net.homes[both], tmp_path / "old")
    net.cut(other)
    published(_settled(net, one, 1))
    net.cut(one)
    net.cut(both)
    net.homes[both] = old
    net.start(both)
    net.start(other)
    for seq in range(2, 3 + more):
        published(_settled(net, other, seq))
    net.cut(both)
    net.start(one)
    assert {driver.final.tip.height for driver in net.drivers.values()} == {1, 1 + more}
    net.run(120_000)
    assert [(d.status, d.alarms["safety"]) for d in net.drivers.values()] == [("silent", 1)] * 2
    net.close()


def _settled(net: Stepped, org: str, seq: int) -> "Future[list[Outcome]]":
    future = net.submit(org, net.world.access(seq=seq))
    net.run(20_000)
    return future
