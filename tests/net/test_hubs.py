"""Members that nobody can call: they take full part through those that can be called, at once and
whichever of these is alive (consensus.md 2.14).
"""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from ledger.consensus import Status, Vote, signed_bytes
from ledger.consensus.messages import NO_BLOCK
from ledger.encoding import b64url
from node.links import GONE_MS, Links
from node.relay import REMEMBERED, STATUS_MS, Relay
from node.roster import Roster
from node.wire import Exchange
from tests.net.conftest import Network
from tests.support.process import free_port
from tests.support.stepped import Stepped, published
from tests.support.world import World, make_world

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")
PIN = bytes(32)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


@pytest.fixture
def walled(tmp_path: Path, world: World) -> Iterator[Stepped]:
    """h1 and h2 can be called; h3 and h4 hear each other through them only."""
    net = Stepped(tmp_path, world)
    net.walled = {"h3", "h4"}
    yield net
    net.close()


def test_hubs_hand_on_at_once(walled: Stepped) -> None:
    """Every view has another leader: whoever leads, and whoever has the record, it takes a few
    hops and no round of asking.
    """
    for seq, org in zip(range(1, 9), FOUR * 2, strict=True):
        walled.run(2_000)
        future = walled.submit(org, walled.world.access(seq=seq))
        # Four steps of agreement and one to publish, each over two links of 10 ms at most.
        walled.run(150)
        published(future)
    walled.run(2_000)
    assert walled.check() == 8


def test_one_hub_is_enough(walled: Stepped) -> None:
    walled.run(2_000)
    walled.cut("h1")
    futures = []
    for seq in range(1, 5):
        futures.append(walled.submit(FOUR[1 + seq % 3], walled.world.access(seq=seq)))
        walled.run(6_000)
    for future in futures:
        published(future)
    assert walled.check() == 4


def test_nothing_is_handed_on_twice_or_where_it_is_known(walled: Stepped) -> None:
    """What members that can be called say, they say to each other themselves."""
    walled.walled = set()
    walled.run(2_000)
    walled.sent.clear()
    future = walled.submit("h1", walled.world.access(seq=1))
    walled.run(500)
    published(future)
    words = [(to, fact) for _from, to, item in walled.sent for fact in item.facts
             if isinstance(fact, Vote)]  # fmt: skip
    assert len(words) == len(set(words)), "each member heard each word once"


def test_what_a_hub_remembers_and_hands_on_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.relay.REMEMBERED", 3)
    config, relay, views = world.config, Relay(), range(1, 20)
    sign = world.keys["h4"].node.sign

    def word(view: int) -> Vote:
        signature = sign(signed_bytes(config, "nullify", view, 0, NO_BLOCK))
        return Vote("nullify", 0, view, 0, NO_BLOCK, 3, signature)

    words = tuple(word(view) for view in range(1, 6))
    assert relay.fresh(words, (), (), (), views) == {"facts": words}
    assert relay.fresh(words[2:], (), (), (), views) == {}
    assert len(relay._known) == 3 < REMEMBERED
    # Views that nobody is near to are not everybody's business.
    assert relay.fresh((word(1 << 40),), (), (), (), views) == {}

    def beat(clock_ms: int) -> Status:
        return Status(0, 1, 0, PIN, 0, clock_ms, bytes(16), "v", 3, bytes(64))

    beats = tuple(beat(clock_ms) for clock_ms in (5_000, 5_001, 4_000, 5_000 + STATUS_MS))
    assert relay.fresh(beats, (), (), (), views) == {"facts": (beats[0], beats[3])}


def test_nothing_is_kept_for_a_member_that_cannot_be_called_and_does_not_ask(world: World) -> None:
    own = world.keys["h1"].node
    links = Links(dial_out=False)
    roster = Roster(world.genesis.tip, frozenset({b64url(own.kid)}), {"h2": "http://h2"})
    links.update(roster, own)
    called, asking, absent = sorted(links, key=lambda link: link.org)
    message = Exchange(v=1, pin=PIN, entries=(b"x",))
    asking.seen_ms = int(time.time() * 1000)
    links.send(None, message)
    assert [link.queue.take() for link in (called, asking, absent)] == [message, message, None]
    assert links.relays
    links.relay("h2", message)
    assert [link.queue.take() for link in (called, asking, absent)] == [None, message, None]
    links.relay("h3", message)
    assert [link.queue.take() for link in (called, asking, absent)] == [message, None, None]
    asking.seen_ms -= GONE_MS
    assert not links.relays
    assert links.others() == ["h2"]


def test_real_members_behind_two_hubs(network: Make) -> None:
    net = network(*FOUR)
    ports = {org: free_port() for org in ("h1", "h2")}
    for org, home in net.homes.items():
        hubs = [f'{hub} = "http://127.0.0.1:{port}"' for hub, port in ports.items() if hub != org]
        lines = [x for x in (home / "node.toml").read_text().splitlines() if x.startswith("port")]
        if org in ports:
            lines += ['peer_host = "127.0.0.1"', f"peer_port = {ports[org]}"]
        else:
            lines += ["dial_out = true"]
        (home / "node.toml").write_text("\n".join([*lines, "[peers]", *hubs, ""]))
    net.start()
    seqs = count(1)
    for org in FOUR:
        net.nodes[org].client.submit(net.world.access(seq=next(seqs)))
    size = net.wait_settled()
    net.wait_equal(size)
    # One of the hubs dies: the other one carries everything.
    net.kill("h1")
    for org in ("h3", "h4", "h2"):
        answer = net.nodes[org].client.submit(net.world.access(seq=next(seqs)))
        assert answer["status"] == "published"
    net.wait_settled()
