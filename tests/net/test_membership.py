"""Members come, go and change their keys on a running chain of real processes (consensus.md 2.17;
SPEC 5.7, 7.3).
"""

from collections.abc import Callable

from tests.net.alliance import Alliance
from tests.net.conftest import Load, Network

Make = Callable[..., Network]


def test_one_member_becomes_two_three_and_four(network: Make) -> None:
    net = network("h1")
    net.start()
    alliance = Alliance(net)
    with Load(net, "h1", pause_s=0.2) as load:
        load.more()
        alliance.join("h2", "h1")
        assert net.health("h1")["members"] == {"may_be_absent": 0, "may_lie": 1, "n": 2, "q": 2}
        load.more()
        alliance.join("h3", "h1")
        load.more()
        alliance.join("h4", "h1", "h2")
        load.more()
    assert net.health("h4")["status"] == "ok"
    net.check(load.published)


def test_a_joiner_is_killed_in_the_middle_and_a_member_leaves_under_load(network: Make) -> None:
    net = network("h1", "h2", "h3")
    net.start()
    alliance = Alliance(net)
    # Everybody shares two cores here: who catches up needs more of them than who only keeps pace.
    with Load(net, "h1", "h2", pause_s=0.5) as load:
        load.more()
        alliance.admit("h4")
        alliance.make_joiner("h4")
        net.start("h4")
        net.kill("h4")
        load.more()
        net.start("h4")
        alliance.wait_current("h4")
        config = alliance.propose("h1", "h2", "h3", "h4")
        net.kill("h4")
        net.start("h4")
        alliance.wait_current("h4")
        alliance.enter(config, "h1", "h2", "h4")
        load.more()
        net.kill("h4")
        net.start("h4")
        load.more()
        alliance.enter(alliance.propose("h1", "h2", "h4"), "h1", "h2")
        assert net.health("h3")["status"] == "observing"
        load.more()
    net.kill("h3")
    net.check(load.published)
