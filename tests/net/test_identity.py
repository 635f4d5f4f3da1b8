"""Nodes that are not what they were: the same keys running twice, a database that was restored,
replaced by an old one, or lost (consensus.md 2.12, 3.6 row 14).

No correct member is ever accused, nothing that was answered is missing, and the node comes back.
"""

import shutil
from collections.abc import Callable

from tests.cli.conftest import call
from tests.net.conftest import Load, Network

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")
HONEST = FOUR[:3]


def accused(net: Network) -> int:
    """How often a member has been found to contradict itself, as the others say."""
    return sum(net.health(org)["alarms"].get("evidence", 0) for org in HONEST)


def test_a_key_that_is_in_use_twice_is_silenced_and_makes_no_fork(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    with Load(net, *HONEST) as load:
        load.more()
        net.kill("h4")
        net.clone("h4", "twin")
        net.start("h4", "twin")

        def noticed() -> bool:
            found = [net.health(org) for org in ("h4", "twin")]
            return any(item["alarms"].get("own-key") for item in found)

        net.wait(noticed, "one of the two notices the other", 40)
        load.more()
        net.kill("twin")
        net.kill("h4")
        net.start("h4")
        load.more()
    net.check(load.published)
    # Idle members say every 15 s where they stand; two of them must, before it speaks again.
    net.wait(lambda: net.health("h4")["status"] == "ok", "h4 speaks again", 40)


def test_a_database_that_is_older_than_its_node(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    home = net.homes["h4"]
    database, copy = home / "ledger.db", net.folder / "copy"

    def lose(*, replaced: bool) -> None:
        """The disk of h4 is lost; perhaps somebody puts an old copy there by hand."""
        net.kill("h4")
        for path in home.glob("ledger.db*"):
            path.unlink()
        if replaced:
            shutil.copy(copy, database)

    with Load(net, *FOUR) as load:
        load.more()
        assert call("backup", copy, "--home", home).code == 0
        load.more()
        lose(replaced=False)
        done = call("restore", copy, "--home", home, "--json")
        assert done.json["in_doubt"] is True
        net.start("h4")
        assert net.health("h4")["status"] == "silent"
        assert net.health("h4")["alarms"] == {"quarantine": 1}
        net.wait(lambda: net.health("h4")["status"] == "ok", "out of quarantine", 40)
        load.more()
        for replaced in (True, False):
            lose(replaced=replaced)
            net.start("h4")
            load.more()
    net.check(load.published)
    assert accused(net) == 0
