"""What one member can make this node hold, at most; and that it takes no room of another one."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any, cast

import msgspec
import pytest
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ledger.chain import Tip
from ledger.consensus import Summary, Vote, signed_bytes
from ledger.crypto import EDDSA, verify
from ledger.encoding import b64url, decode_bundle, encode_bundle
from ledger.errors import BusyError, LimitError, MalformedError
from ledger.merkle import tree_hash
from ledger.notes import (
    Checkpoint,
    Note,
    NoteKey,
    Verified,
    cosign,
    encode_checkpoint,
    encode_note,
    verify_note,
)
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.seal import Previous, decode_seal
from node import admission, httpsig, limits, peers, shares
from node.admission import Admission, Delivery, Parsed, Signatures
from node.door import PIECE_BYTES, Door
from node.driver import gossip, intake
from node.httpsig import Head, Key, Request, Verifier, sign_request
from node.links import Link, Links
from node.main import open_driver
from node.roster import Peer, Roster
from node.wire import CompactBlock, Exchange, Want
from tests.support.node import make_config, make_home, peer_of
from tests.support.world import Blocks, World, make_world, sign_seal

FOUR = ("h1", "h2", "h3", "h4")


def test_messages_of_one_member_wait_in_bounded_numbers_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    one, two = peer_of("h2"), peer_of("h3")
    small = Exchange(v=1, pin=world.genesis.seal.leaf)
    # The writer does not run: whatever is checked still waits, and counts.
    for _ in range(intake.MAX_DELIVERIES):
        driver.deliver(one, small)
    driver._intake.pool.shutdown(wait=True)
    with pytest.raises(BusyError, match="H9"):
        driver.deliver(one, small)
    monkeypatch.setattr(driver._intake.pool, "submit", lambda *_: None)
    monkeypatch.setattr(intake, "MAX_DELIVERY_BYTES", 10_000)
    large = Exchange(v=1, pin=world.genesis.seal.leaf, entries=(bytes(9_000),))
    driver.deliver(two, large)
    with pytest.raises(BusyError, match="H9"):
        driver.deliver(two, large)
    assert driver.counters["dropped"] == 2
    driver.stop()


def test_a_member_whose_messages_take_long_delays_nobody_else(tmp_path: Path) -> None:
    """Thousands of signatures in each of them: what others say is checked in between."""
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    one, two = peer_of("h2"), peer_of("h3")
    small = Exchange(v=1, pin=world.genesis.seal.leaf)
    release = threading.Event()
    check = driver.admission.delivery

    def slow(tip: Tip, peer: Peer, exchange: Exchange) -> Delivery:
        if peer == one:
            release.wait(20)
        return check(tip, peer, exchange)

    driver.admission.delivery = slow  # type: ignore[method-assign]
    for _ in range(20):
        driver.deliver(one, small)
    driver.deliver(two, small)
    deadline = time.monotonic() + 10
    while not driver._intake.deliveries and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [delivery.peer for delivery, _size in driver._intake.deliveries] == [two]
    release.set()
    while len(driver._intake.deliveries) < 21 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [delivery.peer for delivery, _size in driver._intake.deliveries] == [two] + [one] * 20
    driver.stop()


def test_any_number_of_observers_takes_the_room_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An organisation registers as many auditors' keys as it likes: their messages are checked
    apart from those of members, and wait, arrive and are answered in one share.
    """
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    own = [Peer(f"h2/{number}", "h2", "observer") for number in range(9)]
    two, former = peer_of("h3"), Peer("h2/old", "h2", "former")
    small = Exchange(v=1, pin=world.genesis.seal.leaf)
    release = threading.Event()
    check = driver.admission.delivery

    def slow(tip: Tip, peer: Peer, exchange: Exchange) -> Delivery:
        if peer in own:
            assert release.wait(20)
        return check(tip, peer, exchange)

    driver.admission.delivery = slow  # type: ignore[method-assign]
    for observer in own:
        driver.deliver(observer, small)
    driver.deliver(two, small)
    deadline = time.monotonic() + 10
    while not driver._intake.deliveries and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [delivery.peer for delivery, _size in driver._intake.deliveries] == [two]
    monkeypatch.setattr(intake, "MAX_DELIVERIES", len(own))
    with pytest.raises(BusyError, match="H9"):
        driver.deliver(former, small)
    driver.deliver(peer_of("h2"), small)
    release.set()
    while len(driver._intake.deliveries) < 11 and time.monotonic() < deadline:
        time.sleep(0.01)
    peers = [driver._intake.next_delivery().peer for _ in range(11)]
    assert [peer for peer in peers if not peer.is_node] == own, "in the order that they came"
    driver.deliver(former, small)
    driver.stop()


def test_who_says_much_makes_nobody_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are heard in turn, and a turn ends even where somebody never stops to talk: what this
    node has to say itself leaves at its end.
    """
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    waiting, two, three = driver._intake.deliveries, peer_of("h2"), peer_of("h3")
    said = [Delivery(two, None, [], [], [], [], (), number) for number in range(4)]
    waiting.extend((delivery, 1) for delivery in [*said, said[0]._replace(peer=three)])
    heard = [driver._intake.next_delivery() for _ in range(5)]
    assert [delivery.peer.org for delivery in heard] == ["h2", "h3", "h2", "h2", "h2"]
    assert [delivery for delivery in heard if delivery.peer == two] == said
    sent: list[bool] = []
    times, clock = iter(range(0, 10_000, 10)), driver.clock.now_ms()
    monkeypatch.setattr(driver._state, "send", lambda: sent.append(True))
    monkeypatch.setattr(driver._gossip, "receive", lambda _: waiting.append((said[0], 1)))
    monkeypatch.setattr(driver.clock, "now_ms", lambda: clock + next(times))
    waiting.append((said[0], 1))
    driver._batch([])
    assert sent
    assert len(waiting) == 1
    # The same word any number of times is one.
    leader = world.config.leader(1)
    vote = Vote("notarize", 0, 1, 1, bytes(32), leader, bytes(64))
    key = world.keys[world.config.members[leader].org].node
    signed = signed_bytes(world.config, "notarize", 1, 1, bytes(32))
    vote = msgspec.structs.replace(vote, signature=key.sign(signed))
    many = Exchange(v=1, pin=bytes(32), facts=(vote,) * 8_192)
    assert driver.admission.delivery(world.genesis.tip, two, many).facts == [vote]
    waiting.clear()
    driver.store.close()


def test_what_one_member_claims_keeps_nobody_from_asking_for_a_block(tmp_path: Path) -> None:
    """Whoever lacks the block of a proposal asks for it at once, unless it is on its way."""
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    ways, claims = driver._gossip.catchup, driver.membership.claims
    roster = Roster(world.genesis.tip, frozenset({b64url(world.keys["h1"].node.kid)}), {})

    def claim(org: str, height: int) -> bool:
        heard = Summary(epoch=0, view=1, final_height=height, final_view=0, views=())
        driver.membership.learn(roster.nodes[org], heard)
        ways.lack()
        ways.ask(driver.clock.now_ms())
        return ways.covers(3)

    assert claim("h2", 2**53 - 1), "nobody else has said anything yet"
    assert not claim("h3", 0)
    assert claim("h4", 3), "two say so, and one of them at least is right"
    assert not ways.covers(4)
    assert set(claims) == {"h2", "h3", "h4"}
    driver.store.close()


def test_observers_hold_some_of_the_connections_open_and_not_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_GUESTS_HELD", 4)
    driver = open_driver(make_config(make_home(make_world(FOUR), tmp_path / "home")))
    app = peers.Peers(driver, Links(dial_out=False), cast(Any, None), cast(Any, None))
    request = HttpRequest({"type": "http"}, cast(Any, lambda: asyncio.sleep(60)))

    async def ask() -> list[type]:
        links = [Link(Peer(f"h2/{n}", "h2", "observer")) for n in range(3) for _ in range(2)]
        links += [Link(Peer("h22/1", "h22", "observer")), Link(peer_of("h2"))]
        asked = [asyncio.ensure_future(app._hold(link, 0.2, request)) for link in links]
        return [type(found) for found in await asyncio.gather(*asked, return_exceptions=True)]

    assert asyncio.run(ask()) == [*[type(None)] * 4, *[BusyError] * 2, *[type(None)] * 2]
    assert not any(app._held.values())
    driver.store.close()


def test_for_who_takes_nothing_nothing_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Final blocks are long, and asking for them is short: sixty-four times in a message."""
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    signer, block = world.keys["h1"].node, world.genesis.seal.leaf
    roster = Roster(world.genesis.tip, frozenset({b64url(signer.kid)}), {})
    way = Links(dial_out=False)
    driver.connect(way)
    way.update(roster, signer)
    two = roster.nodes["h2"]
    monkeypatch.setattr(gossip, "MAX_UNTAKEN_BYTES", 3 * len(world.bundle))
    wants = (Want(block=block, first=0),) * 64
    delivery = Delivery(two, None, [], [], [], [], wants, 0)
    driver._gossip.receive(delivery)
    driver._gossip.archive.submit(lambda: None).result(60)
    link = way.link_of(b64url(world.keys["h2"].node.kid))
    assert link is not None
    answer = link.queue.take()
    assert answer is not None
    assert 2 <= len(answer.blocks) <= 3
    # So many of one organisation at a time, and of each node one.
    gate = threading.Event()
    driver._gossip.archive.submit(gate.wait, 60)
    for number in (1, 1, 2, 3, 4, 5, 6):
        observer = Peer(f"h2/{number}", "h2", "observer")
        driver._gossip.receive(delivery._replace(peer=observer))
    driver._gossip.receive(delivery)
    assert list(driver._gossip._serving) == ["h2/1", "h2/2", "h2/3", "h2/4", "h2"]
    gate.set()
    driver.stop()
    assert not driver._gossip._serving


def test_blocks_that_consensus_has_no_room_for_are_not_kept(tmp_path: Path) -> None:
    """And one that is dropped so is taken in when it is asked for: nobody is stuck with it."""
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    views = [v for v in range(2, 9) if world.config.leader(v) != world.config.leader(1)]
    one = peer_of("h2")
    for start in range(0, 400, 50):
        blocks = []
        for number in range(start, start + 50):
            blocks.append(hollow_block(world, views[number % len(views)], 2 + number))
        exchange = Exchange(v=1, pin=world.genesis.seal.leaf, blocks=tuple(blocks))
        delivery = driver.admission.delivery(world.genesis.tip, one, exchange)
        assert len(delivery.bodies) == 50
        driver._gossip.receive(delivery)
    assert 0 < len(driver._blocks.bodies) <= 16 * 4 + 64
    assert all(driver._state.machine.holds(block) for block in driver._blocks.bodies)
    # Whoever leads now is heard all the same, twice at most.
    full = len(driver._blocks.bodies)
    for height in (500, 501, 502):
        block = hollow_block(world, 1, height)
        exchange = Exchange(v=1, pin=world.genesis.seal.leaf, blocks=(block,))
        driver._gossip.receive(driver.admission.delivery(world.genesis.tip, one, exchange))
    assert len(driver._blocks.bodies) == full + 2
    driver.stop()


def hollow_block(world: World, view: int, height: int) -> bytes:
    """A block of nothing, well sealed by whoever leads that view."""
    leader = world.config.members[world.config.leader(view)].org
    seal = msgspec.structs.replace(
        world.genesis.seal.seal,
        entries_root=b64url(tree_hash([])),
        height=height,
        prev=Previous(index=2, leaf=b64url(height.to_bytes(32, "big"))),
        proposer=leader,
        view=view,
    )
    return encode_bundle([sign_seal(world.keys[leader].node, seal).raw])


def test_a_seal_of_somebody_whose_turn_it_is_not_is_dropped(tmp_path: Path) -> None:
    """Nobody fills the room of another leader."""
    world = make_world(FOUR)
    driver = open_driver(make_config(make_home(world, tmp_path / "home")))
    (raw,) = decode_bundle(hollow_block(world, 1, 2))
    other = world.config.members[world.config.leader(2)].org
    seal = msgspec.structs.replace(decode_seal(raw).seal, proposer=other)
    block = encode_bundle([sign_seal(world.keys[other].node, seal).raw])
    exchange = Exchange(v=1, pin=world.genesis.seal.leaf, blocks=(block,))
    delivery = driver.admission.delivery(world.genesis.tip, peer_of("h2"), exchange)
    assert (delivery.bodies, delivery.rejected) == ([], 1)
    driver.stop()


def test_nonces_of_one_key_take_no_room_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpsig, "ALL_NONCES", 5)
    monkeypatch.setattr(httpsig, "SPARE_NONCES", 2)
    world = make_world(FOUR)
    verifier = Verifier()
    parts = ("POST", "127.0.0.1", "/x", "?", "type")

    def check(org: str, nonce: int) -> None:
        signer = world.keys[org].node
        headers = sign_request(Request(*parts, b""), signer, 1_000, bytes([nonce]) * 16)
        verifier.check(
            Head(*parts), headers, lambda _kid: Key(signer.alg, signer.public_key), 1_000
        )

    for nonce in range(5):
        check("h4", nonce)
    with pytest.raises(LimitError, match="H10"):
        check("h4", 9)
    check("h3", 1)
    check("h3", 2)
    with pytest.raises(LimitError, match="H10"):
        check("h3", 3)


def test_what_is_remembered_of_signatures_is_bounded_in_bytes() -> None:
    signer = make_world().keys["h1"].node
    signatures = Signatures(limit=150_000)
    for number in range(4):
        message = bytes([number]) * 60_000
        assert signatures.check(EDDSA, signer.public_key, signer.sign(message), message)
        assert signatures.check(EDDSA, signer.public_key, signer.sign(message), message)
        assert signatures._bytes == sum(
            admission.AROUND + len(message) for _alg, _key, message in signatures._known.values()
        )
        assert signatures._bytes <= 150_000
    assert len(signatures._known) == 2, "the oldest make room"
    # The same signature over anything else is not taken from memory.
    assert not signatures.verify(EDDSA, signer.public_key, signer.sign(message), b"other")


def test_what_is_remembered_as_parsed_is_bounded_and_exact() -> None:
    world = make_world()
    raws = world.accesses(4)
    entries = [decode_entry(raw) for raw in raws]
    parsed = Parsed(limit=sum(map(len, raws)) - 1)
    parsed.keep(entries[:3])
    parsed.keep(entries[:3])
    assert parsed.decode(bytes(bytearray(raws[0]))) is entries[0]
    parsed.keep(entries[3:])
    assert raws[0] not in parsed, "the oldest makes room"
    assert parsed.decode(raws[0]) == entries[0]
    # One other bit is another entry: its leaf, its signature and its record are its own.
    other = bytes([*raws[1][:-1], raws[1][-1] ^ 1])
    assert parsed.decode(other) == decode_entry(other) != entries[1]
    parsed.forget(entries)
    assert not any(raw in parsed for raw in raws)
    assert parsed._bytes == 0


def test_an_entry_that_two_threads_bring_is_checked_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world()
    raws = world.accesses(40)
    checked: list[bytes] = []
    begun = Event()

    def slowly(alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        checked.append(signature)
        begun.set()
        time.sleep(0.001)
        return verify(alg, key, signature, message)

    monkeypatch.setattr(admission, "verify_signature", slowly)
    monkeypatch.setattr(admission, "READING_S", 60.0)
    tip, reader = world.genesis.tip, admission.Admission(Signatures(), world.genesis.tip)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(reader.entries, tip, raws)
        assert begun.wait(5)
        second = pool.submit(reader.entries, tip, [*reversed(raws), b"garbage", *world.accesses(1)])
    assert [entry.raw for entry in first.result() if isinstance(entry, Entry)] == raws
    *both, garbage, last = second.result()
    assert [entry.raw for entry in both if isinstance(entry, Entry)] == raws[::-1]
    assert isinstance(garbage, MalformedError)
    assert isinstance(last, Entry)
    assert len(checked) == 41
    assert not reader._reading._claimed


def test_a_block_that_names_entries_waits_for_who_is_reading_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(FOUR)
    raws = world.accesses(20)
    block = world.extend(world.genesis.tip, raws, Blocks())
    begun, go_on = Event(), Event()

    def slowly(alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        begun.set()
        assert go_on.wait(5)
        return verify(alg, key, signature, message)

    tip, reader = world.genesis.tip, admission.Admission(Signatures(), world.genesis.tip)
    leaves = b"".join(entry.leaf for entry in block.entries)
    named = Exchange(v=1, pin=bytes(32), compact=(CompactBlock(block.seal.raw, leaves),))
    assert reader.delivery(tip, peer_of("h2"), named).lacking == (block.seal.leaf,)
    monkeypatch.setattr(admission, "verify_signature", slowly)
    monkeypatch.setattr(admission, "READING_S", 60.0)
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(reader.entries, tip, raws)
        assert begun.wait(5)
        waiting = pool.submit(reader.delivery, tip, peer_of("h2"), named)
        assert not wait([waiting], 0.05).done
        go_on.set()
    assert len(reading.result()) == len(raws)
    (body,) = waiting.result().bodies
    assert body.raws == [*raws, block.seal.raw]
    assert not waiting.result().lacking


def test_nobody_is_kept_waiting_by_a_message_that_takes_long() -> None:
    """A member says thousands of entries, and among them one that it gave to the leader alone: the
    leader's block, whole or by its entries' hashes, is not held up until all of them are read.
    """
    world = make_world(FOUR)
    block = world.extend(world.genesis.tip, world.accesses(3), Blocks())
    raws, leaves = [e.raw for e in block.entries], b"".join(e.leaf for e in block.entries)
    pin, tip = bytes(32), world.genesis.tip
    whole = Exchange(v=1, pin=pin, blocks=(encode_bundle([*raws, block.seal.raw]),))
    named = Exchange(v=1, pin=pin, compact=(CompactBlock(block.seal.raw, leaves),))
    reader = admission.Admission(Signatures(), world.genesis.tip)
    pool = ThreadPoolExecutor(1)
    with reader._reading.claim(raws):
        lacking = pool.submit(reader.delivery, tip, peer_of("h2"), named)
        assert lacking.result(20).lacking == (block.seal.leaf,)
        (body,) = pool.submit(reader.delivery, tip, peer_of("h2"), whole).result(20).bodies
        assert body.raws == [*raws, block.seal.raw]
        assert pool.submit(reader.delivery, tip, peer_of("h2"), named).result(20).bodies == [body]
    pool.shutdown()


def test_who_names_entries_without_a_right_to_propose_is_asked_for_nothing() -> None:
    world = make_world(FOUR)
    block = world.extend(world.genesis.tip, world.accesses(2), Blocks())
    other = next(org for org in FOUR if org != block.seal.seal.proposer)
    seal = sign_seal(
        world.keys[other].node, msgspec.structs.replace(block.seal.seal, proposer=other)
    )
    reader = admission.Admission(Signatures(), world.genesis.tip)
    named = Exchange(v=1, pin=bytes(32), compact=(CompactBlock(seal.raw, bytes(32)),))
    found = reader.delivery(world.genesis.tip, peer_of(other), named)
    assert (found.bodies, found.lacking, found.rejected) == ([], (), 1)


def test_a_member_fills_its_own_share_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_ENTRIES", 3)
    world = make_world()
    entries = [decode_entry(raw) for raw in world.accesses(10)]
    held = shares.Shares()
    waiting = {entry.id_key for entry in entries[:3]}
    assert held.admit(1, entries[:5], ()) == entries[:3]
    assert held.admit(1, entries[5:], waiting) == []
    assert held.admit(2, entries[5:6], waiting) == entries[5:6]
    assert held.admit(1, entries[5:], {entries[0].id_key}) == entries[5:7]
    monkeypatch.setattr(shares, "MAX_BYTES", len(entries[0].raw))
    assert held.admit(3, entries, ()) == entries[:1]


def test_a_word_on_a_head_that_comes_again_is_not_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(FOUR)
    tip, two = world.genesis.tip, peer_of("h2")
    checked: list[bytes] = []

    def counted(note: Note, keys: tuple[NoteKey, ...]) -> list[Verified]:
        checked.append(note.text)
        return verify_note(note, keys)

    monkeypatch.setattr(admission, "verify_note", counted)
    monkeypatch.setattr(admission, "HEARD", 2)
    admitted = Admission(Signatures(), world.genesis.tip)
    text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))

    def words(time_s: int, *, spoiled: bool = False) -> int:
        name = f"h2.cosigner.{tip.origin.partition('/')[0]}"
        line = cosign(text, name, world.keys["h2"].cosigner, time_s)
        if spoiled:
            line = line._replace(payload=line.payload[:-1] + bytes((line.payload[-1] ^ 1,)))
        item = Exchange(
            v=1, pin=world.genesis.seal.leaf, cosignatures=(encode_note(Note(text, (line,))),)
        )
        return len(admitted.delivery(tip, two, item).cosigned)

    assert [words(1), words(1), len(checked)] == [1, 1, 1]
    assert [words(1, spoiled=True), words(1, spoiled=True), len(checked)] == [0, 0, 3]
    assert [words(2), words(3), words(1), len(checked)] == [1, 1, 1, 6], "the oldest made room"
    # Under another configuration other keys may count.
    assert len(admitted._heard._known) == 2
    later = tip._replace(config=msgspec.structs.replace(tip.config, epoch=tip.config.epoch + 1))
    assert admitted._heard.find(later, encode_note(Note(text, ()))) is None
    admitted._heard.keys(later)
    assert not admitted._heard._known


def test_a_large_answer_counts_until_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for much and reads nothing fills the room of its own, and no more."""
    large = bytes(range(256)) * 1_024
    monkeypatch.setattr(limits, "MAX_ARRIVING_BYTES", 3 * len(large))
    driver = open_driver(make_config(make_home(make_world(), tmp_path / "home")))
    door = Door(driver)

    async def answer(_request: Any) -> Response:  # noqa: ANN401
        return Response(large)

    guarded = door.guard("GET /health", answer)
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}
    left: list[bytes] = []

    async def read(message: Any) -> None:  # noqa: ANN401
        left.append(message.get("body", b""))

    async def go_away(_message: Any) -> None:  # noqa: ANN401
        raise OSError("gone")

    async def main() -> None:
        first = await guarded(HttpRequest(scope))
        with pytest.raises(LimitError, match="H13"):
            await guarded(HttpRequest(scope))
        assert first.headers["content-length"] == str(len(large))
        await first(scope, None, read)  # type: ignore[arg-type]
        assert b"".join(left) == large
        assert max(map(len, left)) <= PIECE_BYTES
        second = await guarded(HttpRequest(scope))
        with pytest.raises(OSError, match="gone"):
            await second(scope, None, go_away)  # type: ignore[arg-type]
        assert await guarded(HttpRequest(scope))

    asyncio.run(main())
    driver.stop()
