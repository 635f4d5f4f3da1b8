"""A member with all its keys that floods the others: they stay at work, and their memory stays
bounded (consensus.md 2.13, 3.6 row 20).
"""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from random import Random

import httpx
from msgspec.structs import replace

from ledger.consensus import Certificate, Vote, signed_bytes
from ledger.consensus.messages import NO_BLOCK
from ledger.encoding import b64url, encode_bundle
from ledger.errors import AllianceError
from ledger.merkle import leaf_hash, tree_hash
from ledger.notes import Checkpoint, Note, cosign, encode_checkpoint, encode_note
from ledger.records.seal import Seal
from ledger.verify import cosigner_name
from node.httpsig import Request, sign_request
from node.peerclient import PeerClient
from node.wire import (
    EXCHANGE_PATH,
    EXCHANGE_TYPE,
    MAX_EXCHANGE_BYTES,
    Exchange,
    Want,
    encode_exchange,
)
from tests.net.conftest import Load, Network
from tests.support.world import World, sign_seal

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")
GROWTH_KIB = 300 << 10


class Hostile:
    """Everything that h4 can sign, and much that it cannot."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pin = world.genesis.seal.leaf
        self.random = Random(1)
        self.index = [member.org for member in world.config.members].index("h4")
        self._seq = count(1_000_000_000)

    def messages(self) -> Iterator[Exchange]:
        """One of each kind, for ever."""
        while True:
            for parts in (
                {"facts": self.votes()},
                {"facts": self.certificates()},
                {"blocks": self.blocks()},
                {"cosignatures": self.heads()},
                {"entries": tuple(self.random.randbytes(200) for _ in range(1_000))},
                {"entries": self.entries()},
                {"wants": tuple(Want(block=None, first=1) for _ in range(64))},
                {"wants": tuple(Want(block=self.random.randbytes(32), first=0) for _ in range(64))},
            ):
                yield Exchange(v=1, pin=self.pin, **parts)  # type: ignore[arg-type]

    def votes(self) -> tuple[Vote, ...]:
        """Valid words on views that are far away, and some with a wrong signature."""
        config = self.world.config
        found = []
        for _ in range(200):
            view = self.random.randrange(1, 1 << 40)
            message = signed_bytes(config, "nullify", view, 0, NO_BLOCK)
            signature = self.world.keys["h4"].node.sign(message)
            right = self.random.random() < 0.9
            found.append(
                Vote("nullify", 0, view, 0, NO_BLOCK, self.index, signature if right else bytes(64))
            )
        return tuple(found)

    def certificates(self) -> tuple[Certificate, ...]:
        """Of members who never signed."""
        config = self.world.config
        return tuple(
            Certificate(
                "finalize", 0, config.config_hash, view, 7, bytes(32), 0b111, (bytes(64),) * 3
            )
            for view in range(1, 50)
        )

    def blocks(self) -> tuple[bytes, ...]:
        """Well signed seals over nothing, at heights to come, each with a body of its own."""
        tip = self.world.genesis.tip
        first = self.world.genesis.seal.seal
        found = []
        config = self.world.config
        turns = [view for view in range(1, 1 << 10) if config.leader(view) == self.index]
        for _ in range(4):
            raws = [self.random.randbytes(60_000)] * 8
            seal = Seal(
                **{name: getattr(first, name) for name in Seal.__struct_fields__}
                | {
                    "height": self.random.randrange(2, 4_000),
                    "entries_root": b64url(tree_hash([leaf_hash(raw) for raw in raws])),
                    "view": self.random.choice(turns),
                    "proposer": "h4",
                    "time_ms": tip.time_ms + self.random.randrange(1, 1 << 30),
                    "prev": {"leaf": b64url(self.random.randbytes(32)), "index": 3},
                }
            )
            signed = sign_seal(self.world.keys["h4"].node, seal)
            found.append(encode_bundle([*raws, signed.raw]))
        return tuple(found)

    def heads(self) -> tuple[bytes, ...]:
        """Cosignatures of trees that nobody has."""
        tip, found = self.world.genesis.tip, []
        for _ in range(200):
            size = self.random.randrange(1, 1 << 40)
            text = encode_checkpoint(Checkpoint(tip.origin, size, self.random.randbytes(32)))
            name = cosigner_name("h4", tip.origin)
            line = cosign(text, name, self.world.keys["h4"].cosigner, 1_800_000_000)
            found.append(encode_note(Note(text, (line,))))
        return tuple(found)

    def entries(self) -> tuple[bytes, ...]:
        """Of keys that are registered; no rule admits what is to happen in ten years."""
        at_ms = int(time.time() * 1000) + 10 * 365 * 86_400_000
        return tuple(
            self.world.access(seq=next(self._seq), org="h4", at_ms=at_ms) for _ in range(50)
        )


def flood(url: str, hostile: Hostile, stopping: threading.Event, counts: dict[str, int]) -> None:
    """As fast as it goes."""
    with PeerClient(url, hostile.world.keys["h4"].node) as client:
        for message in hostile.messages():
            if stopping.is_set():
                return
            try:
                client.exchange(message, int(time.time()), hostile.random.randbytes(16))
                counts["taken"] = counts.get("taken", 0) + 1
            except AllianceError as error:
                counts[error.rule] = counts.get(error.rule, 0) + 1


def memory_kib(net: Network, org: str) -> int:
    """What a process holds."""
    with open(f"/proc/{net.nodes[org].process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def post(url: str, body: bytes, headers: dict[str, str]) -> str:
    """The rule by which a request is refused."""
    rule: str = httpx.post(url + EXCHANGE_PATH, content=body, headers=headers).json()["rule"]
    return rule


def refuse_requests(url: str, hostile: Hostile) -> None:
    """What does not even get in."""
    world, now = hostile.world, int(time.time())
    node = world.keys["h4"].node
    authority = url.removeprefix("http://")
    right = encode_exchange(Exchange(v=1, pin=hostile.pin))

    def signed(body: bytes) -> dict[str, str]:
        request = Request("POST", authority, EXCHANGE_PATH, "?", EXCHANGE_TYPE, body)
        return sign_request(request, node, now, hostile.random.randbytes(16))

    assert post(url, b"garbage", signed(b"garbage")) == "H8"
    assert post(url, encode_exchange(Exchange(v=1, pin=bytes(32))), signed(right)) == "H4"
    other = encode_exchange(Exchange(v=1, pin=bytes(32)))
    assert post(url, other, signed(other)) == "H7"
    huge = bytes(MAX_EXCHANGE_BYTES + 1)
    assert post(url, huge, signed(huge)) == "O5.large"
    headers = signed(right)
    assert httpx.post(url + EXCHANGE_PATH, content=right, headers=headers).status_code == 200
    assert post(url, right, headers) == "H3"
    # Nothing is unpacked: what would be 1 GiB is a thousandth of it, and no message.
    bomb = gzip.compress(bytes(64 << 20))
    assert post(url, bomb, signed(bomb) | {"content-encoding": "gzip"}) == "H8"
    epoch = replace(hostile.votes()[0], epoch=7)
    old = encode_exchange(Exchange(v=1, pin=hostile.pin, facts=(epoch,)))
    assert httpx.post(url + EXCHANGE_PATH, content=old, headers=signed(old)).status_code == 200


def test_strangers_who_hold_connections_open_keep_nobody_out(network: Make) -> None:
    """Half of a head, half of a body, nothing at all, from two hundred sockets: members go on."""
    net = network("h1", "h2")
    net.start()
    half = b"POST /api/v1/exchange HTTP/1.1\r\nhost: h1\r\ncontent-length: 100000\r\n"
    with ExitStack() as stack:
        for number in range(200):
            link = socket.create_connection(("127.0.0.1", net.ports["h1"]))
            stack.enter_context(link)
            link.sendall((b"", half, half + b"\r\nxx")[number % 3])
        for seq in range(1, 5):
            answer = net.nodes[f"h{1 + seq % 2}"].client.submit(net.world.access(seq=seq))
            assert answer["status"] == "published"
    net.check({})


def test_a_member_that_floods_the_others_stops_nobody(network: Make) -> None:
    net = network(*FOUR)
    net.start("h1", "h2", "h3")
    hostile = Hostile(net.world)
    urls = {org: f"http://127.0.0.1:{net.ports[org]}" for org in ("h1", "h2", "h3")}
    refuse_requests(urls["h1"], hostile)
    stopping, counts = threading.Event(), {}
    with Load(net, "h1", "h2", "h3") as load:
        load.more()
        before = {org: memory_kib(net, org) for org in urls}
        threads = [
            threading.Thread(target=flood, args=(url, hostile, stopping, counts))
            for url in urls.values()
        ]
        for thread in threads:
            thread.start()
        try:
            started = time.monotonic()
            load.more(60, 60)
            time.sleep(max(0.0, 8 - (time.monotonic() - started)))
            load.more(20)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        grown = {org: memory_kib(net, org) - before[org] for org in urls}
    assert counts["taken"] > 50
    assert max(grown.values()) < GROWTH_KIB, grown
    assert net.metric("h1", "rejected_messages_total") > 1_000
    net.check(load.published)
