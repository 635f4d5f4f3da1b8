"""What goes between nodes: signatures of requests, queues, messages, and the way to published."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from ledger.chain import Applied
from ledger.consensus import Vote, signed_bytes
from ledger.crypto import Signer, signer_from_p256_scalar
from ledger.encoding import b64url, encode_bundle, encode_time
from ledger.errors import AllianceError, MalformedError, SignatureError
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    decode_note,
    encode_checkpoint,
    encode_note,
    sign_note,
)
from ledger.records.governance import KeyBody
from ledger.rules.governance import kid_of
from ledger.verify import cosigner_name, verify_checkpoint
from node.admission import Admission, Signatures
from node.cosigning import Cosigning, View
from node.httpsig import (
    BUCKET_S,
    WINDOW_S,
    Key,
    Request,
    Verifier,
    check_body,
    content_digest,
    sign_request,
)
from node.links import MAX_QUEUED_BYTES, MESSAGE_BYTES, Links, Queue, merged
from node.peers import next_message
from node.roster import Roster
from node.wire import EXCHANGE_PATH, EXCHANGE_TYPE, Exchange, decode_exchange, encode_exchange
from tests.ledger.ledgers import Ledger
from tests.net.alliance import observer_key, observer_signer
from tests.support.node import peer_of
from tests.support.world import GENESIS_MS, Blocks, World, make_world, seed, signer_from_seed

PIN = bytes(32)
NOW = 1_800_000_000
FOUR = ("h1", "h2", "h3", "h4")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(FOUR)


# --- signatures of requests ---


def request(body: bytes = b"body") -> Request:
    return Request("POST", "h2.example.org:8471", EXCHANGE_PATH, "?", EXCHANGE_TYPE, body)


def test_a_signed_request_is_taken_once(world: World) -> None:
    signer = world.keys["h2"].node
    headers = sign_request(request(), signer, NOW, bytes(16))
    verifier = Verifier()

    def find(_kid: str) -> Key:
        return Key(signer.alg, signer.public_key)

    assert verifier.check(request(), headers, find, NOW + WINDOW_S)
    with pytest.raises(SignatureError, match="H3"):
        verifier.check(request(), headers, find, NOW)
    again = sign_request(request(), signer, NOW, b"1" * 16)
    assert verifier.check(request(), again, find, NOW - WINDOW_S)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda r, _h: (r, {}), "H1"),
        (lambda r, h: (r, {**h, "signature": h["signature"][:-3] + "=:"}), "H1"),
        (lambda r, h: (r, {**h, "signature-input": h["signature-input"] + ";x=1"}), "H1"),
        (lambda r, h: (r, {**h, "signature-input": h["signature-input"].replace('"@path" ', "")}),
         "H1"),
        (lambda r, h: (r, {**h, "signature": f"{h['signature']}, {h['signature']}"}), "H1"),
        (lambda r, h: (r._replace(body=b"other"), h), "H4"),
        (lambda r, h: (r._replace(body=b"x"), {**h, "content-digest": content_digest(b"x")}), "H6"),
        (lambda r, h: (r._replace(path="/other"), h), "H6"),
        (lambda r, h: (r._replace(query="?a=b"), h), "H6"),
        (lambda r, h: (r._replace(method="PUT"), h), "H6"),
        (lambda r, h: (r._replace(authority="h3.example.org:8471"), h), "H6"),
        (lambda r, h: (r._replace(content_type="text/plain"), h), "H6"),
    ],
)  # fmt: skip
def test_every_part_of_a_request_is_covered(
    world: World, change: Callable[..., tuple[Request, dict[str, str]]], rule: str
) -> None:
    signer = world.keys["h2"].node
    changed, headers = change(request(), sign_request(request(), signer, NOW, bytes(16)))

    def check() -> None:
        Verifier().check(changed, headers, lambda _kid: Key(signer.alg, signer.public_key), NOW)
        check_body(changed.body, headers)

    with pytest.raises(SignatureError, match=rule):
        check()


def test_old_requests_and_strangers_are_refused(world: World) -> None:
    signer = world.keys["h2"].node
    headers = sign_request(request(), signer, NOW, bytes(16))
    for now in (NOW + WINDOW_S + 1, NOW - WINDOW_S - 1):
        with pytest.raises(SignatureError, match="H2") as told:
            Verifier().check(
                request(), headers, lambda _kid: Key(signer.alg, signer.public_key), now
            )
        assert told.value.facts["now"] == encode_time(now * 1000)
    with pytest.raises(SignatureError, match="H5"):
        Verifier().check(request(), headers, lambda _kid: None, NOW)


def test_what_was_signed_before_the_start_may_have_been_taken_then(world: World) -> None:
    signer = world.keys["h2"].node
    headers = sign_request(request(), signer, NOW, bytes(16))
    with pytest.raises(SignatureError, match="H2"):
        Verifier(NOW + 1).check(
            request(), headers, lambda _kid: Key(signer.alg, signer.public_key), NOW + 1
        )


def test_people_sign_with_p256_too() -> None:
    signer = signer_from_p256_scalar(7)
    headers = sign_request(request(), signer, NOW, bytes(16))
    assert Verifier().check(
        request(), headers, lambda _kid: Key(signer.alg, signer.public_key), NOW
    ) == b64url(signer.kid)


def test_nonces_are_forgotten_when_they_are_too_old_to_be_taken(world: World) -> None:
    signer = world.keys["h2"].node
    verifier = Verifier()
    for second in range(0, 3 * WINDOW_S, 10):
        headers = sign_request(request(), signer, NOW + second, bytes([second // 10]) * 16)
        verifier.check(
            request(), headers, lambda _kid: Key(signer.alg, signer.public_key), NOW + second
        )
    assert verifier.held <= (WINDOW_S + 2 * BUCKET_S) // 10


# --- messages and queues ---


def test_a_message_is_read_in_one_form_only() -> None:
    message = Exchange(v=1, pin=PIN, entries=(b"a", b"b"), wait_ms=5)
    data = encode_exchange(message)
    assert decode_exchange(data) == message
    for wrong in (
        b"",
        data[:-1],
        b"\xc1",
        data + b"\x00",
        b"\x91" * 5_000,
        data.replace(b"pin", b"pix"),
    ):
        with pytest.raises(MalformedError, match="H8"):
            decode_exchange(wrong)


def test_a_queue_joins_what_waits_and_drops_the_oldest() -> None:
    queue = Queue()
    assert queue.take(0) is None
    for number in range(5):
        queue.put(Exchange(v=1, pin=PIN, entries=(b"%d" % number,)))
    joined = queue.take(0)
    assert joined is not None
    assert joined.entries == (b"0", b"1", b"2", b"3", b"4")
    big = bytes(MESSAGE_BYTES // 2)
    for _ in range(40):
        queue.put(Exchange(v=1, pin=PIN, blocks=(big,)))
    assert queue.dropped > 0
    taken = 0
    while (part := queue.take(0)) is not None:
        assert len(part.blocks) <= 2
        taken += len(part.blocks)
    assert taken * len(big) <= MAX_QUEUED_BYTES
    assert taken + queue.dropped == 40


def test_one_message_carries_no_more_than_may_be_read() -> None:
    queue = Queue()
    for _ in range(5):
        queue.put(Exchange(v=1, pin=PIN, entries=(b"x",) * 3_000))
    counts = []
    while (message := queue.take()) is not None:
        assert decode_exchange(encode_exchange(message)) == message
        counts.append(len(message.entries))
    assert counts == [6_000, 6_000, 3_000]
    assert queue._bytes == 0


def test_whoever_waits_for_a_queue_is_called_once() -> None:
    queue, calls = Queue(), Counter[str]()
    message = Exchange(v=1, pin=PIN, entries=(b"x",))

    def gone() -> None:
        calls["gone"] += 1

    queue.call_when_filled(lambda: calls.update(["first"]))
    queue.call_when_filled(gone)
    queue.call_no_more(gone)
    queue.put(message)
    queue.put(message)
    queue.call_when_filled(lambda: calls.update(["at once"]))
    assert calls == {"first": 1, "at once": 1}
    assert queue.take() is not None
    queue.call_when_filled(lambda: calls.update(["closed"]))
    assert "closed" not in calls
    queue.close()
    assert calls["closed"] == 1


def test_of_several_summaries_the_newest_counts(world: World) -> None:
    parts = [Exchange(v=1, pin=PIN, entries=(b"x",)), Exchange(v=1, pin=PIN, cosignatures=(b"y",))]
    assert merged(parts) == Exchange(v=1, pin=PIN, entries=(b"x",), cosignatures=(b"y",))
    own = world.keys["h1"].node
    links = Links(dial_out=False)
    urls = {org: f"http://{org}" for org in FOUR}
    links.update(Roster(world.genesis.tip, frozenset({b64url(own.kid)}), urls), own)
    links.send(None, parts[0])
    others = [links.link_of(b64url(world.keys[org].node.kid)) for org in ("h2", "h3", "h4")]
    assert all(link is not None and link.queue.take(0) == parts[0] for link in others)
    assert links.link_of(b64url(own.kid)) is None
    links.send("h1", parts[0])
    assert all(link is not None and link.queue.take(0) is None for link in others)


def test_an_observer_whose_key_is_revoked_is_told_nothing_more() -> None:
    ledger = Ledger()
    world, own = ledger.world, ledger.world.keys["h1"].node
    description = observer_key(world, "h1")
    kid = kid_of(description)
    ledger.record("key", KeyBody(action="register", key=description, kid=kid))
    links = Links(dial_out=False)
    links.update(Roster(ledger.tip, frozenset({b64url(own.kid)}), {}), own)
    link = links.link_of(kid)
    assert link is not None
    assert link.peer.role == "observer"
    ledger.record("key", KeyBody(action="revoke", kid=kid))
    links.update(Roster(ledger.tip, frozenset({b64url(own.kid)}), {}), own)
    assert links.link_of(kid) is None
    link.seen_ms = 1 << 60
    assert f"h1/{kid}" not in links.others()

    async def held() -> Exchange | None:
        """The request that it held open ends now, and not after its time."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(next_message(link, 3_600, gone), 60)

    assert asyncio.run(held()) is None


def test_the_queues_of_all_observers_of_an_organisation_are_one_in_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    world, own = ledger.world, ledger.world.keys["h1"].node
    kids = []
    for org in ("one", "two", "three"):
        description = observer_key(world, "h1", observer_signer(org))
        kids.append(kid_of(description))
        ledger.record("key", KeyBody(action="register", key=description, kid=kids[-1]))
    links = Links(dial_out=False)
    links.update(Roster(ledger.tip, frozenset({b64url(own.kid)}), {}), own)
    found = [link for kid in kids if (link := links.link_of(kid)) is not None]
    monkeypatch.setattr("node.links.MAX_QUEUED_BYTES", 10_000)
    for _ in range(9):
        for link in found:
            links.send(link.peer.name, Exchange(v=1, pin=PIN, blocks=(bytes(2_000),)))
    assert links.untaken(found[0].peer) == sum(link.queue.size for link in found) < 13_000
    taken = sum(len(part.blocks) for link in found if (part := link.queue.take()) is not None)
    assert taken + sum(link.queue.dropped for link in found) == 27
    links.send(found[2].peer.name, Exchange(v=1, pin=PIN, blocks=(bytes(2_000),)))
    assert found[2].queue.take() is not None


# --- what arrives ---


def test_what_does_not_verify_is_dropped_and_counted(world: World) -> None:
    config, tip = world.config, world.genesis.tip
    leader = config.leader(1)
    own = world.keys[config.members[leader].org].node
    good = Vote("nullify", 0, 1, 0, bytes(32), leader,
                own.sign(signed_bytes(config, "nullify", 1, 0, bytes(32))))  # fmt: skip
    forged = Vote("nullify", 0, 2, 0, bytes(32), leader, good.signature)
    block = world.extend(tip, world.accesses(2), Blocks(world.genesis))
    bundle = encode_bundle([*(entry.raw for entry in block.entries), block.seal.raw])
    stranger = signer_from_seed(seed("nobody"))
    entry = world.access(seq=9)
    message = Exchange(
        v=1,
        pin=PIN,
        facts=(good, forged),
        blocks=(bundle, b"garbage", bundle[:-1], encode_bundle([entry])),
        entries=(entry, entry[:-1], b""),
        cosignatures=(
            b"garbage",
            _word(world, block, stranger, "h2"),
            _word(world, block, None, "h2"),
        ),
    )
    found = Admission(Signatures(), world.genesis.tip).delivery(tip, peer_of("h2"), message)
    assert found.facts == [good]
    assert [body.info.id for body in found.bodies] == [block.seal.leaf]
    assert [item.raw for item in found.entries] == [entry]
    assert [word.org for word in found.cosigned] == ["h2"]
    assert found.rejected == 1 + 3 + 2 + 1


def test_signatures_are_known_by_key_and_message() -> None:
    signer = signer_from_seed(seed("one"))
    other = signer_from_seed(seed("other"))
    known = Signatures()
    first = signer.sign(b"first")
    assert known.check(signer.alg, signer.public_key, first, b"first")
    assert not known.verify(signer.alg, other.public_key, first, b"first")
    assert not known.verify(signer.alg, signer.public_key, first, b"second")


# --- published ---


def _word(
    world: World, block: Applied, signer: Signer | None, org: str, root: bytes = b""
) -> bytes:
    """A member's cosignature of a block's head, as it travels."""
    tip = block.tip
    text = encode_checkpoint(Checkpoint(tip.origin, tip.size, root or tip.tree.root()))
    key = signer or world.keys[org].cosigner
    return encode_note(Note(text, (cosign(text, cosigner_name(org, tip.origin), key, NOW),)))


def _head(world: World, block: Applied) -> tuple[View, Note]:
    tip = block.tip
    text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))
    keys = world.keys["h1"]
    note = Note(text, (
        sign_note(text, tip.origin, keys.log),
        cosign(text, cosigner_name("h1", tip.origin), keys.cosigner, NOW),
    ))  # fmt: skip
    return View(tip, block.seal, b""), note


def _blocks(world: World, count: int) -> list[Applied]:
    history, tip, blocks = Blocks(world.genesis), world.genesis.tip, []
    for number in range(count):
        block = world.extend(tip, world.accesses(1, first_seq=number + 1), history,
                             GENESIS_MS + 60_000 + number)  # fmt: skip
        history.add(block)
        blocks.append(block)
        tip = block.tip
    return blocks


def _learn(world: World, cosigning: Cosigning, *words: bytes) -> View | None:
    admission, tip = Admission(Signatures(), world.genesis.tip), world.genesis.tip
    found = [item for word in words for item in admission.cosigned(tip, decode_note(word))]
    return cosigning.learn(found)


def test_a_quorum_publishes_and_less_does_not(world: World) -> None:
    block = _blocks(world, 1)[0]
    cosigning = Cosigning("h1")
    assert cosigning.advance(*_head(world, block)) is None
    assert _learn(world, cosigning, _word(world, block, None, "h2")) is None
    # The same member twice, and this node's own word from elsewhere, are no more words.
    repeated = (_word(world, block, None, "h2"), _word(world, block, None, "h1"))
    assert _learn(world, cosigning, *repeated) is None
    view = _learn(world, cosigning, _word(world, block, None, "h4"))
    assert view is not None
    tip = block.tip
    _checkpoint, signers = verify_checkpoint(decode_note(view.checkpoint), tip.config, tip.origin)
    assert {org for org, _time in signers} == {"h1", "h2", "h4"}


def test_errors_of_transport_speak_both_languages() -> None:
    for rule, facts in (("H2", {"window": 300, "now": "x"}), ("H9", {"org": "h2"}), ("H7", {})):
        error = AllianceError(rule, **facts)  # type: ignore[arg-type]
        assert error.sentence("en") != error.sentence("zh")
