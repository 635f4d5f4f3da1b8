"""Payloads between members: what all hold reaches all, what is restricted stays, and an erasure is
answered by every holder.
"""

import secrets
from collections.abc import Callable

import msgspec
import pytest

from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import ErasedError, ForbiddenError, NotFoundError
from ledger.records.catalogue import DatasetBody
from ledger.records.payloads import Deposit, Tier, make_deposit, reference
from ledger.verify import Receipt, verify_receipt
from node.client import NodeClient
from tests.net.conftest import Network

Make = Callable[..., Network]
NOT_AFTER = "2099-12-31T00:00:00.000Z"


def officer(net: Network, org: str) -> NodeClient:
    """The officer of a member, at its own node."""
    return NodeClient(net.nodes[org].client.url, net.world.keys[org].officer)


def put(net: Network, tier: Tier, text: str, group: str = "") -> Deposit:
    """Hand a payload in at h1, and name it in a record."""
    holders = ("h1", "h2")
    given = make_deposit({"text": text}, secrets.token_bytes(32), tier, "text/1", holders, group)
    with officer(net, "h1") as client:
        named = client.deposit(given)
        body = DatasetBody(custodian="h1", openness="conditional", series_id=f"S-{text}")
        raw = net.world.record("dataset", body, not_after=NOT_AFTER, payloads=(named,))
        assert client.submit(raw)["status"] == "published"
    return given


def state(net: Network, org: str, commit: str) -> str:
    """How a payload stands at a member: `here`, or the error in its place."""
    with officer(net, org) as client:
        try:
            client.payload(commit)
        except (NotFoundError, ForbiddenError) as error:
            return error.rule
    return "here"


def on_chain(net: Network, commit: str) -> list[str]:
    """What the chain says of readings of a payload: who, and whose node says so."""
    with officer(net, "h1") as client:
        try:
            leaves = client.subject(f"dataset:payload/{commit}")["leaves"]
        except NotFoundError:
            return []
        found = [msgspec.convert(client.entry(leaf)["receipt"], Receipt) for leaf in leaves]
    entries = [verify_receipt(one, net.world.genesis.tip, verify).entry for one in found]
    return [f"{entry.record.body.person} by {entry.statement.iss}" for entry in entries]


@pytest.mark.parametrize("dial_out", [False, True])
def test_what_all_hold_reaches_all_and_is_erased_by_all(network: Make, dial_out: bool) -> None:
    net = network("h1", "h2")
    if dial_out:
        # h1 cannot be reached: it hands out what it has.
        path = net.homes["h1"] / "node.toml"
        text = path.read_text().replace('peer_host = "127.0.0.1"\n', "")
        path.write_text("dial_out = true\n" + text)
        other = net.homes["h2"] / "node.toml"
        lines = [line for line in other.read_text().splitlines() if not line.startswith("h1 =")]
        other.write_text("\n".join(lines) + "\n")
    net.start()
    common, restricted = put(net, "T1", "title"), put(net, "T2", "person", "person:p1")
    title, person = reference(common).commit, reference(restricted).commit
    net.wait(lambda: state(net, "h2", title) == "here", "h2 has the title")
    assert net.nodes["h2"].client.vault()["counts"]["T2"] == 0
    with NodeClient(net.nodes["h2"].client.url, net.world.keys["h2"].system) as client:
        with pytest.raises(ForbiddenError, match="T5"):
            client.payload(person)
    assert net.nodes["h2"].client.vault()["counts"]["T2"] == 0
    # An office of a named holder asks: then it is brought, and both sides have it on record. Who
    # cannot be reached cannot be asked.
    assert state(net, "h2", person) == ("T3" if dial_out else "here")
    # Each of the two readings is on the chain, by whose node released it.
    asked = b64url(net.world.keys["h2"].officer.kid)
    readers = ["ext:node:h2 by h1", f"ext:key:{asked} by h2"]
    assert on_chain(net, person) == ([] if dial_out else readers)
    readings = net.nodes["h1"].client.vault()["readings"]
    assert [(item["org"], item["role"]) for item in readings] == [("h2", "node")] * (not dial_out)
    with officer(net, "h1") as client:
        assert sorted(client.erase([title], "person:p1", "REQUEST")) == sorted([title, person])

    def waiting() -> set[str]:
        with officer(net, "h1") as client:
            found = client.vault()["erasures"]
        return {org for item in found for org in item.get("waiting", [])} if found else {"nobody"}

    net.wait(lambda: state(net, "h2", title) == "T4", "h2 erases the title, too")
    net.wait(lambda: not waiting(), "every holder has answered")
    with officer(net, "h2") as client, pytest.raises(ErasedError, match="T4"):
        client.deposit(common)
