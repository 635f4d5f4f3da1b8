"""Four institutions and fewer: agreement, a dead member, catching up, and what is not tolerated."""

import time
from collections.abc import Callable

import httpx
import msgspec
import pytest

from ledger.chain import check_block
from ledger.crypto import verify
from ledger.encoding import unb64url
from ledger.errors import AllianceError, BusyError, SignatureError
from ledger.notes import decode_note
from ledger.verify import Receipt, verify_checkpoint, verify_receipt
from node.client import UnreachableError
from node.httpsig import Request, sign_request
from node.peerclient import PeerClient
from node.wire import EXCHANGE_PATH, EXCHANGE_TYPE, Exchange, encode_exchange
from tests.net.conftest import Network
from tests.support.world import Blocks, seed, signer_from_seed

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")


def test_four_members_record_at_the_same_time_and_agree(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    raws = {org: [] for org in FOUR}
    answers = {}
    for number, org in enumerate(FOUR):
        raws = net.world.accesses(40, first_seq=1 + 100 * number)
        answers[org] = net.nodes[org].client.submit_chunk(raws)
    for org in FOUR:
        assert [result["status"] for result in answers[org]["results"]] == ["published"] * 40
    size = max(net.health(org)["size"] for org in FOUR)
    net.wait_equal(size)
    entry = net.nodes["h3"].client.entry(answers["h1"]["results"][7]["leaf"])
    receipt = msgspec.convert(entry["receipt"], Receipt)
    proven = verify_receipt(receipt, net.world.genesis.tip, verify)
    assert len(proven.head.cosigners) >= 3
    # Every copy is the same, byte for byte, and every block passes the one check.
    copies = [node.client.blocks(1, 64) for node in net.nodes.values()]
    bodies = [[entries for entries, _certificate, _note in copy] for copy in copies]
    assert all(body == bodies[0] for body in bodies)
    tip, history = net.world.genesis.tip, Blocks(net.world.genesis)
    for entries in bodies[0]:
        block = check_block(tip, entries, history, verify)
        history.add(block)
        tip = block.tip
    assert tip.size == size


def test_one_dead_member_is_missed_by_nobody_and_catches_up(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    first = net.nodes["h1"].client.submit_chunk(net.world.accesses(30))
    assert all(result["status"] == "published" for result in first["results"])
    net.kill("h4")
    for number in range(8):
        raws = net.world.accesses(20, first_seq=1_000 + 20 * number)
        answer = net.nodes[FOUR[number % 3]].client.submit_chunk(raws)
        assert all(result["status"] == "published" for result in answer["results"])
    net.start("h4")
    net.wait_equal(net.health("h1")["size"])
    again = net.nodes["h4"].client.submit(net.world.access(seq=9_000))
    assert again["status"] == "published"


def test_without_a_quorum_nothing_is_final_and_nothing_is_lost(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    net.kill("h3")
    net.kill("h4")
    raw = net.world.access(seq=1)
    waiting = net.nodes["h1"].client.submit(raw)
    assert waiting["status"] == "pending"
    net.kill("h1")
    net.start("h1", "h3")
    net.wait(lambda: net.health("h1")["height"] == 1, "the entry that waited", 60)
    assert net.nodes["h1"].client.submit(raw)["status"] == "published"


def test_two_members_wait_for_each_other(network: Make) -> None:
    net = network("h1", "h2")
    net.start("h1")
    time.sleep(1.0)
    assert net.health("h1")["published"] is None
    with pytest.raises(BusyError) as error:
        net.nodes["h1"].client.checkpoint()
    assert error.value.rule == "O4.quorum"
    net.start("h2")
    assert net.nodes["h2"].client.submit(net.world.access(seq=1))["status"] == "published"


def test_a_node_that_can_only_dial_out_takes_part(network: Make) -> None:
    net = network(*FOUR)
    home = net.homes["h4"]
    text = (home / "node.toml").read_text()
    (home / "node.toml").write_text(
        "dial_out = true\n" + text.replace('peer_host = "127.0.0.1"\n', "")
    )
    for org in FOUR[:3]:
        path = net.homes[org] / "node.toml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("h4 =")]
        path.write_text("\n".join(lines) + "\n")
    net.start()
    net.kill("h3")
    # With h3 dead the one that cannot be reached is needed for every block.
    for org in ("h1", "h4", "h2"):
        answer = net.nodes[org].client.submit(net.world.access(seq=1 + net.health(org)["size"]))
        assert answer["status"] == "published"
    net.wait_equal(net.health("h1")["size"])


def test_idle_members_say_nothing_but_that_they_live(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    net.nodes["h1"].client.submit(net.world.access(seq=1))
    net.wait_equal(net.health("h1")["size"])
    before = {org: net.metric(org, "view") for org in FOUR}
    fsyncs = {org: net.metric(org, "fsyncs_total") for org in FOUR}
    time.sleep(6)
    assert {org: net.metric(org, "view") for org in FOUR} == before
    assert {org: net.metric(org, "fsyncs_total") for org in FOUR} == fsyncs


def exchange_url(net: Network, org: str) -> str:
    """Where a member listens for the others."""
    lines = (net.homes[org] / "node.toml").read_text().splitlines()
    return "http://127.0.0.1:" + next(x for x in lines if x.startswith("peer_port")).split(" = ")[1]


def test_strangers_are_heard_by_nobody(network: Make) -> None:
    net = network("h1", "h2")
    net.start()
    url = exchange_url(net, "h1")
    pin = net.world.genesis.seal.leaf
    stranger = signer_from_seed(seed("nobody"))
    now = int(time.time())
    with PeerClient(url, stranger) as client, pytest.raises(SignatureError, match="H5"):
        client.exchange(Exchange(v=1, pin=pin), now, bytes(16))
    member = net.world.keys["h2"].node
    with PeerClient(url, member) as client:
        with pytest.raises(SignatureError, match="H2"):
            client.exchange(Exchange(v=1, pin=pin), now - 4_000, bytes(16))
        with pytest.raises(AllianceError, match="H7"):
            client.exchange(Exchange(v=1, pin=bytes(32)), now, b"1" * 16)
        client.exchange(Exchange(v=1, pin=pin), now, b"2" * 16)
        with pytest.raises(SignatureError, match="H3"):
            client.exchange(Exchange(v=1, pin=pin), now, b"2" * 16)
    body = encode_exchange(Exchange(v=1, pin=pin))
    authority = url.removeprefix("http://")
    request = Request("POST", authority, EXCHANGE_PATH, "?", EXCHANGE_TYPE, body)
    headers = sign_request(request, member, now, b"3" * 16)
    for changed, rule in (
        ({"signature": "sig1=::"}, "H1"),
        ({"content-digest": "sha-256=:AAAA:"}, "H6"),
        ({"signature-input": headers["signature-input"].replace(str(now), str(now + 1))}, "H6"),
    ):
        answer = httpx.post(url + EXCHANGE_PATH, content=body, headers={**headers, **changed})
        assert (answer.status_code, answer.json()["rule"]) == (401, rule)
    answer = httpx.post(
        url + EXCHANGE_PATH,
        content=body + b"more",
        headers=sign_request(request, member, now, b"5" * 16),
    )
    assert (answer.status_code, answer.json()["rule"]) == (401, "H4")
    garbage = sign_request(request._replace(body=b"garbage"), member, now, b"4" * 16)
    answer = httpx.post(url + EXCHANGE_PATH, content=b"garbage", headers=garbage)
    assert (answer.status_code, answer.json()["rule"]) == (400, "H8")
    # Nothing else is served there.
    for path in ("/health", "/checkpoint", "/api/v1/entries/0", "/genesis", "/openapi.json"):
        assert httpx.get(url + path).status_code == 404
    with pytest.raises(UnreachableError):
        PeerClient("http://127.0.0.1:1", member).exchange(Exchange(v=1, pin=pin), now, bytes(16))


def test_the_checkpoint_is_cosigned_by_a_quorum(network: Make) -> None:
    net = network(*FOUR)
    net.start()
    net.nodes["h2"].client.submit(net.world.access(seq=1))
    note = decode_note(net.nodes["h2"].client.checkpoint())
    tip = net.world.genesis.tip
    _checkpoint, signers = verify_checkpoint(note, tip.config, tip.origin)
    assert len({org for org, _time in signers}) >= 3
    assert unb64url(net.nodes["h2"].client.entry("6")["leaf"], 32)
