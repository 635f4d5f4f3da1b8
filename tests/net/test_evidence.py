"""A member that contradicts itself before real nodes: it stands on the chain, once, and every
operator sees it (consensus.md 2.19).
"""

import time
from collections.abc import Callable

from ledger.consensus import Fact
from node.peerclient import PeerClient
from node.wire import Exchange
from tests.net.conftest import Network
from tests.net.test_network import exchange_url
from tests.node.test_accusations import lie

Make = Callable[..., Network]
HONEST = ("h1", "h2", "h3")


def tell(net: Network, org: str, liar: str, *facts: Fact) -> None:
    """The liar says something to one member."""
    pin = net.world.genesis.seal.leaf
    with PeerClient(exchange_url(net, org), net.world.keys[liar].node) as client:
        nonce = time.time_ns().to_bytes(16, "big")
        client.exchange(Exchange(v=1, pin=pin, facts=facts), int(time.time()), nonce)


def test_a_lie_that_is_told_apart_is_found_out_and_recorded_once(network: Make) -> None:
    net = network("h1", "h2", "h3", "h4")
    net.start(*HONEST)
    first, second = lie(net.world, "h4", view=3)
    tell(net, "h1", "h4", first)
    tell(net, "h2", "h4", second)

    def known(org: str) -> list[dict[str, object]]:
        return [item for item in net.health(org)["evidence"] if item["leaf"]]

    for org in HONEST:
        net.wait(lambda org=org: bool(known(org)), f"{org} knows of it")  # type: ignore[misc]
    net.kill("h1")
    net.start("h1")
    for number in range(3):
        net.nodes["h2"].client.submit(net.world.access(seq=1 + number))
    time.sleep(4)
    net.wait_settled()
    assert net.nodes["h3"].client.summary()["types"]["evidence"] == 1
    for org in HONEST:
        (item,) = net.health(org)["evidence"]
        assert (item["org"], item["kind"], item["view"]) == ("h4", "notarize", 3)
        assert item["leaf"] == known(org)[0]["leaf"]
    net.check({})
