"""Payloads between members: what all hold reaches all, what is restricted stays, and an erasure is
answered by every holder.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from ledger.crypto import verify
from ledger.encoding import b64url, unb64url
from ledger.errors import BusyError, ErasedError, ForbiddenError, NotFoundError
from ledger.records.catalogue import DatasetBody
from ledger.records.payloads import CHUNK_BYTES, Deposit, Tier, make_deposit, reference
from ledger.verify import Receipt, verify_receipt
from node.chunks import CHUNKS_FILE
from node.client import NodeClient
from node.config import load_config
from node.vault import VAULT_FILE, open_vault
from node.vaultcopies import restore_vault
from tests.net.conftest import Network

Make = Callable[..., Network]
WORDS = "Ouyang Xiu, ward 11, 欧阳修"
ROWS = (f"{number:08}, Ouyang Xiu, beat {number * 7919}\n" for number in range(30_000))
DATA = "".join(ROWS).encode()
NOT_AFTER = "2099-12-31T00:00:00.000Z"


def officer(net: Network, org: str) -> NodeClient:
    """The officer of a member, at its own node."""
    return NodeClient(net.nodes[org].client.url, net.world.keys[org].officer)


def put(net: Network, tier: Tier, text: str, group: str = "", data: bytes = b"") -> Deposit:
    """Hand a payload in at h1, with an attachment or none, and name it in a record."""
    value: dict[str, object] = {"text": f"{text} {WORDS}"}
    if data:
        value["attachment"] = {"bytes": len(data), "sha256": b64url(sha256(data).digest())}
    holders = ("h1", "h2")
    given = make_deposit(value, secrets.token_bytes(32), tier, "text/1", holders, group)
    with officer(net, "h1") as client:
        named = client.deposit(given)
        for number, at in enumerate(range(0, len(data), CHUNK_BYTES)):
            client.put_chunk(named.commit, number, data[at : at + CHUNK_BYTES])
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


def is_whole(net: Network, org: str, commit: str) -> bool:
    """Whether a member has all of an attachment."""
    with officer(net, org) as client:
        try:
            return client.attachment(commit).complete
        except NotFoundError:
            return False


def found_in(folder: Path, *secrets_: bytes) -> list[str]:
    """The files below a folder, whatever they are, that hold one of these."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            with suppress(FileNotFoundError):  # a journal may end meanwhile
                data = path.read_bytes()
                found += [path.name for one in secrets_ if one in data]
    return found


def traces(deposits: Sequence[Deposit], *rest: bytes) -> list[bytes]:
    """What would betray these payloads, as it is and in the encodings that are about."""
    plain = [WORDS.encode(), *rest, *(unb64url(one.salt, 32) for one in deposits)]
    escaped = json.dumps(WORDS).strip('"').encode()
    return [*plain, escaped, *map(base64_core, plain), *(one.hex().encode() for one in plain)]


def base64_core(data: bytes) -> bytes:
    """What of its base64 stands wherever it begins, at one of three places: here for the first."""
    return b64url(data[: len(data) // 3 * 3]).encode()


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
    common = put(net, "T1", "title", data=DATA)
    restricted = put(net, "T2", "person", "person:p1", DATA)
    title, person = reference(common).commit, reference(restricted).commit
    net.wait(lambda: state(net, "h2", title) == "here", "h2 has the title")
    net.wait(lambda: is_whole(net, "h2", title), "h2 has all that goes with it")
    assert read(net, "h2", title) == DATA
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
    if not dial_out:
        with officer(net, "h2") as client, pytest.raises(BusyError, match="T13"):
            client.chunk(person, 0)  # it is brought because somebody asks
        net.wait(lambda: is_whole(net, "h2", person), "h2 has all of the person, too")
        assert read(net, "h2", person) == DATA
    old = copies(net)
    betray = traces((common, restricted), DATA[:60], DATA[-60:])
    assert not any(found_in(home, *betray) for home in net.homes.values())
    assert found_in(net.folder / "plain", WORDS.encode()) == ["seen"]
    readings = net.nodes["h1"].client.vault()["readings"]
    others = [(item["org"], item["role"]) for item in readings if item["org"] != "h1"]
    assert set(others) == ({("h2", "node")} if not dial_out else set())
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
    assert not any(found_in(home, *betray) for home in net.homes.values())
    if not dial_out:
        check_restored(net, old, (title, person), betray)


def read(net: Network, org: str, commit: str) -> bytes:
    """An attachment, piece by piece."""
    with officer(net, org) as client:
        count = client.attachment(commit).count
        return b"".join(client.chunk(commit, number) for number in range(count))


def copies(net: Network) -> dict[str, Path]:
    """A copy of every vault, and somewhere a file that does hold the words: it would be found."""
    (net.folder / "plain").mkdir()
    (net.folder / "plain" / "seen").write_text(f"so {WORDS}")
    folders = {org: net.folder / f"old-{org}" for org in net.homes}
    for org, folder in folders.items():
        vault = open_vault(load_config(net.homes[org], b"-"))
        vault.back_up(folder)
        vault.close()
    return folders


def check_restored(
    net: Network, old: dict[str, Path], commits: Sequence[str], betray: list[bytes]
) -> None:
    """No file of any holder betrays what was erased when its node has stopped, either; and an old
    copy of a vault does not bring it back.
    """
    for org, home in net.homes.items():
        net.nodes.pop(org).stop()
        assert found_in(home, *betray) == []
        for name in (VAULT_FILE, CHUNKS_FILE):
            (home / name).unlink()
        restore_vault(load_config(home, b"-"), old[org])
    net.start()
    for org, home in net.homes.items():
        assert [state(net, org, commit) for commit in commits] == ["T4"] * len(commits), org
        assert found_in(home, *betray) == []
        vault = open_vault(load_config(home, b"-"))
        assert vault.counts()["groups"] == 0, "a key is left"
        vault.close()
