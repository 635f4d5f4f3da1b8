"""Processes that die, stand still, run out of disk or have a wrong clock, under load (consensus.md
2.18, 3.6 rows 2, 3, 6 and 15).

After each of them: one chain, byte for byte; nothing that was answered is missing; the audit of an
export passes.
"""

import time
from collections.abc import Callable

import pytest

from ledger.errors import AllianceError
from node.peerclient import PeerClient
from node.wire import Exchange
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
    # It hears the others' heartbeats every five seconds, or fifteen when nothing happens.
    net.wait(lambda: net.health("h4")["clock_offset_ms"] < -3_500_000, "h4 knows of its clock", 40)


def test_a_process_whose_time_is_wrong_is_refused_and_comes_back(network: Make) -> None:
    """More than 300 s: neither are its requests taken (H2), nor does it take those of the others.
    It is as one that is away; with its clock set right, it catches up.
    """
    net = network(*FOUR)
    net.start("h1", "h2", "h3")
    net.start("h4", fault=("wall", "400000"))
    refused = exchange_as(net, "h4", int(time.time()) + 400)
    assert refused == "H2"
    assert exchange_as(net, "h4", int(time.time()) - 400) == "H2"
    with Load(net, "h1", "h2", "h3") as load:
        load.more(40, 60)
        assert net.health("h4")["height"] == 0
        assert net.health("h4")["pending"] == 0
        net.kill("h4")
        net.start("h4")
        net.wait(lambda: net.health("h4")["height"] > 0, "h4 catches up", 60)
        load.more()
    net.check(load.published)


def exchange_as(net: Network, org: str, created_s: int) -> str:
    """The rule by which h1 refuses a request that a member signed at this time."""
    url = f"http://127.0.0.1:{net.ports['h1']}"
    with PeerClient(url, net.world.keys[org].node) as client, pytest.raises(AllianceError) as error:
        client.exchange(Exchange(v=1, pin=net.world.genesis.seal.leaf), created_s, bytes(16))
    return error.value.rule


def test_a_member_that_signs_two_proposals_makes_no_fork(network: Make) -> None:
    """2.19, 3.6 row 9: in each of its turns; the others agree, keep the proof, and go on."""
    net = network(*FOUR)
    net.start("h1", "h2", "h3")
    net.start("h4", fault=("liar", "0"))
    honest = FOUR[:3]
    with Load(net, *honest) as load:
        load.more(60, 60)
        net.wait(
            lambda: any(net.health(org)["alarms"].get("evidence") for org in honest),
            "somebody has the proof",
            60,
        )
        load.more(20, 60)
    net.kill("h4")
    net.check(load.published)
    for org in honest:
        assert not set(net.health(org)["alarms"]) - {"evidence"}
