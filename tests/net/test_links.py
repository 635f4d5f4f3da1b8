"""Links that are slow, lose connections, or are cut, under load (consensus.md 2.14, 3.6 row 4).

After each of them: one chain, byte for byte; nothing that was answered is missing; the audit of an
export passes.
"""

import time
from collections.abc import Callable

from tests.net.conftest import Load, Network

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")


def test_slow_links_that_lose_connections(network: Make) -> None:
    net = network(*FOUR, proxied=True)
    net.start()
    with Load(net, *FOUR) as load:
        load.more()
        net.links.worsen(delay_s=0.03, loss=0.03)
        load.more(60, 60)
        net.links.heal()
        load.more()
    net.check(load.published)


def test_two_halves_do_nothing_and_go_on_together(network: Make) -> None:
    net = network(*FOUR, proxied=True)
    net.start()
    with Load(net, *FOUR) as load:
        load.more()
        net.links.split(("h1", "h2"), ("h3", "h4"))
        time.sleep(1.0)  # what was on its way arrives
        before = {org: net.health(org)["height"] for org in FOUR}
        views = {org: net.metric(org, "view") for org in FOUR}
        time.sleep(7.0)
        assert {org: net.health(org)["height"] for org in FOUR} == before
        # Without a certificate nobody leaves a view: halves do not drift apart (R2).
        assert all(net.metric(org, "view") - views[org] <= 1 for org in FOUR)
        net.links.heal()
        load.more(60, 60)
    net.check(load.published)


def test_one_member_cut_off_and_one_that_is_heard_by_nobody(network: Make) -> None:
    net = network(*FOUR, proxied=True)
    net.start()
    with Load(net, "h1", "h2", "h3") as load:
        load.more()
        net.links.split(("h1", "h2", "h3"), ("h4",))
        load.more(60, 60)
        height = net.health("h4")["height"]
        assert net.health("h1")["height"] > height
        net.links.heal()
        net.wait(lambda: net.health("h4")["height"] > height, "h4 catches up")
        # Now h4 hears everybody and is heard by nobody.
        net.links.cut(("h4",), ("h1", "h2", "h3"))
        load.more(60, 60)
        net.links.heal()
        load.more()
    net.check(load.published)
