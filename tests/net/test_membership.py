"""Members come, go and change their keys on a running chain of real processes (consensus.md 2.17;
SPEC 5.7, 7.3).
"""

from collections.abc import Callable

from ledger.crypto import encrypt_private_key, signer_from_seed
from tests.net.alliance import Alliance
from tests.net.conftest import Load, Network
from tests.support.node import PASSPHRASE
from tests.support.world import seed

Make = Callable[..., Network]


def test_one_member_becomes_two_three_and_four(network: Make) -> None:
    net = network("h1")
    net.start()
    alliance = Alliance(net)
    with Load(net, "h1", pause_s=0.2) as load:
        load.more(10)
        alliance.join("h2", "h1")
        assert net.health("h1")["members"] == {"may_be_absent": 0, "may_lie": 1, "n": 2, "q": 2}
        load.more(10)
        alliance.join("h3", "h1")
        load.more(10)
        alliance.join("h4", "h1", "h2")
        load.more(10)
    assert net.health("h4")["status"] == "ok"
    net.check(load.published)


def test_a_joiner_is_killed_in_the_middle_and_a_member_leaves_under_load(network: Make) -> None:
    net = network("h1", "h2", "h3")
    net.start()
    alliance = Alliance(net)
    # Everybody shares two cores here: who catches up needs more of them than who only keeps pace.
    with Load(net, "h1", "h2", pause_s=0.5) as load:
        load.more(10)
        alliance.admit("h4")
        alliance.make_joiner("h4")
        net.start("h4")
        net.kill("h4")
        load.more(10)
        net.start("h4")
        alliance.wait_current("h4")
        config = alliance.propose("h1", "h2", "h3", "h4")
        net.kill("h4")
        net.start("h4")
        alliance.wait_current("h4")
        alliance.enter(config, "h1", "h2", "h4")
        load.more(10)
        net.kill("h4")
        net.start("h4")
        load.more(10)
        alliance.enter(alliance.propose("h1", "h2", "h4"), "h1", "h2")
        assert net.health("h3")["status"] == "observing"
        load.more(10)
    net.kill("h3")
    net.check(load.published)


def test_a_node_changes_its_keys_under_load(network: Make) -> None:
    net = network("h1", "h2", "h3")
    net.start()
    alliance = Alliance(net)
    keys = net.homes["h2"] / "keys"
    fresh = {role: signer_from_seed(seed("next", role)) for role in ("node", "log", "cosigner")}
    for role, signer in fresh.items():
        path = keys / f"next-{role}.pem"
        path.write_bytes(encrypt_private_key(signer, PASSPHRASE))
        path.chmod(0o600)
    with Load(net, "h1", "h3", pause_s=0.3) as load:
        load.more(10)
        # It takes up the next keys when it starts, and votes with the old ones until the boundary.
        net.kill("h2")
        net.start("h2")
        old, new = net.world.keys["h2"], net.world.keys["h2"]._replace(**fresh)
        net.world.keys["h2"] = new  # type: ignore[index]
        config = alliance.propose("h1", "h2", "h3")
        load.more(10)
        assert net.health("h2")["status"] == "ok"
        alliance.enter(config, "h1", "h2")
        load.more(10)
        assert net.health("h2")["status"] == "ok"
        # At its next start the old keys are gone; with another member away its word is needed.
        net.kill("h2")
        net.start("h2")
        assert [path.name for path in keys.glob("*node.pem")] == ["node.pem"]
        net.kill("h3")
        load.more(10)
        net.start("h3")
    assert old.node.kid != new.node.kid
    net.check(load.published)
