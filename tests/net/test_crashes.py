"""Processes that die, stand still, run out of disk or have a wrong clock, under load (consensus.md
2.18, 3.6 rows 2, 3, 6 and 15).

After each of them: one chain, byte for byte; nothing that was answered is missing; the audit of an
export passes.
"""

import time
from collections.abc import Callable

from tests.net.conftest import Load, Network
from tests.sim.replay import replay

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")


def test_any_member_may_be_killed_at_any_time(network: Make) -> None:
    """The leader, a voter, and the one that holds what nobody else has."""
    net = network(*FOUR)
    for org in FOUR:
        with (net.homes[org] / "node.toml").open("r+") as file:
            text = file.read()
            file.seek(0)
            file.write(f'record = "record.jsonl"\n{text}')
    net.start()
    with Load(net, *FOUR) as load:
        load.more()
        leader = net.leader()
        voter = next(org for org in FOUR if org != leader)
        origin = next(org for org in FOUR if org not in (leader, voter))
        for org in (leader, voter, origin):
            net.kill(org)
            load.more()
            net.start(org)
            load.more()
    net.check(load.published)
    # What each of them took in, and did, is what the pure machine does with it, byte for byte.
    for org in FOUR:
        found = replay(net.homes[org] / "record.jsonl")
        assert found.lives == (2 if org in (leader, voter, origin) else 1)
        assert found.commits > 10


def test_a_process_that_stood_still_is_missed_by_nobody_and_goes_on(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    with Load(net, "h1", "h2", "h3") as load:
        load.more()
        net.pause("h4")
        started = time.monotonic()
        load.more(60)
        # Longer than every timer of a view.
        time.sleep(max(0.0, 6.5 - (time.monotonic() - started)))
        net.resume("h4")
        load.more()
    net.check(load.published)


def test_a_full_disk_at_one_member_stops_only_that_one(network: Make) -> None:
    net = network(*FOUR)
    net.start("h1", "h2", "h3")
    net.start("h4", fault=("room", "40"))
    with Load(net, *FOUR) as load:
        net.wait(lambda: net.metric("h4", "storage_failures_total") > 0, "h4 is full", 60)
        load.more(60)
        (net.homes["h4"] / "room").touch()
        net.wait(lambda: net.health("h4")["status"] == "ok", "h4 goes on")
        load.more()
    net.check(load.published)
    answer = net.nodes["h4"].client.submit(net.world.access(seq=9_000_000))
    assert answer["status"] == "published"


def test_a_member_with_a_wrong_clock_harms_nobody(network: Make) -> None:
    """An hour ahead: it declines to lead once it has heard the others, and the rest goes on."""
    net = network(*FOUR)
    net.start("h1", "h2", "h3")
    net.start("h4", fault=("clock", "3600000"))
    with Load(net, *FOUR) as load:
        load.more(120, 60)
        now_ms = time.time() * 1000
    net.check(load.published)
    assert net.nodes["h1"].client.summary()["time_ms"] < now_ms + 60_000
    assert net.health("h4")["clock_offset_ms"] < -3_500_000
